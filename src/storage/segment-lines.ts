import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { MAX_LINE_BYTES } from './journal-line.ts';

/** One line of a segment without its newline, and where it stands. Over-long ones come cut: they are no lines of ours. */
export interface SegmentLine {
  readonly offset: number;
  /** Offset behind the newline. */
  readonly end: number;
  readonly bytes: Buffer;
}

/** The lines one block completed, in reading order. `torn`: bytes after the last newline, told with the last block only. */
export interface LineBlock {
  readonly lines: readonly SegmentLine[];
  readonly torn: { readonly offset: number; readonly bytes: number } | null;
}

const BLOCK_BYTES = 1 << 20;
const NEWLINE = 0x0a;
/** More of a newline-less stretch than this is not kept: it is past any line's length and only its place matters. */
const CARRY_BYTES = 2 * MAX_LINE_BYTES;

/** Reads a segment's lines from `from` (a line's start) up to `to`, oldest first, a block at a time. */
export async function* readForward(path: string, from: number, to: number, blockBytes = BLOCK_BYTES): AsyncGenerator<LineBlock> {
  const file = await open(path, 'r');
  try {
    let carry = Buffer.alloc(0);
    let carryOffset = from;
    let position = from;
    while (position < to) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(Math.min(blockBytes, to - position)), 0, undefined, position);
      if (bytesRead === 0) break;
      const block = buffer.subarray(0, bytesRead);
      const lines: SegmentLine[] = [];
      let start = 0;
      for (let newline = block.indexOf(NEWLINE); newline >= 0; newline = block.indexOf(NEWLINE, start)) {
        const piece = block.subarray(start, newline);
        const bytes = carry.length > 0 ? Buffer.concat([carry, piece]) : piece;
        lines.push({ offset: carryOffset, end: position + newline + 1, bytes });
        carry = Buffer.alloc(0);
        start = newline + 1;
        carryOffset = position + start;
      }
      if (carry.length < CARRY_BYTES) carry = Buffer.concat([carry, block.subarray(start, start + CARRY_BYTES)]);
      position += bytesRead;
      yield { lines, torn: null };
    }
    if (position > carryOffset) yield { lines: [], torn: { offset: carryOffset, bytes: position - carryOffset } };
  } finally {
    await file.close();
  }
}

/** Reads a segment's complete lines that end at or before `to`, newest first, a block at a time. */
export async function* readBackward(path: string, to: number, blockBytes = BLOCK_BYTES): AsyncGenerator<readonly SegmentLine[]> {
  const file = await open(path, 'r');
  try {
    // `tail` holds the bytes [position, position + tail.length): the rest of a line whose start is not read yet.
    let tail = Buffer.alloc(0);
    let position = to;
    let lineEnd: number | null = null;
    while (position > 0) {
      const length = Math.min(blockBytes, position);
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, position - length);
      if (bytesRead < length) break;
      position -= length;
      const lines: SegmentLine[] = [];
      let end = length;
      for (let newline = buffer.lastIndexOf(NEWLINE); newline >= 0; newline = newline > 0 ? buffer.lastIndexOf(NEWLINE, newline - 1) : -1) {
        if (lineEnd !== null) {
          const head = buffer.subarray(newline + 1, end);
          lines.push({ offset: position + newline + 1, end: lineEnd, bytes: tail.length > 0 ? Buffer.concat([head, tail]) : head });
        }
        tail = Buffer.alloc(0);
        lineEnd = position + newline + 1;
        end = newline;
      }
      if (lineEnd !== null) tail = Buffer.concat([buffer.subarray(0, end), tail]).subarray(0, CARRY_BYTES);
      if (position === 0 && lineEnd !== null) lines.push({ offset: 0, end: lineEnd, bytes: tail });
      yield lines;
    }
  } finally {
    await file.close();
  }
}

/**
 * The last complete line that ends at or before `to`, contains `needle` and is taken by `accept`; null when there is none.
 * Blocks without the needle are not cut into lines, which makes this several times as fast as reading them all.
 */
export async function findLastLine(
  path: string, to: number, needle: Buffer, accept: (bytes: Buffer) => boolean, blockBytes = BLOCK_BYTES,
): Promise<SegmentLine | null> {
  const file = await open(path, 'r');
  try {
    for (let end = to; end > 0; end -= Math.min(blockBytes, end)) {
      const start = Math.max(0, end - blockBytes);
      // A line may begin in this block and end up to a line's length behind it.
      const length = Math.min(to, end + MAX_LINE_BYTES) - start;
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, start);
      const block = buffer.subarray(0, bytesRead);
      for (let at = block.lastIndexOf(needle); at >= 0; at = at > 0 ? block.lastIndexOf(needle, at - 1) : -1) {
        const line = await lineAround(file, start + at, to);
        if (line && accept(line.bytes)) return line;
      }
    }
    return null;
  } finally {
    await file.close();
  }
}

/** The line an offset lies in, or null when it is longer than a line may be or not ended yet. */
async function lineAround(file: FileHandle, offset: number, to: number): Promise<SegmentLine | null> {
  const from = Math.max(0, offset - MAX_LINE_BYTES);
  const length = Math.min(to, offset + MAX_LINE_BYTES) - from;
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, from);
  const start = buffer.subarray(0, offset - from).lastIndexOf(NEWLINE) + 1;
  const end = buffer.subarray(0, bytesRead).indexOf(NEWLINE, offset - from);
  if (end < 0 || (start === 0 && from > 0)) return null;
  return { offset: from + start, end: from + end + 1, bytes: buffer.subarray(start, end) };
}

/** The last complete line that ends at or before `to`, or null. */
export async function readLastLine(path: string, to: number): Promise<SegmentLine | null> {
  for await (const lines of readBackward(path, to, 4 * MAX_LINE_BYTES)) {
    if (lines[0]) return lines[0];
  }
  return null;
}
