import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isJsonObject, numberAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { EpochMs } from '../core/units.ts';
import { MAX_LINE_BYTES } from './journal-line.ts';

/** Why a segment was begun. Only after `failed-write` may its predecessor hold bytes that do not count. */
export const SEGMENT_REASONS = ['first', 'day', 'size', 'failed-write', 'corruption'] as const;
export type SegmentReason = (typeof SEGMENT_REASONS)[number];

/** What a segment's first line says of the chain it carries on. */
export interface SegmentHeader {
  readonly seq: number;
  readonly reason: SegmentReason;
  /** Hash of the line before, wherever that stands. */
  readonly previous: string;
  /** The segment that line stands in; null for the very first. */
  readonly after: string | null;
  /** Where that segment's lines end. */
  readonly offset: number;
}

/** A segment and how many of its bytes count. */
export interface Extent {
  readonly name: string;
  readonly end: number;
  readonly header: SegmentHeader | null;
}

/** The UTC day of a moment, `YYYY-MM-DD`. */
export function utcDay(at: EpochMs): string {
  return new Date(at).toISOString().slice(0, 10);
}

const NAME = /^(\d{4}-\d{2}-\d{2})\.(\d{3,})\.jsonl$/;

/** The day in a segment's name. */
export function dayOfSegment(name: string): string {
  return name.slice(0, 10);
}

/** Chain order: names only ever go up, also when the clock goes back. */
export function compareSegments(a: string, b: string): number {
  if (dayOfSegment(a) !== dayOfSegment(b)) return dayOfSegment(a) < dayOfSegment(b) ? -1 : 1;
  return numberOf(a) - numberOf(b);
}

function numberOf(name: string): number {
  return Number(NAME.exec(name)?.[2] ?? 0);
}

/** The name of the segment that follows, for a day that is never earlier than the last one's. */
export function nextSegmentName(last: string | null, day: string): string {
  if (last === null || dayOfSegment(last) < day) return `${day}.001.jsonl`;
  return `${dayOfSegment(last)}.${String(numberOf(last) + 1).padStart(3, '0')}.jsonl`;
}

/** Names of all segments in chain order; none when the folder is absent. */
export async function listSegments(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => NAME.test(name)).sort(compareSegments);
}

/** Reads a segment's first line; null when it is not a header. */
export async function readHeader(folder: string, name: string): Promise<SegmentHeader | null> {
  const file = await open(join(folder, name), 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_LINE_BYTES), 0, MAX_LINE_BYTES, 0);
    const end = buffer.subarray(0, bytesRead).indexOf(0x0a);
    return end < 0 ? null : parseHeader(buffer.toString('latin1', 0, end));
  } finally {
    await file.close();
  }
}

function parseHeader(text: string): SegmentHeader | null {
  const line = parseJsonObject(text);
  if (!line || line['k'] !== 'note' || line['note'] !== 'segment' || !isJsonObject(line['detail'])) return null;
  const { detail } = line;
  const seq = numberAt(line, 'seq');
  const previous = stringAt(detail, 'previous');
  const reason = SEGMENT_REASONS.find((known) => known === detail['reason']);
  if (seq === undefined || previous === undefined || reason === undefined) return null;
  return { seq, reason, previous, after: stringAt(detail, 'after') ?? null, offset: numberAt(detail, 'offset') ?? 0 };
}

/**
 * The segments that count, in chain order, each with the bytes that count. A segment begun after a failed write says
 * where its predecessor ends; what stands behind that, and whole segments between the two, were never acknowledged.
 */
export async function listExtents(folder: string): Promise<Extent[]> {
  const names = await listSegments(folder);
  const extents: Extent[] = [];
  let index = names.length - 1;
  let cut: number | null = null;
  while (index >= 0) {
    const name = names[index];
    if (name === undefined) break;
    const { size } = await stat(join(folder, name));
    const header = await readHeader(folder, name);
    extents.push({ name, end: cut === null ? size : Math.min(cut, size), header });
    const passed = header?.reason === 'failed-write' ? header : null;
    index = passed ? lastUpTo(names, passed.after) : index - 1;
    cut = passed && names[index] === passed.after ? passed.offset : null;
  }
  return extents.toReversed();
}

/** Whether a start found a bad line before good ones, or acknowledged lines missing, in what is kept. It stays so: nothing is repaired. */
export function tellsOfCorruption(extents: readonly Extent[]): boolean {
  return extents.some(({ header }) => header?.reason === 'corruption');
}

/** Index of the given segment or the nearest one before it; -1 when there is none. */
function lastUpTo(names: readonly string[], name: string | null): number {
  if (name === null) return -1;
  return names.findLastIndex((candidate) => compareSegments(candidate, name) <= 0);
}
