import { isJsonObject } from '../core/json.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { bucketOf, readBucket, startOfDay } from './time-bucket.ts';
import type { UsageCell } from './usage-cell.ts';
import { addRecord, emptyCell, mergeCell, packCell, readCell } from './usage-cell.ts';

/** The dimensions a cell keeps jointly, in the order of its name. */
export const CELL_DIMENSIONS = ['model', 'account', 'provider', 'client', 'member', 'project', 'env'] as const;
export type CellDimension = (typeof CELL_DIMENSIONS)[number];

/** Distinct sets of dimensions kept apart within one UTC month; of what is beyond only client, member and project are. */
export const SETS_PER_MONTH = 256;
/** Distinct clients with their member and project kept apart beyond that: budgets are theirs. The rest is counted as `other`. */
export const OWNERS_PER_MONTH = 1_024;
/** The name of the cell that holds what is beyond {@link OWNERS_PER_MONTH}. */
export const OTHER = JSON.stringify(CELL_DIMENSIONS.map(() => 'other'));

/**
 * A fold of the journal: sums by time bucket and joint dimensions. Changed in place by the fold, and written as JSON. Which
 * buckets and cells there are depends only on the set of lines folded, never on their order: buckets coarsen with the
 * newest time seen, and the sets that stay apart in a month are the {@link SETS_PER_MONTH} lowest in a fixed order, so
 * one that fell out could never have come back. The same holds for the owners of those that fell out.
 */
export interface Totals {
  readonly version: 1;
  newest: EpochMs;
  /** Month -> names of the sets kept apart in it, in the fixed order. */
  readonly sets: Record<string, string[]>;
  /** Month -> names of the owners' sets kept apart in it, in the fixed order. */
  readonly owners: Record<string, string[]>;
  /** Bucket -> set -> sums. */
  readonly buckets: Record<string, Record<string, UsageCell>>;
}

/** Nothing folded yet. */
export function emptyTotals(): Totals {
  return { version: 1, newest: 0, sets: {}, owners: {}, buckets: {} };
}

/** Adds a finished request, in place, and returns the same totals. The caller sees to it that no line comes twice. */
export function foldRecord(totals: Totals, line: CloseRecord | JournalLine<CloseRecord>): Totals {
  const at = Math.min(Math.max(line.t, 0), LAST_MOMENT);
  moveTo(totals, at);
  addRecord(cellAt(totals, bucketOf(at, totals.newest), setOf(line)), line);
  return totals;
}

/** The fold of both sets of lines, as new totals. */
export function mergeTotals(a: Totals, b: Totals): Totals {
  const merged = emptyTotals();
  moveTo(merged, Math.max(a.newest, b.newest));
  for (const { buckets } of [a, b]) takeAll(merged, buckets);
  return merged;
}

/** Reads totals back from JSON. Throws a TypeError that says where they are not Relay's; the journal can fold them anew. */
export function parseTotals(value: unknown): Totals {
  if (!isJsonObject(value) || value.version !== 1) throw new TypeError('usage totals: not version 1');
  const { newest, sets, owners = {}, buckets } = value;
  if (typeof newest !== 'number' || !(newest >= 0 && newest <= LAST_MOMENT)) throw new TypeError('usage totals: newest is no time');
  if (!isJsonObject(sets) || !isJsonObject(owners) || !isJsonObject(buckets)) throw new TypeError('usage totals: sets or buckets are missing');
  const totals: Totals = { version: 1, newest, sets: {}, owners: {}, buckets: {} };
  const wellFormed = new Set<string>();
  for (const [name, cells] of Object.entries(buckets)) totals.buckets[name] = parseBucket(name, cells, wellFormed);
  for (const [month, names] of Object.entries(sets)) totals.sets[month] = parseSets(month, names, SETS_PER_MONTH);
  for (const [month, names] of Object.entries(owners)) totals.owners[month] = parseSets(month, names, OWNERS_PER_MONTH);
  return totals;
}

/** The values of a cell's dimensions. */
export type SetValues = Readonly<Record<CellDimension, string | null>>;

/** The values of a cell's dimensions, by its name. */
export function readSet(set: string): SetValues {
  return factsOf(set).values;
}

function parseSet(set: string): SetValues {
  const values: unknown = JSON.parse(set);
  const at = (index: number): string | null => {
    const value: unknown = Array.isArray(values) ? values[index] : null;
    return typeof value === 'string' ? value : null;
  };
  return { model: at(0), account: at(1), provider: at(2), client: at(3), member: at(4), project: at(5), env: at(6) };
}

/** The last moment of the year 9999, so that every name sorts and parses. */
const LAST_MOMENT = Date.UTC(10_000, 0) - 1;

/**
 * A request's dimensions as a name. The model is the one that ran, else the one sent: a name that was only asked for is
 * the client's invention and could be anything.
 */
function setOf({ model, account, provider, client, member, project, env }: CloseRecord): string {
  return JSON.stringify([model.ran ?? model.sent, account, provider, client, member, project, env]);
}

/** The cell to add to: the set's own, else its owner's, else the one of all others. */
function cellAt(totals: Totals, bucket: string, set: string): UsageCell {
  const cells = (totals.buckets[bucket] ??= {});
  const existing = cells[set];
  if (existing) return existing;
  return (cells[keptSet(totals, bucket.slice(0, 7), set)] ??= emptyCell());
}

