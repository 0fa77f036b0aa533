import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Admission, Amounts, BudgetLine, Reservation, SpendBook } from '../../src/accounting/budget.ts';
import { EMPTY_BOOK, admit, amountsOf, budgetId, release, restoreSpend, settle, spendNow } from '../../src/accounting/budget.ts';
import { windowEnd, windowStart } from '../../src/accounting/budget-window.ts';
import type { Budget } from '../../src/core/client.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/units.ts';

const NOW = Date.parse('2026-11-21T14:30:00Z');
const line = (budget: Budget, owner = 'client aider'): BudgetLine => ({ id: budgetId('client', owner, budget), owner, budget });
const tokens = (limit: number, window: Budget['window'] = 'day'): BudgetLine => line({ unit: 'tokens', limit, window });
const amounts = (count: number): Amounts => ({ requests: 1, tokens: count, usd: count, 'usd-charged': count });
const admitted = (
  book: SpendBook, lines: readonly BudgetLine[], estimate: Amounts, now = NOW,
): Extract<Admission, { readonly ok: true }> => {
  const admission = admit(book, lines, estimate, now);
  if (!admission.ok) throw new Error(`refused: ${admission.refusal.reason}`);
  return admission;
};
const refusal = (book: SpendBook, lines: readonly BudgetLine[], estimate: Amounts, now = NOW) => {
  const admission = admit(book, lines, estimate, now);
  return admission.ok ? null : admission.refusal;
};

