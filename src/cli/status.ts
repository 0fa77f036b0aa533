import { formatDuration } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { StatusView } from '../core/views.ts';
import type { Line, Tone } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import { accountTable } from './account-words.ts';
import type { CommandContext } from './context.ts';
import { openControl } from './control-access.ts';
import { writeLines } from './table.ts';

const TONES: Readonly<Record<string, Tone>> = {
  running: 'good', operational: 'good', ready: 'good', draining: 'warn', degraded: 'warn', locked: 'warn', stopped: 'dim', down: 'bad', full: 'bad',
  corrupt: 'bad', unavailable: 'bad', denied: 'bad',
};

/** `relay status`: gateway, ledger, keychain, providers and accounts, with the daemon running or stopped. */
export async function runStatus(asJson: boolean, context: CommandContext): Promise<void> {
  await openControl(context, async ({ control }) => {
    const status = await control.call('status', {});
    if (asJson) return context.stdout.write(`${JSON.stringify(status)}\n`);
    await writeLines(context.stdout, statusLines(status));
    await context.stdout.write(`\n${accountTable(status.accounts, context)}`);
  });
}

function statusLines({ gateway, ledger, keychain, providers }: StatusView): readonly Line[] {
  const row = (label: string, state: string, detail: string): Line => [
    span(label.padEnd(12), 'dim'), span(state.padEnd(13), TONES[state] ?? 'plain'), span(printable(detail), 'dim'),
  ];
  const uptime = gateway.uptimeMs === null ? '' : `up ${formatDuration(gateway.uptimeMs)}, ${gateway.rssMb ?? 0} MB, `;
  return [
    row('gateway', gateway.state, gateway.url === null ? 'relay start starts it' : `${gateway.url}  ${uptime}version ${gateway.version}`),
    row('ledger', ledger.state, `line ${ledger.seq}, head ${ledger.head}`),
    row('keychain', keychain.state, keychain.backend === 'os' ? 'of this machine' : keychain.backend),
    ...providers.map(({ name, state, reason }) => row(name, state, reason ?? '')),
  ];
}
