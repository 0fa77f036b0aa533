import { join } from 'node:path';

import type { CloseRecord, JournalLine, Outcome } from '../core/record.ts';
import { DAY_MS } from '../core/units.ts';
import type { EpochMs } from '../core/units.ts';
import { errorCode } from './error-code.ts';
import { homePaths } from './home.ts';
import { asciiJson } from './journal-line.ts';
import { mayClose, readCloseLine } from './ledger-line.ts';
import { findLastLine, readBackward, readForward } from './segment-lines.ts';
import type { SegmentLine } from './segment-lines.ts';
import { compareSegments, dayOfSegment, listExtents } from './segments.ts';
import type { Extent } from './segments.ts';

/** Which finished requests are meant; what is absent does not narrow. */
export interface RequestFilter {
  /** Inclusive. */
  readonly since?: EpochMs;
  /** Exclusive. */
  readonly until?: EpochMs;
  readonly client?: string;
  /** The account that served, or one that was tried. */
  readonly account?: string;
  /** Only those that went wrong; a client that left is no error. */
  readonly errorsOnly?: boolean;
  readonly id?: string;
}

/** Which finished requests, in which order, from where on. */
export interface RequestQuery extends RequestFilter {
  readonly order?: 'newest' | 'oldest';
  /** Goes on behind the line a page ended with. */
  readonly after?: Cursor;
}

/** A place in the journal, for paging: `<segment>:<offset>`. Stays good while the journal grows. */
export type Cursor = string;

/** One finished request, as it stands in the journal and as it was parsed. */
export interface FoundRequest {
  readonly line: JournalLine<CloseRecord>;
  /** The journal's own text without its newline: unknown members and all. */
  readonly text: string;
  readonly cursor: Cursor;
}

/** A page of finished requests and where the next one begins; null at the end. */
export interface RequestPage {
  readonly lines: readonly JournalLine<CloseRecord>[];
  readonly next: Cursor | null;
}

/** A clock that was set back can put older lines behind newer ones: `until` looks this much further. */
const CLOCK_SLACK_MS = 2 * DAY_MS;

/** Finished requests, streamed; `newest` first unless asked otherwise. Unreadable lines are passed over: `verify` names them. */
export async function* queryRequests(home: string, query: RequestQuery = {}): AsyncGenerator<FoundRequest> {
  for await (const { found } of scanRequests(home, query)) yield* found;
}

/** What one block of the journal held of a query, and where the next one begins. */
interface ScannedBlock {
  readonly found: readonly FoundRequest[];
  readonly bytes: number;
  readonly next: Cursor;
}

async function* scanRequests(home: string, query: RequestQuery): AsyncGenerator<ScannedBlock> {
  const folder = homePaths(home).journal;
  const extents = (await listExtents(folder)).filter((extent) => mayHold(extent, query));
  const after = parseCursor(query.after);
  const matches = lineTest(query);
  const isOldestFirst = query.order === 'oldest';
  for (const extent of isOldestFirst ? extents : extents.toReversed()) {
    const order = after ? compareSegments(extent.name, after.segment) : null;
    if (order !== null && order !== 0 && (order < 0) === isOldestFirst) continue;
    const from = order === 0 && after ? after.offset : null;
    const path = join(folder, extent.name);
    const blocks = isOldestFirst ? linesOf(path, from ?? 0, extent.end) : readBackward(path, Math.min(from ?? extent.end, extent.end));
    const cursorOf = (line: SegmentLine): Cursor => `${extent.name}:${isOldestFirst ? line.end : line.offset}`;
    for await (const lines of unlessPruned(blocks)) {
      const found = lines.flatMap((line): FoundRequest[] => {
        const record = matches(line.bytes);
        return record === null ? [] : [{ line: record, text: line.bytes.toString('latin1'), cursor: cursorOf(line) }];
      });
      const last = lines.at(-1);
      if (last !== undefined) yield { found, bytes: lines.reduce((sum, { bytes }) => sum + bytes.length + 1, 0), next: cursorOf(last) };
    }
  }
}

