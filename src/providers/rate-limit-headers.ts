import type { QuotaWindow } from '../core/account.ts';
import type { Headers } from '../core/relay-request.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { EpochMs } from '../core/units.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/**
 * The platform's per-minute limits, `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` (OpenAI and Azure,
 * read 2026-11), as quota windows of one minute. A limit that is not told or not positive gives no window.
 */
export function readRateLimitHeaders(headers: Headers, receivedAt: EpochMs): readonly QuotaWindow[] {
  return ['requests', 'tokens'].flatMap((bucket) => {
    const limit = numberIn(headers[`x-ratelimit-limit-${bucket}`]);
    const remaining = numberIn(headers[`x-ratelimit-remaining-${bucket}`]);
    if (limit === null || remaining === null || limit <= 0) return [];
    const used = Math.min(100, Math.max(0, (1 - remaining / limit) * 100));
    const resetMs = readDuration(headers[`x-ratelimit-reset-${bucket}`]);
    // A limit that does not say when it ends would count as spent forever.
    return [{ bucket, minutes: 1, usedPercent: used, resetsAt: receivedAt + (resetMs ?? MINUTE_MS), seenAt: receivedAt }];
  });
}

/** Milliseconds of a Go duration such as `6m0s`, `1.2s` or `250ms`; null for anything else. */
export function readDuration(text: string | undefined): number | null {
  if (text === undefined || !/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) return null;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNIT_MS[unit ?? ''] ?? 0),
    0,
  );
}

function numberIn(text: string | undefined): number | null {
  if (text === undefined || text.trim() === '') return null;
  const number = Number(text);
  return Number.isFinite(number) ? number : null;
}
