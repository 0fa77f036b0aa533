import { describe, expect, test } from 'vitest';

import { budgetWords } from '../../src/core/budget-words.ts';
import { parseBudget, parseBudgetKind, parseTokens } from '../../src/cli/parse-budget.ts';
import { CommandError } from '../../src/core/errors.ts';

describe('budgets as a person writes them', () => {
  test.each([
    ['20usd/month', { unit: 'usd', limit: 20e9, window: 'month' }, '20usd/month'],
    ['0.25usd-charged/day', { unit: 'usd-charged', limit: 250_000_000, window: 'day' }, '0.25usd-charged/day'],
    ['5M tokens/week', { unit: 'tokens', limit: 5_000_000, window: 'week' }, '5000000tokens/week'],
    [' 1.5k requests/HOUR ', { unit: 'requests', limit: 1_500, window: 'hour' }, '1500requests/hour'],
  ])('%j is read, and said again', (text, budget, words) => {
    expect(parseBudget(text)).toEqual(budget);
    expect(budgetWords(parseBudget(text))).toBe(words);
  });

  test.each(['5M/day', '5m tokens/day', '5000k/day', '5000000tokens/day'])('--tokens takes %j', (text) => {
    expect(parseTokens(text)).toEqual({ unit: 'tokens', limit: 5_000_000, window: 'day' });
  });

  test.each(['', '20', '20usd', 'usd/month', '20eur/month', '20usd/year', '-5usd/day', '0usd/day', '0.0000000001usd/day', '1e9usd/day', '20usd/month/day', '99999999999b tokens/day'])('%j is refused', (text) => {
    expect(() => parseBudget(text)).toThrow(CommandError);
  });

  test('a budget that is only named is its unit and window', () => {
    expect(parseBudgetKind('usd-charged/month')).toEqual({ unit: 'usd-charged', window: 'month' });
    expect(() => parseBudgetKind('20usd/month')).toThrow(CommandError);
  });
});
