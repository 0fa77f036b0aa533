import type { Command } from 'commander';
import { Option } from 'commander';

import { ABSENT, formatCount, formatDateTime, formatDuration, formatMoney, formatPercent } from '../core/amounts.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS } from '../core/units.ts';
import type { UsageDimension, UsageGroup, UsageQuery, UsageReport, UsageTotals } from '../core/views.ts';
import { USAGE_DIMENSIONS } from '../core/views.ts';
import type { Line } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import { groupRow, totalsRow, usageColumns } from '../tui/usage-columns.ts';
import type { CommandContext } from './context.ts';
import { csvLine } from './format.ts';
import { parseMoment } from './moment.ts';
import { tableLines, writeLines } from './table.ts';
import type { UsageData } from './usage-data.ts';

/** The flags of `relay usage`, as given. */
export interface UsageOptions {
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly by?: string;
}

/** Adds `relay usage` to the program; `run` does the work. */
export function registerUsage(program: Command, run: (options: UsageOptions) => Promise<void>): void {
  program
    .command('usage')
    .description('Tokens, money and speed: a live screen, or a report with --json, --csv, --since, --until, --by')
    .option('--since <when>', 'from then on: a span (7d, 24h), a date (2026-11-24) or a date and time')
    .option('--until <when>', 'up to then; a date means its whole day')
    .option('--by <what>', `group by, comma-separated: ${USAGE_DIMENSIONS.join(', ')}`)
    .addOption(new Option('--json', 'the report as JSON').conflicts('csv'))
    .option('--csv', 'the report as CSV')
    .addHelpText('after', `
Days and hours are UTC. Money in --json and --csv is in 1e-9 USD, times are epoch milliseconds.

Examples:
  $ relay usage                           the live screen
  $ relay usage --since 7d --by model     a table of the week's models
  $ relay usage --since 2026-11-01 --by day,account --csv > november.csv`)
    .action((options: UsageOptions) => run(options));
}

/** `relay usage` where it is not the live screen: a table, JSON or CSV. */
export async function runUsage(options: UsageOptions, context: CommandContext, data: Pick<UsageData, 'report'>): Promise<void> {
  if (options.json && options.csv) throw new CommandError(EXIT.usage, '--json and --csv exclude each other');
  const now = context.clock.now();
  const query = usageQuery(options, now);
  const report = await data.report(query);
  if (options.json) return context.stdout.write(`${JSON.stringify(report)}\n`);
  if (options.csv) return context.stdout.write(usageCsv(report));
  await writeLines(context.stdout, usageLines(report, context, now));
}

/** True when nothing asks for a report and there is a terminal to draw on. */
export function wantsScreen(options: UsageOptions, { terminal }: CommandContext): boolean {
  const asksForReport =
    options.json || options.csv || options.since !== undefined || options.until !== undefined || options.by !== undefined;
  return !asksForReport && terminal !== null;
}

/** What the flags ask of the ledger. Throws a usage error that names the flag. */
export function usageQuery(options: UsageOptions, now: EpochMs): UsageQuery {
  const since = options.since === undefined ? null : parseMoment(options.since, now, '--since');
  const until = options.until === undefined ? null : parseMoment(options.until, now, '--until', 'end');
  if (since !== null && until !== null && since >= until) throw new CommandError(EXIT.usage, '--since must be before --until');
  return { since, until, by: parseDimensions(options.by ?? '') };
}

function parseDimensions(text: string): readonly UsageDimension[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  return [...new Set(names)].map((name) => {
    const dimension = USAGE_DIMENSIONS.find((known) => known === name);
    if (dimension) return dimension;
    throw new CommandError(EXIT.usage, `--by "${name}" is unknown; it takes ${USAGE_DIMENSIONS.join(', ')}`);
  });
}

const CSV_MEASURES: readonly (readonly [string, (totals: UsageTotals) => number | null])[] = [
  ['requests', ({ requests }) => requests], ['failed', ({ failed }) => failed], ['unmetered', ({ unmetered }) => unmetered],
  ['input_tokens', ({ tokens }) => tokens.input], ['cached_tokens', ({ tokens }) => tokens.cached],
  ['cache_write_tokens', ({ tokens }) => tokens.cacheWrite], ['output_tokens', ({ tokens }) => tokens.output],
  ['reasoning_tokens', ({ tokens }) => tokens.reasoning],
  ['list_nanousd', ({ cost }) => cost.list], ['charged_nanousd', ({ cost }) => cost.charged], ['saved_nanousd', ({ cost }) => cost.saved],
  ['ttft_p50_ms', ({ ms }) => ms.ttftP50], ['ttft_p95_ms', ({ ms }) => ms.ttftP95],
  ['total_p50_ms', ({ ms }) => ms.totalP50], ['total_p95_ms', ({ ms }) => ms.totalP95],
];

