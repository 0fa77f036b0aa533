import { isJsonObject } from '../core/json.ts';
import type { CloseRecord, Outcome } from '../core/record.ts';
import type { UsageTotals } from '../core/views.ts';
import { Durations, isPackedDurations } from './durations.ts';

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
  readonly ttft: Durations;
  readonly total: Durations;
}

const FAILED: readonly Outcome[] = ['failed', 'broken_stream', 'orphaned'];

/** A cell nothing was added to. */
export function emptyCell(): UsageCell {
  return { ttft: new Durations(), total: new Durations() };
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
  if (ms.ttft !== null) cell.ttft.add(ms.ttft);
  cell.total.add(ms.total);
}

/** Adds all of `from` to `into`, in place. */
export function mergeCell(into: UsageCell, from: Readonly<UsageCell>): void {
  for (const count of COUNTS) add(into, count, from[count] ?? 0);
  into.ttft.addAll(from.ttft);
  into.total.addAll(from.total);
}

/** Lets go of what makes adding fast: nobody is expected to add much more. */
export function packCell({ ttft, total }: UsageCell): void {
  ttft.pack();
  total.pack();
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
      ttftP50: cell.ttft.percentile(0.5), ttftP95: cell.ttft.percentile(0.95),
      totalP50: cell.total.percentile(0.5), totalP95: cell.total.percentile(0.95),
    },
  };
}

/** A cell read back from JSON: known counts, whole numbers of 0 or more, two lots of durations. Null when it is none. */
export function readCell(value: unknown): UsageCell | null {
  if (!isJsonObject(value)) return null;
  const { ttft, total } = value;
  if (!isPackedDurations(ttft) || !isPackedDurations(total)) return null;
  const cell: UsageCell = { ttft: new Durations(ttft), total: new Durations(total) };
  for (const count of COUNTS) {
    const stored = value[count];
    if (stored === undefined) continue;
    if (!Number.isSafeInteger(stored) || Number(stored) < 0) return null;
    cell[count] = Number(stored);
  }
  return cell;
}

/** Sums stop at the largest exact integer (nine million dollars) instead of drifting. */
function add(cell: UsageCell, count: Count, amount: number): void {
  if (!(amount > 0)) return;
  cell[count] = Math.min((cell[count] ?? 0) + amount, Number.MAX_SAFE_INTEGER);
}
