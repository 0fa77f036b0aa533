import type { EpochMs } from './units.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts';

const UNITS: Readonly<Record<string, number | undefined>> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS };
const PIECE = /(\d+(?:\.\d+)?)([smhdw])/gy;

/** Reads `7d`, `24h`, `90m`, `1d12h`, `2w` as milliseconds; null when it is no duration, or one of a thousand years. */
export function parseDuration(text: string): number | null {
  const compact = text.trim().toLowerCase();
  const pieces = [...compact.matchAll(PIECE)];
  if (pieces.length === 0 || pieces.map(([piece]) => piece).join('') !== compact) return null;
  const ms = pieces.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? Number.NaN), 0);
  return ms <= 365_000 * DAY_MS ? Math.round(ms) : null;
}

/** What a date without a time stands for: the day's first moment, or the moment it is over. */
export type DayEdge = 'start' | 'end';

/**
 * Reads a moment as a person gives it: `7d` (that long ago), `now`, `today`, `yesterday`, `2026-11-24` (a UTC day, like
 * those of a report), `2026-11-24T14:00` (local unless it names a zone), or epoch milliseconds. Null when it is none.
 */
export function readMoment(given: string, now: EpochMs, edge: DayEdge): EpochMs | null {
  const text = given.trim();
  const ago = parseDuration(text);
  if (ago !== null) return now - ago;
  const dayOffset = edge === 'end' ? DAY_MS : 0;
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  if (text === 'now') return now;
  if (text === 'today') return today + dayOffset;
  if (text === 'yesterday') return today - DAY_MS + dayOffset;
  if (/^\d{12,14}$/.test(text)) return Number(text);
  if (!/^\d{4}-\d{2}-\d{2}([T ]|$)/.test(text)) return null;
  const parsed = Date.parse(text);
  if (Number.isNaN(parsed) || !isRealDay(text)) return null;
  return text.length === 10 ? parsed + dayOffset : parsed;
}

/** `2026-02-30` rolls over in some spellings; a person did not mean March. */
function isRealDay(text: string): boolean {
  const day = text.slice(0, 10);
  const parsed = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(parsed) && new Date(parsed).toISOString().slice(0, 10) === day;
}
