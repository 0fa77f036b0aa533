import { describe, expect, test } from 'vitest';

import type { Credential } from '../../src/core/account.ts';
import type { ControlParams } from '../../src/core/control-messages.ts';
import { handleControlMessage } from '../../src/control/create-control.ts';
import { rateLimited } from '../../src/mock/steps.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, serveInProcess, serveTimed } from '../support/serve-in-process.ts';

const adding = (credential: Credential, change: Partial<ControlParams<'accounts.add'>> = {}): ControlParams<'accounts.add'> => ({
  name: 'new',
  provider: 'chatgpt',
  kind: 'chatgpt',
  credential,
  baseUrl: null,
  wire: null,
  priority: null,
  acceptTerms: false,
  verify: true,
  ...change,
});
const keyed = (name: string | null, apiKey: string, change: Partial<ControlParams<'accounts.add'>> = {}): ControlParams<'accounts.add'> =>
  adding({ kind: 'api-key', apiKey }, { name, provider: 'openai', kind: 'openai', ...change });
const namesOf = async (relay: ServedRelay): Promise<readonly string[]> =>
  (await relay.daemon.control.call('accounts.list', {})).map(({ name }) => name);

describe('adding accounts', () => {
  test('a sign-in is checked, knows its plan and its models, and serves at once', async () => {
    const relay = await serveInProcess({ accounts: [] });
    relay.upstream.add({ name: 'first', kind: 'chatgpt', plan: 'pro', email: 'ada@example.com' });
    const { account, test: check } = await relay.daemon.control.call(
      'accounts.add',
      adding(relay.upstream.account('first').credential, { name: null }),
    );
    expect(check).toMatchObject({ ok: true, models: expect.any(Number) });
    expect(account).toMatchObject({ name: 'ada', provider: 'chatgpt', plan: 'pro', state: 'ready' });
    expect(account.models).toContain('gpt-5.5');
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say hi') })).status).toBe(200);
  });

  test('a second ChatGPT account needs the notice accepted, and the answer is kept with its date', async () => {
    const relay = await serveTimed({ accounts: [] });
    for (const name of ['one', 'two', 'three']) relay.upstream.add({ name, kind: 'chatgpt' });
    const add = (name: string, acceptTerms: boolean) =>
      relay.daemon.control.call('accounts.add', adding(relay.upstream.account(name).credential, { name, acceptTerms }));
    await add('one', false);
    await expect(add('two', false)).rejects.toMatchObject({ code: 'terms', message: expect.stringContaining('terms') });
    await add('two', true);
    // Asked once.
    await add('three', false);
    expect(await namesOf(relay)).toEqual(['one', 'two', 'three']);
  });

  test('the same sign-in is not added twice', async () => {
    const relay = await serveInProcess();
    await expect(
      relay.daemon.control.call('accounts.add', adding(relay.upstream.account('a').credential, { acceptTerms: true })),
    ).rejects.toMatchObject({ code: 'exists', message: expect.stringContaining('relay keys login a') });
  });

  test('S13 of twenty that want one name at once, one gets it', async () => {
    const relay = await serveInProcess({ accounts: [] });
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => relay.daemon.control.call('accounts.add', keyed('same', `sk-${index}`, { verify: false }))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await namesOf(relay)).toEqual(['same']);
  });

  test('S13 twenty without a name get twenty names', async () => {
    const relay = await serveInProcess({ accounts: [] });
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => relay.daemon.control.call('accounts.add', keyed(null, `sk-${index}`, { verify: false }))),
    );
    expect(new Set(await namesOf(relay)).size).toBe(20);
  });

  test('a key that does not work is not kept, and says why', async () => {
    const relay = await serveInProcess({ accounts: [] });
    await expect(relay.daemon.control.call('accounts.add', keyed('wrong', 'sk-nobody'))).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('--no-verify'),
    });
    expect(await namesOf(relay)).toEqual([]);
    await relay.daemon.control.call('accounts.add', keyed('wrong', 'sk-nobody', { verify: false }));
    expect(await namesOf(relay)).toEqual(['wrong']);
  });
});

