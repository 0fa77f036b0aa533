import type { EpochMs } from '../core/units.ts';
import type { PlanValue, UsageDimension, UsageGroup, UsageKey, UsageQuery, UsageReport, UsageTotals } from '../core/views.ts';
import type { SpentAmounts } from './budget.ts';
import type { Plans } from './plan-value.ts';
import { planValue } from './plan-value.ts';
import type { Bucket } from './time-bucket.ts';
import { bucketOf, readBucket } from './time-bucket.ts';
import type { CellDimension, Totals } from './totals.ts';
import { CELL_DIMENSIONS, OTHER, readSet } from './totals.ts';
import type { UsageCell } from './usage-cell.ts';
import { emptyCell, mergeCell, showCell } from './usage-cell.ts';

/** Only requests with these values count; null asks for those that have none. */
export type UsageFilter = Readonly<Partial<Record<CellDimension, string | null>>>;

/** What a report is made of beside the totals. */
export interface ReportQuery extends UsageQuery {
  readonly filter?: UsageFilter;
  /** Prices of subscriptions: rows of one account then say what it is worth. */
  readonly plans?: { readonly prices: Plans; readonly now: EpochMs };
}

/**
 * The usage between two moments, in sum and by the dimensions asked for, exactly in the shape of `usage --json`. Bounds
 * widen to whole hours (whole days after eight days, whole months after 400), and the report says to which. Time runs
 * upward; within it the dearest come first.
 */
export function reportUsage(totals: Totals, query: ReportQuery): UsageReport {
  const bounds = widen(totals, query);
  const sum = emptyCell();
  const groups = new Map<string, { readonly key: UsageKey; readonly cell: UsageCell }>();
  for (const found of cellsWithin(totals, bounds, query.filter ?? {})) {
    if (query.by.length === 0) {
      mergeCell(sum, found.cell);
      continue;
    }
    const key = keyOf(query.by, found);
    const id = JSON.stringify(key);
    const group = groups.get(id) ?? { key, cell: emptyCell() };
    groups.set(id, group);
    mergeCell(group.cell, found.cell);
  }
  // Each cell is in one group: their sum is the sum of all.
  for (const { cell } of groups.values()) mergeCell(sum, cell);
  const shown = [...groups.values()].map(({ key, cell }): UsageGroup => {
    const used = showCell(cell);
    const plan = planOf({ totals, query, bounds }, key, used);
    return { key, ...used, ...(plan !== null && { plan }) };
  });
  return { ...bounds, by: [...query.by], totals: showCell(sum), groups: shown.sort(inOrder) };
}

/** Dimensions that do not divide one account's use: more of them, and its price would stand in several rows. */
const WHOLE_ACCOUNT: readonly UsageDimension[] = ['account', 'provider', 'day', 'hour'];

interface ReportFacts {
  readonly totals: Totals;
  readonly query: ReportQuery;
  readonly bounds: Bounds;
}

/** What the row's account cost over the row's time, which never begins before the account was first used. */
function planOf({ totals, query, bounds }: ReportFacts, key: UsageKey, used: UsageTotals): PlanValue | null {
  const { by, plans, filter } = query;
  const { account } = key;
  if (!plans || !account || filter !== undefined || !by.every((dimension) => WHOLE_ACCOUNT.includes(dimension))) return null;
  if (!Object.hasOwn(plans.prices, account)) return null;
  // A row by time says its bucket: `2026-11-21`, `2026-11-21T14:00:00Z`, and whole months further back.
  const bucket = readBucket((key.hour ?? key.day ?? '').slice(0, 13));
  const from = bucket?.start ?? bounds.since ?? 0;
  const to = bucket?.end ?? bounds.until ?? plans.now;
  return planValue(plans.prices, account, used, { from: Math.max(from, firstUse(totals, account)), to: Math.min(to, plans.now) });
}

function firstUse(totals: Totals, account: string): EpochMs {
  let first = Number.POSITIVE_INFINITY;
  for (const { set, bucket } of cellsWithin(totals, { since: null, until: null }, {})) {
    if (set.account === account) first = Math.min(first, bucket.start);
  }
  return first;
}

/** What was spent since a moment, in every unit a budget can have; the ledger's side of `restoreSpend`. */
export function spentSince(totals: Totals, since: EpochMs, filter: UsageFilter): SpentAmounts {
  const sum = emptyCell();
  for (const { cell } of cellsWithin(totals, widen(totals, { since, until: null }), filter)) mergeCell(sum, cell);
  const { served = 0, input = 0, output = 0, list = 0, charged = 0 } = sum;
  return { requests: served, tokens: input + output, usd: list, 'usd-charged': charged };
}

interface Bounds {
  readonly since: EpochMs | null;
  readonly until: EpochMs | null;
}

interface FoundCell {
  readonly name: string;
  readonly bucket: Bucket;
  readonly set: ReturnType<typeof readSet>;
  readonly cell: UsageCell;
}

/** The bounds moved outward to the buckets they fall into. */
function widen(totals: Totals, { since, until }: Bounds): Bounds {
  const bucketAt = (at: EpochMs): Bucket | null => readBucket(bucketOf(Math.min(Math.max(at, 0), 8e15), totals.newest));
  return {
    since: since === null ? null : (bucketAt(since)?.start ?? since),
    until: until === null ? null : (bucketAt(until - 1)?.end ?? until),
  };
}

function* cellsWithin(totals: Totals, { since, until }: Bounds, filter: UsageFilter): Generator<FoundCell> {
  for (const [name, cells] of Object.entries(totals.buckets)) {
    const bucket = readBucket(name);
    if (!bucket || (since !== null && bucket.start < since) || (until !== null && bucket.end > until)) continue;
    for (const [setName, cell] of Object.entries(cells)) {
      // What is counted together is nobody's: not of a client that happens to be called "other" either.
      if (setName === OTHER && Object.keys(filter).length > 0) continue;
      const set = readSet(setName);
      if (isWanted(set, filter)) yield { name, bucket, set, cell };
    }
  }
}

function isWanted(set: FoundCell['set'], filter: UsageFilter): boolean {
  return CELL_DIMENSIONS.every((dimension) => filter[dimension] === undefined || filter[dimension] === set[dimension]);
}

function keyOf(by: readonly UsageDimension[], { name, bucket, set }: FoundCell): UsageKey {
  const valueOf = (dimension: UsageDimension): string | null => {
    if (dimension === 'day') return name.slice(0, 10);
    if (dimension === 'hour') return bucket.size === 'hour' ? `${name}:00:00Z` : name;
    return set[dimension];
  };
  return Object.fromEntries(by.map((dimension) => [dimension, valueOf(dimension)]));
}

function inOrder(a: UsageGroup, b: UsageGroup): number {
  return compare(timeOf(a), timeOf(b)) || b.cost.list - a.cost.list || b.requests - a.requests
    || compare(JSON.stringify(a.key), JSON.stringify(b.key));
}

function timeOf({ key }: UsageGroup): string {
  return key.hour ?? key.day ?? '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
