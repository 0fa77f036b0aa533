import { describe, expect, test } from 'vitest';

import type { AccountHealth } from '../../src/core/account.ts';
import { UNKNOWN_HEALTH } from '../../src/core/account.ts';
import type { FailureKind } from '../../src/core/failure.ts';
import { accountState } from '../../src/routing/account-state.ts';
import { cooldownFor } from '../../src/routing/cooldowns.ts';
import { afterFailure, afterQuota, afterRestart, afterSuccess, beginProbe, blockedUntil, releaseProbe, wake,
  withModelBucket } from '../../src/routing/health.ts';
import { LONGEST_HINT_MS } from '../../src/routing/hints.ts';
import { accountNamed, contextAt, failureOf, healthWith, NOON, windowOf } from './builders.ts';

const MODEL = 'gpt-6-sol';
const waitOf = (health: AccountHealth, now = NOON, model = MODEL): number => (blockedUntil(health, model, now)?.until ?? now) - now;

const waitAfterHint = (retryAt: number): number =>
  waitOf(afterFailure(UNKNOWN_HEALTH, failureOf('rate-limited', { retryAt }), contextAt(NOON)));
const quotaFailure = (changes = {}): ReturnType<typeof failureOf> =>
  failureOf('quota-exhausted', { status: 429, code: 'usage_limit_reached', bucket: 'codex', retryAt: NOON + 3_600_000, ...changes });
const spent = afterFailure(
  UNKNOWN_HEALTH, failureOf('quota-exhausted', { code: 'usage_limit_reached', bucket: 'codex', retryAt: NOON + 86_400_000 }),
    contextAt(NOON),
);
const blockAfterReading = (seenAt: number) => blockedUntil(afterQuota(spent, [windowOf({ usedPercent: 95, seenAt })], seenAt), MODEL,
  seenAt);
const strikes = (count: number, context = {}): AccountHealth => {
  let health = UNKNOWN_HEALTH;
  for (let index = 0; index < count; index += 1) health = afterFailure(health, failureOf('overloaded', { status: 500 }),
    contextAt(NOON + index, context));
  return health;
};

