import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { AccountHealth } from '../../src/core/account.ts';
import type { Candidate } from '../../src/routing/candidate.ts';
import type { ChoiceRequest, Decision } from '../../src/routing/choose-account.ts';
import { chooseAccount, routeRecord, worthWaitingUntil } from '../../src/routing/choose-account.ts';
import type { EndpointBreaker } from '../../src/routing/endpoint-breaker.ts';
import { CLOSED_ENDPOINT } from '../../src/routing/endpoint-breaker.ts';
import type { Strategy } from '../../src/routing/score.ts';
import { accountNamed, candidateNamed, choiceOf, healthWith, NOON, paidNamed, windowOf } from './builders.ts';

const used = (usedPercent: number, changes = {}): AccountHealth => healthWith({ quota: [windowOf({ usedPercent, ...changes })] });
const cooling = (untilMs: number, reason = 'usage_limit_reached', scope: 'account' | 'bucket:codex' = 'bucket:codex'): AccountHealth =>
  healthWith({ cooldowns: [{ scope, until: NOON + untilMs, since: NOON - 1, reason }] });
const openEndpoint: EndpointBreaker = { ...CLOSED_ENDPOINT, state: 'open', openings: 1, openedAt: NOON - 1_000, until: NOON + 9_000 };

const winner = (candidates: readonly Candidate[], changes: Partial<ChoiceRequest> = {}): string | null =>
  chooseAccount(candidates, choiceOf(changes)).account?.name ?? null;
const whyOut = (decision: Decision): Record<string, string | undefined> =>
  Object.fromEntries(decision.candidates.map(({ account, out }) => [account, out]));

const anAccount = (changes: Parameters<typeof accountNamed>[1]) => ({ account: accountNamed('x', changes) });
const stickTo = (name: string, bound = false): Partial<ChoiceRequest> => ({ sticky: { kind: 'known', accountId: `acc_${name}`, bound } });
const stickyWord = (sticky: ChoiceRequest['sticky']) => chooseAccount([candidateNamed('a')], choiceOf({ sticky })).sticky;
const weekWith = (days: number) => used(50, { minutes: 10_080, resetsAt: NOON + days * 86_400_000 });

const slowSubscription = (usedPercent: number): Candidate =>
  candidateNamed('sub', { health: { ...used(usedPercent), ttftMs: 60_000, errorRate: 0.9 } });

describe('who is put out, and why', () => {
  test.each<readonly [string, Partial<Candidate>, Partial<ChoiceRequest>, string]>([
    ['an account that is not on the client list', {}, { clientAccounts: ['y'] }, 'not-allowed'],
    ['U47: one that does not serve the model', { servesModel: false }, {}, 'no-such-model'],
    ['a paused one', anAccount({ paused: true }), {}, 'paused'],
    ['U10: one that needs a person', anAccount({ needsLogin: { reason: 'refresh_token_reused', at: NOON } }), {}, 'needs-login'],
    ['one without a credential', { credentialState: 'missing' }, {}, 'needs-login'],
    ['one in a locked keychain', { credentialState: 'locked' }, {}, 'locked'],
    ['one this request has been to', {}, { tried: new Set(['acc_x']) }, 'tried'],
    ['U01: a cooling one', { health: cooling(5_000) }, {}, 'cooldown'],
    ['an ejected one', { health: healthWith({ breaker: { state: 'open', until: NOON + 5, ejections: 1 } }) }, {}, 'breaker'],
    ['one whose probe is in flight', { health: healthWith({ breaker: { state: 'half-open', probeInFlight: true, ejections: 1 } }) }, {},
      'probe'],
    ['one whose origin is down', { endpoint: openEndpoint }, {}, 'endpoint'],
    ['one with all slots in use', { inFlight: 8 }, {}, 'busy'],
  ])('%s', (_name, changes, request, out) => {
    const decision = chooseAccount([candidateNamed('x', changes)], choiceOf(request));
    expect(decision.account).toBeNull();
    expect(whyOut(decision)).toEqual({ x: out });
  });

  test.each<readonly [string, Partial<Candidate>]>([
    ['a cooldown of another model',
      { health: healthWith({ cooldowns: [{ scope: 'model:gpt-6-luna', until: NOON + 9, since: NOON, reason: 'model_refused' }] }) }],
    ['a cooldown of another bucket',
      { health: healthWith({ cooldowns: [{ scope: 'bucket:codex_bengalfox', until: NOON + 9, since: NOON,
      reason: 'usage_limit_reached' }] }) }],
    ['a cooldown that has ended', { health: cooling(0) }],
    ['a breaker whose time is over', { health: healthWith({ breaker: { state: 'open', until: NOON, ejections: 1 } }) }],
    ['a half-open breaker without a probe',
      { health: healthWith({ breaker: { state: 'half-open', probeInFlight: false, ejections: 1 } }) }],
    ['an origin that failed only since this request came', { endpoint: { ...openEndpoint, openedAt: NOON } }],
    ['an origin due for its probe', { endpoint: { ...openEndpoint, until: NOON } }],
    ['U06: a spent quota, when it is the only one', { health: used(100) }],
  ])('%s puts nobody out', (_name, changes) => {
    expect(winner([candidateNamed('x', changes)])).toBe('x');
  });
});

