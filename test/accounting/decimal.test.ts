import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { divideHalfUp, scaleDecimal } from '../../src/accounting/decimal.ts';

describe('scaleDecimal', () => {
  test.each([
    [0.15, 6, 150_000],
    [0.003625, 6, 3_625],
    [1.0000000005, 9, 1_000_000_001],
    [5e-10, 9, 1],
    [4.9e-10, 9, 0],
    [1e-30, 9, 0],
    [0, 9, 0],
    [-0, 9, 0],
    [123, 0, 123],
  ])('%d by 10^%d is %d', (value, digits, scaled) => {
    expect(scaleDecimal(value, digits)).toBe(scaled);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -0.1, 1e300, 1e21])('%d is refused', (value) => {
    expect(scaleDecimal(value, 9)).toBeNull();
  });

  test('what fits comes back as it was written', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 9_000_000_000_000 }), (micro) => {
      expect(scaleDecimal(micro / 1_000_000, 6)).toBe(micro);
    }));
  });
});

test('divideHalfUp rounds the half up and everything below it down', () => {
  expect([0n, 499n, 500n, 501n, 1_499n, 1_500n].map((value) => divideHalfUp(value, 1_000n))).toEqual([0n, 0n, 1n, 1n, 1n, 2n]);
});
