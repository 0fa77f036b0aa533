import type { QuotaWindow } from '../core/account.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../core/units.ts';
import { hasReset, usedAt } from './quota.ts';

/** A tenth of the window: half an hour of a five-hour window, most of a day of a week. */
const MEMORY_SHARE = 0.1;
/** Before this share of a window has passed, its average says nothing about its end. */
const AVERAGE_FROM_SHARE = 0.05;
/** Two tellings of one reset differ by a second or two; more than this means the window began anew. */
const SAME_RESET_MS = 2 * MINUTE_MS;
const FORGET_AFTER_MS = 8 * DAY_MS;

/**
 * What is known of all windows once `news` is in: of each window the newest reading, whichever list it stands in, and
 * with it the smoothed rate of use. A window its bucket no longer reports is kept until its reset. The order of calls
 * does not change the readings that remain.
 */
export function mergeQuota(known: readonly QuotaWindow[], news: readonly QuotaWindow[]): QuotaWindow[] {
  if (news.length === 0) return [...known];
  const newestAt = news.reduce((latest, window) => Math.max(latest, window.seenAt), 0);
  const reported = new Set(news.map((window) => window.bucket));
  const merged = known.filter((window) => !reported.has(window.bucket) || isStillOf(window, newestAt));
  for (const window of news) {
    const at = merged.findIndex((other) => other.bucket === window.bucket && other.minutes === window.minutes);
    const before = merged[at];
    if (before === undefined) merged.push(window);
    else if (window.seenAt >= before.seenAt) merged[at] = withBurnRate(before, window);
  }
  return merged;
}

function isStillOf(window: QuotaWindow, newestAt: EpochMs): boolean {
  return newestAt - window.seenAt < FORGET_AFTER_MS && (window.minutes > 0 || !hasReset(window, newestAt));
}

function withBurnRate(before: QuotaWindow, after: QuotaWindow): QuotaWindow {
  const elapsedMs = after.seenAt - before.seenAt;
  const rate = before.percentPerHour;
  const isSameRun = before.resetsAt !== null && after.resetsAt !== null && Math.abs(after.resetsAt - before.resetsAt) <= SAME_RESET_MS;
  const grew = after.usedPercent - before.usedPercent;
  if (elapsedMs <= 0 || !isSameRun || grew < 0) return { ...after, ...(rate !== undefined && { percentPerHour: rate }) };
  const sample = (grew / elapsedMs) * HOUR_MS;
  const weight = 1 - Math.exp(-elapsedMs / (Math.max(after.minutes, 1) * MINUTE_MS * MEMORY_SHARE));
  const seeded = rate ?? averageRate(before, before.seenAt) ?? sample;
  return { ...after, percentPerHour: seeded + weight * (sample - seeded) };
}

/** Percent an hour since the window began; null when that is too short ago, or its beginning is unknown. */
function averageRate(window: QuotaWindow, at: EpochMs): number | null {
  if (window.resetsAt === null || window.minutes <= 0) return null;
  const lengthMs = window.minutes * MINUTE_MS;
  const elapsedMs = at - (window.resetsAt - lengthMs);
  if (elapsedMs < lengthMs * AVERAGE_FROM_SHARE || elapsedMs > lengthMs) return null;
  return (window.usedPercent / elapsedMs) * HOUR_MS;
}

/**
 * How fast the window is being used, in percent of it an hour: smoothed over the readings, and fading while none
 * comes; the average since it began before there are two. Null when nothing can be said.
 */
export function burnRate(window: QuotaWindow, now: EpochMs): number | null {
  if (hasReset(window, now)) return null;
  if (window.percentPerHour === undefined) return averageRate(window, window.seenAt);
  const quietMs = Math.max(0, now - window.seenAt);
  return window.percentPerHour * Math.exp(-quietMs / (Math.max(window.minutes, 1) * MINUTE_MS * MEMORY_SHARE));
}

/** When the window runs out at the present rate; null when it lasts until its reset, or nothing can be said. */
export function lastsUntil(window: QuotaWindow, now: EpochMs): EpochMs | null {
  const rate = burnRate(window, now);
  if (rate === null || rate <= 0) return null;
  const left = 100 - usedAt(window, now);
  if (left <= 0) return now;
  const until = Math.round(now + (left / rate) * HOUR_MS);
  return window.resetsAt !== null && until >= window.resetsAt ? null : until;
}