describe('waiting', () => {
  test('U43: nobody can serve: the soonest of those that come back by themselves', () => {
    const decision = chooseAccount([candidateNamed('a', { health: cooling(4_000) }), candidateNamed('b', { health: cooling(14_400_000) })],
      choiceOf());
    expect(decision).toMatchObject({ account: null, waitUntil: NOON + 4_000 });
    expect(worthWaitingUntil(decision, NOON)).toBe(NOON + 4_000);
    expect(worthWaitingUntil(decision, NOON, 'b')).toBeNull();
  });

  test('U43: four hours are not waited for', () => {
    expect(worthWaitingUntil(chooseAccount([candidateNamed('a', { health: cooling(14_400_000) })], choiceOf()), NOON)).toBeNull();
    expect(worthWaitingUntil(chooseAccount([], choiceOf()), NOON)).toBeNull();
  });

  test('an origin whose probe is in flight is looked at again in a second, never at once', () => {
    const endpoint: EndpointBreaker = { ...openEndpoint, state: 'half-open', until: NOON - 5, probeInFlight: true };
    const decision = chooseAccount([candidateNamed('a', { endpoint })], choiceOf());
    expect(decision.waitUntil).toBe(NOON + 1_000);
    expect(worthWaitingUntil(decision, NOON)).toBe(NOON + 1_000);
  });

  test('an origin that is down is told at once, however soon it is asked again', () => {
    const endpoint: EndpointBreaker = { ...openEndpoint, until: NOON + 4_000 };
    expect(worthWaitingUntil(chooseAccount([candidateNamed('a', { endpoint })], choiceOf()), NOON)).toBeNull();
  });
});

describe('live conversations', () => {
  test('stay on their account though another has more room, load and speed', () => {
    const worn = candidateNamed('a', { health: { ...used(98), ttftMs: 30_000, errorRate: 0.5 }, inFlight: 7 });
    const decision = chooseAccount([worn, candidateNamed('b')], choiceOf(stickTo('a')));
    expect([decision.account?.name, decision.sticky]).toEqual(['a', 'hit']);
  });

  test('U06: stay also while the quota is nearly spent, which moves only new ones', () => {
    const nearly = candidateNamed('a', { health: used(99.5) });
    expect(winner([nearly, candidateNamed('b')], stickTo('a'))).toBe('a');
    expect(winner([nearly, candidateNamed('b')])).toBe('b');
  });

  test('move when their account cannot serve, and say so', () => {
    const decision = chooseAccount([candidateNamed('a', { health: cooling(9_999) }), candidateNamed('b')], choiceOf(stickTo('a')));
    expect([decision.account?.name, decision.sticky]).toEqual(['b', 'moved']);
  });

  test('move from a spent account only when one with room is there', () => {
    expect(winner([candidateNamed('a', { health: used(100) }), candidateNamed('b')], stickTo('a'))).toBe('b');
    expect(winner([candidateNamed('a', { health: used(100) }), candidateNamed('b', { health: used(100) })], stickTo('a'))).toBe('a');
  });

  test('bound to their owner never move: they wait for it', () => {
    const decision = chooseAccount([candidateNamed('a', { health: cooling(3_000) }), candidateNamed('b', { health: cooling(1_000) }),
      candidateNamed('c')], choiceOf(stickTo('a', true)));
    expect(decision).toMatchObject({ account: null, waitUntil: NOON + 3_000, sticky: 'moved' });
    expect(winner([candidateNamed('a', { health: used(100) }), candidateNamed('c')], stickTo('a', true))).toBe('a');
  });

  test('are told apart from new ones and from none', () => {
    expect([stickyWord({ kind: 'none' }), stickyWord({ kind: 'new' }),
      stickyWord({ kind: 'known', accountId: 'acc_gone', bound: false })]).toEqual(['none', 'miss', 'moved']);
  });
});

