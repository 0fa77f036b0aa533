import { budgetAmount, budgetWords } from '../core/budget-words.ts';
import { formatCountShort, formatDateTime, formatDuration, formatMoney, formatTime } from '../core/amounts.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { BudgetMark } from '../core/ports.ts';
import { printable } from '../core/printable.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import { SECOND_MS } from '../core/units.ts';
import { networkAddresses } from '../daemon/network-addresses.ts';
import type { Daemon } from '../daemon/start-daemon.ts';
import { startDaemon } from '../daemon/start-daemon.ts';
import { systemRandom } from '../io/system-random.ts';
import type { CommandContext } from './context.ts';
import { startDetached } from './detach.ts';
import type { StartOptions } from './start-options.ts';
import { VERSION } from './version.ts';

const DRAIN_MS = 30 * SECOND_MS;
const HURRY_MS = 0;

/** `relay start`: runs the daemon until a signal or `relay stop`, and sets the exit code. */
export async function runStart(options: StartOptions, context: CommandContext): Promise<void> {
  const port = parsePort(options.port);
  if (options.detach) return startDetached(options, context);
  const stop = stopSignals();
  // The ready line comes first; what is logged while starting follows it.
  let early: string[] | null = [];
  const mirrorLog = (line: string): void => void (early?.push(line) ?? context.stdout.write(line));
  const daemon = await startDaemon({
    home: context.home, port, withMock: options.mock === true, clock: context.clock, random: systemRandom, env: context.env, version: VERSION,
    mirrorLog: options.json ? mirrorLog : null,
    prompt: context.terminal === null ? null : async () => (await import('./prompt.ts')).askHidden('Passphrase of the vault: ', context),
    machine: { monotonicMs: () => performance.now(), addresses: networkAddresses },
    onStop: stop.request,
  });
  process.on('SIGHUP', () => void daemon.reload());
  if (options.json) await sayReadyAsJson(daemon, context);
  const logged = early;
  early = null;
  if (options.json) await context.stdout.write(logged.join(''));
  else await sayReady(daemon, options, context);
  const forget = options.json ? () => {} : daemon.live.subscribe((event) => {
    if (event.type === 'finish') void context.stderr.write(requestLine(event.record, context));
    if (event.type === 'budget') void context.stderr.write(markLine(event.budget, context));
  });
  await stop.requested;
  if (!options.json) await context.stderr.write('\nrelay: finishing what runs; Ctrl-C again ends it at once\n');
  const drained = daemon.drain(DRAIN_MS);
  const hurried = await Promise.race([drained.then(() => false), stop.again.then(() => true)]);
  forget();
  // Asked twice: what still runs is cut, the ledger is closed all the same.
  if (hurried) await Promise.race([daemon.drain(HURRY_MS), new Promise((resolve) => context.clock.after(SECOND_MS, () => resolve(null)))]);
  process.exit(hurried ? EXIT.interrupted : EXIT.ok);
}

interface StopSignals {
  readonly requested: Promise<void>;
  readonly again: Promise<void>;
  readonly request: () => void;
}

/** The first SIGINT, SIGTERM or `relay stop` asks for an orderly end, a signal after it for an immediate one. */
function stopSignals(): StopSignals {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let asked = false;
  const onSignal = (): void => {
    if (asked) second.resolve();
    asked = true;
    first.resolve();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    requested: first.promise,
    again: second.promise,
    request: () => {
      asked = true;
      first.resolve();
    },
  };
}

function parsePort(text: string | undefined): number | null {
  if (text === undefined) return null;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new CommandError(EXIT.usage, `--port "${text}" is no port; it takes 0 to 65535`);
  return port;
}

async function sayReadyAsJson({ url, clientKey }: Daemon, { stdout }: CommandContext): Promise<void> {
  await stdout.write(`${JSON.stringify({ event: 'ready', url, pid: process.pid, ...(clientKey !== null && { clientKey }) })}\n`);
}

async function sayReady(daemon: Daemon, options: StartOptions, { stderr }: CommandContext): Promise<void> {
  const accounts = await daemon.control.call('accounts.list', {});
  const models = await daemon.control.call('models.list', {});
  const model = options.mock ? 'relay-mini' : (models[0]?.id ?? 'MODEL');
  const key = daemon.clientKey ?? 'YOUR-KEY';
  const lines = [
    `Relay ${VERSION} listens on ${daemon.url}/v1`,
    accounts.length === 0
      ? 'No account yet. Add one: relay keys add (ChatGPT sign-in) or relay keys add --provider openai'
      : `${accounts.length} account${accounts.length === 1 ? '' : 's'}: ${accounts.map(({ name, state }) => `${printable(name)} (${state})`).join(', ')}`,
    ...(daemon.exposure === null ? [] : [`Warning: ${printable(daemon.exposure)}.`]),
    ...(daemon.clientKey === null
      ? ['Client keys: relay clients list shows them, relay clients add NAME makes one.']
      : ['', `Your client key, shown this once:  ${daemon.clientKey}`]),
    '',
    'Try it:',
    `  curl ${daemon.url}/v1/chat/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' \\`,
    `    -d '{"model":"${printable(model)}","messages":[{"role":"user","content":"Say hello"}]}'`,
    'Codex:  relay run codex        Watch:  relay usage        End:  Ctrl-C',
    '',
  ];
  await stderr.write(`${lines.join('\n')}\n`);
}

/** A budget that has passed a mark, in one line. */
function markLine({ owner, budget, spent, mark, resetsAt }: BudgetMark, { timeZone }: CommandContext): string {
  const standing = mark === 100 ? 'is spent' : `has passed ${mark} %`;
  return `relay: the budget of ${printable(owner)} ${standing}: ${budgetAmount(budget.unit, spent)} of ${budgetWords(budget)}, anew ${formatDateTime(resetsAt, timeZone)}\n`;
}

/** One finished request in one line. */
function requestLine(record: JournalLine<CloseRecord>, { timeZone }: CommandContext): string {
  const { tokens } = record;
  const words = [
    formatTime(record.t, timeZone),
    String(record.status),
    printable(record.client),
    printable(record.model.ran ?? record.model.sent ?? record.model.asked ?? '-'),
    record.account === null ? '-' : printable(record.account),
    record.attempts.length > 1 ? `${record.attempts.length} attempts` : '',
    tokens === null ? 'unmetered' : `${formatCountShort(tokens.input)} in ${formatCountShort(tokens.output)} out`,
    formatMoney(record.cost.list),
    formatDuration(record.ms.total),
    record.error === null ? '' : `${record.error.code}  relay show ${record.id}`,
  ];
  return `${words.filter((word) => word !== '').join('  ')}\n`;
}