/** The report as CSV: one line a group, or one line of totals where nothing was grouped. */
export function usageCsv(report: UsageReport): string {
  const { by } = report;
  const hasPlans = report.groups.some(({ plan }) => plan !== undefined);
  const heading = csvLine([...by, ...CSV_MEASURES.map(([name]) => name), ...(hasPlans ? ['plan_paid_nanousd', 'plan_nanousd_per_million'] : [])]);
  const measures = (totals: UsageTotals): (number | null)[] => CSV_MEASURES.map(([, read]) => read(totals));
  const planCells = ({ plan }: UsageGroup): (number | null)[] => (hasPlans ? [plan?.paid ?? null, plan?.perMillion ?? null] : []);
  if (by.length === 0) return heading + csvLine(measures(report.totals));
  return (
    heading + report.groups.map((group) => csvLine([...by.map((dimension) => group.key[dimension] ?? ''), ...measures(group), ...planCells(group)])).join('')
  );
}

function usageLines(report: UsageReport, { stdout, timeZone }: CommandContext, now: EpochMs): readonly Line[] {
  const title: Line = [span('Usage', 'strong'), span(`  ${spanWords(report, now, timeZone)}`, 'dim')];
  if (report.totals.requests === 0) {
    return [title, [], [span('No requests in this time. Point a client at Relay: relay connect codex', 'dim')]];
  }
  if (report.by.length === 0) return [title, [], ...totalsLines(report.totals)];
  const rows = [...report.groups.map((group) => groupRow(group, report.by)), totalsRow(report.totals)];
  return [title, [], ...tableLines(usageColumns(report.by), rows, stdout), ...planLines(report), ...remarks(report.totals)];
}

function spanWords({ since, until }: UsageReport, now: EpochMs, timeZone: string): string {
  const moment = (at: EpochMs): string =>
    at % DAY_MS === 0 ? `${new Date(at).toISOString().slice(0, 10)} UTC` : formatDateTime(at, timeZone);
  if (since === null && until === null) return 'all time';
  const from = since === null ? 'the beginning' : moment(since);
  return `${from} to ${until === null || until >= now ? 'now' : moment(until)}`;
}

function totalsLines(totals: UsageTotals): readonly Line[] {
  const { tokens, cost, ms } = totals;
  return [
    figure('requests', formatCount(totals.requests), partOf(totals.failed, totals.requests, 'failed')),
    figure('input tokens', formatCount(tokens.input), partOf(tokens.cached, tokens.input, 'cached')),
    figure('output tokens', formatCount(tokens.output), partOf(tokens.reasoning, tokens.output, 'reasoning')),
    figure('list price', formatMoney(cost.list)),
    figure('paid', formatMoney(cost.charged)),
    figure('saved', formatMoney(cost.saved)),
    durationFigure('first output', ms.ttftP50, ms.ttftP95),
    durationFigure('in all', ms.totalP50, ms.totalP95),
    ...remarks(totals),
  ];
}

function figure(label: string, value: string, note = ''): Line {
  return [span(label.padEnd(16), 'dim'), span(value.padStart(16)), span(note && `  ${note}`, 'dim')];
}

function partOf(part: number, whole: number, word: string): string {
  return part > 0 && whole > 0 ? `${formatCount(part)} ${word}, ${formatPercent((part / whole) * 100)}` : '';
}

function durationFigure(label: string, p50: number | null, p95: number | null): Line {
  if (p50 === null) return figure(label, ABSENT);
  return figure(label, formatDuration(p50), p95 === null ? '' : `p95 ${formatDuration(p95)}`);
}

/** What each subscription cost over the report's time, and what it was worth. */
function planLines({ by, groups }: UsageReport): readonly Line[] {
  if (by.includes('day') || by.includes('hour')) return [];
  const lines = groups.flatMap(({ key, plan }): readonly Line[] => {
    if (plan === undefined) return [];
    const perMillion = plan.perMillion === null ? '' : `, ${formatMoney(plan.perMillion)} a million tokens`;
    return [[
      span(printable(key.account ?? ''), 'strong'),
      span(`  plan ${formatMoney(plan.monthly)} a month: ${formatMoney(plan.paid)} for this time${perMillion}; worth ${formatMoney(plan.worth)} at list price`),
    ]];
  });
  return lines.length === 0 ? [] : [[], ...lines];
}

/** What the sums leave out: said, so that nobody takes them for a bill. */
function remarks({ unmetered }: UsageTotals): readonly Line[] {
  if (unmetered === 0) return [];
  const subject = `${formatCount(unmetered)} ${unmetered === 1 ? 'request' : 'requests'}`;
  return [[], [span(`${subject} unmetered: the upstream told no tokens, so none are counted`, 'dim')]];
}
