import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS } from '../core/units.ts';

/** Whole hours are kept this many days back from the newest day, whole days this many; further back, whole months. */
export const HOURLY_DAYS = 8;
export const DAILY_DAYS = 400;

/**
 * The bucket that holds `at` when `newest` is the newest moment seen, by its name, which is its beginning in UTC:
 * `2026-11-21T14`, `2026-11-21` or `2026-11`. What is an hour becomes a day, and a day a month, by whole days and months.
 */
export function bucketOf(at: EpochMs, newest: EpochMs): string {
  const today = startOfDay(newest);
  const name = new Date(at).toISOString();
  if (at >= today - HOURLY_DAYS * DAY_MS) return name.slice(0, 13);
  return name.slice(0, at >= startOfMonth(today - DAILY_DAYS * DAY_MS) ? 10 : 7);
}

/** When a bucket begins and ends, and its size. Null when the text is no bucket's name. */
export function readBucket(name: string): Bucket | null {
  const size = SIZES[name.length];
  const start = size && Date.parse(name + '0000-01-01T00:00:00Z'.slice(name.length));
  if (size === undefined || start === undefined || Number.isNaN(start) || !new Date(start).toISOString().startsWith(name)) return null;
  return { size, start, end: size === 'hour' ? start + HOUR_MS : size === 'day' ? start + DAY_MS : startOfNextMonth(start) };
}

export interface Bucket {
  readonly size: 'hour' | 'day' | 'month';
  readonly start: EpochMs;
  readonly end: EpochMs;
}

const SIZES: Readonly<Record<number, Bucket['size']>> = { 13: 'hour', 10: 'day', 7: 'month' };

/** The beginning of the UTC day. */
export function startOfDay(at: EpochMs): EpochMs {
  return Math.floor(at / DAY_MS) * DAY_MS;
}

/** The beginning of the UTC month. */
export function startOfMonth(at: EpochMs): EpochMs {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

/** The beginning of the UTC month after. */
export function startOfNextMonth(at: EpochMs): EpochMs {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}
