import type { QuotaWindow } from '../core/account.ts';
import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../core/units.ts';
import { readMoment, readNumber, toOurClock } from './upstream-time.ts';

/** The bucket of a plan's own windows; further buckets carry the upstream's limit id. */
export const PLAN_BUCKET = 'codex';

/** Percent used from which a window counts as exhausted. */
export const EXHAUSTED_PERCENT = 100;

/** Window lengths seen so far, in minutes: the guess for a reading that names a reset but no length. */
const KNOWN_LENGTHS = [300, 1_440, 10_080, 43_200] as const;

const FARTHEST_RESET_MS = 400 * DAY_MS;

/** One spelling for a limit id: headers say `codex-bengalfox`, bodies `codex_bengalfox`. */
export function bucketName(limitId: string): string {
  return limitId.trim().toLowerCase().replaceAll('-', '_');
}

interface Reading {
  readonly bucket: string;
  readonly used: unknown;
  /** Minutes; undefined when not told, 0 when the upstream says there is no such window. */
  readonly minutes: number | undefined;
  readonly resetsAt: EpochMs | undefined;
}

/** A window is named by its length. An unknown length is guessed from its reset, else stays 0. */
function toWindow(reading: Reading, seenAt: EpochMs): QuotaWindow | null {
  const used = readNumber(reading.used);
  if (used === undefined || reading.minutes === 0) return null;
  const believable = reading.resetsAt !== undefined && reading.resetsAt > 0 && reading.resetsAt - seenAt <= FARTHEST_RESET_MS;
  const resetsAt = believable ? reading.resetsAt : undefined;
  const told = reading.minutes !== undefined && reading.minutes > 0 ? reading.minutes : undefined;
  const guessed = resetsAt === undefined ? 0 : (KNOWN_LENGTHS.find((length) => resetsAt - seenAt <= length * MINUTE_MS) ?? 0);
  return {
    bucket: reading.bucket,
    minutes: told ?? guessed,
    usedPercent: Math.min(100, Math.max(0, used)),
    resetsAt: resetsAt ?? null,
    seenAt,
  };
}

/** Two readings of one window in one answer: the fuller one counts. */
function distinct(windows: readonly (QuotaWindow | null)[]): QuotaWindow[] {
  const byName = new Map<string, QuotaWindow>();
  for (const window of windows) {
    if (window === null) continue;
    const known = byName.get(windowName(window));
    if (known === undefined || window.usedPercent > known.usedPercent) byName.set(windowName(window), window);
  }
  return [...byName.values()];
}

const windowName = (window: QuotaWindow): string => `${window.bucket}/${window.minutes}`;

/**
 * Quota windows in the headers of any ChatGPT answer (ChatGPT backend, observed 2026-11): families
 * `x-<limit id>-{primary,secondary}-used-percent` with `-window-minutes`, `-reset-at` (unix seconds) and the older
 * `-reset-after-seconds`. The slot says nothing about the length. Unreadable readings are left out; never throws.
 */
export function readQuotaHeaders(headers: Headers, receivedAt: EpochMs): QuotaWindow[] {
  const windows: (QuotaWindow | null)[] = [];
  for (const name of Object.keys(headers)) {
    const limitId = /^x-(.{1,64})-(?:primary|secondary)-used-percent$/.exec(name)?.[1];
    if (limitId === undefined) continue;
    const slot = name.slice(0, -'-used-percent'.length);
    windows.push(toWindow({
      bucket: bucketName(limitId),
      used: headers[name],
      minutes: readNumber(headers[`${slot}-window-minutes`]),
      resetsAt: resetFromHeaders(slot, headers, receivedAt),
    }, receivedAt));
  }
  return distinct(windows);
}

function resetFromHeaders(slot: string, headers: Headers, receivedAt: EpochMs): EpochMs | undefined {
  const moment = readMoment(headers[`${slot}-reset-at`]);
  if (moment !== undefined && moment > 0) return toOurClock(moment, headers, receivedAt);
  const afterSeconds = readNumber(headers[`${slot}-reset-after-seconds`]);
  return afterSeconds === undefined ? undefined : receivedAt + afterSeconds * SECOND_MS;
}

/**
 * The bucket that applied to this answer (`x-codex-active-limit`); the plan's own when the header names no family of
 * this answer (values such as `premium` are seen), null when the upstream does not meter that way.
 */
export function activeBucket(headers: Headers): string | null {
  const named = headers['x-codex-active-limit'];
  const families = Object.keys(headers).flatMap((name) => /^x-(.{1,64})-(?:primary|secondary)-used-percent$/.exec(name)?.[1] ?? []);
  if (named === undefined) return families.some((family) => bucketName(family) === PLAN_BUCKET) ? PLAN_BUCKET : null;
  return families.map(bucketName).find((bucket) => bucket === bucketName(named)) ?? PLAN_BUCKET;
}

/**
 * Quota windows of `GET /wham/usage` (ChatGPT backend, observed 2026-11); every member is optional. Relative resets
 * are preferred, since the report carries no date of its own. Never throws.
 */
