import type { Headers } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/units.ts';

/** Numbers above this are milliseconds since 1970, below it seconds: 1e11 seconds is the year 5138. */
const MILLISECONDS_FROM = 1e11;

/** HTTP dates and ISO 8601: `Date.parse` alone would also take "in about 2026". */
const DATE_TEXT = /^\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? .{8,40}|\d{4}-\d{2}-\d{2}[T ].{5,40})$/i;

/** Reads a decimal number out of a header or JSON member; undefined for anything that is not wholly a number. */
export function readNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || !/^\s*[+-]?\d{1,20}(\.\d{1,20})?\s*$/.test(value)) return undefined;
  return Number(value);
}

/**
 * Turns a moment on the upstream's clock into one on ours: its `Date` header says what its clock showed when we
 * received the answer at `receivedAt`. Without a readable `Date` both clocks are taken to agree.
 */
export function toOurClock(upstreamMoment: EpochMs, headers: Headers, receivedAt: EpochMs): EpochMs {
  const upstreamNow = headers['date'] === undefined ? Number.NaN : Date.parse(headers['date']);
  return Number.isNaN(upstreamNow) ? upstreamMoment : receivedAt + (upstreamMoment - upstreamNow);
}

/** Reads an absolute moment: unix seconds, unix milliseconds, or a date text. Undefined for anything else. */
export function readMoment(value: unknown): EpochMs | undefined {
  const number = readNumber(value);
  if (number !== undefined) return number >= MILLISECONDS_FROM ? number : number * SECOND_MS;
  if (typeof value !== 'string' || !DATE_TEXT.test(value)) return undefined;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? undefined : parsed;
}

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|millis|milliseconds?)$/i, 1],
  [/^(?:s|secs?|seconds?)$/i, SECOND_MS],
  [/^(?:m|mins?|minutes?)$/i, MINUTE_MS],
  [/^(?:h|hrs?|hours?)$/i, HOUR_MS],
  [/^(?:d|days?)$/i, DAY_MS],
];

/** Reads a duration as people and Go write it: `6m0s`, `1.9s`, `250ms`, `3 days 4 hours`. Milliseconds, or undefined. */
export function readDuration(text: string): number | undefined {
  let totalMs = 0;
  let found = false;
  for (const [, amount, unit] of text.matchAll(/(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)/gi)) {
    const scale = UNITS.find(([pattern]) => pattern.test(unit ?? ''))?.[1];
    if (scale === undefined) return found ? totalMs : undefined;
    totalMs += Number(amount) * scale;
    found = true;
  }
  return found ? totalMs : undefined;
}
