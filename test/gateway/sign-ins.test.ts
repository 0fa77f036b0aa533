import { describe, expect, test } from 'vitest';

import type { Credential } from '../../src/core/account.ts';
import type { CredentialStore } from '../../src/core/ports.ts';
import { CredentialStoreError } from '../../src/core/ports.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { createGate, unauthorized } from '../../src/mock/steps.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, runOn, serveInProcess, serveTimed, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

let said = 0;
const say = (relay: ServedRelay, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  relay.ask('/v1/chat/completions', { body: chat(`Say ${(said += 1)}`, change) });
const refreshes = (relay: ServedRelay): number => relay.upstream.calls.filter(({ path }) => path === '/oauth/token').length;
const ONE = [{ name: 'a', kind: 'chatgpt' as const }];

/** A store that can be made to fail, to wait, or to be changed behind Relay's back. */
function watchedStore(): {
  readonly store: CredentialStore;
  readonly ids: string[];
  before: (what: 'get' | 'set', id: string) => Promise<void>;
} {
  const inner = createMemoryStore();
  const watched = {
    ids: [] as string[],
    before: async (_what: 'get' | 'set', _id: string): Promise<void> => {},
    store: {
      ...inner,
      async get(id: string) {
        await watched.before('get', id);
        return inner.get(id);
      },
      async set(id: string, credential: Credential) {
        await watched.before('set', id);
        if (!watched.ids.includes(id)) watched.ids.push(id);
        await inner.set(id, credential);
      },
    },
  };
  return watched;
}

describe('tokens that end', () => {
  test('U07 an expired token is renewed once and the request served by the same account', async () => {
    const relay = await serveInProcess();
    relay.upstream.account('a').expireAccessToken();
    const answer = await say(relay);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('x-relay-account')).toBe('a');
    expect(refreshes(relay)).toBe(1);
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'ok',
      attempts: [
        { account: 'a', status: 401 },
        { account: 'a', status: 200, error: null },
      ],
    });
    expect(await relay.account('a')).toMatchObject({ state: 'ready', lastError: null });
  });

  test('U07 a token is renewed before it ends, so that no request meets its end', async () => {
    const relay = await serveTimed({ accounts: ONE });
    relay.clock.advance(10 * 86_400_000 - 4 * 60_000);
    const answer = await say(relay);
    expect(answer.status).toBe(200);
    expect(refreshes(relay)).toBe(1);
    expect((await relay.line(answer.id)).attempts).toHaveLength(1);
  });

  test('a hundred requests that meet an expired token at once renew it once', async () => {
    const relay = await serveInProcess({ accounts: ONE, config: { routing: { accountConcurrency: 100 } } });
    const key = await relay.client('crowd', { concurrency: 100 });
    relay.upstream.account('a').expireAccessToken();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => relay.ask('/v1/chat/completions', { key, body: chat(`Say crowd ${index}.`) })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(answers.every(({ text }, index) => text.includes(`Say crowd ${index}.`))).toBe(true);
    expect(refreshes(relay)).toBe(1);
  }, 40_000);

  test('the rotated token is in the store before anyone uses it', async () => {
    const watched = watchedStore();
    const relay = await serveInProcess({ accounts: ONE, credentials: watched.store });
    relay.upstream.account('a').expireAccessToken();
    const gate = createGate();
    watched.before = async (what) => {
      if (what === 'set') await gate.opened;
    };
    const asked = say(relay);
    await waitFor(() => refreshes(relay) === 1 && relay.upstream.calls.at(-1)?.state === 'completed', 'the refresh');
    expect(relay.sent()).toHaveLength(1);
    gate.release();
    expect((await asked).status).toBe(200);
    expect(relay.sent()).toHaveLength(2);
  });

  test('U15 a second 401 after a good refresh moves on, and the account waits half an hour', async () => {
    const relay = await serveTimed();
    relay.upstream.script('a', [unauthorized(), unauthorized()]);
    const answer = await say(relay);
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(refreshes(relay)).toBe(1);
    expect((await relay.line(answer.id)).attempts.map(({ account, status }) => `${account} ${status}`)).toEqual([
      'a 401',
      'a 401',
      'b 200',
    ]);
    const { state, until } = await relay.account('a');
    expect(state).toBe('cooldown');
    expect((until ?? 0) - relay.clock.now()).toBeGreaterThanOrEqual(30 * 60_000);
    expect((until ?? 0) - relay.clock.now()).toBeLessThanOrEqual(31.5 * 60_000);
  });

  test('an API key that is refused is not renewed, moves on, and its 401 never reaches a client', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [unauthorized('invalid_api_key')]);
    expect((await say(relay, { model: KEY_MODEL })).headers.get('x-relay-account')).toBe('b');
    relay.upstream.script('b', [unauthorized('invalid_api_key')]);
    const answer = await say(relay, { model: KEY_MODEL });
    expect(expectError(answer, 503, 'no_account')).toMatch(/relay keys/);
    expect(refreshes(relay)).toBe(0);
  });
});

