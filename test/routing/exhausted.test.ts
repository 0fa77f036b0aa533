import { describe, expect, test } from 'vitest';

import type { AccountHealth, Cooldown } from '../../src/core/account.ts';
import type { Candidate } from '../../src/routing/candidate.ts';
import { CLOSED_ENDPOINT } from '../../src/routing/endpoint-breaker.ts';
import type { Exhaustion } from '../../src/routing/exhausted.ts';
import { exhausted } from '../../src/routing/exhausted.ts';
import { accountNamed, candidateNamed, choiceOf, failureOf, healthWith, NOON, paidNamed } from './builders.ts';

const HOUR = 3_600_000;
const cooling = (waitMs: number, changes: Partial<Cooldown> = {}): AccountHealth =>
  healthWith({ cooldowns: [{ scope: 'bucket:codex', until: NOON + waitMs + 700, resetsAt: NOON + waitMs, since: NOON,
    reason: 'usage_limit_reached', ...changes }] });
const dead = (name: string): Candidate =>
  candidateNamed(name, { account: accountNamed(name, { needsLogin: { reason: 'refresh_token_reused', at: NOON } }) });
const answer = (candidates: readonly Candidate[], wanted = {}, last: Exhaustion['last'] = null) =>
  exhausted(candidates, { wanted: choiceOf(wanted), now: NOON, last });
const say = (error: ReturnType<typeof exhausted>): string => `${error.status} ${error.body.code}`;

describe('nobody left', () => {
  const open = candidateNamed('work', { health: healthWith({ breaker: { state: 'open', until: NOON + 5_000, ejections: 1 } }) });
  const refused = cooling(1_800_000, { scope: 'model:gpt-6-sol', reason: 'model_refused' });
  const throttled = cooling(4_000, { scope: 'account', reason: 'rate_limit_exceeded' });
  type Row = readonly [name: string, error: ReturnType<typeof exhausted>, expected: string, mentions: string];
  test.each<Row>([
    ['no account at all', answer([]), '503 no_account', 'relay keys add'],
    ['only accounts the client may not use', answer([candidateNamed('work')], { clientAccounts: ['home'] }), '503 no_account', "'home'"],
    ['no account with the model', answer([candidateNamed('work', { servesModel: false })]), '404 model_not_found', 'relay models'],
    ['U16 U47: the model refused by all', answer([candidateNamed('work', { health: refused })]), '404 model_not_found', "'work'"],
    ['all need a person', answer([dead('work'), dead('home')]), '503 no_account', 'relay keys login home'],
    ['paused', answer([candidateNamed('work', { account: accountNamed('work', { paused: true }) })]), '503 no_account',
      'relay keys resume work'],
    ['a locked keychain', answer([candidateNamed('work', { credentialState: 'locked' })]), '503 no_account', 'unlock'],
    ['U15: a 401 after a refresh',
      answer([candidateNamed('work', { health: cooling(1_800_000, { scope: 'account', reason: 'unauthorized', resetsAt: undefined }) })],
      {}, { failure: failureOf('unauthorized', { status: 401 }), accountName: 'work' }), '503 no_account', 'unauthorized'],
    ['ejected', answer([open]), '503 overloaded', "'work'"],
    ['an origin that is down',
      answer([candidateNamed('work', { endpoint: { ...CLOSED_ENDPOINT, state: 'open', openedAt: NOON - 5, until: NOON + 9_000 } })]),
      '503 overloaded', 'is down'],
    ['every slot taken', answer([candidateNamed('work', { inFlight: 8 })]), '503 overloaded', '8 slots'],
    ['a throttle', answer([candidateNamed('work', { health: throttled })]), '429 accounts_exhausted', 'rate_limit_exceeded'],
    ['U43: a quota', answer([candidateNamed('work', { health: cooling(4 * HOUR) })]), '429 usage_limit_reached', 'relay keys wake work'],
    ['a spent quota beside a dead login', answer([dead('home'), candidateNamed('work', { health: cooling(HOUR) })]),
      '429 usage_limit_reached', 'relay keys login home'],
    ['credit of an API key', answer([paidNamed('api', { health: cooling(HOUR, { scope: 'account', reason: 'insufficient_quota' }) })]),
      '429 accounts_exhausted', "'api'"],
    ['U21: all origins unreachable', answer([candidateNamed('work')], { tried: new Set(['acc_work']) },
      { failure: failureOf('unreachable', { message: 'connection refused' }), accountName: 'work' }), '502 upstream_error',
      'connection refused'],
    ['U19: the last one overloaded, the other spent', answer([candidateNamed('home', { health: cooling(HOUR) }), candidateNamed('work')],
      { tried: new Set(['acc_work']) }, { failure: failureOf('overloaded', { status: 503 }), accountName: 'work' }), '503 overloaded',
      "'home' waits"],
    ['U26: the last one timed out', answer([candidateNamed('work')], { tried: new Set(['acc_work']) },
      { failure: failureOf('timed-out'), accountName: 'work' }), '504 upstream_timeout', "'work'"],
  ])('%s', (_name, error, expected, mentions) => {
    expect(say(error)).toBe(expected);
    expect(error.message).toContain(mentions);
  });

  test('U43: Retry-After is at most 60, the reset exact, and the plan that of the soonest account', () => {
    const error = answer([
      candidateNamed('later', { health: cooling(9 * HOUR), account: accountNamed('later', { plan: 'team' }) }),
      candidateNamed('work', { health: cooling(4 * HOUR), account: accountNamed('work', { plan: 'pro' }) }),
    ]);
    expect(error.details).toMatchObject({ retryAfterSeconds: 60, shouldRetry: false });
    expect(error.body).toMatchObject({
      type: 'usage_limit_reached', code: 'usage_limit_reached', plan_type: 'pro', resets_at: (NOON + 4 * HOUR) / 1_000,
        resets_in_seconds: 4 * 3_600,
    });
    expect(error.message).toContain('2026-11-21T16:00:00Z (in 4h 0m)');
  });

  test('a short wait may be retried', () => {
    expect(answer([candidateNamed('work', { health: cooling(4_000) })]).details).toMatchObject({ retryAfterSeconds: 4 });
    expect('shouldRetry' in answer([candidateNamed('work', { health: cooling(4_000) })]).details).toBe(false);
  });

  test('a paid key that was held back is named with the way to let it in', () => {
    const error = answer([candidateNamed('sub', { health: cooling(HOUR) }), paidNamed('api')]);
    expect(say(error)).toBe('429 usage_limit_reached');
    expect(error.message).toContain("'api' is a paid API key and held back: relay config set routing.paidOverflow true");
  });

  test('many accounts make no endless message', () => {
    const error = answer(Array.from({ length: 40 }, (_, index) => dead(`n${index}`)));
    expect(error.message).toContain('and 34 more');
    expect(error.message.length).toBeLessThan(700);
  });
});
