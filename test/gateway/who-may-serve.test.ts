import { describe, expect, test } from 'vitest';

import { failed, rateLimited, usageLimited } from '../../src/mock/steps.ts';
import type { Answer, ServedAccountSpec, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, serveInProcess, SIGN_IN_MODEL, TWO_SIGN_INS } from '../support/serve-in-process.ts';

/** A sign-in and an API key that serve the same model, the key ranked behind it. */
const WITH_KEY: readonly ServedAccountSpec[] = [{ name: 'plan', kind: 'chatgpt' }, { name: 'key', kind: 'api-key', apiKey: 'sk-upstream-key', models: [SIGN_IN_MODEL] }];

let number = 0;
const ask = (relay: ServedRelay, key?: string): Promise<Answer> => {
  number += 1;
  return relay.ask('/v1/chat/completions', { body: chat(`Say ${number}`), ...(key !== undefined && { key }) });
};
const spent = () => usageLimited({ resetsAt: Math.floor(Date.now() / 1_000) + 3_600, resetsInSeconds: 3_600 });
const servedBy = async (relay: ServedRelay, key?: string): Promise<string | null> => (await ask(relay, key)).headers.get('x-relay-account');

describe('a client\'s own list of accounts', () => {
  test('is kept to, also when those accounts fail and others could serve', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    const key = await relay.client('second-only', { accounts: ['b'] });
    expect(await servedBy(relay, key)).toBe('b');
    relay.upstream.script('b', [rateLimited({ retryAfter: '600' })]);
    const message = expectError(await ask(relay, key), 429, 'accounts_exhausted');
    expect(message).toContain("'b'");
    expect(message).not.toContain("'a'");
    expect(relay.sent('a')).toHaveLength(0);
    expect(await servedBy(relay)).toBe('a');
  });

  test('of accounts that are gone is said to be the reason', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    const key = await relay.client('left-behind', { accounts: ['b'] });
    await relay.daemon.control.call('accounts.remove', { name: 'b' });
    expect(expectError(await ask(relay, key), 503, 'no_account')).toContain("'b'");
  });

  test('follows an account that is renamed', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    const key = await relay.client('loyal', { accounts: ['b'] });
    await relay.daemon.control.call('accounts.rename', { name: 'b', to: 'office' });
    expect(await servedBy(relay, key)).toBe('office');
  });
});

describe('priority', () => {
  test('lower numbers serve first, the next rank only when they cannot', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    expect(new Set(await Promise.all(Array.from({ length: 6 }, () => servedBy(relay))))).toEqual(new Set(['a']));
    relay.upstream.script('a', [failed(500)]);
    expect(await servedBy(relay)).toBe('b');
    expect(await servedBy(relay)).toBe('a');
  });
});

describe('U01 an API key beside a subscription', () => {
  test('does not take over for a spent one by itself, and the refusal says how it would', async () => {
    const relay = await serveInProcess({ accounts: WITH_KEY });
    relay.upstream.script('plan', [spent()]);
    const answer = await ask(relay);
    expect(expectError(answer, 429, 'usage_limit_reached')).toContain('relay config set routing.paidOverflow true');
    expect(relay.sent('key')).toHaveLength(0);
    expect(await servedBy(relay).catch(() => null)).toBeNull();
  });

  test('takes over where routing.paidOverflow says so', async () => {
    const relay = await serveInProcess({ accounts: WITH_KEY, config: { routing: { paidOverflow: true } } });
    relay.upstream.script('plan', [spent()]);
    const answer = await ask(relay);
    expect(answer.headers.get('x-relay-account')).toBe('key');
    expect(await relay.line(answer.id)).toMatchObject({ attempts: [{ account: 'plan', error: 'usage_limit_reached' }, { account: 'key', error: null }] });
  });

  test('takes over for a client that lists it, and for no other', async () => {
    const relay = await serveInProcess({ accounts: WITH_KEY });
    const key = await relay.client('spender', { accounts: ['plan', 'key'] });
    relay.upstream.script('plan', [spent()]);
    expect(await servedBy(relay, key)).toBe('key');
    expectError(await ask(relay), 429, 'usage_limit_reached');
    expect(await servedBy(relay, key)).toBe('key');
  });

  test('takes over for one that merely fails: nothing was spent', async () => {
    const relay = await serveInProcess({ accounts: WITH_KEY });
    relay.upstream.script('plan', [failed(503)]);
    expect(await servedBy(relay)).toBe('key');
  });
});

describe('U12 a suspended account', () => {
  test('is not used again from that moment, by nobody and for nothing', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    relay.upstream.fail('403', { account: 'a' });
    const before = relay.upstream.callsOf('a').length;
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(relay)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await relay.account('a')).toMatchObject({ state: 'needs-login', reason: expect.stringContaining('account_deactivated') });
    const calls = relay.upstream.callsOf('a').length;
    expect(calls - before).toBeLessThanOrEqual(5);
    relay.upstream.mend('a');
    for (let again = 0; again < 3; again += 1) expect(await servedBy(relay)).toBe('b');
    expect(relay.upstream.callsOf('a')).toHaveLength(calls);
  });
});
