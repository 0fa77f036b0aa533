import type { Command } from 'commander';

import { CommandError, EXIT } from '../core/errors.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { logColumns } from '../tui/request-columns.ts';
import { span } from '../tui/spans.ts';
import type { TablePlan } from '../tui/table.ts';
import { planTable } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { parseLimit } from './format.ts';
import { parseMoment } from './moment.ts';
import { lineText, writeLines } from './table.ts';
import type { RequestQuery, UsageData } from './usage-data.ts';
import { matchesQuery } from './usage-data.ts';

/** The flags of `relay logs`, as given. */
export interface LogsOptions {
  readonly errors?: boolean;
  readonly follow?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly client?: string;
  readonly account?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

type Finished = JournalLine<CloseRecord>;

/** How many requests a person gets to see when nothing else is said. */
const SCREENFUL = 50;
/** Rows whose widths decide a table's columns, and how many are written at once. */
const BATCH = 200;

/** Adds `relay logs` to the program; `run` does the work. */
export function registerLogs(program: Command, run: (options: LogsOptions) => Promise<void>): void {
  program
    .command('logs')
    .description('Finished requests, oldest first')
    .option('--errors', 'only those that failed or were refused')
    .option('-f, --follow', 'go on with new ones as they finish')
    .option('--since <when>', 'from then on: a span (7d, 24h), a date (2026-11-24) or a date and time')
    .option('--until <when>', 'up to then; a date means its whole day')
    .option('--client <name>', 'of one client')
    .option('--account <name>', 'served by one account')
    .option('-n, --limit <count>', `only the newest; ${SCREENFUL} on a terminal unless --since is given`)
    .option('--json', 'one journal line each, as JSON lines')
    .addHelpText('after', `
relay show ID tells everything about one of them; the end of its id is enough.

Examples:
  $ relay logs --errors --since 24h
  $ relay logs --follow --client codex
  $ relay logs --json --since 7d | jq .cost.list`)
    .action((options: LogsOptions) => run(options));
}

/** `relay logs`: finished requests as a table or JSON lines, and with `--follow` those to come until interrupted. */
export async function runLogs(options: LogsOptions, context: CommandContext, data: UsageData): Promise<void> {
  const query = logsQuery(options, context);
  const printer = options.json ? jsonPrinter(context) : tablePrinter(context);
  const ended = AbortSignal.any([context.signal, context.stdout.closed]);
  // Listening begins before the past is read, so that nothing finished in between is missed; seen twice, it is told once.
  const arrived: Finished[] = [];
  let wake = Promise.withResolvers<void>();
  const following = options.follow
    ? data.follow((record) => {
      if (!matchesQuery(record, query)) return;
      arrived.push(record);
      wake.resolve();
    }, ended)
    : null;
  following?.catch(() => {});
  const newestSeq = await printPast(query, data, printer, ended);
  if (!following) {
    if (newestSeq === null && !options.json) await sayNothingFound(query, context);
    return;
  }
  const over = following.then(() => 'over' as const);
  for (;;) {
    const fresh = arrived.splice(0).filter(({ seq }) => newestSeq === null || seq > newestSeq);
    await printer.print(fresh);
    if (arrived.length > 0) continue;
    if ((await Promise.race([over, wake.promise])) === 'over' && arrived.length === 0) return;
    wake = Promise.withResolvers<void>();
  }
}

/** What the flags ask of the ledger. Throws a usage error that names the flag. */
export function logsQuery(options: LogsOptions, { clock, stdout }: CommandContext): RequestQuery {
  const now = clock.now();
  const since = moment(options.since, now, '--since');
  const until = options.until === undefined ? null : parseMoment(options.until, now, '--until', 'end');
  if (since !== null && until !== null && since >= until) throw new CommandError(EXIT.usage, '--since must be before --until');
  if (options.follow && until !== null) throw new CommandError(EXIT.usage, '--until and --follow exclude each other');
  const given = options.limit === undefined ? null : parseLimit(options.limit, '--limit');
  const limit = given ?? (stdout.isTTY && since === null && !options.json ? SCREENFUL : null);
  return {
    since, until, limit, client: options.client ?? null, account: options.account ?? null,
    only: options.errors ? 'errors' : 'all', order: limit === null ? 'oldest-first' : 'newest-first',
  };
}

function moment(text: string | undefined, now: EpochMs, option: string): EpochMs | null {
  return text === undefined ? null : parseMoment(text, now, option);
}

interface Printer {
  print(records: readonly Finished[]): Promise<void>;
}

function jsonPrinter({ stdout }: CommandContext): Printer {
  return { print: (records) => stdout.write(records.map((record) => `${JSON.stringify(record)}\n`).join('')) };
}

/** Plans its columns by the first batch and keeps them, so that lines written later stand under the same headings. */
function tablePrinter({ stdout, timeZone }: CommandContext): Printer {
  let plan: TablePlan<Finished> | null = null;
  return {
    async print(records) {
      if (records.length === 0) return;
      let text = '';
      if (!plan) {
        plan = planTable(logColumns(timeZone, stdout.isTTY ? 'terminal' : 'pipe'), records, stdout.columns);
        text = lineText(plan.heading, stdout);
      }
      const { draw } = plan;
      await stdout.write(text + records.map((record) => lineText(draw(record), stdout)).join(''));
    },
  };
}

/** Prints what has finished, oldest first; the newest journal number printed, or null when there was nothing. */
async function printPast(query: RequestQuery, data: UsageData, printer: Printer, ended: AbortSignal): Promise<number | null> {
  let newestSeq: number | null = null;
  let batch: Finished[] = [];
  const flush = async (): Promise<void> => {
    const records = query.order === 'newest-first' ? batch.toReversed() : batch;
    batch = [];
    await printer.print(records);
  };
  for await (const record of data.requests(query)) {
    if (ended.aborted) break;
    newestSeq = Math.max(newestSeq ?? 0, record.seq);
    batch.push(record);
    // A limited query comes newest first and has to be turned round, so it is held until its end.
    if (query.order === 'oldest-first' && batch.length >= BATCH) await flush();
  }
  await flush();
  return newestSeq;
}

function sayNothingFound({ only }: RequestQuery, { stderr }: CommandContext): Promise<void> {
  const what = only === 'errors' ? 'No errors' : 'No finished requests';
  return writeLines(stderr, [[span(`${what} found. Look further back: relay logs --since 30d`, 'dim')]]);
}
