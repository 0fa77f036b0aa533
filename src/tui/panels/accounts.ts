import { ABSENT, formatMoneyShort, formatPercent, formatUntil } from '../../core/amounts.ts';
import type { AccountState } from '../../core/account.ts';
import { printable } from '../../core/printable.ts';
import type { EpochMs } from '../../core/units.ts';
import type { AccountView, QuotaView } from '../../core/views.ts';
import { percentBar, usedTone } from '../bars.ts';
import { inWords } from '../request-words.ts';
import type { Line, Span, Tone } from '../spans.ts';
import { span } from '../spans.ts';
import type { Column } from '../table.ts';
import { planTable } from '../table.ts';
import type { Focus } from './frame.ts';
import { emptyList, listBody, listWidth, panelTitle, rule } from './frame.ts';

const STATES: Readonly<Record<AccountState, { readonly mark: string; readonly tone: Tone; readonly words: string }>> = {
  ready: { mark: '●', tone: 'good', words: 'ready' },
  cooldown: { mark: '◔', tone: 'warn', words: 'cooling' },
  open: { mark: '○', tone: 'bad', words: 'failing' },
  'half-open': { mark: '◐', tone: 'warn', words: 'probing' },
  'needs-login': { mark: '✕', tone: 'bad', words: 'sign in' },
  locked: { mark: '⊘', tone: 'bad', words: 'locked' },
  paused: { mark: '‖', tone: 'dim', words: 'paused' },
};

/** An account's condition in a mark and a word. */
export function stateSpan({ state }: AccountView): Span {
  const { mark, tone, words } = STATES[state];
  return span(`${mark} ${words}`, tone);
}

/** What mends an account that is not ready, then why it is not; while it is, what will run out before it resets. Empty when all is well. */
export function accountNote({ name, state, until, reason, quota }: AccountView, now: EpochMs): string {
  const why = reason === null ? '' : inWords(reason);
  const back = until === null ? '' : `back in ${formatUntil(until, now)}`;
  switch (state) {
    case 'ready': return runsOut(quota, now);
    case 'cooldown': case 'half-open': case 'open': return [back, why].filter((part) => part !== '').join(', ');
    case 'needs-login': return `relay keys login ${printable(name)}${why === '' ? '' : `: ${why}`}`;
    case 'locked': return `unlock the keychain${why === '' ? '' : `: ${why}`}`;
    case 'paused': return 'p resumes it';
  }
}

function runsOut(quota: readonly QuotaView[], now: EpochMs): string {
  const soonest = quota.reduce<QuotaView | null>((first, each) => {
    if (!each.lastsUntil) return first;
    return first?.lastsUntil && first.lastsUntil <= each.lastsUntil ? first : each;
  }, null);
  return soonest?.lastsUntil ? `${printable(soonest.window)} runs out in ${formatUntil(soonest.lastsUntil, now)}` : '';
}

/** One quota window: a bar, how much is used, and when it is new again. */
export function quotaSpans({ usedPercent, resetsAt }: QuotaView, now: EpochMs, barWidth: number): Line {
  return [
    ...(barWidth > 0 ? [...percentBar(usedPercent, barWidth), span(' ')] : []),
    span(formatPercent(usedPercent).padStart(4), usedTone(usedPercent)),
    span(resetsAt === null ? '' : ` ${formatUntil(resetsAt, now)}`, 'dim'),
  ];
}

const MINUTES: Readonly<Record<string, number | undefined>> = { m: 1, h: 60, d: 1_440, w: 10_080 };

/** The windows any account has, the plan's own first, short before long. */
export function quotaWindows(accounts: readonly AccountView[]): readonly string[] {
  const names = [...new Set(accounts.flatMap(({ quota }) => quota.map(({ window }) => window)))];
  return names.sort((left, right) => rank(left) - rank(right) || left.localeCompare(right));
}

function rank(window: string): number {
  const [, count, unit] = /(\d+)([mhdw])$/.exec(window) ?? [];
  return (window.includes(' ') ? 1e9 : 0) + Number(count ?? 0) * (MINUTES[unit ?? ''] ?? 0);
}

function accountColumns(accounts: readonly AccountView[], now: EpochMs, width: number): readonly Column<AccountView>[] {
  const barWidth = width >= 140 ? 12 : width >= 100 ? 8 : width >= 76 ? 6 : 0;
  const windows = quotaWindows(accounts).slice(0, width >= 150 ? 3 : 2).map((window, index): Column<AccountView> => ({
    title: `${printable(window).toUpperCase()} USED`,
    ...(index > 0 && { dropAt: 3 + index }),
    cell: ({ quota }) => {
      const found = quota.find((each) => each.window === window);
      return found ? quotaSpans(found, now, barWidth) : span(ABSENT, 'dim');
    },
  }));
  const balance: Column<AccountView> = {
    title: 'BALANCE', align: 'right', dropAt: 7,
    cell: (account) => (account.balance === null ? span(ABSENT, 'dim') : span(balanceText(account.balance))),
  };
  return [
    { title: 'NAME', min: 8, cell: ({ name }) => span(printable(name)) },
    { title: 'PROVIDER', min: 6, dropAt: 8, cell: ({ provider }) => span(printable(provider), 'dim') },
    { title: 'PLAN', dropAt: 9, cell: ({ plan }) => span(plan === null ? ABSENT : printable(plan), 'dim') },
    { title: 'STATE', cell: stateSpan },
    ...windows,
    ...(accounts.some((account) => account.balance !== null) ? [balance] : []),
    { title: 'RUN', align: 'right', dropAt: 2, cell: ({ inFlight }) => span(String(inFlight), inFlight > 0 ? 'strong' : 'dim') },
    { title: '', min: 20, dropAt: 6, cell: (account) => span(accountNote(account, now), account.state === 'ready' ? 'warn' : 'dim') },
  ];
}

/** Money left at a provider, in its own currency where that is not the dollar. */
export function balanceText({ amount, currency }: NonNullable<AccountView['balance']>): string {
  return currency.toUpperCase() === 'USD' ? formatMoneyShort(amount) : `${(amount / 1e9).toFixed(2)} ${printable(currency)}`;
}

/** How a panel is to be drawn. */
export interface PanelPlace {
  readonly width: number;
  /** Lines in all, the rule included. */
  readonly height: number;
  readonly cursor: number;
  readonly focus: Focus;
  readonly now: EpochMs;
  readonly timeZone: string;
}

/** The accounts: condition, quota windows with their resets, balance, requests in flight. `filter` says why there are none. */
export function drawAccounts(accounts: readonly AccountView[], filter: string, place: PanelPlace): readonly Line[] {
  const { width, height, cursor, focus, now } = place;
  const title = panelTitle('Accounts', accounts.length, focus);
  if (accounts.length === 0) {
    const empty = filter === '' ? emptyList('No account yet.', 'relay keys add') : emptyList(`No account matches "${filter}".`, '');
    return [rule(title, [], width), ...empty].slice(0, height);
  }
  const plan = planTable(accountColumns(accounts, now, width), accounts, listWidth(width));
  const body = listBody(accounts, plan.draw, cursor, height - 2, focus);
  const resting = accounts.filter(({ state }) => state !== 'ready').length;
  const remark =
    body.remark.length > 0 || resting === 0 ? body.remark : [span(`${accounts.length - resting} ready, ${resting} not`, 'dim')];
  const lines: readonly Line[] = [rule(title, remark, width), [span('  '), ...plan.heading], ...body.lines];
  return lines.slice(0, height);
}
