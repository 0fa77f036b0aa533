import { join } from 'node:path';

import type { CloseRecord, JournalLine, JournalRecord, OpenRecord } from '../core/record.ts';
import { readSeal } from './journal-line.ts';
import { readRequestLine } from './ledger-line.ts';
import { isInJournal } from './position.ts';
import type { Position } from './position.ts';
import { readForward } from './segment-lines.ts';
import { compareSegments } from './segments.ts';
import type { Extent } from './segments.ts';

/** How closing lines become totals. */
export interface Folder<T> {
  empty(): T;
  /** May change and give back the same object. */
  fold(totals: T, line: JournalLine<CloseRecord>): T;
  /** Throws when a stored value is not totals of this version. */
  parse(value: unknown): T;
}

/** What the journal says up to a position: the totals, and which requests under a budget are not closed there. */
export interface Folded<T> {
  readonly position: Position | null;
  readonly totals: T;
  readonly open: ReadonlyMap<string, OpenRecord>;
}

/** Nothing folded yet. */
export function nothingFolded<T>(folder: Folder<T>): Folded<T> {
  return { position: null, totals: folder.empty(), open: new Map() };
}

/** How far a fold may go, and who wants to know how far it is. */
export interface FoldBounds {
  /** The last line that counts; those behind it may not be acknowledged yet. */
  readonly through: number;
  readonly onProgress?: (progress: { readonly bytes: number; readonly ofBytes: number; readonly lines: number }) => void;
}

/**
 * Folds what the journal has behind a start, at most through a line. The start's totals may be changed. Reads a block at
 * a time. Rejects with Node's error when a file cannot be read.
 */
export async function foldJournal<T>(
  journal: string, extents: readonly Extent[], start: Folded<T>, folder: Folder<T>, { through, onProgress }: FoldBounds,
): Promise<Folded<T>> {
  const known = start.position !== null && (await isInJournal(journal, start.position)) ? start.position : null;
  const ahead = extents.filter(({ name }) => known === null || compareSegments(name, known.segment) >= 0);
  const firstByte = (name: string): number => (known?.segment === name ? known.offset : 0);
  const ofBytes = ahead.reduce((sum, { name, end }) => sum + end - firstByte(name), 0);
  let { position, totals } = start;
  const open = new Map(start.open);
  let bytes = 0;
  let lines = 0;
  for (const { name, end } of ahead) {
    const before = bytes - firstByte(name);
    for await (const block of readForward(join(journal, name), firstByte(name), end)) {
      for (const line of block.lines) {
        const seal = readSeal(line.bytes);
        if (!seal || seal.seq <= (position?.seq ?? 0)) continue;
        if (seal.seq > through) return { position, totals, open };
        const found = readRequestLine(line.bytes);
        if (found) totals = foldLine({ totals, open }, found, folder);
        position = { segment: name, offset: line.end, ...seal };
        lines += 1;
      }
      bytes = before + (block.lines.at(-1)?.end ?? bytes - before);
      onProgress?.({ bytes, ofBytes, lines });
    }
  }
  return position === start.position ? start : { position, totals, open };
}

/** Takes one line in: the map of open requests is changed in place, the totals are given back. */
export function foldLine<T>(into: { readonly totals: T; readonly open: Map<string, OpenRecord> }, line: JournalLine, folder: Folder<T>): T {
  if (isOpen(line)) {
    const { seq: _seq, h: _h, ...record } = line;
    into.open.set(line.id, record);
    return into.totals;
  }
  if (!isClosing(line)) return into.totals;
  into.open.delete(line.id);
  return folder.fold(into.totals, line);
}

/** A line's kind does not narrow it: what was added to every kind stands in the way of the compiler. */
function isOpen(line: JournalLine<JournalRecord>): line is JournalLine<OpenRecord> {
  return line.k === 'open';
}

function isClosing(line: JournalLine<JournalRecord>): line is JournalLine<CloseRecord> {
  return line.k === 'close' || line.k === 'orphan';
}
