import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  activeBucket, exhaustedUntil, headroom, readQuotaHeaders, readRateLimitEvent, readUsageReport, tightestWindow, windowLabel,
} from '../../src/routing/quota.ts';
import { burnRate, lastsUntil, mergeQuota } from '../../src/routing/quota-history.ts';
import { NOON, windowOf } from './builders.ts';

const at = (ms: number): string => String(ms / 1_000);

function percentOf(used: string, minutes: string): number | undefined {
  return readQuotaHeaders({ 'x-codex-primary-used-percent': used, 'x-codex-primary-window-minutes': minutes }, NOON)[0]?.usedPercent;
}

function lengthOf(afterSeconds: string): number | undefined {
  return readQuotaHeaders({ 'x-codex-primary-used-percent': '99', 'x-codex-primary-reset-after-seconds': afterSeconds }, NOON)[0]?.minutes;
}

describe('readQuotaHeaders', () => {
  test('U05: windows are classified by their length, never by slot', () => {
    const windows = readQuotaHeaders({
      'x-codex-primary-used-percent': '12.5', 'x-codex-primary-window-minutes': '10080', 'x-codex-primary-reset-at': at(NOON + 86_400_000),
      'x-codex-secondary-used-percent': '80', 'x-codex-secondary-window-minutes': '300', 'x-codex-secondary-reset-after-seconds': '600',
    }, NOON);
    expect(windows).toEqual([
      { bucket: 'codex', minutes: 10_080, usedPercent: 12.5, resetsAt: NOON + 86_400_000, seenAt: NOON },
      { bucket: 'codex', minutes: 300, usedPercent: 80, resetsAt: NOON + 600_000, seenAt: NOON },
    ]);
    expect(windows.map(({ minutes }) => windowLabel(minutes))).toEqual(['7d', '5h']);
  });

  test('U46: an absolute reset is read against the Date of the answer', () => {
    const skewed = NOON + 600_000;
    const headers = {
      'date': new Date(skewed).toUTCString(), 'x-codex-primary-used-percent': '1', 'x-codex-primary-window-minutes': '300',
      'x-codex-primary-reset-at': at(skewed + 60_000),
    };
    expect(readQuotaHeaders(headers, NOON)[0]?.resetsAt).toBe(NOON + 60_000);
  });

  test('families of other limit ids are found by their suffix', () => {
    const headers = {
      'x-codex-primary-used-percent': '10', 'x-codex-primary-window-minutes': '300',
      'x-codex-bengalfox-primary-used-percent': '99', 'x-codex-bengalfox-primary-window-minutes': '300',
      'x-codex-primary-over-secondary-limit-percent': '50', 'x-codex-active-limit': 'codex_bengalfox',
    };
    expect(readQuotaHeaders(headers, NOON).map(({ bucket, usedPercent }) => [bucket, usedPercent])).toEqual([['codex', 10],
      ['codex_bengalfox', 99]]);
    expect(activeBucket(headers)).toBe('codex_bengalfox');
    expect(activeBucket({ ...headers, 'x-codex-active-limit': 'premium' })).toBe('codex');
    expect(activeBucket({ 'content-type': 'text/html' })).toBeNull();
  });

  test('garbage is left out, percentages are bounded, a window of no length is none', () => {
    expect(percentOf('NaN', '300')).toBeUndefined();
    expect(percentOf('', '300')).toBeUndefined();
    expect(percentOf('1e400', '300')).toBeUndefined();
    expect(percentOf('-4', '300')).toBe(0);
    expect(percentOf('140', '300')).toBe(100);
    expect(percentOf('0', '0')).toBeUndefined();
  });

  test('a window of untold length is placed by its reset', () => {
    expect(lengthOf('1200')).toBe(300);
    expect(lengthOf('400000')).toBe(10_080);
    expect(readQuotaHeaders({ 'x-codex-primary-used-percent': '99' }, NOON)[0]).toMatchObject({ minutes: 0, usedPercent: 99 });
  });
});

test('the usage report: a lone weekly primary window, and extra limits by feature', () => {
  expect(readUsageReport({
    plan_type: 'plus',
    rate_limit: { allowed: true, primary_window: { used_percent: 33, limit_window_seconds: 604_800, reset_after_seconds: 1_000,
      reset_at: 1 }, secondary_window: null },
    additional_rate_limits: [{ limit_name: 'Spark', metered_feature: 'codex-bengalfox',
      rate_limit: { primary_window: { used_percent: 5, limit_window_seconds: 18_000, reset_at: (NOON + 5_000) / 1_000 } } }],
  }, NOON)).toEqual([
    { bucket: 'codex', minutes: 10_080, usedPercent: 33, resetsAt: NOON + 1_000_000, seenAt: NOON },
    { bucket: 'codex_bengalfox', minutes: 300, usedPercent: 5, resetsAt: NOON + 5_000, seenAt: NOON },
  ]);
  expect(readUsageReport({}, NOON)).toEqual([]);
});

test('the rate limit event, and the headers of an in-stream error', () => {
  expect(readRateLimitEvent({
    type: 'codex.rate_limits', rate_limits: { primary: { used_percent: 42, window_minutes: 300, reset_at: (NOON + 60_000) / 1_000 },
      secondary: null }, metered_limit_name: 'codex',
  }, NOON)).toEqual([{ bucket: 'codex', minutes: 300, usedPercent: 42, resetsAt: NOON + 60_000, seenAt: NOON }]);
  expect(readRateLimitEvent({ headers: { 'X-Codex-Primary-Used-Percent': 100, 'X-Codex-Primary-Window-Minutes': '300' } },
    NOON)).toMatchObject([{ usedPercent: 100 }]);
});

