import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS, SECOND_MS } from '../core/units.ts';
import { activeBucket, EXHAUSTED_PERCENT, readQuotaHeaders } from './quota.ts';
import { readDuration, readMoment, readNumber, toOurClock } from './upstream-time.ts';

/** No hint is believed beyond this: longer waits come from broken clocks more often than from quotas. */
export const LONGEST_HINT_MS = 8 * DAY_MS;

const LONGEST_TEXT = 2_000;

/** An answer that may say when to come back. `body` is the text, its parsed object, or the error object alone. */
export interface HintEvidence {
  readonly headers: Headers;
  readonly body: string | JsonObject;
  readonly receivedAt: EpochMs;
}

/** When the upstream will serve again, on our clock, and where it said so. */
export interface RetryHint {
  readonly retryAt: EpochMs;
  readonly source: HintSource;
}
export type HintSource =
  | 'resets_at' | 'resets_in_seconds' | 'window-reset' | 'retry-after-ms' | 'retry-after' | 'retry-info' | 'rate-limit-reset' | 'text';

/**
 * Reads when an upstream will serve again. The sources in order: the body's `resets_at` and `resets_in_seconds`, the
 * reset of the exhausted `x-codex-*` window, `retry-after-ms`, `Retry-After`, Google's `RetryInfo`, the reset of a spent
 * `x-ratelimit-*`, and "try again in 6m0s" in the text. Absolute moments are read against the answer's own `Date`. What
 * lies outside (0, 8 days] is no hint, and the next source is asked; null when none serves.
 */
export function readRetryHint(evidence: HintEvidence): RetryHint | null {
  const { headers, receivedAt } = evidence;
  const parsed = typeof evidence.body === 'string' ? parseJsonObject(evidence.body) : evidence.body;
  const error = parsed === undefined ? undefined : errorObject(parsed);
  const text = typeof evidence.body === 'string' && parsed === undefined ? evidence.body : messageOf(error);
  const sources: readonly (readonly [HintSource, () => EpochMs | undefined])[] = [
    ['resets_at', () => absolute(error?.['resets_at'], headers, receivedAt)],
    ['resets_in_seconds', () => after(readNumber(error?.['resets_in_seconds']), SECOND_MS, receivedAt)],
    ['window-reset', () => exhaustedWindowReset(headers, receivedAt)],
    ['retry-after-ms', () => after(readNumber(headers['retry-after-ms']), 1, receivedAt)],
    ['retry-after', () => retryAfter(headers, receivedAt)],
    ['retry-info', () => retryInfo(error, receivedAt)],
    ['rate-limit-reset', () => spentRateLimitReset(headers, receivedAt)],
    ['text', () => fromText(text, receivedAt)],
  ];
  for (const [source, read] of sources) {
    const retryAt = read();
    if (retryAt !== undefined && isBelievable(retryAt - receivedAt)) return { retryAt: Math.ceil(retryAt), source };
  }
  return null;
}

/** True for a wait in (0, 8 days]. */
export function isBelievable(waitMs: number): boolean {
  return waitMs > 0 && waitMs <= LONGEST_HINT_MS;
}

/** The object the error's members stand in: `error`, `response.error`, or the body itself. */
function errorObject(body: JsonObject): JsonObject {
  return objectAt(body, 'error') ?? objectAt(objectAt(body, 'response'), 'error') ?? objectAt(body, 'detail') ?? body;
}

function messageOf(error: JsonObject | undefined): string {
  return stringAt(error, 'message') ?? stringAt(error, 'detail') ?? stringAt(error, 'error') ?? '';
}

function absolute(value: unknown, headers: Headers, receivedAt: EpochMs): EpochMs | undefined {
  const moment = readMoment(value);
  return moment === undefined ? undefined : toOurClock(moment, headers, receivedAt);
}

function after(amount: number | undefined, scaleMs: number, receivedAt: EpochMs): EpochMs | undefined {
  return amount === undefined ? undefined : receivedAt + amount * scaleMs;
}

function exhaustedWindowReset(headers: Headers, receivedAt: EpochMs): EpochMs | undefined {
  const active = activeBucket(headers);
  const resets = readQuotaHeaders(headers, receivedAt)
    .filter((window) => window.usedPercent >= EXHAUSTED_PERCENT && (active === null || window.bucket === active))
    .flatMap((window) => window.resetsAt ?? []);
  return resets.length === 0 ? undefined : Math.max(...resets);
}

function retryAfter(headers: Headers, receivedAt: EpochMs): EpochMs | undefined {
  const value = headers['retry-after'];
  const seconds = readNumber(value);
  if (seconds !== undefined) return receivedAt + seconds * SECOND_MS;
  return absolute(value, headers, receivedAt);
}

/** `google.rpc.RetryInfo` in a Gemini error: `{"@type": "…RetryInfo", "retryDelay": "34s"}` (Gemini API, observed 2026-11). */
function retryInfo(error: JsonObject | undefined, receivedAt: EpochMs): EpochMs | undefined {
  const delay = (arrayAt(error, 'details') ?? []).map((detail) => stringAt(detail, 'retryDelay')).find((text) => text !== undefined);
  return delay === undefined ? undefined : after(readDuration(delay), 1, receivedAt);
}

/** `x-ratelimit-reset-{requests,tokens}` ("6m0s") of those limits of which nothing remains (OpenAI platform, 2026-11). */
function spentRateLimitReset(headers: Headers, receivedAt: EpochMs): EpochMs | undefined {
  const waits = ['requests', 'tokens']
    .filter((unit) => readNumber(headers[`x-ratelimit-remaining-${unit}`]) === 0)
    .flatMap((unit) => readDuration(headers[`x-ratelimit-reset-${unit}`] ?? '') ?? []);
  return waits.length === 0 ? undefined : receivedAt + Math.max(...waits);
}

function fromText(text: string, receivedAt: EpochMs): EpochMs | undefined {
  const tail = /(?:try again|retry) (?:in|after)\s+(.{1,80})/is.exec(text.slice(0, LONGEST_TEXT))?.[1];
  return tail === undefined ? undefined : after(readDuration(leadingDuration(tail)), 1, receivedAt);
}

/** "6m0s. See the docs, 3 days" -> "6m0s": what follows a full stop, or is no amount with a unit, is another matter. */
function leadingDuration(text: string): string {
  return /^(?:\d{1,12}(?:\.\d{1,9})?\s*[a-z]+[\s,]*(?:and\s+)?)+/i.exec(text)?.[0] ?? '';
}