describe('cooldowns', () => {
  test('U01: a 429 with Retry-After: 7 cools the account for 7 s, and at most 5 % more', () => {
    const failure = failureOf('rate-limited', { status: 429, retryAt: NOON + 7_000, code: 'rate_limit_exceeded' });
    expect(waitOf(afterFailure(UNKNOWN_HEALTH, failure, contextAt(NOON)))).toBe(7_000);
    const spread = waitOf(afterFailure(UNKNOWN_HEALTH, failure, contextAt(NOON, { random: 0.999 })));
    expect(spread).toBeGreaterThan(7_300);
    expect(spread).toBeLessThanOrEqual(7_350);
  });

  test('U02: a hint of the next instant still means a second, and none means more than 8 days', () => {
    expect(waitAfterHint(NOON + 1)).toBe(1_000);
    expect(waitAfterHint(NOON + 20 * 86_400_000)).toBe(LONGEST_HINT_MS);
  });

  test('U03: four 429s in a row without a hint cool for 5, 10, 20, 40 s', () => {
    let health = UNKNOWN_HEALTH;
    let now = NOON;
    const waits: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      health = afterFailure(health, failureOf('rate-limited', { code: 'rate_limit_exceeded' }), contextAt(now));
      waits.push(waitOf(health, now));
      now += waitOf(health, now) + 20;
    }
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000]);
  });

  test('U03: twenty failures that were under way together climb one rung', () => {
    let health = UNKNOWN_HEALTH;
    for (let index = 0; index < 20; index += 1) {
      health = afterFailure(health, failureOf('rate-limited'), contextAt(NOON + index, { startedAt: NOON - 500 + index }));
    }
    expect(health.ladder.rung).toBe(1);
    expect(waitOf(health, NOON + 19)).toBe(5_000);
  });

  test('U03: the ladder ends at 30 minutes, and begins anew after a success or an hour of quiet', () => {
    const high = healthWith({ ladder: { rung: 30, climbedAt: NOON - 1_000 } });
    expect(waitOf(afterFailure(high, failureOf('rate-limited'), contextAt(NOON)))).toBe(1_800_000);
    const calm = afterSuccess(high, { now: NOON, startedAt: NOON - 10, model: MODEL, ttftMs: 10 });
    expect(waitOf(afterFailure(calm, failureOf('rate-limited'), contextAt(NOON)))).toBe(5_000);
    expect(waitOf(afterFailure(high, failureOf('rate-limited'), contextAt(NOON + 3_700_000)), NOON + 3_700_000)).toBe(5_000);
  });

  test.each<readonly [string, ReturnType<typeof failureOf>, string, number]>([
    ['a quota with its reset', quotaFailure(), 'usage_limit_reached', 3_600_000],
    ['a quota without one', quotaFailure({ retryAt: null }), 'usage_limit_reached', 5_000],
    ['credit that ran out', quotaFailure({ code: 'insufficient_quota', retryAt: null, bucket: null }), 'insufficient_quota', 1_800_000],
    ['U15: a second 401', failureOf('unauthorized', { status: 401 }), 'unauthorized', 1_800_000],
    ['402', failureOf('account-refused', { status: 402, code: 'payment_required' }), 'payment_required', 1_800_000],
    ['U16: a refused model', failureOf('model-refused', { status: 403 }), 'model_refused', 1_800_000],
    ['a challenge page', failureOf('challenge', { status: 403 }), 'challenge', 10_000],
    ['a refresh that could not be made', failureOf('refresh-unavailable', { phase: 'credential' }), 'refresh_unavailable', 30_000],
    ['an overload that names a time', failureOf('overloaded', { status: 503, retryAt: NOON + 20_000 }), 'overloaded', 20_000],
  ])('%s', (_name, failure, reason, waitMs) => {
    const health = afterFailure(UNKNOWN_HEALTH, failure, contextAt(NOON));
    expect(blockedUntil(health, MODEL, NOON)).toEqual({ cause: 'cooldown', until: NOON + waitMs, reason });
  });

  test.each<FailureKind>(['unreachable', 'certificate-invalid', 'login-dead', 'credential-unavailable', 'overloaded', 'cut', 'timed-out',
    'invalid-response'])(
    'U19 U21: one failure of kind %s cools nobody and ejects nobody', (kind) => {
      const health = afterFailure(UNKNOWN_HEALTH, failureOf(kind), contextAt(NOON));
      expect(blockedUntil(health, MODEL, NOON)).toBeNull();
      expect(health.lastError).toMatchObject({ code: kind, at: NOON });
    },
  );

  test.each<FailureKind>(['invalid-request', 'foreign-ciphertext',
    'client-gone'])('U36: a failure of kind %s leaves the account as it was', (kind) => {
    expect(afterFailure(UNKNOWN_HEALTH, failureOf(kind), contextAt(NOON))).toBe(UNKNOWN_HEALTH);
  });

  test('U16 U47: a refused model blocks that model, not the account', () => {
    const health = afterFailure(UNKNOWN_HEALTH, failureOf('model-refused', { status: 404 }), contextAt(NOON));
    expect(blockedUntil(health, 'gpt-6-luna', NOON)).toBeNull();
    expect(accountState(accountNamed('a'), health, 'ready', NOON).state).toBe('ready');
    expect(health.errorRate).toBe(0);
  });

  test('a limit of an extra bucket blocks the models of that bucket alone', () => {
    const spark = afterFailure(UNKNOWN_HEALTH, quotaFailure({ bucket: 'codex_bengalfox' }), contextAt(NOON, { model: 'codex-spark' }));
    expect(waitOf(spark, NOON, 'codex-spark')).toBe(3_600_000);
    expect(blockedUntil(spark, MODEL, NOON)).toBeNull();
    const both = afterFailure(spark, quotaFailure(), contextAt(NOON));
    expect(waitOf(both, NOON, MODEL)).toBe(3_600_000);
    expect(blockedUntil(healthWith({ ...both, cooldowns: both.cooldowns.slice(1) }), 'codex-spark', NOON)).toBeNull();
  });

  test('models return to the plan bucket when the upstream says so', () => {
    const moved = withModelBucket(UNKNOWN_HEALTH, 'constructor', 'codex_x');
    expect(moved.modelBuckets).toEqual({ constructor: 'codex_x' });
    expect(withModelBucket(moved, 'constructor', 'codex').modelBuckets).toEqual({});
    expect(withModelBucket(UNKNOWN_HEALTH, 'constructor', 'codex')).toBe(UNKNOWN_HEALTH);
  });

  test('repeated challenges wait longer, up to five minutes', () => {
    let health = UNKNOWN_HEALTH;
    let now = NOON;
    const waits: number[] = [];
    for (let turn = 0; turn < 7; turn += 1) {
      health = afterFailure(health, failureOf('challenge'), contextAt(now));
      waits.push(waitOf(health, now));
      now += waitOf(health, now);
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  test('the exact reset stands beside the spread end', () => {
    const cooldown = cooldownFor(afterFailure(UNKNOWN_HEALTH, quotaFailure({ retryAt: NOON + 14_400_000 }),
      contextAt(NOON, { random: 0.9 })), MODEL, NOON);
    expect(cooldown).toMatchObject({ resetsAt: NOON + 14_400_000, until: NOON + 14_405_000 });
  });
});

describe('evidence', () => {
  test('a newer reading with room ends a quota cooldown', () => {
    expect(blockedUntil(afterQuota(spent, [windowOf({ usedPercent: 3, seenAt: NOON + 1 })], NOON + 1), MODEL, NOON + 1)).toBeNull();
  });

  test('a reading near the brim counts only once it is two minutes newer', () => {
    expect(blockAfterReading(NOON + 1_000)).not.toBeNull();
    expect(blockAfterReading(NOON + 120_000)).toBeNull();
  });

  test.each([
    ['an older reading', windowOf({ usedPercent: 1, seenAt: NOON - 1 })],
    ['another bucket', windowOf({ bucket: 'codex_bengalfox', usedPercent: 1, seenAt: NOON + 1 })],
    ['a full window', windowOf({ usedPercent: 100, seenAt: NOON + 1, resetsAt: NOON + 90_000_000 })],
  ])('%s ends nothing', (_name, window) => {
    expect(waitOf(afterQuota(spent, [window], NOON + 1), NOON + 1)).toBe(86_399_999);
  });

  test('one full window among two keeps the cooldown', () => {
    const windows = [windowOf({ usedPercent: 0, seenAt: NOON + 1 }),
      windowOf({ minutes: 10_080, usedPercent: 100, seenAt: NOON + 1, resetsAt: NOON + 90_000_000 })];
    expect(blockedUntil(afterQuota(spent, windows, NOON + 1), MODEL, NOON + 1)).not.toBeNull();
  });

  test('an earlier reset moves the cooldown forward', () => {
    const health = afterQuota(spent, [windowOf({ usedPercent: 100, seenAt: NOON + 1, resetsAt: NOON + 5_000 })], NOON + 1);
    expect(blockedUntil(health, MODEL, NOON + 1)?.until).toBe(NOON + 5_000);
  });

  test('a throttle is no quota: readings do not end it', () => {
    const throttled = afterFailure(UNKNOWN_HEALTH, failureOf('rate-limited', { retryAt: NOON + 60_000, code: 'rate_limit_exceeded' }),
      contextAt(NOON));
    expect(waitOf(afterQuota(throttled, [windowOf({ usedPercent: 1, seenAt: NOON + 1 })], NOON + 1), NOON + 1)).toBe(59_999);
  });

  test('a success that began after the cooldown ends it, one under way before does not', () => {
    const success = (startedAt: number) => afterSuccess(spent, { now: NOON + 9_000, startedAt, model: MODEL, ttftMs: 5 });
    expect(blockedUntil(success(NOON + 1), MODEL, NOON + 9_000)).toBeNull();
    expect(blockedUntil(success(NOON - 1), MODEL, NOON + 9_000)).not.toBeNull();
  });

  test('wake ends every wait', () => {
    expect(wake(spent)).toMatchObject({ cooldowns: [], breaker: { state: 'closed' }, ladder: { rung: 0 } });
  });
});

describe('the breaker', () => {
  test('U19: three errors within a minute eject for 30 s, two do not', () => {
    expect(blockedUntil(strikes(2), MODEL, NOON + 2)).toBeNull();
    expect(blockedUntil(strikes(3), MODEL, NOON + 2)).toMatchObject({ cause: 'breaker', until: NOON + 2 + 30_000 });
  });

  test('errors further apart than a minute do not add up', () => {
    let health = UNKNOWN_HEALTH;
    for (let index = 0; index < 9; index += 1) health = afterFailure(health, failureOf('cut'), contextAt(NOON + index * 31_000));
    expect(health.breaker.state).toBe('closed');
  });

  test('the last usable account is never ejected', () => {
    expect(strikes(20, { ejection: 'withheld' }).breaker.state).toBe('closed');
    expect(blockedUntil(afterFailure(UNKNOWN_HEALTH, failureOf('overloaded', { retryAt: NOON + 60_000 }),
      contextAt(NOON, { ejection: 'withheld' })), MODEL, NOON)).toBeNull();
  });

  test('a failed probe ejects for longer, up to 10 minutes; a good one closes', () => {
    let health = strikes(3);
    const waits: number[] = [];
    let now = NOON + 2;
    for (let turn = 0; turn < 25; turn += 1) {
      now += waitOf(health, now);
      const probing = beginProbe(health, now);
      expect(probing.breaker).toMatchObject({ state: 'half-open', probeInFlight: true });
      health = afterFailure(probing, failureOf('timed-out'), contextAt(now));
      waits.push(waitOf(health, now));
    }
    expect(waits.slice(0, 3)).toEqual([60_000, 90_000, 120_000]);
    expect(waits.at(-1)).toBe(600_000);
    now += waitOf(health, now);
    const healed = afterSuccess(beginProbe(health, now), { now, startedAt: now, model: MODEL, ttftMs: 300 });
    expect(healed.breaker).toMatchObject({ state: 'closed', errorsAt: [] });
  });

  test('an answer that says nothing of the upstream gives the probe back', () => {
    const probing = beginProbe(strikes(3), NOON + 60_000);
    for (const kind of ['client-gone', 'invalid-request', 'rate-limited', 'unreachable'] as const) {
      expect(afterFailure(probing, failureOf(kind), contextAt(NOON + 60_001)).breaker).toMatchObject({ state: 'half-open',
        probeInFlight: false });
    }
    expect(releaseProbe(UNKNOWN_HEALTH)).toBe(UNKNOWN_HEALTH);
    expect(afterRestart(probing, NOON + 60_001).breaker).toMatchObject({ probeInFlight: false });
    expect(beginProbe(strikes(3), NOON + 10).breaker.state).toBe('open');
  });
});

test('time to first token and error rate are smoothed', () => {
  const first = afterSuccess(UNKNOWN_HEALTH, { now: NOON, startedAt: NOON, model: MODEL, ttftMs: 1_000 });
  expect(first.ttftMs).toBe(1_000);
  expect(afterSuccess(first, { now: NOON, startedAt: NOON, model: MODEL, ttftMs: 2_000 }).ttftMs).toBe(1_300);
  expect(afterSuccess(first, { now: NOON, startedAt: NOON, model: MODEL, ttftMs: null }).ttftMs).toBe(1_000);
  const failed = afterFailure(UNKNOWN_HEALTH, failureOf('cut'), contextAt(NOON));
  expect(failed.errorRate).toBeCloseTo(0.2);
  expect(afterSuccess(failed, { now: NOON, startedAt: NOON, model: MODEL, ttftMs: 1 }).errorRate).toBeCloseTo(0.16);
});
