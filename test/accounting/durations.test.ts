import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Durations, isPackedDurations } from '../../src/accounting/durations.ts';
import type { Histogram } from '../../src/accounting/histogram.ts';
import { addToHistogram, LAST_BUCKET, percentile } from '../../src/accounting/histogram.ts';

const durationsOf = (values: readonly number[]): Durations => {
  const durations = new Durations();
  for (const value of values) durations.add(value);
  return durations;
};
const values = fc.array(fc.integer({ min: 0, max: 3_600_000 }), { maxLength: 300 });

describe('durations', () => {
  test('have the percentiles of the histogram they are', () => {
    fc.assert(fc.property(values, fc.constantFrom(0, 0.5, 0.9, 0.95, 0.99, 1), (seen, p) => {
      const histogram: Histogram = {};
      for (const value of seen) addToHistogram(histogram, value);
      expect(durationsOf(seen).percentile(p)).toBe(percentile(histogram, p));
    }), { numRuns: 300 });
  });

  test('are the same after being written and read back at any point', () => {
    fc.assert(fc.property(values, values, (before, after) => {
      const text: unknown = JSON.parse(JSON.stringify(durationsOf(before)));
      expect(isPackedDurations(text)).toBe(true);
      const read = new Durations(text as string);
      for (const value of after) read.add(value);
      expect(read.pack()).toBe(durationsOf([...before, ...after]).pack());
    }));
  });

  test('added up are the same as having seen all, in any order and packed or not', () => {
    fc.assert(fc.property(values, values, fc.boolean(), (a, b, isPacked) => {
      const [left, right] = [durationsOf(a), durationsOf(b)];
      if (isPacked) right.pack();
      left.addAll(right);
      const all = durationsOf([...b, ...a]).pack();
      expect(left.pack()).toBe(all);
      right.addAll(durationsOf(a));
      expect(right.pack()).toBe(all);
    }));
  });

  test('that were copied grow by themselves', () => {
    const first = durationsOf([5]);
    const copy = first.copy();
    copy.add(9);
    const merged = new Durations();
    merged.addAll(first);
    merged.add(100);
    expect(first.pack()).toBe(durationsOf([5]).pack());
    expect(copy.pack()).toBe(durationsOf([5, 9]).pack());
  });

  test('nothing measured is null, and no text', () => {
    expect(new Durations().percentile(0.5)).toBeNull();
    expect(new Durations().pack()).toBe('');
    expect(durationsOf([Number.NaN]).isEmpty).toBe(true);
  });

  test('take a few letters for many requests', () => {
    expect(durationsOf([1, 1, 2_000, 2_000]).pack()).toMatch(/^0\*2 [0-9a-z]+\*2$/);
    expect(durationsOf(Array.from({ length: 100_000 }, (_, index) => 400 + (index % 100))).pack().length).toBeLessThan(60);
    expect(durationsOf(Array.from({ length: 5_000 }, (_, index) => 1 + index * 700)).pack().length).toBeLessThan(900);
  });

  test.each<[string, unknown, boolean]>([
    ['its own text', durationsOf([1, 500, 9e9, 500]).pack(), true],
    ['nothing', '', true],
    ['the last bucket', LAST_BUCKET.toString(36), true],
    ['a bucket past it', (LAST_BUCKET + 1).toString(36), false],
    ['a count of none', '5*0', false],
    ['a count beyond all', '5*zzzzzzz', false],
    ['a bucket twice', '5 0', false],
    ['a star alone', '*', false],
    ['two stars', '5*1*1', false],
    ['a sign', '-5', false],
    ['two blanks', '5  6', false],
    ['a blank at its end', '5 ', false],
    ['an object', { 5: 1 }, false],
    ['a number', 5, false],
  ])('reading back %s', (_, value, expected) => {
    expect(isPackedDurations(value)).toBe(expected);
  });
});