/** A segment that was pruned since it was listed has nothing more to say. */
async function* unlessPruned(blocks: AsyncGenerator<readonly SegmentLine[]>): AsyncGenerator<readonly SegmentLine[]> {
  try {
    yield* blocks;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

async function* linesOf(path: string, from: number, to: number): AsyncGenerator<readonly SegmentLine[]> {
  for await (const { lines } of readForward(path, from, to)) yield lines;
}

/** How long a page may be, and how much may be read for it. */
export interface PageBounds {
  readonly limit: number;
  /** Past this the page ends, full or not, and says where to go on. Unbounded unless said. */
  readonly mostBytes?: number;
}

/** One page of at most `limit` finished requests; `next` is null at the end of the journal. */
export async function pageRequests(home: string, query: RequestQuery, { limit, mostBytes = Number.POSITIVE_INFINITY }: PageBounds): Promise<RequestPage> {
  const lines: JournalLine<CloseRecord>[] = [];
  let last: Cursor | null = null;
  let read = 0;
  for await (const block of scanRequests(home, query)) {
    for (const found of block.found) {
      // One more than asked for is there: the page before it has a next one.
      if (lines.length === limit) return { lines, next: last };
      lines.push(found.line);
      last = found.cursor;
    }
    read += block.bytes;
    if (read >= mostBytes) return { lines, next: block.next };
  }
  return { lines, next: null };
}

/** The newest closing line of a request, or null; null as well once nobody waits for it any more. */
export async function findRequest(home: string, id: string, signal?: AbortSignal): Promise<JournalLine<CloseRecord> | null> {
  const folder = homePaths(home).journal;
  const matches = lineTest({ id });
  // As the id stands in the line: escaped like everything there.
  const needle = Buffer.from(asciiJson({ id }).slice(1, -1));
  for (const { name, end } of (await listExtents(folder)).toReversed()) {
    if (signal?.aborted === true) return null;
    const found = await findLastLine(join(folder, name), end, needle, (bytes) => matches(bytes) !== null);
    if (found) return matches(found.bytes);
  }
  return null;
}

/** Closing lines as the journal has them, oldest first, each with its newline: an export that loses nothing. */
export async function* exportLines(home: string, filter: RequestFilter = {}): AsyncGenerator<string> {
  for await (const { text } of queryRequests(home, { ...filter, order: 'oldest' })) yield `${text}\n`;
}

/** A segment of a day holds no line that was written after that day, in UTC. */
function mayHold({ name }: Extent, { since, until }: RequestFilter): boolean {
  const day = Date.parse(`${dayOfSegment(name)}T00:00:00Z`);
  if (since !== undefined && day + DAY_MS <= since) return false;
  return until === undefined || day - CLOCK_SLACK_MS < until;
}

function parseCursor(cursor: Cursor | undefined): { readonly segment: string; readonly offset: number } | null {
  const parts = /^(\d{4}-\d{2}-\d{2}\.\d{3,}\.jsonl):(\d{1,15})$/.exec(cursor ?? '');
  return parts?.[1] && parts[2] ? { segment: parts[1], offset: Number(parts[2]) } : null;
}

/** Looks at the bytes first: most lines a narrow filter meets need no parsing. */
function lineTest(filter: RequestFilter): (bytes: Buffer) => JournalLine<CloseRecord> | null {
  const named = [filter.id, filter.client, filter.account].filter((text) => text !== undefined && /^[\w.-]+$/.test(text));
  const needles = named.map((text) => Buffer.from(`"${text}"`));
  return (bytes) => {
    if (!mayClose(bytes) || needles.some((needle) => !bytes.includes(needle))) return null;
    const line = readCloseLine(bytes);
    return line && matchesFilter(line, filter) ? line : null;
  };
}

const ENDED_WELL: readonly string[] = ['ok', 'incomplete', 'client_closed'] satisfies readonly Outcome[];

function matchesFilter(line: JournalLine<CloseRecord>, filter: RequestFilter): boolean {
  if (filter.id !== undefined && line.id !== filter.id) return false;
  if (filter.since !== undefined && line.t < filter.since) return false;
  if (filter.until !== undefined && line.t >= filter.until) return false;
  if (filter.client !== undefined && line.client !== filter.client) return false;
  if (filter.errorsOnly && ENDED_WELL.includes(line.outcome)) return false;
  return filter.account === undefined || line.account === filter.account || line.attempts.some(({ account }) => account === filter.account);
}