describe('what a person does to an account', () => {
  test('pausing keeps it out, resuming brings it back', async () => {
    const relay = await serveInProcess();
    expect(await relay.daemon.control.call('accounts.pause', { name: 'a' })).toMatchObject({ state: 'paused' });
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say one') })).headers.get('x-relay-account')).toBe('b');
    expect(await relay.daemon.control.call('accounts.resume', { name: 'a' })).toMatchObject({ state: 'ready' });
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say two') })).headers.get('x-relay-account')).toBe('a');
  });

  test('waking ends its wait', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [rateLimited({ retryAfter: '3600' })]);
    await relay.ask('/v1/chat/completions', { body: chat('Say one') });
    expect((await relay.account('a')).state).toBe('cooldown');
    expect(await relay.daemon.control.call('accounts.wake', { name: 'a' })).toMatchObject({ state: 'ready', until: null });
  });

  test('a rename keeps the clients that were given this account', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('given', { accounts: ['b'] });
    await relay.daemon.control.call('accounts.rename', { name: 'b', to: 'office' });
    const answer = await relay.ask('/v1/chat/completions', { key, body: chat('Say hi') });
    expect(answer.headers.get('x-relay-account'), answer.text).toBe('office');
    await expect(relay.daemon.control.call('accounts.rename', { name: 'a', to: 'office' })).rejects.toMatchObject({ code: 'exists' });
    await expect(relay.daemon.control.call('accounts.rename', { name: 'nobody', to: 'x' })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('removing revokes its tokens upstream and forgets everything of it', async () => {
    const relay = await serveInProcess();
    expect(await relay.daemon.control.call('accounts.remove', { name: 'a' })).toEqual({ revoked: true });
    expect(relay.upstream.calls.some(({ path }) => path === '/oauth/revoke')).toBe(true);
    expect(await namesOf(relay)).toEqual(['b']);
    const models = await relay.daemon.control.call('models.list', {});
    expect(models.every(({ accounts }) => !accounts.includes('a'))).toBe(true);
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say hi') })).headers.get('x-relay-account')).toBe('b');
  });

  test('removing one while it serves lets the answer end', async () => {
    const relay = await serveInProcess({ upstream: { paceMs: 5 } });
    const asked = relay.ask('/v1/chat/completions', { body: chat('Say removal', { stream: true }) });
    await relay.daemon.control.call('accounts.remove', { name: 'a' });
    const answer = await asked;
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: false });
  });

  test('a sign-in of somebody else does not go in its place', async () => {
    const relay = await serveInProcess();
    await expect(
      relay.daemon.control.call('accounts.login', { name: 'a', credential: relay.upstream.account('b').credential }),
    ).rejects.toMatchObject({ code: 'invalid' });
  });

  test('a check tells what it found', async () => {
    const relay = await serveInProcess();
    expect(await relay.daemon.control.call('accounts.test', { name: 'a' })).toMatchObject({ ok: true });
    relay.upstream.account('a').revoke();
    expect(await relay.daemon.control.call('accounts.test', { name: 'a' })).toMatchObject({ ok: false, detail: expect.any(String) });
  });

  test('the status says which providers are well', async () => {
    const relay = await serveInProcess();
    expect((await relay.daemon.control.call('status', {})).providers).toEqual([{ name: 'chatgpt', state: 'operational', reason: null }]);
    relay.upstream.script('a', [rateLimited({ retryAfter: '3600' })]);
    await relay.ask('/v1/chat/completions', { body: chat('Say one') });
    expect((await relay.daemon.control.call('status', {})).providers).toMatchObject([{ name: 'chatgpt', state: 'degraded' }]);
    relay.upstream.script('b', [rateLimited({ retryAfter: '3600' })]);
    expectError(await relay.ask('/v1/chat/completions', { body: chat('Say two') }), 429, 'accounts_exhausted');
    const status = await relay.daemon.control.call('status', {});
    expect(status.providers).toMatchObject([{ name: 'chatgpt', state: 'down' }]);
    expect(status).toMatchObject({
      gateway: { state: 'running', url: relay.url, pid: process.pid },
      ledger: { state: 'operational' },
      keychain: { state: 'ready', backend: 'memory' },
    });
  });
});

describe('messages to the control', () => {
  const bad: readonly (readonly [string, unknown, string])[] = [
    ['accounts.add', {}, 'name'],
    ['accounts.add', { ...keyed('x', 'k'), name: '../../etc' }, 'name'],
    ['accounts.add', { ...keyed('x', 'k'), priority: -1 }, 'priority'],
    ['accounts.rename', { name: 'a', to: 'bad name\u001b[31m' }, 'to'],
    ['clients.add', { name: '', keep: false }, 'name'],
    ['clients.add', { name: 'x', keep: false, concurrency: 0 }, 'concurrency'],
    ['clients.add', { name: 'x', keep: false, endpoints: ['everything'] }, 'endpoints'],
    ['clients.add', { name: 'x', keep: false, budgets: [{ unit: 'usd', limit: -5, window: 'day' }] }, 'budgets'],
    ['requests.list', { limit: 1e9 }, 'since'],
    ['clients.rotate', { name: 'x', graceMs: -1 }, 'graceMs'],
    ['no.such.method', {}, 'no.such.method'],
    ['__proto__', {}, '__proto__'],
    ['accounts.list', 7, ''],
  ];
  test.each(bad)('%s with %j is refused by its field', async (method, params, field) => {
    const relay = await serveInProcess({ accounts: [] });
    await expect(handleControlMessage(relay.daemon.control, method, params)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(field),
    });
  });
});

test('models are told with the accounts that serve them', async () => {
  const relay = await serveInProcess({
    accounts: [
      { name: 'plan', kind: 'chatgpt' },
      { name: 'key', kind: 'api-key', apiKey: 'sk-listed' },
    ],
    config: { models: { aliases: { quick: KEY_MODEL } } },
  });
  const models = await relay.daemon.control.call('models.list', {});
  expect(models.find(({ id }) => id === 'gpt-5.5')).toMatchObject({ accounts: ['plan'], providers: ['chatgpt'], contextTokens: 272_000 });
  expect(models.find(({ id }) => id === KEY_MODEL)).toMatchObject({ accounts: ['key'], providers: ['openai'] });
  expect(models.map(({ id }) => id)).toContain('quick');
});