function keptSet(totals: Totals, month: string, set: string): string {
  if (set === OTHER) return set;
  const { owner } = factsOf(set);
  if (set !== owner && keepSet(totals, month, { set, among: totals.sets, most: SETS_PER_MONTH })) return set;
  return owner !== OTHER && keepSet(totals, month, { set: owner, among: totals.owners, most: OWNERS_PER_MONTH }) ? owner : OTHER;
}

interface Place {
  readonly set: string;
  readonly among: Record<string, string[]>;
  readonly most: number;
}

/** Whether the set stands apart in its month. A new one may push out the highest, whose sums join its owner's, or the others'. */
function keepSet(totals: Totals, month: string, { set, among, most }: Place): boolean {
  const sets = (among[month] ??= []);
  const place = placeOf(sets, set);
  if (sets[place] === set) return true;
  if (place >= most) return false;
  sets.splice(place, 0, set);
  const highest = sets.length > most ? sets.pop() : undefined;
  if (highest === undefined) return true;
  const { owner } = factsOf(highest);
  for (const [bucket, cells] of Object.entries(totals.buckets)) {
    const cell = bucket.startsWith(month) ? cells[highest] : undefined;
    if (!cell) continue;
    delete cells[highest];
    mergeCell(cellAt(totals, bucket, owner === highest ? OTHER : owner), cell);
  }
  return true;
}

/** Where the set is in the list, or belongs. */
function placeOf(sets: readonly string[], set: string): number {
  let [low, high] = [0, sets.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (inFixedOrder(sets[middle] ?? '', set) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A fixed order that favours no name: by FNV-1a hash, then by the name itself. */
function inFixedOrder(a: string, b: string): number {
  if (a === b) return 0;
  return factsOf(a).hash - factsOf(b).hash || (a < b ? -1 : 1);
}

/** What is worked out of a set's name again and again. */
interface SetFacts {
  readonly values: SetValues;
  readonly hash: number;
  /** The owner's set: what budgets count by is kept, the rest is `other`. */
  readonly owner: string;
}

const knownFacts = new Map<string, SetFacts>();
const MOST_FACTS = 8_192;

function factsOf(set: string): SetFacts {
  const known = knownFacts.get(set);
  if (known !== undefined) return known;
  if (knownFacts.size >= MOST_FACTS) knownFacts.clear();
  const values = parseSet(set);
  const { client, member, project } = values;
  const made = { values, hash: hash(set), owner: JSON.stringify(['other', 'other', 'other', client, member, project, 'other']) };
  knownFacts.set(set, made);
  return made;
}

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  return value >>> 0;
}

/** Notes a newer moment; where it begins a new day, buckets that fell behind a horizon become coarser. */
function moveTo(totals: Totals, at: EpochMs): void {
  if (at <= totals.newest) return;
  const isSameDay = startOfDay(at) === startOfDay(totals.newest);
  const before = bucketOf(totals.newest, totals.newest);
  totals.newest = at;
  // What is over is added to no more, or little.
  if (bucketOf(at, at) !== before) for (const cell of Object.values(totals.buckets[before] ?? {})) packCell(cell);
  if (isSameDay) return;
  for (const name of Object.keys(totals.buckets)) {
    const cells = totals.buckets[name];
    if (!cells || coarsened(name, at) === name) continue;
    delete totals.buckets[name];
    takeAll(totals, { [name]: cells });
  }
}

/** The bucket that a bucket has become part of. It never becomes finer: a month stays a month. */
function coarsened(name: string, newest: EpochMs): string {
  return name.slice(0, bucketOf(readBucket(name)?.start ?? 0, newest).length);
}

function takeAll(totals: Totals, buckets: Totals['buckets']): void {
  for (const [name, cells] of Object.entries(buckets)) {
    const target = coarsened(name, totals.newest);
    for (const [set, cell] of Object.entries(cells)) mergeCell(cellAt(totals, target, set), cell);
  }
}

/** `names`: sets that were found to be well-formed; most come in every bucket. */
function parseBucket(name: string, value: unknown, names: Set<string>): Record<string, UsageCell> {
  if (!readBucket(name) || !isJsonObject(value)) throw new TypeError(`usage totals: ${name} is no bucket`);
  const cells: Record<string, UsageCell> = {};
  for (const [set, cell] of Object.entries(value)) {
    const read = names.has(set) || isSetName(set) ? readCell(cell) : null;
    names.add(set);
    if (read === null) throw new TypeError(`usage totals: a cell of ${name} is malformed`);
    cells[set] = read;
  }
  return cells;
}

function parseSets(month: string, value: unknown, most: number): string[] {
  if (readBucket(month)?.size !== 'month' || !Array.isArray(value) || value.length > most) {
    throw new TypeError(`usage totals: the sets of ${month} are malformed`);
  }
  const sets = value.map((set: unknown) => {
    if (typeof set !== 'string' || !isSetName(set)) throw new TypeError(`usage totals: a set of ${month} is malformed`);
    return set;
  });
  return sets.sort(inFixedOrder);
}

function isSetName(text: string): boolean {
  try {
    const values: unknown = JSON.parse(text);
    if (!Array.isArray(values) || values.length !== CELL_DIMENSIONS.length) return false;
    return values.every((value) => value === null || typeof value === 'string');
  } catch {
    return false;
  }
}
