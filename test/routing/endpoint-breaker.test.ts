import { describe, expect, test } from 'vitest';

import type { EndpointBreaker } from '../../src/routing/endpoint-breaker.ts';
import { afterOutcome, CLOSED_ENDPOINT, isEndpointFault, mayCall, returnProbe, showsEndpointAlive,
  takeProbe } from '../../src/routing/endpoint-breaker.ts';
import { count, mayAttempt, mayReplay, UNUSED_BUDGET } from '../../src/routing/retry-budget.ts';
import { failureOf, NOON } from './builders.ts';

const run = (outcomes: readonly (readonly [at: number, accountId: string, failed: boolean])[], from = CLOSED_ENDPOINT): EndpointBreaker =>
  outcomes.reduce((breaker, [at, accountId, failed]) => afterOutcome(breaker, { at: NOON + at, accountId, failed }), from);

const failing = (failures: number, total: number) =>
  run(Array.from({ length: total }, (_, index) => [index * 100, 'a', index >= total - failures] as const));
const spend = (what: 'requests' | 'attempts' | 'replays', times: number, budget = UNUSED_BUDGET, now = NOON) => {
  let spent = budget;
  for (let index = 0; index < times; index += 1) spent = count(spent, what, now);
  return spent;
};

describe('the endpoint breaker', () => {
  test('U21: faults of two accounts within 10 s open it; of one account, or further apart, they do not', () => {
    expect(run([[0, 'a', true], [10_000, 'b', true]]).state).toBe('open');
    expect(run([[0, 'a', true], [10_001, 'b', true]]).state).toBe('closed');
    expect(run([[0, 'a', true], [1, 'a', true], [2, 'a', true]]).state).toBe('closed');
  });

  test('half of at least ten requests open it', () => {
    expect(failing(5, 10).state).toBe('open');
    expect(failing(4, 10).state).toBe('closed');
    expect(failing(9, 9).state).toBe('closed');
  });

  test('it opens for 10 s, twice as long after each failed probe, two minutes at most', () => {
    let breaker = run([[0, 'a', true], [1, 'b', true]]);
    const spans: number[] = [];
    for (let turn = 0; turn < 6; turn += 1) {
      spans.push(breaker.until - breaker.openedAt);
      expect(mayCall(breaker, breaker.until - 1)).toBe(false);
      expect(mayCall(breaker, breaker.until)).toBe(true);
      breaker = afterOutcome(takeProbe(breaker, breaker.until), { at: breaker.until, accountId: 'a', failed: true });
    }
    expect(spans).toEqual([10_000, 20_000, 40_000, 80_000, 120_000, 120_000]);
  });

  test('one probe at a time, and two successes close it', () => {
    const open = run([[0, 'a', true], [1, 'b', true]]);
    const probing = takeProbe(open, open.until);
    expect(mayCall(probing, open.until)).toBe(false);
    expect(mayCall(returnProbe(probing), open.until)).toBe(true);
    const once = afterOutcome(probing, { at: open.until, accountId: 'a', failed: false });
    expect(once.state).toBe('half-open');
    expect(mayCall(once, open.until)).toBe(true);
    expect(afterOutcome(takeProbe(once, open.until), { at: open.until, accountId: 'b', failed: false })).toEqual(CLOSED_ENDPOINT);
  });

  test('answers to calls that left before it opened change nothing', () => {
    const open = run([[0, 'a', true], [1, 'b', true]]);
    expect(run([[500, 'c', false], [600, 'c', true]], open)).toBe(open);
  });

  test('its memory is bounded', () => {
    expect(run(Array.from({ length: 500 }, (_, index) => [index, 'a', false] as const)).outcomes.length).toBeLessThanOrEqual(64);
  });

  test('5xx and local faults count against an origin; a model at capacity, a 429 or a page do not', () => {
    expect(isEndpointFault(failureOf('unreachable'))).toBe(true);
    expect(isEndpointFault(failureOf('overloaded', { status: 502 }))).toBe(true);
    expect(isEndpointFault(failureOf('overloaded', { status: 503, code: 'model_at_capacity' }))).toBe(false);
    expect(isEndpointFault(failureOf('challenge', { status: 403 }))).toBe(false);
    expect(showsEndpointAlive(failureOf('rate-limited', { status: 429 }))).toBe(true);
    expect(showsEndpointAlive(failureOf('timed-out'))).toBe(false);
  });
});

describe('the retry budget', () => {
  test('replays: a tenth of the last minute, plus ten', () => {
    const busy = spend('requests', 100);
    expect(mayReplay(spend('replays', 19, busy), 10, NOON)).toBe(true);
    expect(mayReplay(spend('replays', 20, busy), 10, NOON)).toBe(false);
    expect(mayReplay(spend('replays', 10), 10, NOON)).toBe(false);
  });

  test('attempts while all is down: 1.2 times the requests, plus ten', () => {
    const busy = spend('requests', 100);
    expect(mayAttempt(spend('attempts', 129, busy), NOON)).toBe(true);
    expect(mayAttempt(spend('attempts', 130, busy), NOON)).toBe(false);
  });

  test('a minute later all is forgotten, and a clock set back loses nothing', () => {
    const spent = spend('replays', 10);
    expect(mayReplay(spent, 10, NOON + 59_999)).toBe(false);
    expect(mayReplay(spent, 10, NOON + 60_000)).toBe(true);
    expect(mayReplay(count(spent, 'requests', NOON - 5_000), 10, NOON)).toBe(true);
    expect(mayReplay(spend('replays', 1, spent, NOON - 5_000), 10, NOON)).toBe(false);
    let long = UNUSED_BUDGET;
    for (let second = 0; second < 500; second += 1) long = count(long, 'requests', NOON + second * 1_000);
    expect(long.slots).toHaveLength(60);
  });
});
