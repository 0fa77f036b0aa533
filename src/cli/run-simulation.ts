import { priceRequest } from '../accounting/price.ts';
import { formatCount, formatDateTime, formatMoney } from '../core/amounts.ts';
import type { Config } from '../core/config.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { printable, wrapWords } from '../core/printable.ts';
import { PROVIDER_KINDS } from '../core/provider-kind.ts';
import type { CloseRecord, Cost, TokenCounts } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { adapterFor } from '../providers/registry.ts';
import type { Strategy } from '../routing/score.ts';
import { STRATEGIES } from '../routing/score.ts';
import type { Line } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import { createAttemptTimeline } from './attempt-timeline.ts';
import type { CommandContext } from './context.ts';
import { parseMoment } from './moment.ts';
import type { SimulationReport } from './simulation.ts';
import { createSimulation } from './simulation.ts';
import { tableLines, writeLines } from './table.ts';

/** The flags of `relay simulate`, as given. */
export interface SimulateOptions {
  readonly strategy?: string;
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

/** What `relay simulate` reads. */
export interface SimulateDependencies {
  /** Closing lines of a span, oldest first; read twice. */
  readonly records: (span: { readonly since: EpochMs; readonly until: EpochMs }) => AsyncIterable<CloseRecord>;
  readonly settings: Config;
  /** The accounts there are, in the order they were added. */
  readonly accounts: readonly { readonly name: string; readonly provider: string }[];
}

/** What `simulate --json` shows. */
export interface SimulateReport extends SimulationReport {
  readonly since: EpochMs;
  readonly until: EpochMs;
}

/** `relay simulate`: reads the journal twice, first for how each account did over time, then request by request. */
export async function runSimulate(options: SimulateOptions, context: CommandContext, { records, settings, accounts }: SimulateDependencies): Promise<void> {
  const strategy = parseStrategy(options.strategy);
  const now = context.clock.now();
  const bounds = { since: parseMoment(options.since ?? '7d', now, '--since'), until: options.until === undefined ? now : parseMoment(options.until, now, '--until', 'end') };
  if (bounds.since >= bounds.until) throw new CommandError(EXIT.usage, '--since must be before --until');
  const timeline = createAttemptTimeline();
  for await (const record of records(bounds)) timeline.note(record);
  const simulation = createSimulation({
    strategy, timeline, weights: settings.routing.weights, isSticky: settings.routing.sticky, accounts: accounts.map(({ name }) => name),
    price: (record, account, tokens) => priceAt(record, tokens, accounts.find(({ name }) => name === account)?.provider ?? providerOf(record, account), settings),
  });
  for await (const record of records(bounds)) simulation.replay(record);
  const report: SimulateReport = { ...bounds, ...simulation.report() };
  if (options.json) return context.stdout.write(`${JSON.stringify(report)}\n`);
  await writeLines(context.stdout, simulateLines(report, context));
}

function parseStrategy(word: string | undefined): Strategy {
  const strategy = STRATEGIES.find((known) => known === word);
  if (strategy === undefined) throw new CommandError(EXIT.usage, `--strategy "${printable(word ?? '')}" is unknown; it takes ${STRATEGIES.join(', ')}`);
  return strategy;
}

/** An account that is no more is known by its attempts. */
function providerOf({ attempts, provider }: CloseRecord, account: string): string | null {
  return attempts.find((attempt) => attempt.account === account)?.provider ?? provider;
}

function priceAt(record: CloseRecord, tokens: TokenCounts, provider: string | null, { providers, pricing }: Config): Cost {
  const configured = provider === null ? undefined : providers[provider];
  const kind = configured?.kind ?? PROVIDER_KINDS.find((known) => known === provider);
  if (kind === undefined) return record.cost;
  return priceRequest({
    kind, tokens, billing: adapterFor(kind).billing, model: record.model.ran ?? record.model.sent ?? '', tier: record.tier.served, at: record.t,
    overrides: pricing, baseUrl: configured?.baseUrl ?? null, upstreamCost: null,
  });
}

interface Row {
  readonly label: string;
  readonly actual: number;
  readonly simulated: number;
  readonly write: (value: number) => string;
}

function simulateLines(report: SimulateReport, { stdout, timeZone }: CommandContext): readonly Line[] {
  const { actual, simulated } = report;
  const when = `${formatDateTime(report.since, timeZone)} to ${formatDateTime(report.until, timeZone)}`;
  const title: Line = [span(`As if routed by ${report.strategy}`, 'strong'), span(`  ${when}`, 'dim')];
  if (report.replayed === 0) return [title, [], [span('No request in this time that can be replayed.', 'dim')]];
  const rows: readonly Row[] = [
    { label: 'failovers', actual: actual.failovers, simulated: simulated.failovers, write: formatCount },
    { label: 'conversations kept', actual: actual.kept, simulated: simulated.kept, write: formatCount },
    { label: 'conversations moved', actual: actual.moved, simulated: simulated.moved, write: formatCount },
    { label: 'tokens from cache', actual: actual.cachedTokens, simulated: simulated.cachedTokens, write: formatCount },
    { label: 'list price', actual: actual.cost.list, simulated: simulated.cost.list, write: formatMoney },
    { label: 'paid', actual: actual.cost.charged, simulated: simulated.cost.charged, write: formatMoney },
    ...report.accounts.map(({ account, ...count }) => ({ label: `served by ${printable(account)}`, ...count, write: formatCount })),
  ];
  const columns: readonly Column<Row>[] = [
    { title: '', min: 18, cell: ({ label }) => span(label) },
    { title: 'REALLY', align: 'right', cell: ({ actual: value, write }) => span(write(value)) },
    { title: 'THEN', align: 'right', cell: ({ simulated: value, write }) => span(write(value), 'strong') },
    { title: 'DIFFERENCE', align: 'right', cell: (row) => differenceOf(row) },
  ];
  const replayed = `${formatCount(report.replayed)} requests replayed, ${formatCount(report.changed)} by another account`;
  return [title, [span(replayed, 'dim')], [], ...tableLines(columns, rows, stdout), [], ...remarks(report, Math.max(40, Math.min(stdout.columns, 120)))];
}

function differenceOf({ actual, simulated, write }: Row): Line {
  const difference = simulated - actual;
  if (difference === 0) return [span('same', 'dim')];
  return [span(`${difference > 0 ? '+' : '-'}${write(Math.abs(difference))}`)];
}

/** What a replay cannot know, said with its numbers. */
function remarks({ skipped, unknown }: SimulateReport, width: number): readonly Line[] {
  const said = [
    'Scores are those of the moment: how quota and load would have gone on under this strategy is not known.',
    skipped === 0 ? '' : `${formatCount(skipped)} requests were left out: refused before a choice, or their line keeps too little of it.`,
    unknown.guessedOutcomes === 0 ? '' : `${formatCount(unknown.guessedOutcomes)} times an account was taken to have served, with no attempt at it within two minutes to tell.`,
    unknown.borrowedScores === 0 ? '' : `${formatCount(unknown.borrowedScores)} choices judged an account by an earlier decision, since it had failed first in theirs.`,
    unknown.withoutConversation === 0 ? '' : `${formatCount(unknown.withoutConversation)} requests belong to no conversation the journal can name.`,
    unknown.guessedCaches === 0 ? '' : `${formatCount(unknown.guessedCaches)} turns would have stayed where they really moved: what the cache would have held is not known.`,
    'A conversation that moves is taken to find nothing in the cache.',
  ];
  return said.filter((text) => text !== '').flatMap((text) => wrapWords(text, width).map((line): Line => [span(line, 'dim')]));
}