describe('sign-ins that are over', () => {
  test('U10 a refresh token that was used before ends the sign-in: no more refreshes, the next account serves', async () => {
    const relay = await serveTimed();
    relay.upstream.account('a').expireAccessToken();
    relay.upstream.failRefresh('a', { do: 'refuse', code: 'refresh_token_reused', status: 400 });
    const answer = await say(relay);
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(await relay.account('a')).toMatchObject({ state: 'needs-login', reason: 'refresh_token_reused' });
    for (let round = 0; round < 6; round += 1) {
      relay.clock.advance(10_000);
      expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
    }
    expect(refreshes(relay)).toBe(1);
  });

  test('U11 a newer token in the store is taken instead, and the request served', async () => {
    const watched = watchedStore();
    const relay = await serveInProcess({ accounts: ONE, credentials: watched.store });
    const mock = relay.upstream.account('a');
    mock.expireAccessToken();
    const { credential } = mock;
    if (credential.kind !== 'oauth') throw new Error('no sign-in');
    relay.upstream.failRefresh('a', { do: 'refuse', code: 'refresh_token_reused', status: 400 });
    // Another process renews it while this one is being told that it came too late.
    watched.before = async (what, id) => {
      if (what !== 'get' || refreshes(relay) !== 1) return;
      watched.before = async () => {};
      mock.issue();
      await watched.store.set(id, mock.credential);
    };
    const answer = await say(relay);
    expect(answer.status, answer.text).toBe(200);
    expect(refreshes(relay)).toBe(1);
    expect((await relay.account('a')).state).toBe('ready');
  });

  test.each(['refresh_token_expired', 'refresh_token_invalidated', 'invalid_grant', 'account_deactivated', 'app_session_terminated'])(
    'U12 %s is for good: said why, and not tried again',
    async (code) => {
      const relay = await serveTimed({ accounts: ONE });
      relay.upstream.account('a').expireAccessToken();
      relay.upstream.failRefresh('a', { do: 'refuse', code, status: code === 'account_deactivated' ? 403 : 400 });
      const answer = await say(relay);
      expect(expectError(answer, 503, 'no_account')).toContain('relay keys login a');
      expect(await relay.account('a')).toMatchObject({ state: 'needs-login', reason: code });
      relay.clock.advance(3_600_000);
      expectError(await say(relay), 503, 'no_account');
      expect(refreshes(relay)).toBe(1);
      expect(relay.sent()).toHaveLength(1);
    },
  );

  test('signing in again brings the account back at once', async () => {
    const relay = await serveTimed({ accounts: ONE });
    relay.upstream.account('a').revoke();
    expectError(await say(relay), 503, 'no_account');
    relay.upstream.account('a').issue();
    await relay.daemon.control.call('accounts.login', { name: 'a', credential: relay.upstream.account('a').credential });
    expect((await say(relay)).status).toBe(200);
  });
});

describe('a sign-in server in trouble', () => {
  test.each([{ do: 'status', status: 503 }, { do: 'reset' }, { do: 'status', status: 500 }] as const)(
    'a refresh that cannot be made now holds nobody up: %j',
    async (fault) => {
      const relay = await serveTimed();
      relay.upstream.account('a').expireAccessToken();
      relay.upstream.failRefresh('a', fault, fault);
      const answer = await say(relay);
      expect(answer.headers.get('x-relay-account')).toBe('b');
      expect((await relay.account('a')).state).toBe('cooldown');
      expect(refreshes(relay)).toBe(1);
      relay.clock.advance(6 * 60_000);
      expect((await say(relay)).status).toBe(200);
    },
  );

  test('a token that is still good is used while its renewal fails', async () => {
    const relay = await serveTimed({ accounts: ONE });
    relay.clock.advance(10 * 86_400_000 - 4 * 60_000);
    relay.upstream.failRefresh('a', { do: 'status', status: 503 });
    const answer = await say(relay);
    expect(answer.status, answer.text).toBe(200);
    expect(refreshes(relay)).toBe(1);
  });
});

