import { join } from 'node:path';

import { isJsonObject, numberAt, parseJsonObject } from '../core/json.ts';
import { homePaths } from './home.ts';
import type { Head } from './journal-line.ts';
import { GENESIS, nextHead, readSeal } from './journal-line.ts';
import type { SegmentLine } from './segment-lines.ts';
import { readForward } from './segment-lines.ts';
import type { Extent } from './segments.ts';
import { listExtents } from './segments.ts';

/** Where a journal is not what was written. */
export interface LedgerFault {
  readonly segment: string;
  /** Counted from 1. */
  readonly line: number;
  readonly reason: string;
}

/** What a whole journal's check found. `torn`: bytes at the very end that are no whole line yet. */
export interface LedgerReport {
  readonly ok: boolean;
  readonly segments: number;
  readonly lines: number;
  readonly head: Head;
  readonly torn: number;
  /** The first fault, in chain order. */
  readonly fault?: LedgerFault;
}

/** How far a check has come. */
export interface VerifyProgress {
  readonly segments: number;
  readonly ofSegments: number;
  readonly lines: number;
}

/** What one segment's own check found; segments can be checked in any order and joined afterwards. */
export interface SegmentReport {
  readonly name: string;
  readonly lines: number;
  /** What its first line is chained to, as it says itself; null when its first line cannot be read. */
  readonly joins: Head | null;
  readonly last: Head | null;
  readonly torn: number;
  /** Numbers of lines that were pruned on purpose, up to and including. */
  readonly prunedThrough: number;
  readonly fault: LedgerFault | null;
}

const PRUNED_NOTE = Buffer.from(`"k":"note","note":"pruned"`);

/**
 * Checks every line's number and hash and every join between segments. Reads a block at a time, whatever the journal's
 * size; a daemon may be writing meanwhile. Rejects with Node's error when a file cannot be read.
 */
export async function verifyLedger(home: string, onProgress?: (progress: VerifyProgress) => void): Promise<LedgerReport> {
  const folder = homePaths(home).journal;
  const extents = await listExtents(folder);
  const reports: SegmentReport[] = [];
  let lines = 0;
  for (const extent of extents) {
    const report = await verifySegment(folder, extent);
    reports.push(report);
    lines += report.lines;
    onProgress?.({ segments: reports.length, ofSegments: extents.length, lines });
  }
  return joinReports(extents, reports);
}

/** Checks one segment by itself, starting from what its first line says of the line before. */
export async function verifySegment(folder: string, { name, end, header }: Extent): Promise<SegmentReport> {
  const joins = header && { seq: header.seq - 1, h: header.previous };
  let head: Head | null = joins;
  let lines = 0;
  let torn = 0;
  let prunedThrough = 0;
  let fault: LedgerFault | null = null;
  for await (const block of readForward(join(folder, name), 0, end)) {
    torn = block.torn?.bytes ?? 0;
    for (const line of block.lines) {
      lines += 1;
      const next: Head | null = head && nextHead(head, line.bytes);
      if (!next && !fault) fault = { segment: name, line: lines, reason: reasonOf(line, head) };
      // Behind a fault the lines' own word is taken, so that the rest is still counted and the head known.
      head = next ?? readSeal(line.bytes) ?? head;
      if (line.bytes.includes(PRUNED_NOTE)) prunedThrough = Math.max(prunedThrough, prunedBy(line));
    }
  }
  return { name, lines, joins, last: lines > 0 ? head : null, torn, prunedThrough, fault };
}

function prunedBy(line: SegmentLine): number {
  const detail = parseJsonObject(line.bytes.toString('latin1'))?.['detail'];
  return isJsonObject(detail) ? (numberAt(detail, 'through') ?? 0) : 0;
}

function reasonOf(line: SegmentLine, head: Head | null): string {
  const seal = readSeal(line.bytes);
  if (!seal) return line.bytes.includes(0) ? 'the line has a hole of zero bytes' : 'this is no line of the journal';
  if (!head) return 'the segment does not begin with its own first line';
  if (seal.seq !== head.seq + 1) return `line ${seal.seq} follows ${head.seq}`;
  return `line ${seal.seq} was changed, or the one before it`;
}

/** Puts the segments' reports together: each must carry on where the one before it ends. */
export function joinReports(extents: readonly Extent[], reports: readonly SegmentReport[]): LedgerReport {
  const prunedThrough = Math.max(0, ...reports.map((report) => report.prunedThrough));
  let head: Head = GENESIS;
  let lines = 0;
  let fault: LedgerFault | null = null;
  for (const [index, report] of reports.entries()) {
    fault ??= joinFault(extents, reports, index, head, prunedThrough) ?? report.fault;
    lines += report.lines;
    head = report.last ?? head;
  }
  const torn = reports.at(-1)?.torn ?? 0;
  return { ok: fault === null, segments: reports.length, lines, head, torn, ...(fault && { fault }) };
}

function joinFault(
  extents: readonly Extent[], reports: readonly SegmentReport[], index: number, head: Head, prunedThrough: number,
): LedgerFault | null {
  const report = reports[index];
  const header = extents[index]?.header;
  if (!report || !report.joins || !header) return null;
  const at = (reason: string): LedgerFault => ({ segment: report.name, line: 1, reason });
  if (index === 0) {
    const begins = report.joins.seq;
    if (begins === 0) return report.joins.h === GENESIS.h ? null : at('the first line is chained to another one');
    return begins <= prunedThrough ? null : at(`the lines before ${begins + 1} are missing`);
  }
  const before = reports[index - 1];
  if (report.joins.seq !== head.seq) return at(`line ${report.joins.seq + 1} follows ${head.seq}`);
  if (report.joins.h !== head.h) return at(`line ${report.joins.seq + 1} is chained to another line than ${head.seq}`);
  if (before && before.torn > 0) return { segment: before.name, line: before.lines + 1, reason: 'the segment ends inside a line' };
  if (header.after !== null && header.after !== before?.name) return at(`segment ${header.after} is missing`);
  return null;
}
