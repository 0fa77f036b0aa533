import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Candidate } from '../../src/routing/candidate.ts';
import type { ChoiceRequest } from '../../src/routing/choose-account.ts';
import { chooseAccount } from '../../src/routing/choose-account.ts';
import { STRATEGIES } from '../../src/routing/score.ts';
import { whatWouldChange } from '../../src/routing/what-would-change.ts';
import { accountNamed, candidateNamed, choiceOf, healthWith, NOON, paidNamed, windowOf } from './builders.ts';

const cooling = healthWith({ cooldowns: [{ scope: 'account', until: NOON + 3_600_000, since: NOON, reason: 'rate_limit_exceeded' }] });

function changesOf(candidates: readonly Candidate[], change: Partial<ChoiceRequest> = {}) {
  const request = choiceOf(change);
  return whatWouldChange(candidates, request, chooseAccount(candidates, request));
}

describe('what is lifted', () => {
  test.each<[string, Candidate, string, Partial<ChoiceRequest>]>([
    ['a pause', candidateNamed('b', { account: accountNamed('b', { paused: true, priority: 1 }) }), 'resume', {}],
    ['a sign-in that is over', candidateNamed('b', { account: accountNamed('b', { needsLogin: { reason: 'x', at: 0 }, priority: 1 }) }), 'login', {}],
    ['a locked keychain', candidateNamed('b', { account: accountNamed('b', { priority: 1 }), credentialState: 'locked' }), 'unlock', {}],
    ['a cooldown', candidateNamed('b', { account: accountNamed('b', { priority: 1 }), health: cooling }), 'wake', {}],
    ['full slots', candidateNamed('b', { account: accountNamed('b', { priority: 1 }), inFlight: 8 }), 'slot', {}],
    ['a scope', candidateNamed('b', { account: accountNamed('b', { priority: 1 }) }), 'allow', { clientAccounts: ['a'] }],
  ])('%s names the account and the way', (_what, candidate, change, request) => {
    const changes = changesOf([candidateNamed('a'), candidate], request);
    expect(changes.filter(({ account }) => account === 'b').map((found) => found.change)).toContain(change);
  });

  test('a cooldown also says when it ends by itself', () => {
    const changes = changesOf([candidateNamed('a'), candidateNamed('b', { account: accountNamed('b', { priority: 1 }), health: cooling })]);
    expect(changes).toContainEqual({ change: 'wake', account: 'b', until: NOON + 3_600_000 });
  });

  test('paid overflow is named where a key waits behind a spent subscription', () => {
    expect(changesOf([candidateNamed('a', { health: cooling }), paidNamed('key')])).toContainEqual({ change: 'paid-overflow', account: 'key', until: null });
  });

  test('what would not win all the same is not named', () => {
    const weak = candidateNamed('b', { account: accountNamed('b', { paused: true, priority: 90 }) });
    expect(changesOf([candidateNamed('a'), weak]).filter(({ account }) => account === 'b')).toEqual([]);
  });
});

describe('what would have to be better', () => {
  const nearly = healthWith({ quota: [windowOf({ usedPercent: 60 })] });

  test('the part that lacks least, with what it was and what it takes', () => {
    const [change] = changesOf([candidateNamed('a', { health: healthWith({ quota: [windowOf({ usedPercent: 10 })] }) }), candidateNamed('b', { health: nearly })])
      .filter(({ change: kind }) => kind === 'part');
    expect(change).toMatchObject({ account: 'b', to: 'headroom', from: 0.4 });
    expect(change?.needed).toBeCloseTo(0.9, 5);
  });

  test('a better priority, where that alone is what is lacking', () => {
    const changes = changesOf([candidateNamed('a', { health: nearly }), candidateNamed('b', { account: accountNamed('b', { priority: 20 }) })]);
    expect(changes).toContainEqual({ change: 'priority', account: 'b', to: 'below 10' });
  });

  test('another strategy, by its name', () => {
    const cheap = paidNamed('cheap', { usdPerMillion: 0.1, health: nearly });
    expect(changesOf([paidNamed('dear', { usdPerMillion: 60 }), cheap])).toContainEqual({ change: 'strategy', account: 'cheap', to: 'cheapest' });
  });
});

test('every change that is named is true: made, it changes the choice to the account it names', () => {
  const candidate = fc.record({
    priority: fc.constantFrom(10, 20), used: fc.integer({ min: 0, max: 98 }), inFlight: fc.integer({ min: 0, max: 8 }), paused: fc.boolean(), ttft: fc.integer({ min: 100, max: 9_000 }),
  });
  fc.assert(fc.property(fc.array(candidate, { minLength: 1, maxLength: 5 }), fc.constantFrom(...STRATEGIES), (specs, strategy) => {
    const candidates = specs.map(({ priority, used, inFlight, paused, ttft }, index) => candidateNamed(`n${index}`, {
      account: accountNamed(`n${index}`, { priority, paused }), inFlight, health: healthWith({ ttftMs: ttft, quota: [windowOf({ usedPercent: used })] }),
    }));
    const request = choiceOf({ strategy });
    const decision = chooseAccount(candidates, request);
    for (const change of whatWouldChange(candidates, request, decision)) {
      expect(change.account).not.toBe(decision.account?.name);
      if (change.change === 'strategy') {
        expect(chooseAccount(candidates, choiceOf({ strategy: STRATEGIES.find((known) => known === change.to) ?? strategy })).account?.name).toBe(change.account);
      }
      if (change.change === 'resume') {
        const resumed = candidates.map((other) => (other.account.name === change.account ? { ...other, account: { ...other.account, paused: false } } : other));
        expect(chooseAccount(resumed, request).account?.name).toBe(change.account);
      }
      if (change.change === 'part') expect(change.needed ?? 2).toBeLessThanOrEqual(1);
    }
  }));
});