describe('the keychain in trouble', () => {
  test('K03 a denied one puts its account aside as locked, not as signed out; others serve, and it is asked again later', async () => {
    const watched = watchedStore();
    const relay = await serveTimed({ credentials: watched.store });
    const [first] = watched.ids;
    let asked = 0;
    watched.before = (what, id) => {
      if (id !== first || what === 'set') return Promise.resolve();
      asked += 1;
      return Promise.reject(
        new CredentialStoreError('denied', 'The keychain did not let Relay read this item. Allow it, then: relay doctor.'),
      );
    };
    // A sign-in replaced in place is read anew.
    await relay.daemon.control.call('accounts.login', { name: 'a', credential: relay.upstream.account('a').credential }).catch(() => {});
    expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
    expect((await relay.account('a')).state).toBe('locked');
    const before = asked;
    expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
    expect(asked).toBe(before);
    const key = await relay.client('first-only', { accounts: ['a'] });
    expect(expectError(await relay.ask('/v1/chat/completions', { key, body: chat('Say locked') }), 503, 'no_account')).toMatch(
      /keychain|relay doctor/,
    );
    watched.before = async () => {};
    relay.clock.advance(60_000);
    expect((await relay.ask('/v1/chat/completions', { key, body: chat('Say unlocked') })).status).toBe(200);
    expect((await relay.account('a')).state).toBe('ready');
  });

  test('K07 a renewed token that cannot be saved is used from memory, said to be unsaved, and saved later', async () => {
    const watched = watchedStore();
    const relay = await serveTimed({ accounts: ONE, credentials: watched.store });
    const [id = ''] = watched.ids;
    relay.upstream.account('a').expireAccessToken();
    watched.before = (what) =>
      what === 'set' ? Promise.reject(new CredentialStoreError('locked', 'The keychain is locked.')) : Promise.resolve();
    expect((await say(relay)).status).toBe(200);
    expect(await relay.account('a')).toMatchObject({ state: 'ready', reason: 'unsaved' });
    expect(relay.log()).toContain('could not be saved');
    expect((await say(relay)).status).toBe(200);
    expect(refreshes(relay)).toBe(1);
    watched.before = async () => {};
    relay.clock.advance(6_000);
    await waitFor(async () => (await relay.account('a')).reason === null, 'it to be saved');
    expect(await watched.store.get(id)).toEqual(expect.objectContaining({ accessToken: expect.any(String) }));
    expect(await watched.store.get(id)).toMatchObject({
      refreshToken: relay.upstream.account('a').credential.kind === 'oauth' ? expect.any(String) : '',
    });
  });

  test('K07 the drain saves what is unsaved', async () => {
    const watched = watchedStore();
    const relay = await serveTimed({ accounts: ONE, credentials: watched.store });
    const [id = ''] = watched.ids;
    relay.upstream.account('a').expireAccessToken();
    watched.before = (what) =>
      what === 'set' ? Promise.reject(new CredentialStoreError('locked', 'The keychain is locked.')) : Promise.resolve();
    expect((await say(relay)).status).toBe(200);
    const { credential } = relay.upstream.account('a');
    watched.before = async () => {};
    await relay.stop();
    expect(await watched.store.get(id)).toMatchObject({ refreshToken: credential.kind === 'oauth' ? credential.refreshToken : '' });
  });

  test('K08 an account whose keychain takes its time keeps no other one waiting', async () => {
    const watched = watchedStore();
    const relay = await serveTimed({ credentials: watched.store });
    const [first = ''] = watched.ids;
    const gate = createGate();
    relay.upstream.account('a').expireAccessToken();
    watched.before = (what, id) => (id === first && what === 'set' ? gate.opened : Promise.resolve());
    const slow = say(relay);
    await waitFor(() => refreshes(relay) === 1, 'the refresh');
    const key = await relay.client('other', { accounts: ['b'] });
    expect((await relay.ask('/v1/chat/completions', { key, body: chat('Say meanwhile') })).status).toBe(200);
    gate.release();
    expect((await slow).status).toBe(200);
  });
});

test('a refresh that hangs does not hang the request for ever', async () => {
  const relay = await serveTimed();
  relay.upstream.account('a').expireAccessToken();
  relay.upstream.failRefresh('a', { do: 'hang' });
  const asked = say(relay);
  await waitFor(() => refreshes(relay) === 1, 'the refresh');
  const answer = await runOn(relay.clock, asked);
  expect(answer.headers.get('x-relay-account'), answer.text).toBe('b');
});
