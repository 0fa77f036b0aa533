import { isJsonObject } from '../core/json.ts';
import type { CloseRecord, Outcome } from '../core/record.ts';
import type { UsageTotals } from '../core/views.ts';
import type { Histogram } from './histogram.ts';
import { addToHistogram, isHistogram, mergeHistogram, percentile } from './histogram.ts';

const COUNTS = [
  'requests', 'failed', 'unmetered', 'served', 'input', 'cached', 'cacheWrite', 'output', 'reasoning', 'list', 'charged',
] as const;
type Count = (typeof COUNTS)[number];

/**
 * Sums over the requests that share a time bucket and a set of dimensions. Grows in place. Counts are left out while
 * they are 0, so that the file stays small. `served` counts what a budget of requests counts: all that got an answer,
 * whole or in part.
 */
export interface UsageCell extends Partial<Record<Count, number>> {
  readonly ttft: Histogram;
  readonly total: Histogram;
}

const FAILED: readonly Outcome[] = ['failed', 'broken_stream', 'orphaned'];

/** A cell nothing was added to. */
export function emptyCell(): UsageCell {
  return { ttft: {}, total: {} };
}

/**
 * Adds one finished request. Refused ones took no time worth measuring and how long an orphan took is not known, so they
 * stay out of the durations.
 */
export function addRecord(cell: UsageCell, record: CloseRecord): void {
  const { tokens, cost, ms, outcome } = record;
  const isAnswered = outcome === 'ok' || outcome === 'incomplete';
  add(cell, 'requests', 1);
  if (FAILED.includes(outcome)) add(cell, 'failed', 1);
  if (isAnswered && !tokens) add(cell, 'unmetered', 1);
  if (isAnswered || tokens) add(cell, 'served', 1);
  if (tokens) {
    for (const part of ['input', 'cached', 'cacheWrite', 'output', 'reasoning'] as const) add(cell, part, tokens[part]);
  }
  add(cell, 'list', cost.list);
  add(cell, 'charged', cost.charged);
  if (outcome === 'refused' || outcome === 'orphaned') return;
  if (ms.ttft !== null) addToHistogram(cell.ttft, ms.ttft);
  addToHistogram(cell.total, ms.total);
}

/** Adds all of `from` to `into`, in place. */
export function mergeCell(into: UsageCell, from: Readonly<UsageCell>): void {
  for (const count of COUNTS) add(into, count, from[count] ?? 0);
  mergeHistogram(into.ttft, from.ttft);
  mergeHistogram(into.total, from.total);
}

/** A copy that grows by itself. */
export function copyCell(cell: Readonly<UsageCell>): UsageCell {
  return { ...cell, ttft: { ...cell.ttft }, total: { ...cell.total } };
}

/** The cell's sums in the shape of `usage --json`. */
export function showCell(cell: Readonly<UsageCell>): UsageTotals {
  const { requests = 0, failed = 0, unmetered = 0, list = 0, charged = 0 } = cell;
  const { input = 0, cached = 0, cacheWrite = 0, output = 0, reasoning = 0 } = cell;
  return {
    requests, failed, unmetered,
    tokens: { input, cached, cacheWrite, output, reasoning },
    cost: { list, charged, saved: list - charged },
    ms: {
      ttftP50: percentile(cell.ttft, 0.5), ttftP95: percentile(cell.ttft, 0.95),
      totalP50: percentile(cell.total, 0.5), totalP95: percentile(cell.total, 0.95),
    },
  };
}

/** True for a cell read back from JSON: known counts, whole numbers of 0 or more, two histograms. */
export function isUsageCell(value: unknown): value is UsageCell {
  if (!isJsonObject(value) || !isHistogram(value.ttft) || !isHistogram(value.total)) return false;
  return COUNTS.every((count) => value[count] === undefined || (Number.isSafeInteger(value[count]) && Number(value[count]) >= 0));
}

/** Sums stop at the largest exact integer (nine million dollars) instead of drifting. */
function add(cell: UsageCell, count: Count, amount: number): void {
  if (!(amount > 0)) return;
  cell[count] = Math.min((cell[count] ?? 0) + amount, Number.MAX_SAFE_INTEGER);
}
