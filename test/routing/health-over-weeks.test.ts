import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { UNKNOWN_HEALTH } from '../../src/core/account.ts';
import type { FailureKind } from '../../src/core/failure.ts';
import { parseState } from '../../src/core/state.ts';
import { afterFailure, afterQuota, afterSuccess, beginProbe, blockedUntil } from '../../src/routing/health.ts';
import { LONGEST_HINT_MS } from '../../src/routing/hints.ts';
import { contextAt, failureOf, NOON, windowOf } from './builders.ts';

const MODEL = 'gpt-6-sol';

describe('over weeks of anything', () => {
  const KINDS: readonly FailureKind[] = [
    'unreachable', 'certificate-invalid', 'rate-limited', 'quota-exhausted', 'unauthorized', 'login-dead', 'refresh-unavailable',
      'credential-unavailable',
    'account-refused', 'model-refused', 'challenge', 'invalid-request', 'foreign-ciphertext', 'overloaded', 'cut', 'timed-out',
      'invalid-response', 'client-gone',
  ];
  const event = fc.record({
    sinceMs: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 86_400_000 })),
    what: fc.constantFrom('failure', 'failure', 'failure', 'success', 'quota', 'probe'),
    kind: fc.constantFrom(...KINDS),
    hintMs: fc.option(fc.oneof(fc.integer({ min: -90_000, max: 60_000 }), fc.integer({ min: 0, max: 30 * 86_400_000 }))),
    code: fc.constantFrom('usage_limit_reached', 'rate_limit_exceeded', 'insufficient_quota'),
    bucket: fc.constantFrom(null, 'codex', 'codex_bengalfox'),
    ranMs: fc.integer({ min: 0, max: 600_000 }),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    percent: fc.integer({ min: 0, max: 100 }),
    ejection: fc.constantFrom('allowed' as const, 'withheld' as const),
  });

  test('no cooldown outlives its reset by more than its spread, no ladder its cap, and every account comes back by itself', () => {
    fc.assert(fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let health = UNKNOWN_HEALTH;
      let now = NOON;
      for (const { sinceMs, what, kind, hintMs, code, bucket, ranMs, random, percent, ejection } of events) {
        now += sinceMs;
        const startedAt = now - ranMs;
        if (what === 'success') health = afterSuccess(health, { now, startedAt, model: MODEL, ttftMs: ranMs });
        else if (what === 'probe') health = beginProbe(health, now);
        else if (what === 'quota') health = afterQuota(health,
          [windowOf({ usedPercent: percent, seenAt: now, resetsAt: now + (hintMs ?? 60_000) })], now);
        else health = afterFailure(health, failureOf(kind, { code, bucket, retryAt: hintMs === null ? null : now + hintMs }),
          contextAt(now, { startedAt, random, ejection }));

        for (const cooldown of health.cooldowns) {
          const lengthMs = cooldown.until - cooldown.since;
          if (cooldown.resetsAt !== undefined && cooldown.resetsAt > cooldown.since + 1_000) {
            expect(cooldown.until - cooldown.resetsAt).toBeLessThanOrEqual(Math.min(5_000, 0.05 * lengthMs) + 1);
            expect(lengthMs).toBeLessThanOrEqual(LONGEST_HINT_MS + 5_000);
          }
          if (cooldown.resetsAt === undefined) expect(lengthMs).toBeLessThanOrEqual(1_800_000 * 1.05 + 1);
        }
        expect(health.cooldowns.length).toBeLessThan(40);
        expect(health.errorRate).toBeGreaterThanOrEqual(0);
        expect(health.errorRate).toBeLessThanOrEqual(1);
      }
      expect(blockedUntil(health, MODEL, now + LONGEST_HINT_MS + 5_001)).toBeNull();
    }), { numRuns: 300 });
  });

  test('health survives state.json unchanged', () => {
    const failed = afterFailure(UNKNOWN_HEALTH,
      failureOf('quota-exhausted', { code: 'usage_limit_reached', bucket: 'codex_x', retryAt: NOON + 9_000 }), contextAt(NOON));
    const health = afterQuota(afterQuota(failed, [windowOf()], NOON), [windowOf({ usedPercent: 41, seenAt: NOON + 60_000 })],
      NOON + 60_000);
    const state = parseState(JSON.parse(JSON.stringify({
      version: 1, accounts: [], health: { a: health }, catalogues: [], clients: [], budgets: [], termsAcceptedAt: null, lastSeenAt: 0,
    })));
    expect(state.health['a']).toEqual(health);
    expect(health.quota[0]?.percentPerHour).toBeGreaterThan(0);
  });
});