export function readUsageReport(report: JsonObject, seenAt: EpochMs): QuotaWindow[] {
  const extra = (arrayAt(report, 'additional_rate_limits') ?? []).flatMap((entry) => {
    const name = stringAt(entry, 'metered_feature') ?? stringAt(entry, 'limit_name');
    return name === undefined ? [] : windowsOf(objectAt(entry, 'rate_limit'), bucketName(name), seenAt);
  });
  return distinct([...windowsOf(objectAt(report, 'rate_limit'), PLAN_BUCKET, seenAt), ...extra]);
}

/** Quota windows of a `codex.rate_limits` event, or of the headers an in-stream error carries. Never throws. */
export function readRateLimitEvent(event: JsonObject, seenAt: EpochMs): QuotaWindow[] {
  const headers = objectAt(event, 'headers');
  if (headers !== undefined) return readQuotaHeaders(headersOf(headers), seenAt);
  const limits = objectAt(event, 'rate_limits') ?? objectAt(event, 'rate_limit');
  const name = stringAt(event, 'metered_limit_name') ?? stringAt(event, 'limit_id') ?? PLAN_BUCKET;
  return distinct(windowsOf(limits, bucketName(name), seenAt));
}

/** Headers written into a JSON body: names lower-cased, scalars as text, the rest left out. */
export function headersOf(object: JsonObject): Headers {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(object)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') headers[name.toLowerCase()] = String(value);
  }
  return headers;
}

function windowsOf(limits: JsonObject | undefined, bucket: string, seenAt: EpochMs): (QuotaWindow | null)[] {
  return ['primary_window', 'secondary_window', 'primary', 'secondary'].map((slot) => {
    const window = objectAt(limits, slot);
    if (window === undefined) return null;
    const seconds = readNumber(window['limit_window_seconds']);
    const afterSeconds = readNumber(window['reset_after_seconds']) ?? readNumber(window['resets_in_seconds']);
    return toWindow({
      bucket,
      used: window['used_percent'],
      minutes: seconds === undefined ? readNumber(window['window_minutes']) : seconds / 60,
      resetsAt: afterSeconds === undefined ? readMoment(window['reset_at'] ?? window['resets_at']) : seenAt + afterSeconds * SECOND_MS,
    }, seenAt);
  });
}

/** True once the window has begun anew: what was used of it is given back. */
export function hasReset(window: QuotaWindow, now: EpochMs): boolean {
  if (window.resetsAt !== null) return now >= window.resetsAt;
  return now - window.seenAt >= (window.minutes || KNOWN_LENGTHS[0]) * MINUTE_MS;
}

/** Percent of the window used at `now`; 0 once it has reset. */
export function usedAt(window: QuotaWindow, now: EpochMs): number {
  return hasReset(window, now) ? 0 : window.usedPercent;
}

/** The window of a bucket with the least left at `now`, by the later reset where two are level; null when none is known. */
export function tightestWindow(quota: readonly QuotaWindow[], now: EpochMs, bucket: string = PLAN_BUCKET): QuotaWindow | null {
  let tightest: QuotaWindow | null = null;
  for (const window of quota) {
    if (window.bucket !== bucket) continue;
    if (tightest === null) {
      tightest = window;
      continue;
    }
    const more = usedAt(window, now) - usedAt(tightest, now);
    if (more > 0 || (more === 0 && (window.resetsAt ?? 0) > (tightest.resetsAt ?? 0))) tightest = window;
  }
  return tightest;
}

/** Unused share (0-1) of a bucket's tightest window at `now`; 1 when nothing is known of it. */
export function headroom(quota: readonly QuotaWindow[], now: EpochMs, bucket: string = PLAN_BUCKET): number {
  const window = tightestWindow(quota, now, bucket);
  return window === null ? 1 : 1 - usedAt(window, now) / 100;
}

/** When a bucket that is used up serves again: the last reset of its exhausted windows. Null when none is exhausted or none says. */
export function exhaustedUntil(quota: readonly QuotaWindow[], now: EpochMs, bucket: string = PLAN_BUCKET): EpochMs | null {
  let until: EpochMs | null = null;
  for (const window of quota) {
    if (window.bucket !== bucket || window.resetsAt === null || usedAt(window, now) < EXHAUSTED_PERCENT) continue;
    until = Math.max(until ?? 0, window.resetsAt);
  }
  return until;
}

/** Short name of a window by its length: `5h`, `7d`, `30d`, `90m`; `quota` when the upstream did not say. */
export function windowLabel(minutes: number): string {
  if (minutes <= 0) return 'quota';
  const days = Math.round(minutes / 1_440);
  if (days >= 1 && Math.abs(minutes - days * 1_440) <= 5) return `${days}d`;
  const hours = Math.round(minutes / 60);
  if (hours >= 1 && Math.abs(minutes - hours * 60) <= 1) return `${hours}h`;
  return `${Math.round(minutes)}m`;
}
