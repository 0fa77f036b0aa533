import type { Command } from 'commander';
import { Option } from 'commander';

import { formatCount } from '../core/amounts.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS } from '../core/units.ts';
import type { PrunedLines } from '../control/control.ts';
import type { CommandContext } from './context.ts';
import { parseMoment } from './moment.ts';
import { showProgress } from './progress.ts';

/** Adds `relay ledger …`. */
export function registerLedger(program: Command, context: CommandContext): void {
  const ledger = program.command('ledger').description('The journal of every request: check it, export it, prune it');
  ledger.command('verify').description('check the number and hash of every line; exits 3 when one is wrong').option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  $ relay ledger verify --json | jq .ok')
    .action((options: { readonly json?: boolean }) => runVerify(options, context));
  ledger.command('rebuild').description('count all totals anew from the journal').option('--json', 'as JSON')
    .addHelpText('after', '\nTotals of pruned requests stay.\n\nExample:\n  $ relay ledger rebuild')
    .action((options: { readonly json?: boolean }) => runRebuild(options, context));
  ledger.command('export').description('every finished request, oldest first, to stdout')
    .option('--since <when>', 'from then on: a span (7d, 24h), a date (2026-11-24) or a date and time').option('--until <when>', 'up to then; a date means its whole day')
    .addOption(new Option('--jsonl', 'the journal\'s own lines (the default)').conflicts('csv')).option('--csv', 'one row a request, for spreadsheets')
    .addHelpText('after', '\nMoney is in 1e-9 USD, times are epoch milliseconds.\n\nExamples:\n  $ relay ledger export --since 2026-11-01 > november.jsonl\n  $ relay ledger export --csv --since 30d > month.csv')
    .action((options: ExportOptions) => runExport(options, context));
  ledger.command('prune').description('remove whole days of requests from the journal; their totals stay')
    .requiredOption('--before <when>', 'a date (2026-01-01) or a span back from now (365d); its own day stays').option('--yes', 'do not ask').option('--json', 'as JSON')
    .addHelpText('after', '\nledger.retentionDays in the settings does it every day.\n\nExample:\n  $ relay ledger prune --before 365d')
    .action((options: PruneOptions) => runPrune(options, context));
}

/** `relay ledger verify`. Throws a CommandError (3) that names segment and line when the chain is broken. */
export async function runVerify({ json }: { readonly json?: boolean }, context: CommandContext): Promise<void> {
  const { checkLedger } = await import('../storage/verify-pool.ts');
  const progress = showProgress('checking', context);
  const report = await checkLedger(context.home, { onProgress: ({ segments, ofSegments, lines }) => progress.saw(segments / ofSegments, lines) });
  await progress.end();
  if (json) await context.stdout.write(`${JSON.stringify(report)}\n`);
  else if (report.ok) await context.stdout.write(`${formatCount(report.lines)} lines in ${report.segments} segments, chain whole\nhead ${report.head.seq} ${report.head.h}\n`);
  if (report.fault === undefined) return;
  const { segment, line, reason } = report.fault;
  throw new CommandError(EXIT.ledgerCorrupt, `the ledger is corrupt: ${segment} line ${line}: ${reason}`);
}

async function runRebuild({ json }: { readonly json?: boolean }, context: CommandContext): Promise<void> {
  const { openControl } = await import('./control-access.ts');
  await openControl(context, async ({ control }) => {
    const { lines } = await control.call('ledger.rebuild', {});
    await context.stdout.write(json ? `${JSON.stringify({ lines })}\n` : `totals counted anew from ${formatCount(lines)} lines\n`);
  });
}

/** The flags of `relay ledger export`, as given. */
export interface ExportOptions {
  readonly since?: string;
  readonly until?: string;
  readonly jsonl?: boolean;
  readonly csv?: boolean;
}

/** How much text is gathered before it is written. */
const CHUNK_CHARACTERS = 1 << 16;

/** `relay ledger export`: straight from the files, whether a daemon writes them or not. */
export async function runExport(options: ExportOptions, context: CommandContext): Promise<void> {
  const now = context.clock.now();
  const since = options.since === undefined ? undefined : parseMoment(options.since, now, '--since');
  const until = options.until === undefined ? undefined : parseMoment(options.until, now, '--until', 'end');
  if (since !== undefined && until !== undefined && since >= until) throw new CommandError(EXIT.usage, '--since must be before --until');
  const { queryRequests } = await import('../storage/query.ts');
  const { requestCsvHeading, requestCsvLine } = await import('./request-csv.ts');
  let waiting = options.csv ? requestCsvHeading() : '';
  const filter = { ...(since !== undefined && { since }), ...(until !== undefined && { until }) };
  for await (const { line, text } of queryRequests(context.home, { ...filter, order: 'oldest' })) {
    waiting += options.csv ? requestCsvLine(line) : `${text}\n`;
    if (waiting.length < CHUNK_CHARACTERS) continue;
    await context.stdout.write(waiting);
    waiting = '';
    if (context.stdout.closed.aborted || context.signal.aborted) return;
  }
  await context.stdout.write(waiting);
}

/** The flags of `relay ledger prune`, as given. */
export interface PruneOptions {
  readonly before: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

async function runPrune(options: PruneOptions, context: CommandContext): Promise<void> {
  const before = parseMoment(options.before, context.clock.now(), '--before');
  const { planPrune } = await import('../storage/prune.ts');
  const planned = await planPrune(context.home, before);
  if (planned.segments > 0 && options.yes !== true && !(await isWanted(planned, context))) return;
  const { openControl } = await import('./control-access.ts');
  await openControl(context, async ({ control }) => {
    const pruned = await control.call('ledger.prune', { before });
    await context.stdout.write(options.json ? `${JSON.stringify(pruned)}\n` : `${prunedWords(pruned, before)}\n`);
  });
}

async function isWanted(planned: PrunedLines, context: CommandContext): Promise<boolean> {
  const what = `${formatCount(planned.lines)} lines (${formatCount(Math.ceil(planned.bytes / 1_048_576))} MiB) from before ${planned.keptFrom}`;
  const { ask } = await import('./prompt.ts');
  const answer = await ask(`Remove ${what} for good? Their totals stay. [y/N] `, context);
  if (answer === null) throw new CommandError(EXIT.usage, `this would remove ${what}; say --yes where nobody can be asked`);
  if (/^y(es)?$/i.test(answer)) return true;
  await context.stderr.write('nothing was removed\n');
  return false;
}

function prunedWords({ segments, lines, keptFrom }: PrunedLines, before: EpochMs): string {
  if (segments === 0) return `nothing to remove: no whole day is older than ${new Date(Math.floor(before / DAY_MS) * DAY_MS).toISOString().slice(0, 10)}`;
  return `${formatCount(lines)} lines removed; the journal now begins with ${keptFrom}`;
}
