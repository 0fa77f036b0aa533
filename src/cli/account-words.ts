import { ABSENT, formatMoney, formatPercent, formatUntil } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { AccountView, QuotaView } from '../core/views.ts';
import type { Line, Span, Tone } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { lineText, tableLines } from './table.ts';

const STATE_TONES: Readonly<Record<AccountView['state'], Tone>> = {
  ready: 'good', cooldown: 'warn', open: 'warn', 'half-open': 'warn', 'needs-login': 'bad', locked: 'bad', paused: 'dim',
};

/** All accounts as a table, or what to do when there is none. */
export function accountTable(accounts: readonly AccountView[], { stdout, clock }: CommandContext): string {
  if (accounts.length === 0) return lineText([span('No accounts yet. relay keys add signs in with ChatGPT; relay keys add --provider openai takes an API key.', 'dim')], stdout);
  const now = clock.now();
  const columns: readonly Column<AccountView>[] = [
    { title: 'ACCOUNT', min: 8, cell: ({ name }) => span(printable(name), 'strong') },
    { title: 'PROVIDER', cell: ({ provider }) => span(printable(provider)) },
    { title: 'PLAN', dropAt: 3, cell: ({ plan }) => (plan === null ? span(ABSENT, 'dim') : span(printable(plan))) },
    { title: 'STATE', min: 12, cell: (account) => stateWords(account, now) },
    { title: 'QUOTA', min: 10, dropAt: 1, cell: ({ quota }) => quotaWords(quota, now) },
    { title: 'BALANCE', align: 'right', dropAt: 4, cell: ({ balance }) => balanceWords(balance) },
    { title: 'RUNNING', align: 'right', dropAt: 2, cell: ({ inFlight }) => span(String(inFlight), inFlight === 0 ? 'dim' : 'plain') },
  ];
  return tableLines(columns, accounts, stdout).map((line) => lineText(line, stdout)).join('');
}

/** One account, a fact a line. */
export function accountCard(account: AccountView, { stdout, clock }: CommandContext): string {
  const now = clock.now();
  const fact = (label: string, value: Line | Span): Line => [span(label.padEnd(12), 'dim'), ...('text' in value ? [value] : value)];
  const lines: Line[] = [
    [span(printable(account.name), 'strong')],
    fact('provider', span(printable(account.provider))),
    ...(account.plan === null ? [] : [fact('plan', span(printable(account.plan)))]),
    fact('state', stateWords(account, now)),
    ...account.quota.map((window) => fact('quota', quotaWords([window], now))),
    ...(account.balance === null ? [] : [fact('balance', balanceWords(account.balance))]),
    fact('models', account.models.length === 0 ? span('any the upstream takes', 'dim') : span(account.models.map(printable).join(', '))),
    ...(account.lastError === null ? [] : [fact('last error', span(printable(`${account.lastError.code}: ${account.lastError.message}`)))]),
  ];
  return lines.map((line) => lineText(line, stdout)).join('');
}

function stateWords({ state, until, reason, name }: AccountView, now: number): Line {
  const mend = state === 'needs-login' ? `relay keys login ${name}` : state === 'paused' ? `relay keys resume ${name}` : '';
  return [
    span(state, STATE_TONES[state]),
    ...(until === null ? [] : [span(` ${formatUntil(until, now)}`)]),
    ...(reason === null ? [] : [span(` ${printable(reason)}`, 'dim')]),
    ...(mend === '' ? [] : [span(` (${printable(mend)})`, 'dim')]),
  ];
}

function quotaWords(quota: readonly QuotaView[], now: number): Line {
  if (quota.length === 0) return [span(ABSENT, 'dim')];
  return quota.flatMap(({ window, usedPercent, resetsAt }, index) => [
    ...(index === 0 ? [] : [span(', ', 'dim')]),
    span(`${printable(window)} `, 'dim'),
    span(formatPercent(usedPercent), usedPercent >= 99 ? 'bad' : usedPercent >= 80 ? 'warn' : 'plain'),
    ...(resetsAt === null || resetsAt <= now ? [] : [span(` resets ${formatUntil(resetsAt, now)}`, 'dim')]),
  ]);
}

function balanceWords(balance: AccountView['balance']): Span {
  if (balance === null) return span(ABSENT, 'dim');
  return span(balance.currency === 'USD' ? formatMoney(balance.amount) : `${(balance.amount / 1e9).toFixed(2)} ${printable(balance.currency)}`);
}
