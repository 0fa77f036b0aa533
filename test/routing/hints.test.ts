import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { LONGEST_HINT_MS, readRetryHint } from '../../src/routing/hints.ts';
import { readDuration } from '../../src/routing/upstream-time.ts';
import { NOON } from './builders.ts';

const httpDate = (at: number): string => new Date(at).toUTCString();
const seconds = (at: number): number => at / 1_000;

function hintOf(headers: Record<string, string>, body: string | object = ''): { waitMs: number; source: string } | null {
  const hint = readRetryHint({ headers, body: typeof body === 'string' ? body : JSON.stringify(body), receivedAt: NOON });
  return hint === null ? null : { waitMs: hint.retryAt - NOON, source: hint.source };
}

describe('readRetryHint', () => {
  const table: readonly (readonly [string, Record<string, string>, string | object, { waitMs: number; source: string } | null])[] = [
    ['U01: Retry-After in seconds', { 'retry-after': '7' }, '', { waitMs: 7_000, source: 'retry-after' }],
    ['U02: Retry-After as an HTTP date', { 'retry-after': httpDate(NOON + 30_000) }, '', { waitMs: 30_000, source: 'retry-after' }],
    ['U02: retry-after-ms', { 'retry-after-ms': '1500' }, '', { waitMs: 1_500, source: 'retry-after-ms' }],
    ['U02: retry-after-ms goes before Retry-After', { 'retry-after-ms': '1500', 'retry-after': '9' }, '',
      { waitMs: 1_500, source: 'retry-after-ms' }],
    ['U02: garbage', { 'retry-after': 'soon' }, '', null],
    ['U02: garbage that ends in a year', { 'retry-after': 'perhaps 2027' }, '', null],
    ['U02: negative', { 'retry-after': '-5' }, '', null],
    ['U02: zero', { 'retry-after': '0' }, '', null],
    ['U02: 10^9 seconds', { 'retry-after': '1000000000' }, '', null],
    ['U02: a past date', { 'retry-after': httpDate(NOON - 60_000) }, '', null],
    ['exactly 8 days', { 'retry-after': '691200' }, '', { waitMs: LONGEST_HINT_MS, source: 'retry-after' }],
    ['8 days and a second', { 'retry-after': '691201' }, '', null],
    ['body resets_at goes first', { 'retry-after': '9' }, { error: { resets_at: seconds(NOON + 60_000), resets_in_seconds: 5 } },
      { waitMs: 60_000, source: 'resets_at' }],
    ['body resets_in_seconds', { 'retry-after': '9' }, { error: { resets_in_seconds: 61 } },
      { waitMs: 61_000, source: 'resets_in_seconds' }],
    ['an unbelievable resets_at lets the next source speak', { 'retry-after': '9' }, { error: { resets_at: 5 } },
      { waitMs: 9_000, source: 'retry-after' }],
    ['resets_at in milliseconds', {}, { error: { resets_at: NOON + 4_000 } }, { waitMs: 4_000, source: 'resets_at' }],
    ['resets_at as a date text', {}, { error: { resets_at: new Date(NOON + 4_000).toISOString() } },
      { waitMs: 4_000, source: 'resets_at' }],
    ['inside response.failed', {}, { response: { error: { resets_in_seconds: 3 } } }, { waitMs: 3_000, source: 'resets_in_seconds' }],
    ['the exhausted window, not the other', {
      'x-codex-primary-used-percent': '12', 'x-codex-primary-window-minutes': '300', 'x-codex-primary-reset-after-seconds': '20',
      'x-codex-secondary-used-percent': '100', 'x-codex-secondary-window-minutes': '10080', 'x-codex-secondary-reset-after-seconds': '4000',
    }, '', { waitMs: 4_000_000, source: 'window-reset' }],
    ['two exhausted windows: the later', {
      'x-codex-primary-used-percent': '100', 'x-codex-primary-window-minutes': '300',
        'x-codex-primary-reset-at': String(seconds(NOON + 9_000)),
      'x-codex-secondary-used-percent': '100', 'x-codex-secondary-window-minutes': '10080', 'x-codex-secondary-reset-after-seconds': '20',
    }, '', { waitMs: 20_000, source: 'window-reset' }],
    ['try again in 6m0s', {}, { error: { message: 'Rate limit reached. Please try again in 6m0s. Visit us.' } },
      { waitMs: 360_000, source: 'text' }],
    ['try again in 1.9s', {}, { error: { message: 'Please try again in 1.9s.' } }, { waitMs: 1_900, source: 'text' }],
    ['try again in 250ms', {}, { error: { message: 'Please try again in 250ms.' } }, { waitMs: 250, source: 'text' }],
    ['try again in words', {}, { error: { message: 'Try again in 3 days 4 hours and 12 minutes.' } },
      { waitMs: 274_320_000, source: 'text' }],
    ['retry after 20 seconds, in a bare text', {}, 'Too many requests, retry after 20 seconds', { waitMs: 20_000, source: 'text' }],
    ['no amount in the text', {}, { error: { message: 'Please try again in a while.' } }, null],
    ['Gemini RetryInfo', {}, { error: { details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34s' }] } },
      { waitMs: 34_000, source: 'retry-info' }],
    ['a spent x-ratelimit', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' }, '',
      { waitMs: 360_000, source: 'rate-limit-reset' }],
    ['an unspent x-ratelimit', { 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '6m0s' }, '', null],
    ['nothing at all', {}, '', null],
  ];
  test.each(table)('%s', (_name, headers, body, expected) => {
    expect(hintOf(headers, body)).toEqual(expected);
  });

  test.each([-600_000, 600_000])('U46: absolute times are read against the upstream clock, off by %i ms', (skewMs) => {
    const date = httpDate(NOON + skewMs);
    expect(hintOf({ date, 'retry-after': httpDate(NOON + skewMs + 45_000) })?.waitMs).toBe(45_000);
    expect(hintOf({ date }, { error: { resets_at: seconds(NOON + skewMs + 45_000) } })?.waitMs).toBe(45_000);
    expect(hintOf({
      date, 'x-codex-primary-used-percent': '100', 'x-codex-primary-window-minutes': '300',
        'x-codex-primary-reset-at': String(seconds(NOON + skewMs + 45_000)),
    })?.waitMs).toBe(45_000);
  });

  test('whatever the upstream writes, a hint lies in (0, 8 days] or is none', () => {
    const text = fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String), fc.constantFrom('6m0s', '-1', '1e9', 'NaN',
      httpDate(NOON + 5_000)));
    fc.assert(fc.property(text, text, text, fc.jsonValue(), (first, second, third, body) => {
      const hint = readRetryHint({
        headers: { 'retry-after': first, 'retry-after-ms': second, date: third }, body: JSON.stringify({ error: body }), receivedAt: NOON,
      });
      if (hint === null) return;
      expect(hint.retryAt).toBeGreaterThan(NOON);
      expect(hint.retryAt).toBeLessThanOrEqual(NOON + LONGEST_HINT_MS);
    }));
  });
});

test('a long hostile text costs little', () => {
  const started = process.hrtime.bigint();
  readRetryHint({ headers: {}, body: `try again in ${'1 and '.repeat(200_000)}`, receivedAt: NOON });
  expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(200);
});

test.each([['6m0s', 360_000], ['1h2m3s', 3_723_000], ['2 days', 172_800_000], ['', undefined],
  ['5 parsecs', undefined]])('readDuration %s', (text, expected) => {
  expect(readDuration(text)).toBe(expected);
});