describe('headroom', () => {
  test('is that of the tightest window, and a window past its reset counts as empty', () => {
    const quota = [windowOf({ usedPercent: 90, resetsAt: NOON + 1_000 }),
      windowOf({ minutes: 10_080, usedPercent: 30, resetsAt: NOON + 9e6 })];
    expect(headroom(quota, NOON)).toBeCloseTo(0.1);
    expect(headroom(quota, NOON + 1_000)).toBeCloseTo(0.7);
    expect(tightestWindow(quota, NOON + 1_000)?.minutes).toBe(10_080);
    expect(headroom([], NOON)).toBe(1);
    expect(headroom(quota, NOON, 'codex_bengalfox')).toBe(1);
  });

  test('a window without a reset time is over after its own length', () => {
    const quota = [windowOf({ usedPercent: 100, resetsAt: null })];
    expect(headroom(quota, NOON + 299 * 60_000)).toBe(0);
    expect(headroom(quota, NOON + 300 * 60_000)).toBe(1);
  });

  test('an exhausted bucket serves again at the last reset of its exhausted windows', () => {
    const quota = [windowOf({ usedPercent: 100, resetsAt: NOON + 5 }), windowOf({ minutes: 10_080, usedPercent: 100, resetsAt: NOON + 9 }),
      windowOf({ minutes: 60, usedPercent: 9, resetsAt: NOON + 99 })];
    expect(exhaustedUntil(quota, NOON)).toBe(NOON + 9);
    expect(exhaustedUntil([windowOf()], NOON)).toBeNull();
  });
});

describe('mergeQuota', () => {
  const someWindow = fc.record({
    bucket: fc.constantFrom('codex', 'codex_bengalfox'), minutes: fc.constantFrom(300, 10_080),
      usedPercent: fc.integer({ min: 0, max: 100 }),
    resetsAt: fc.constant(NOON + 3_600_000), seenAt: fc.integer({ min: NOON, max: NOON + 100_000 }),
  });

  test('of each window the newest reading remains, in whatever order they came', () => {
    fc.assert(fc.property(fc.uniqueArray(someWindow, { selector: (window) => window.seenAt, maxLength: 12 }), (windows) => {
      const merged = windows.reduce<ReturnType<typeof mergeQuota>>((known, window) => mergeQuota(known, [window]), []);
      for (const { bucket, minutes, seenAt } of merged) {
        const readings = windows.filter((window) => window.bucket === bucket && window.minutes === minutes);
        expect(seenAt).toBe(Math.max(...readings.map((window) => window.seenAt)));
      }
      expect(merged).toHaveLength(new Set(windows.map(({ bucket, minutes }) => `${bucket}${minutes}`)).size);
    }));
  });

  test('a window of unknown length gives way to one that is named, once it is over', () => {
    const unknown = windowOf({ minutes: 0, resetsAt: NOON + 10 });
    expect(mergeQuota([unknown], [windowOf({ seenAt: NOON + 20 })]).map(({ minutes }) => minutes)).toEqual([300]);
  });
});

describe('the forecast', () => {
  const reset = NOON + 4 * 3_600_000;
  const grow = (percentPerMinute: number, minutes: number): ReturnType<typeof windowOf> => {
    let quota = [windowOf({ usedPercent: 10, resetsAt: reset })];
    for (let minute = 1; minute <= minutes; minute += 1) {
      quota = mergeQuota(quota,
        [windowOf({ usedPercent: 10 + percentPerMinute * minute, resetsAt: reset, seenAt: NOON + minute * 60_000 })]);
    }
    return quota[0] ?? windowOf();
  };

  test('steady use of a percent a minute is a rate of 60 an hour, and the quota ends when it must', () => {
    const window = grow(1, 60);
    const now = window.seenAt;
    expect(burnRate(window, now)).toBeGreaterThan(50);
    expect(burnRate(window, now)).toBeLessThan(61);
    const end = lastsUntil(window, now) ?? 0;
    expect(end - now).toBeGreaterThan(29 * 60_000);
    expect(end - now).toBeLessThan(40 * 60_000);
  });

  test('slow use lasts until the reset, so there is no end to tell', () => {
    const window = grow(0.05, 60);
    expect(lastsUntil(window, window.seenAt)).toBeNull();
  });

  test('the rate fades while nothing is used, and a reset is no negative use', () => {
    const window = grow(1, 60);
    expect(burnRate(window, window.seenAt + 90 * 60_000) ?? 0).toBeLessThan((burnRate(window, window.seenAt) ?? 0) / 4);
    const [after] = mergeQuota([window], [windowOf({ usedPercent: 0, resetsAt: reset + 5 * 3_600_000, seenAt: window.seenAt + 60_000 })]);
    expect(after?.percentPerHour).toBe(window.percentPerHour);
    expect(burnRate(windowOf({ resetsAt: NOON }), NOON)).toBeNull();
  });

  test('a reading that was corrected downward is no negative use', () => {
    const window = grow(1, 60);
    const [after] = mergeQuota([window], [windowOf({ usedPercent: 20, resetsAt: reset, seenAt: window.seenAt + 60_000 })]);
    expect(after).toMatchObject({ usedPercent: 20, percentPerHour: window.percentPerHour });
  });

  test('a single reading forecasts by the average since the window began', () => {
    const window = windowOf({ usedPercent: 80, resetsAt: NOON + 3 * 3_600_000 });
    expect(burnRate(window, NOON)).toBeCloseTo(40);
    expect(lastsUntil(window, NOON)).toBe(NOON + 1_800_000);
  });
});

test.each([[300, '5h'], [10_080, '7d'], [10_079, '7d'], [43_200, '30d'], [1_440, '1d'], [90, '90m'], [60, '1h'],
  [0, 'quota']])('a window of %i minutes is called %s', (minutes, label) => {
  expect(windowLabel(minutes)).toBe(label);
});
