import { constants } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { NoteRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import type { Head } from './journal-line.ts';
import { GENESIS, nextHead, readSeal } from './journal-line.ts';
import type { Position } from './position.ts';
import { isInJournal } from './position.ts';
import { readForward } from './segment-lines.ts';
import { syncFolder } from './segment-file.ts';
import { listSegments, readHeader } from './segments.ts';

/** Where a journal found on disk stands, and what had to be done to it. */
export interface Recovery {
  readonly head: Head;
  /** The last segment and how many of its bytes count; null for an empty journal. */
  readonly segment: { readonly name: string; readonly end: number } | null;
  /** Lines must go on in a new segment: the last one is corrupt and stays as it is. */
  readonly isCorrupt: boolean;
  /** What to write into the journal about it. */
  readonly notes: readonly NoteRecord[];
}

/** What reading a segment to its end found. */
interface Scan {
  /** The last good line, or the state before the segment; null when it has no readable first line. */
  readonly head: Head | null;
  readonly goodLines: number;
  readonly goodEnd: number;
  /** The first line that is not the next one of the chain. */
  readonly bad: { readonly line: number; readonly offset: number } | null;
  /** The last line behind the bad one that has the form of a line: its presence makes the fault corruption, not a torn end. */
  readonly later: Head | null;
  readonly size: number;
}

/**
 * Finds the head of a journal. From a known position only what follows is read, else the last segment. An invalid end,
 * which a crash leaves and nobody was promised, is kept aside as `*.tail-<time>` and cut. A bad line with lines behind
 * it, or a head behind the known position, is corruption: nothing is repaired. Rejects with Node's error when it cannot read.
 */
export async function recoverJournal(folder: string, known: Position | null, now: EpochMs): Promise<Recovery> {
  const names = await listSegments(folder);
  const notes: NoteRecord[] = [];
  for (let index = names.length - 1; index >= 0; index -= 1) {
    const name = names[index];
    if (name === undefined) break;
    const scan = await scanSegment(folder, name, known);
    const segment = { name, end: scan.size };
    if (scan.later) {
      const detail = { segment: name, line: scan.bad?.line ?? 1, offset: scan.bad?.offset ?? 0 };
      return { head: furthest(scan.later, known), segment, isCorrupt: true, notes: [...notes, noteOf(now, 'corruption', detail)] };
    }
    if (scan.head && known && known.seq > scan.head.seq) {
      return { head: known, segment, isCorrupt: true, notes: [...notes, linesMissing(now, scan.head, known)] };
    }
    if (scan.head && scan.goodLines > 0) {
      if (scan.goodEnd < scan.size) notes.push(await setTailAside(folder, name, scan, now));
      return { head: scan.head, segment: { name, end: scan.goodEnd }, isCorrupt: false, notes };
    }
    if (known && known.segment === name) {
      return { head: known, segment, isCorrupt: true, notes: [...notes, linesMissing(now, GENESIS, known)] };
    }
    notes.push(await setSegmentAside(folder, name, scan.size, now));
  }
  if (!known || known.seq === 0) return { head: GENESIS, segment: null, isCorrupt: false, notes };
  return { head: known, segment: null, isCorrupt: true, notes: [...notes, linesMissing(now, GENESIS, known)] };
}

function furthest(head: Head, known: Position | null): Head {
  return known && known.seq > head.seq ? { seq: known.seq, h: known.h } : head;
}

async function scanSegment(folder: string, name: string, known: Position | null): Promise<Scan> {
  const path = join(folder, name);
  const { size } = await stat(path);
  const isKnown = known !== null && known.segment === name && (await isInJournal(folder, known));
  const header = isKnown ? null : await readHeader(folder, name);
  let head: Head | null = isKnown ? known : header && { seq: header.seq - 1, h: header.previous };
  const start = isKnown ? known.offset : 0;
  let goodLines = isKnown ? 1 : 0;
  let goodEnd = start;
  let lineNumber = 0;
  let bad: Scan['bad'] = null;
  let later: Head | null = null;
  for await (const { lines } of readForward(path, start, size)) {
    for (const line of lines) {
      lineNumber += 1;
      if (!bad) {
        const next = head && nextHead(head, line.bytes);
        if (next) {
          head = next;
          goodLines += 1;
          goodEnd = line.end;
          continue;
        }
        bad = { line: lineNumber, offset: line.offset };
        continue;
      }
      const seal = readSeal(line.bytes);
      if (seal && seal.seq > (later ?? head ?? GENESIS).seq) later = seal;
    }
  }
  return { head: goodLines > 0 ? head : null, goodLines, goodEnd, bad, later, size };
}

/** Copies what stands behind the last good line to a file of its own, then cuts it off. */
async function setTailAside(folder: string, name: string, scan: Scan, now: EpochMs): Promise<NoteRecord> {
  const path = join(folder, name);
  const aside = `${name}.tail-${now}`;
  const source = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const target = await open(join(folder, aside), 'wx', 0o600);
    try {
      const block = Buffer.allocUnsafe(1 << 20);
      for (let position = scan.goodEnd; position < scan.size;) {
        const { bytesRead } = await source.read(block, 0, block.length, position);
        if (bytesRead === 0) break;
        await target.writeFile(block.subarray(0, bytesRead));
        position += bytesRead;
      }
      await target.sync();
    } finally {
      await target.close();
    }
    await syncFolder(folder);
    await source.truncate(scan.goodEnd);
    await source.sync();
  } finally {
    await source.close();
  }
  return noteOf(now, 'tail-set-aside', { segment: name, offset: scan.goodEnd, bytes: scan.size - scan.goodEnd, file: aside });
}

/** A segment without one good line was begun and never acknowledged: it is kept under another name. */
async function setSegmentAside(folder: string, name: string, bytes: number, now: EpochMs): Promise<NoteRecord> {
  const aside = `${name}.tail-${now}`;
  await rename(join(folder, name), join(folder, aside));
  await syncFolder(folder);
  return noteOf(now, 'tail-set-aside', { segment: name, offset: 0, bytes, file: aside });
}

function linesMissing(now: EpochMs, found: Head, known: Position): NoteRecord {
  return noteOf(now, 'lines-missing', { from: found.seq + 1, to: known.seq });
}

function noteOf(t: EpochMs, note: string, detail: NoteRecord['detail']): NoteRecord {
  return { v: 1, t, k: 'note', note, detail };
}
