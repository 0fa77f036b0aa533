import { hash } from 'node:crypto';

import type { JournalLine, JournalRecord } from '../core/record.ts';
import { fitRecord } from './fit-record.ts';

/** Where the chain stands: the last line's number and hash. */
export interface Head {
  readonly seq: number;
  readonly h: string;
}

/** What the first line of a journal is chained to. */
export const GENESIS: Head = { seq: 0, h: '0'.repeat(32) };

/** The longest line, its newline included, in bytes. */
export const MAX_LINE_BYTES = 4_096;

/** `,"h":"` + 32 hex digits + `"}`: what the seal adds behind the sealed text, less the brace it takes the place of. */
const SEAL_BYTES = 40;
const MAX_BODY_BYTES = MAX_LINE_BYTES - SEAL_BYTES;
const SEALED_START = /^\{"v":\d{1,3},"seq":(\d{1,16}),/;
const SEALED_END = /,"h":"([0-9a-f]{32})"\}$/;

/** A record numbered and chained: the value for the caller and the text for the disk, newline included. */
export interface SealedLine<R extends JournalRecord = JournalRecord> {
  readonly line: JournalLine<R>;
  readonly text: string;
}

/**
 * Numbers a record, chains it to the line before and writes it as one line of ASCII JSON of at most 4 KiB. What does
 * not fit is trimmed (`fit-record.ts`), and the returned value is the trimmed one. The form is `docs/ledger-format.md`.
 */
export function sealRecord<R extends JournalRecord>(record: R, previous: Head): SealedLine<R> {
  const seq = previous.seq + 1;
  let fitted = record;
  let body = bodyOf(record, seq);
  if (body.length > MAX_BODY_BYTES) {
    fitted = fitRecord(record, (candidate) => bodyOf(candidate, seq).length <= MAX_BODY_BYTES);
    body = bodyOf(fitted, seq);
  }
  const h = hash('sha256', previous.h + body, 'hex').slice(0, 32);
  return { line: { ...fitted, seq, h }, text: `${body.slice(0, -1)},"h":"${h}"}\n` };
}

/** The text that is hashed: one JSON object with `v` and `seq` in front, ASCII only, without `h`. */
function bodyOf(record: JournalRecord, seq: number): string {
  const { v, ...facts } = record;
  return asciiJson({ v, seq, ...facts });
}

/** JSON as the journal writes it: without white space, everything but printable ASCII escaped. */
export function asciiJson(value: object): string {
  const text = JSON.stringify(value);
  return isPlainAscii(text) ? text : escapeNonAscii(text);
}

function isPlainAscii(text: string): boolean {
  return !/[^\x20-\x7e]/.test(text);
}

/** JSON.stringify has escaped control characters already; DEL and everything above ASCII follow here. */
function escapeNonAscii(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Number and hash as a line states them, or null when it has not the form of a line. Says nothing of whether they are true. */
export function readSeal(bytes: Buffer): Head | null {
  if (bytes.length < SEAL_BYTES + 2 || bytes.length >= MAX_LINE_BYTES) return null;
  const start = SEALED_START.exec(bytes.toString('latin1', 0, 40));
  const end = SEALED_END.exec(bytes.toString('latin1', bytes.length - SEAL_BYTES));
  if (!start?.[1] || !end?.[1]) return null;
  const seq = Number(start[1]);
  return Number.isSafeInteger(seq) ? { seq, h: end[1] } : null;
}

/** One buffer for all checks: `previous h + body` side by side, so that one call hashes both. Used synchronously only. */
const scratch = Buffer.allocUnsafe(32 + MAX_LINE_BYTES);

/** True when the line (without its newline) is the one that was sealed after a line with hash `previousH`. */
export function isChainedTo(previousH: string, bytes: Buffer, seal: Head): boolean {
  const bodyBytes = bytes.length - SEAL_BYTES;
  scratch.write(previousH, 0, 32, 'latin1');
  bytes.copy(scratch, 32, 0, bodyBytes);
  scratch[32 + bodyBytes] = 0x7d;
  return hash('sha256', scratch.subarray(0, 33 + bodyBytes), 'hex').startsWith(seal.h);
}

/** The line behind a good one: its seal when number and chain are right, else null. */
export function nextHead(head: Head, bytes: Buffer): Head | null {
  const seal = readSeal(bytes);
  if (!seal || seal.seq !== head.seq + 1) return null;
  return isChainedTo(head.h, bytes, seal) ? seal : null;
}