describe('windows', () => {
  test.each<[Budget['window'], string, string, string]>([
    ['hour', '2026-11-21T14:59:59.999Z', '2026-11-21T14:00:00Z', '2026-11-21T15:00:00Z'],
    ['day', '2026-11-21T00:00:00Z', '2026-11-21T00:00:00Z', '2026-11-22T00:00:00Z'],
    ['day', '2026-11-01T05:30:00Z', '2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'],
    ['week', '2026-11-22T23:59:59Z', '2026-11-16T00:00:00Z', '2026-11-23T00:00:00Z'],
    ['week', '2026-11-23T00:00:00Z', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
    ['week', '2027-01-01T12:00:00Z', '2026-12-28T00:00:00Z', '2027-01-04T00:00:00Z'],
    ['month', '2026-12-31T23:59:59Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['month', '2028-02-29T12:00:00Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
  ])('A12 the %s of %s is %s to %s', (window, at, start, end) => {
    expect(new Date(windowStart(window, Date.parse(at))).toISOString()).toBe(new Date(start).toISOString());
    expect(new Date(windowEnd(window, Date.parse(at))).toISOString()).toBe(new Date(end).toISOString());
  });

  test('A12 every moment is in one window, and the next begins where it ends', () => {
    const moment = fc.integer({ min: 0, max: Date.parse('2100-01-01') });
    fc.assert(fc.property(moment, fc.constantFrom('hour', 'day', 'week', 'month'), (at, window) => {
      const [start, end] = [windowStart(window, at), windowEnd(window, at)];
      expect(start <= at && at < end).toBe(true);
      expect([windowStart(window, end), windowStart(window, end - 1), windowStart(window, start)]).toEqual([end, start, start]);
    }));
  });
});

describe('a budget', () => {
  test('A05 that is spent refuses, and says when it resets', () => {
    const budget = tokens(1_000);
    const { book, reservation } = admitted(EMPTY_BOOK, [budget], amounts(600));
    expect(refusal(settle(book, reservation, amounts(1_000), NOW), [budget], amounts(1))).toEqual({
      line: budget, reason: 'exhausted', spent: 1_000, reserved: 0, asked: 1, resetsAt: Date.parse('2026-11-22T00:00:00Z'),
    });
  });

  test('of ten requests lets ten of a thousand run', () => {
    const budget = line({ unit: 'requests', limit: 10, window: 'hour' });
    let book: SpendBook = EMPTY_BOOK;
    let running = 0;
    for (let index = 0; index < 1_000; index += 1) {
      const admission = admit(book, [budget], amounts(500), NOW);
      if (!admission.ok) continue;
      book = admission.book;
      running += 1;
    }
    expect(running).toBe(10);
  });

  test('with less than one reservation left lets one request at a time have the rest', () => {
    const budget = tokens(1_000);
    const first = admitted(EMPTY_BOOK, [budget], amounts(900));
    expect(refusal(first.book, [budget], amounts(900))?.reason).toBe('in-flight');
    const spent = settle(first.book, first.reservation, amounts(700), NOW);
    const last = admitted(spent, [budget], amounts(900));
    expect(last.reservation.parts.map(({ amount }) => amount)).toEqual([300]);
    expect(refusal(last.book, [budget], amounts(1))?.reason).toBe('in-flight');
    expect(refusal(settle(last.book, last.reservation, amounts(900), NOW), [budget], amounts(1))?.reason).toBe('exhausted');
  });

  test('A13 an estimate larger than the whole budget still gets one chance, and only one', () => {
    const budget = tokens(1_000);
    const { book } = admitted(EMPTY_BOOK, [budget], amounts(1_000_000));
    expect(refusal(book, [budget], amounts(1_000_000))).toMatchObject({ reason: 'in-flight', reserved: 1_000 });
  });

  test('A07 gives a clean refusal back to the token, and books a partial answer to the token', () => {
    const budget = tokens(10_000);
    const { book, reservation } = admitted(EMPTY_BOOK, [budget], amounts(4_321));
    expect(spendNow(release(book, reservation, NOW), budget, NOW)).toMatchObject({ spent: 0, reserved: 0 });
    expect(spendNow(settle(book, reservation, amounts(777), NOW), budget, NOW)).toMatchObject({ spent: 777, reserved: 0 });
  });

  test('keeps the reservation of an unmetered answer as spent', () => {
    const budget = tokens(10_000);
    const { book, reservation } = admitted(EMPTY_BOOK, [budget], amounts(4_000));
    const unmetered = amountsOf(null, { list: 0, charged: 0, price: null });
    expect(spendNow(settle(book, reservation, unmetered, NOW), budget, NOW)).toMatchObject({ spent: 4_000, reserved: 0 });
  });

  test('in dollars refuses a model without a price instead of counting it as free', () => {
    const estimate = { input: 10, cached: 0, cacheWrite: 0, output: 10, reasoning: 0, estimated: true };
    const unpriced = amountsOf(estimate, { list: 0, charged: 0, price: null });
    expect(refusal(EMPTY_BOOK, [line({ unit: 'usd', limit: 5, window: 'day' })], unpriced)?.reason).toBe('unpriced');
    expect(refusal(EMPTY_BOOK, [tokens(100)], unpriced)).toBeNull();
  });

  test('in dollars lets through what costs nothing, even when it is spent', () => {
    const budget = line({ unit: 'usd-charged', limit: 5, window: 'day' });
    const { book, reservation } = admitted(EMPTY_BOOK, [budget], amounts(5));
    const spent = settle(book, reservation, amounts(9), NOW);
    expect(refusal(spent, [budget], { ...amounts(10), 'usd-charged': 0 })).toBeNull();
    expect(refusal(spent, [budget], amounts(1))?.reason).toBe('exhausted');
  });

  test('among several refuses for all, and reserves in none', () => {
    const [wide, narrow] = [tokens(10_000, 'month'), tokens(100, 'day')];
    const full = restoreSpend(EMPTY_BOOK, narrow, { requests: 0, tokens: 100, usd: 0, 'usd-charged': 0 }, NOW);
    expect(refusal(full, [wide, narrow], amounts(50))?.line).toBe(narrow);
    expect(spendNow(full, wide, NOW).reserved).toBe(0);
  });

  test('A12 forgets what was spent at the end of the window, once, but not what is still in flight', () => {
    const budget = tokens(1_000);
    const tomorrow = NOW + DAY_MS;
    const first = admitted(EMPTY_BOOK, [budget], amounts(400));
    const second = admitted(settle(first.book, first.reservation, amounts(500), NOW), [budget], amounts(400));
    expect(spendNow(second.book, budget, tomorrow)).toMatchObject({ spent: 0, reserved: 400 });
    expect(refusal(second.book, [budget], amounts(700), tomorrow)?.reason).toBe('in-flight');
    const settled = settle(second.book, second.reservation, amounts(450), tomorrow);
    expect(spendNow(settled, budget, tomorrow)).toMatchObject({ spent: 450, reserved: 0 });
  });

  test('a clock set back does not bring spent money back', () => {
    const budget = tokens(1_000);
    const { book, reservation } = admitted(EMPTY_BOOK, [budget], amounts(900));
    const spent = settle(book, reservation, amounts(1_000), NOW);
    expect(refusal(spent, [budget], amounts(1), NOW - 2 * DAY_MS)?.reason).toBe('exhausted');
  });

  test('whose limit is raised keeps what was spent', () => {
    const { book, reservation } = admitted(EMPTY_BOOK, [tokens(1_000)], amounts(900));
    const spent = settle(book, reservation, amounts(900), NOW);
    expect(spendNow(spent, tokens(5_000), NOW).spent).toBe(900);
  });

  test('takes up after a restart what the ledger says', () => {
    const budget = line({ unit: 'usd', limit: 1_000, window: 'month' });
    const book = restoreSpend(EMPTY_BOOK, budget, { requests: 3, tokens: 9, usd: 990, 'usd-charged': 0 }, NOW);
    expect(admitted(book, [budget], amounts(50)).reservation.parts[0]?.amount).toBe(10);
  });
});

/** Random lives of requests against a few budgets: begin, settle or release, while time goes on. */
describe('whatever happens', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('admit' as const), estimate: fc.integer({ min: 1, max: 900 }) }) },
    fc.record({ do: fc.constant('settle' as const), which: fc.nat(20), actual: fc.integer({ min: 0, max: 2_000 }) }),
    fc.record({ do: fc.constant('release' as const), which: fc.nat(20) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 5 * HOUR_MS }) }),
  );
  const budgets = fc.array(fc.integer({ min: 1, max: 3_000 }).chain((limit) =>
    fc.constantFrom(...(['hour', 'day', 'week', 'month'] as const)).map((window) => tokens(limit, window))), { minLength: 1, maxLength: 3 })
    .map((lines) => lines.filter(({ id }, index) => lines.findIndex((other) => other.id === id) === index));

  test('never more is in flight than fits, and all comes back to zero', () => {
    fc.assert(fc.property(budgets, fc.array(step, { maxLength: 80 }), (lines, steps) => {
      let [book, now]: [SpendBook, number] = [EMPTY_BOOK, NOW];
      const running: Reservation[] = [];
      for (const next of steps) {
        if (next.do === 'wait') now += next.ms;
        if (next.do === 'admit') {
          const admission = admit(book, lines, amounts(next.estimate), now);
          if (!admission.ok) continue;
          book = admission.book;
          running.push(admission.reservation);
          for (const each of lines) {
            const { spent, reserved } = spendNow(book, each, now);
            expect(spent + reserved).toBeLessThanOrEqual(Math.max(each.budget.limit, spent));
          }
        }
        if (next.do === 'settle' || next.do === 'release') {
          const [reservation] = running.splice(next.which % Math.max(running.length, 1), 1);
          if (!reservation) continue;
          book = next.do === 'settle' ? settle(book, reservation, amounts(next.actual), now) : release(book, reservation, now);
        }
        for (const each of lines) {
          const held = running.flatMap(({ parts }) => parts).filter((part) => part.line.id === each.id);
          expect(spendNow(book, each, now).reserved).toBe(held.reduce((sum, { amount }) => sum + amount, 0));
        }
      }
      for (const reservation of running) book = release(book, reservation, now);
      for (const each of lines) expect(spendNow(book, each, now).reserved).toBe(0);
    }), { numRuns: 500 });
  });

  test('what is overspent is at most what the last ones used beyond their reservation', () => {
    const life = fc.record({ estimate: fc.integer({ min: 1, max: 500 }), actual: fc.integer({ min: 0, max: 2_000 }) });
    fc.assert(fc.property(fc.integer({ min: 1, max: 3_000 }), fc.array(life, { maxLength: 40 }), (limit, lives) => {
      const budget = tokens(limit);
      let book: SpendBook = EMPTY_BOOK;
      const running: { readonly reservation: Reservation; readonly actual: number }[] = [];
      for (const { estimate, actual } of lives) {
        const admission = admit(book, [budget], amounts(estimate), NOW);
        if (!admission.ok) continue;
        book = admission.book;
        running.push({ reservation: admission.reservation, actual });
      }
      const beyond = running.reduce((sum, { reservation, actual }) => sum + Math.max(0, actual - (reservation.parts[0]?.amount ?? 0)), 0);
      for (const { reservation, actual } of running) book = settle(book, reservation, amounts(actual), NOW);
      expect(spendNow(book, budget, NOW).spent - limit).toBeLessThanOrEqual(beyond);
    }));
  });
});
