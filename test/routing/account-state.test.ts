import { describe, expect, test } from 'vitest';

import { UNKNOWN_HEALTH } from '../../src/core/account.ts';
import { accountState, afterDeadLogin } from '../../src/routing/account-state.ts';
import { accountNamed, failureOf, healthWith, NOON } from './builders.ts';

describe('accountState', () => {
  const cooling = healthWith({ cooldowns: [{ scope: 'bucket:codex', until: NOON + 9, since: NOON, reason: 'usage_limit_reached' }] });
  const dead = accountNamed('a', { needsLogin: { reason: 'refresh_token_reused', at: NOON } });
  test.each([
    ['ready', accountState(accountNamed('a'), UNKNOWN_HEALTH, 'ready', NOON), { state: 'ready', until: null, reason: null }],
    ['paused goes first', accountState({ ...dead, paused: true }, cooling, 'locked', NOON), { state: 'paused' }],
    ['needs-login before locked', accountState(dead, cooling, 'locked', NOON), { state: 'needs-login', reason: 'refresh_token_reused' }],
    ['K03: locked', accountState(accountNamed('a'), cooling, 'locked', NOON), { state: 'locked' }],
    ['a missing credential', accountState(accountNamed('a'), cooling, 'missing', NOON), { state: 'needs-login' }],
    ['cooldown', accountState(accountNamed('a'), cooling, 'ready', NOON),
      { state: 'cooldown', until: NOON + 9, reason: 'usage_limit_reached' }],
    ['an ended cooldown is none', accountState(accountNamed('a'), cooling, 'ready', NOON + 9), { state: 'ready' }],
    ['open', accountState(accountNamed('a'), healthWith({ breaker: { state: 'open', until: NOON + 5, ejections: 1 } }), 'ready', NOON),
      { state: 'open', until: NOON + 5 }],
    ['an open breaker whose time is over',
      accountState(accountNamed('a'), healthWith({ breaker: { state: 'open', until: NOON, ejections: 1 } }), 'ready', NOON),
      { state: 'half-open' }],
  ])('%s', (_name, actual, expected) => {
    expect(actual).toMatchObject(expected);
  });

  test('U10 U12: a dead login marks the account until a person acts; other failures do not', () => {
    expect(afterDeadLogin(accountNamed('a'), failureOf('login-dead', { code: 'refresh_token_reused', message: 'used elsewhere' }),
      NOON).needsLogin)
      .toEqual({ reason: 'refresh_token_reused', at: NOON });
    expect(afterDeadLogin(accountNamed('a'), failureOf('unauthorized'), NOON).needsLogin).toBeNull();
  });
});
