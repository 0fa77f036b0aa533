import { describe, expect, test } from 'vitest';

import { afterAvailability, afterBalance, MODEL_LIMIT_REASON, readModelAvailability, readPlan, withSpentWindow } from '../../src/routing/account-report.ts';
import { blockedUntil } from '../../src/routing/health.ts';
import { candidateNamed, choiceOf, failureOf, healthWith, NOON, windowOf } from './builders.ts';
import { chooseAccount } from '../../src/routing/choose-account.ts';
import { exhausted } from '../../src/routing/exhausted.ts';

const MINUTE = 60_000;

describe('single models in a usage report', () => {
  test('are read with their moments on our clock', () => {
    const skewed = NOON + 10 * MINUTE;
    const report = { model_usage: { 'gpt-6-sol': { available: false, available_at: (skewed + 5 * MINUTE) / 1_000 }, 'gpt-6-luna': { available: true, available_at: null } } };
    expect(readModelAvailability(report, { date: new Date(skewed).toUTCString() }, NOON)).toEqual([
      { model: 'gpt-6-sol', available: false, availableAt: NOON + 5 * MINUTE }, { model: 'gpt-6-luna', available: true, availableAt: null },
    ]);
  });

  test.each([[{}], [{ model_usage: null }], [{ model_usage: [] }], [{ model_usage: { a: true, b: { available: 'no' }, '': { available: false } } }]])('nothing readable is nothing: %j', (report) => {
    expect(readModelAvailability(report, {}, NOON)).toEqual([]);
  });

  test('a model that is used up waits until its moment, and the account serves its others', () => {
    const health = afterAvailability(healthWith(), [{ model: 'gpt-6-sol', available: false, availableAt: NOON + 5 * MINUTE }], NOON);
    expect(blockedUntil(health, 'gpt-6-sol', NOON)).toEqual({ cause: 'cooldown', until: NOON + 5 * MINUTE, reason: MODEL_LIMIT_REASON });
    expect(blockedUntil(health, 'gpt-6-luna', NOON)).toBeNull();
  });

  test('one without a believable moment waits half an hour at a time', () => {
    for (const availableAt of [null, NOON - 1, NOON + 9 * 24 * 60 * MINUTE]) {
      const health = afterAvailability(healthWith(), [{ model: 'm', available: false, availableAt }], NOON);
      expect(blockedUntil(health, 'm', NOON)?.until).toBe(NOON + 30 * MINUTE);
    }
  });

  test('one that is served again stops waiting for that, and for nothing else', () => {
    const refused = { scope: 'model:m' as const, until: NOON + MINUTE, since: NOON, reason: 'model_refused' };
    const before = afterAvailability(healthWith({ cooldowns: [refused] }), [{ model: 'm', available: false, availableAt: null }], NOON);
    expect(afterAvailability(before, [{ model: 'm', available: true, availableAt: null }], NOON + 1).cooldowns).toEqual([refused]);
  });

  test('a report that changes nothing leaves the very same health', () => {
    const health = healthWith();
    expect(afterAvailability(health, [{ model: 'm', available: true, availableAt: null }], NOON)).toBe(health);
  });

  test('a client whose model is used up everywhere is told 429 and when', () => {
    const health = afterAvailability(healthWith(), [{ model: 'gpt-6-sol', available: false, availableAt: NOON + 5 * MINUTE }], NOON);
    const error = exhausted([candidateNamed('a', { health })], { wanted: choiceOf(), now: NOON, last: null });
    expect(error.status).toBe(429);
    expect(error.details.retryAfterSeconds).toBe(60);
  });
});

describe('balance', () => {
  test('nothing left puts the account out for every model', () => {
    const health = afterBalance(healthWith(), { amount: 0, currency: 'USD' }, NOON);
    expect(health.balance).toEqual({ amount: 0, currency: 'USD', seenAt: NOON });
    expect(chooseAccount([candidateNamed('a', { health })], choiceOf()).account).toBeNull();
    expect(blockedUntil(health, 'any', NOON)?.until).toBe(NOON + 30 * MINUTE);
  });

  test('each look that finds nothing prolongs it, money that came ends it', () => {
    const out = afterBalance(afterBalance(healthWith(), { amount: 0, currency: 'USD' }, NOON), { amount: -5, currency: 'USD' }, NOON + 10 * MINUTE);
    expect(blockedUntil(out, 'any', NOON + 35 * MINUTE)?.until).toBe(NOON + 40 * MINUTE);
    expect(blockedUntil(afterBalance(out, { amount: 1, currency: 'USD' }, NOON + 11 * MINUTE), 'any', NOON + 11 * MINUTE)).toBeNull();
  });

  test('money ends a refusal for want of it, and no other wait', () => {
    const wait = (reason: string) => ({ scope: 'account' as const, until: NOON + MINUTE, since: NOON - 1, reason });
    const health = afterBalance(healthWith({ cooldowns: [wait('insufficient_credits'), wait('rate_limit_exceeded')] }), { amount: 7, currency: 'CNY' }, NOON);
    expect(health.cooldowns.map(({ reason }) => reason)).toEqual(['rate_limit_exceeded']);
  });
});

describe('a quota refused without headers', () => {
  test('marks the window that begins anew at the moment told as used up', () => {
    const health = healthWith({ quota: [windowOf({ minutes: 300, resetsAt: NOON + MINUTE }), windowOf({ minutes: 10_080, resetsAt: NOON + 999 * MINUTE })] });
    const after = withSpentWindow(health, failureOf('quota-exhausted', { code: 'usage_limit_reached', retryAt: NOON + MINUTE + 1_000 }), NOON);
    expect(after.quota.map(({ usedPercent }) => usedPercent)).toEqual([100, 40]);
  });

  test('leaves everything where no window fits, and after any other failure', () => {
    const health = healthWith({ quota: [windowOf()] });
    expect(withSpentWindow(health, failureOf('quota-exhausted', { retryAt: NOON + 5 }), NOON)).toBe(health);
    expect(withSpentWindow(health, failureOf('rate-limited', { retryAt: NOON + 3_600_000 }), NOON)).toBe(health);
  });
});

test('a plan is taken as told, if it could be one', () => {
  expect(readPlan({ plan_type: ' pro ' })).toBe('pro');
  for (const report of [{}, { plan_type: '' }, { plan_type: 7 }, { plan_type: 'x'.repeat(65) }]) expect(readPlan(report)).toBeNull();
});
