import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  formatCount, formatCountShort, formatDateTime, formatDuration, formatMoney, formatMoneyShort, formatPercent, formatTime, formatUntil,
} from '../../src/core/amounts.ts';

describe('money', () => {
  test.each([
    [0, '$0.00'], [1, '<$0.0001'], [4_200_000, '$0.0042'], [99_900_000, '$0.0999'], [120_000_000, '$0.12'],
    [12_340_000_000, '$12.34'], [1_234_560_000_000, '$1,234.56'], [-2_500_000_000, '-$2.50'], [-1, '>-$0.0001'],
  ])('%i nanodollars read %s', (amount, text) => {
    expect(formatMoney(amount)).toBe(text);
  });

  test.each([
    [12_340_000_000, '$12.34'], [999_990_000_000, '$999.99'], [1_234_560_000_000, '$1,235'], [12_345_000_000_000, '$12.3k'],
    [4_560_000_000_000_000, '$4.6M'], [-12_345_000_000_000, '-$12.3k'],
  ])('%i nanodollars read %s where there is little room', (amount, text) => {
    expect(formatMoneyShort(amount)).toBe(text);
  });
});

describe('counts', () => {
  test.each([
    [0, '0'],
    [950, '950'],
    [1_204, '1.2k'],
    [99_949, '99.9k'],
    [99_951, '100k'],
    [999_949, '1.0M'],
    [18_200_000, '18.2M'],
    [3_400_000_000, '3.4B'],
  ])('%i reads %s', (count, text) => {
    expect(formatCountShort(count)).toBe(text);
  });

  test('a short count never takes more than five characters', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e14 }), (count) => {
      expect(formatCountShort(count).length).toBeLessThanOrEqual(5);
    }));
  });

  test('a full count has separators', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567');
  });
});

describe('durations', () => {
  test.each([
    [0, '0ms'], [640, '640ms'], [999.6, '1.0s'], [2_140, '2.1s'], [9_951, '10s'], [48_200, '48s'], [59_600, '1m 00s'], [185_000, '3m 05s'],
    [3_599_600, '1h 00m'], [7_500_000, '2h 05m'], [86_400_000, '1d 0h'], [273_600_000, '3d 4h'], [-5, '0ms'],
  ])('%d ms read %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test('no duration below a hundred days takes more than seven characters', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 100 * 86_400_000 - 1_000 }), (ms) => {
      expect(formatDuration(ms).length).toBeLessThanOrEqual(7);
    }));
  });

  test.each([
    [1_000, 'now'],
    [1_500, '1s'],
    [46_000, '45s'],
    [721_000, '12m'],
    [7_501_000, '2h 05m'],
  ])('until %d, asked at 1,000: %s', (at, text) => {
    expect(formatUntil(at, 1_000)).toBe(text);
  });
});

test.each([
  [0, '0%'],
  [0.04, '<0.1%'],
  [0.4, '0.4%'],
  [2, '2%'],
  [9.96, '10%'],
  [62.4, '62%'],
  [100, '100%'],
])('%d percent reads %s', (percent, text) => {
  expect(formatPercent(percent)).toBe(text);
});

test('times are told in the zone asked for', () => {
  const at = Date.UTC(2026, 10, 24, 23, 2, 11);
  expect(formatTime(at, 'UTC')).toBe('23:02:11');
  expect(formatDateTime(at, 'Europe/Berlin')).toBe('2026-11-25 00:02:11');
});