describe('new sessions', () => {
  test('lower priority numbers go first, whatever the strategy', () => {
    const strategies: readonly Strategy[] = ['balanced', 'drain-soonest', 'priority', 'cheapest', 'fastest', 'round-robin'];
    for (const strategy of strategies) {
      const slow = candidateNamed('sub', { health: { ...used(80), ttftMs: 20_000 }, lastChosenAt: NOON });
      expect(winner([paidNamed('api', { health: healthWith({ ttftMs: 100 }), usdPerMillion: 0 }), slow], { strategy })).toBe('sub');
    }
  });

  test('balanced: the account with more room, and not the one at work', () => {
    expect(winner([candidateNamed('a', { health: used(70) }), candidateNamed('b', { health: used(20) })])).toBe('b');
    expect(winner([candidateNamed('a', { inFlight: 4 }), candidateNamed('b')])).toBe('b');
    expect(winner([candidateNamed('a', { health: healthWith({ errorRate: 0.6 }) }), candidateNamed('b')])).toBe('b');
  });

  test('drain-soonest: the quota that would lapse first', () => {
    const candidates = [candidateNamed('later', { health: weekWith(6) }), candidateNamed('soon', { health: weekWith(1) }),
      candidateNamed('middle', { health: weekWith(3) })];
    expect(winner(candidates, { strategy: 'drain-soonest' })).toBe('soon');
  });

  test('cheapest, fastest: what they say', () => {
    const keys = [paidNamed('dear', { usdPerMillion: 40, health: healthWith({ ttftMs: 200 }) }),
      paidNamed('cheap', { usdPerMillion: 1, health: healthWith({ ttftMs: 9_000 }) })];
    expect(winner(keys, { strategy: 'cheapest' })).toBe('cheap');
    expect(winner(keys, { strategy: 'fastest' })).toBe('dear');
  });

  test('priority fills the account added first, round-robin takes the one not chosen the longest', () => {
    const accounts = [
      candidateNamed('new', { account: accountNamed('new', { createdAt: NOON + 5 }), lastChosenAt: NOON - 9 }),
      candidateNamed('old', { account: accountNamed('old', { createdAt: NOON }), health: used(90), lastChosenAt: NOON - 1 }),
    ];
    expect(winner(accounts, { strategy: 'priority' })).toBe('old');
    expect(winner(accounts, { strategy: 'round-robin' })).toBe('new');
    expect(winner([...accounts, candidateNamed('never')], { strategy: 'round-robin' })).toBe('never');
  });

  test('the user weighs as the user likes', () => {
    const candidates = [candidateNamed('roomy', { health: { ...used(0), ttftMs: 9_000 } }),
      candidateNamed('quick', { health: { ...used(80), ttftMs: 100 } })];
    expect(winner(candidates)).toBe('roomy');
    expect(winner(candidates, { weights: { speed: 50 } })).toBe('quick');
    expect(winner(candidates, { weights: { headroom: 0, lapse: 0, load: 0, speed: 0, reliability: 0, cost: 0 } })).toBe('roomy');
  });

  test('a turn goes where it fits', () => {
    const candidates = [candidateNamed('small', { health: { ...used(98), ttftMs: 10 } }),
      candidateNamed('large', { health: { ...used(60), errorRate: 0.9, ttftMs: 60_000 } })];
    expect(winner(candidates, { estimatedTokens: 200_000, weights: { headroom: 0 } })).toBe('large');
    expect(winner(candidates, { estimatedTokens: 2_000, weights: { headroom: 0 } })).toBe('small');
    expect(winner(candidates.slice(0, 1), { estimatedTokens: 200_000 })).toBe('small');
  });

  test('U06: at 99 % used another account is preferred, also one of a lower rank that costs nothing more', () => {
    const second = candidateNamed('b', { account: accountNamed('b', { priority: 15 }), health: used(95) });
    expect(winner([candidateNamed('a', { health: used(99) }), second])).toBe('b');
    expect(winner([candidateNamed('a', { health: used(98.9) }), second])).toBe('a');
    expect(winner([candidateNamed('a', { health: used(99, { resetsAt: NOON }) }), second])).toBe('a');
  });

  test('ties break by the random number handed in, evenly', () => {
    const candidates = ['a', 'b', 'c', 'd'].map((name) => candidateNamed(name));
    expect([0, 0.25, 0.5, 0.999_999].map((random) => winner(candidates, { random }))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('paid overflow', () => {
  const spent = candidateNamed('sub', { health: cooling(3_600_000) });

  test('an API key does not take over for a spent subscription by itself', () => {
    const decision = chooseAccount([spent, paidNamed('api')], choiceOf());
    expect(decision.account).toBeNull();
    expect(whyOut(decision)).toEqual({ sub: 'cooldown', api: 'paid' });
  });

  test('it does with paid overflow on, or where the client lists it', () => {
    expect(winner([spent, paidNamed('api')], { paidOverflow: true })).toBe('api');
    expect(winner([spent, paidNamed('api')], { clientAccounts: ['sub', 'api'] })).toBe('api');
  });

  test('a throttled subscription spends nothing either', () => {
    expect(winner([candidateNamed('sub', { health: cooling(5_000, 'rate_limit_exceeded', 'account') }), paidNamed('api')])).toBeNull();
  });

  test.each<readonly [string, Candidate]>([
    ['is broken', candidateNamed('sub', { health: healthWith({ breaker: { state: 'open', until: NOON + 9, ejections: 1 } }) })],
    ['needs a person', candidateNamed('sub', { account: accountNamed('sub', { needsLogin: { reason: 'x', at: NOON } }) })],
    ['does not serve the model', candidateNamed('sub', { health: cooling(9_000), servesModel: false })],
    ['is paused', candidateNamed('sub', { account: accountNamed('sub', { paused: true }), health: cooling(9_000) })],
  ])('an API key serves where the subscription %s', (_name, subscription) => {
    expect(winner([subscription, paidNamed('api')])).toBe('api');
  });

  test('a nearly or wholly used subscription is asked before money is spent', () => {
    expect(winner([candidateNamed('sub', { health: used(99.5) }), paidNamed('api')])).toBe('sub');
    expect(winner([candidateNamed('sub', { health: used(100) }), paidNamed('api')])).toBe('sub');
    expect(winner([candidateNamed('sub', { health: used(100) }), paidNamed('api')], { paidOverflow: true })).toBe('api');
  });

  test('a throttled API key does not hold back another', () => {
    const throttled = paidNamed('first', { health: cooling(5_000, 'rate_limit_exceeded', 'account') });
    expect(winner([throttled, paidNamed('second')])).toBe('second');
  });

  test('an API key the user ranks level with a subscription competes with it as long as that is fresh', () => {
    const level = paidNamed('api', { account: accountNamed('api', { priority: 10 }), health: healthWith({ ttftMs: 100 }) });
    expect(winner([slowSubscription(90), level])).toBe('api');
    expect(winner([slowSubscription(99), level])).toBe('sub');
  });

  test('an API key the user ranked first is no overflow', () => {
    expect(winner([candidateNamed('sub', { health: used(99.5) }),
      paidNamed('api', { account: accountNamed('api', { priority: 5 }) })])).toBe('api');
  });
});

describe('the decision', () => {
  const health = fc.record({ percent: fc.integer({ min: 0, max: 100 }), cool: fc.boolean(),
    ttft: fc.option(fc.integer({ min: 1, max: 60_000 })) });
  const pool = fc.array(health, { maxLength: 12 }).map((all) => all.map(({ percent, cool, ttft }, index) =>
    candidateNamed(`n${index}`, { health: { ...used(percent), ttftMs: ttft, cooldowns: cool ? cooling(5_000).cooldowns : [] },
      inFlight: index % 4 })));

  test('is the same for the same request, names everyone once, puts the winner first, and explains itself in 0-1', () => {
    fc.assert(fc.property(pool, fc.double({ min: 0, max: 0.999, noNaN: true }), fc.constantFrom<Strategy>('balanced', 'drain-soonest',
      'priority', 'cheapest', 'fastest', 'round-robin'), (candidates, random, strategy) => {
      const request = choiceOf({ random, strategy });
      const decision = chooseAccount(candidates, request);
      expect(chooseAccount(candidates, request)).toEqual(decision);
      expect(decision.candidates.map(({ account }) => account).toSorted()).toEqual(candidates.map(({ account }) =>
        account.name).toSorted());
      if (decision.account !== null) expect(decision.candidates[0]?.account).toBe(decision.account.name);
      else expect(decision.candidates.every(({ out }) => out !== undefined)).toBe(true);
      for (const { score, parts } of decision.candidates) {
        for (const value of [score ?? 0, ...Object.values(parts ?? {})]) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
      }
    }));
  });

  test('the journal keeps eight candidates and counts the rest', () => {
    const decision = chooseAccount(Array.from({ length: 11 }, (_, index) => candidateNamed(`n${index}`)), choiceOf());
    expect(routeRecord(decision)).toMatchObject({ strategy: 'balanced', sticky: 'none', whyMore: 3 });
    expect(routeRecord(decision).why).toHaveLength(8);
    expect('more' in routeRecord(chooseAccount([candidateNamed('a')], choiceOf()))).toBe(false);
  });
});
