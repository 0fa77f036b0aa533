import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Histogram } from '../../src/accounting/histogram.ts';
import { addToHistogram, countOf, percentile } from '../../src/accounting/histogram.ts';

const histogramOf = (values: readonly number[]): Histogram => {
  const histogram: Histogram = {};
  for (const value of values) addToHistogram(histogram, value);
  return histogram;
};
const durations = fc.array(fc.integer({ min: 1, max: 3_600_000 }), { minLength: 1, maxLength: 200 });

describe('a histogram', () => {
  test('every percentile is within 5 % of the true one', () => {
    fc.assert(fc.property(durations, fc.constantFrom(0, 0.5, 0.9, 0.95, 0.99, 1), (values, p) => {
      const sorted = values.toSorted((a, b) => a - b);
      const truth = sorted[Math.max(1, Math.ceil(p * sorted.length)) - 1] ?? 0;
      const found = percentile(histogramOf(values), p) ?? 0;
      expect(Math.abs(found - truth) / truth).toBeLessThanOrEqual(0.05);
    }), { numRuns: 500 });
  });

  test('every whole number up to 24 is told exactly', () => {
    for (let value = 1; value <= 24; value += 1) expect(percentile(histogramOf([value]), 0.5)).toBe(value);
  });

  test('nothing measured is null, not zero', () => {
    expect(percentile({}, 0.5)).toBeNull();
  });

  test('what is below a millisecond counts as one, and what is no number not at all', () => {
    const histogram = histogramOf([0, -5, 0.2, Number.NaN]);
    expect(countOf(histogram)).toBe(3);
    expect(percentile(histogram, 1)).toBe(1);
  });

  test('an endless duration lands in the last bucket', () => {
    expect(percentile(histogramOf([Number.POSITIVE_INFINITY]), 0.5)).toBeGreaterThan(9.5e8);
  });

  test('a million requests of one kind stay one small object', () => {
    const values = Array.from({ length: 1_000 }, (_, index) => 400 + (index % 100));
    expect(JSON.stringify(histogramOf(values)).length).toBeLessThan(120);
  });
});
