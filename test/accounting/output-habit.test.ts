import { describe, expect, test } from 'vitest';

import type { OutputHabit } from '../../src/accounting/output-habit.ts';
import { FIRST_OUTPUT_GUESS, estimateReservation, expectOutput, learnOutput } from '../../src/accounting/output-habit.ts';

const habitOf = (count: number, length: (index: number) => number, from: OutputHabit = null): OutputHabit =>
  Array.from({ length: count }, (_, index) => length(index)).reduce<OutputHabit>(learnOutput, from);

describe('the output to expect', () => {
  test('is 4,000 tokens until twenty answers were seen', () => {
    expect(expectOutput(null)).toBe(FIRST_OUTPUT_GUESS);
    expect(expectOutput(habitOf(19, () => 10))).toBe(4_000);
    expect(expectOutput(habitOf(20, () => 10))).toBe(10);
  });

  test('is what 95 % of the answers did not pass', () => {
    const expected = expectOutput(habitOf(100, (index) => (index + 1) * 10));
    expect(Math.abs(expected - 950)).toBeLessThan(0.05 * 950);
  });

  test('follows a habit that changes', () => {
    const long = habitOf(10_000, () => 9_000);
    expect(expectOutput(long)).toBeGreaterThan(8_500);
    expect(expectOutput(habitOf(3_000, () => 100, long))).toBeLessThan(110);
  });

  test('learning leaves the habit before as it was', () => {
    const before = habitOf(5, () => 10);
    const copy = structuredClone(before);
    learnOutput(before, 500);
    expect(before).toEqual(copy);
  });
});

describe('a reservation', () => {
  test.each([
    ['takes the output asked for', { inputBytes: 4_000, outputCap: 256, choices: 1 }, { input: 1_000, output: 256 }],
    ['A13 multiplies it by the answers asked for', { inputBytes: 4_000, outputCap: 256, choices: 8 }, { input: 1_000, output: 2_048 }],
    ['expects 4,000 where nothing was asked', { inputBytes: 40, outputCap: null, choices: 1 }, { input: 10, output: 4_000 }],
    ['is never for nothing', { inputBytes: 0, outputCap: 0, choices: 0 }, { input: 0, output: 1 }],
    ['stays a number for absurd wishes', { inputBytes: 8, outputCap: 1e300, choices: 1e300 }, { input: 2, output: 1_000_000_000 }],
  ])('%s', (_, asked, tokens) => {
    expect(estimateReservation({ ...asked, habit: null })).toMatchObject({ ...tokens, cached: 0, estimated: true });
  });
});
