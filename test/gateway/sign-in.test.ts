import { describe, expect, test } from 'vitest';

import type { Account, Credential } from '../../src/core/account.ts';
import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { Failure } from '../../src/core/failure.ts';
import type { CredentialStore, RefreshOutcome } from '../../src/core/ports.ts';
import { CredentialStoreError } from '../../src/core/ports.ts';
import { EMPTY_STATE } from '../../src/core/state.ts';
import { keepSignedIn } from '../../src/gateway/keep-signed-in.ts';
import type { SignIns } from '../../src/gateway/sign-in.ts';
import { createSignIns } from '../../src/gateway/sign-in.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { accountNamed } from '../routing/builders.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor, within } from '../support/wait-for.ts';

const MINUTE = 60_000;
const AUTH = 'https://auth.test';
const ACCOUNT = accountNamed('a');
const LOG = { debug() {}, info() {}, warn() {}, error() {} };

type OAuth = Extract<Credential, { kind: 'oauth' }>;

interface Bench {
  readonly clock: FakeClock;
  readonly store: CredentialStore;
  readonly signIns: SignIns;
  /** Refresh tokens that were spent, in order. */
  readonly spent: string[];
  answer(outcome: (token: OAuth) => RefreshOutcome | Promise<RefreshOutcome>): void;
}

async function bench(leftMs: number, store: CredentialStore = createMemoryStore()): Promise<Bench> {
  const clock = fakeClock();
  const spent: string[] = [];
  let count = 0;
  const renewed = (): RefreshOutcome => ({ ok: true, credential: token(`access-${++count}`, clock.now() + 10 * 86_400_000) });
  let outcome: (token: OAuth) => RefreshOutcome | Promise<RefreshOutcome> = renewed;
  await store.set(ACCOUNT.id, token('access-0', clock.now() + leftMs));
  const signIns = createSignIns({
    clock, credentials: store, log: LOG, lock: (_name, work) => work(),
    refresh: async (_url, credential) => {
      if (credential.kind === 'oauth') spent.push(credential.refreshToken ?? '');
      return credential.kind === 'oauth' ? outcome(credential) : renewed();
    },
  });
  return { clock, store, signIns, spent, answer: (next) => (outcome = next) };
}

function token(accessToken: string, expiresAt: number): OAuth {
  return { kind: 'oauth', accessToken, refreshToken: `refresh-of-${accessToken}`, idToken: null, expiresAt, refreshedAt: 0 };
}

const accessOf = async (signIns: SignIns): Promise<string> => {
  const result = await within(signIns.credential(ACCOUNT, AUTH));
  return result.ok && result.credential.kind === 'oauth' ? result.credential.accessToken : result.ok ? 'other' : result.failure.code;
};

describe('a token that ends soon', () => {
  test('serves on while it is renewed: no call waits for a sign-in server that hangs', async () => {
    const { signIns, answer, spent } = await bench(4 * MINUTE);
    answer(() => new Promise(() => {}));
    expect([await accessOf(signIns), await accessOf(signIns)]).toEqual(['access-0', 'access-0']);
    expect(spent).toEqual(['refresh-of-access-0']);
  });

  test('is replaced by the new one as soon as that is there', async () => {
    const { signIns } = await bench(4 * MINUTE);
    expect(await accessOf(signIns)).toBe('access-0');
    await waitFor(async () => (await accessOf(signIns)) === 'access-1', 'the new token');
  });

  test('is waited for in its last half minute', async () => {
    const { signIns } = await bench(20_000);
    expect(await accessOf(signIns)).toBe('access-1');
  });

  test('whose renewal is refused for good says so at its next use, without asking again', async () => {
    const { signIns, answer, spent } = await bench(4 * MINUTE);
    answer(() => ({ ok: false, kind: 'refused', status: 400, body: '{"error":{"code":"refresh_token_reused"}}' }));
    expect(await accessOf(signIns)).toBe('access-0');
    await waitFor(async () => (await accessOf(signIns)) === 'refresh_token_reused', 'the refusal');
    expect(spent).toHaveLength(1);
    signIns.forget(ACCOUNT.id);
    answer(() => ({ ok: true, credential: token('access-new', Date.UTC(2030, 1)) }));
    await waitFor(async () => (await accessOf(signIns)) === 'access-new', 'a sign-in anew');
  });
});

describe('K04 an item that was deleted outside', () => {
  test('the running token is used to its end, then the account needs a person; nothing is put back', async () => {
    const { signIns, store, spent, clock } = await bench(60 * MINUTE);
    expect(await accessOf(signIns)).toBe('access-0');
    await store.delete(ACCOUNT.id);
    clock.advance(30 * MINUTE);
    expect(await accessOf(signIns)).toBe('access-0');
    clock.advance(30 * MINUTE);
    expect(await accessOf(signIns)).toBe('credential_missing');
    expect({ spent, stored: await store.get(ACCOUNT.id) }).toEqual({ spent: [], stored: null });
  });

  test('a keychain that cannot be read is not taken for an empty one', async () => {
    const memory = createMemoryStore();
    let isLocked = false;
    const store: CredentialStore = { ...memory, get: (id) => (isLocked ? Promise.reject(new CredentialStoreError('locked', 'locked')) : memory.get(id)) };
    const { signIns, clock } = await bench(60 * MINUTE, store);
    expect(await accessOf(signIns)).toBe('access-0');
    isLocked = true;
    clock.advance(61 * MINUTE);
    expect(await accessOf(signIns)).toBe('access-1');
  });
});

describe('in the background', () => {
  function keep({ clock, signIns }: Bench, account: Account = ACCOUNT): { readonly refused: Failure[]; stop(): void } {
    const refused: Failure[] = [];
    const stop = keepSignedIn({
      clock, signIns, log: LOG, settings: () => DEFAULT_CONFIG, pool: { standingRefused: (_account, failure) => refused.push(failure) },
      state: { read: () => ({ ...EMPTY_STATE, accounts: [account] }), update: (change) => Promise.resolve(change(EMPTY_STATE)), note() {}, flush: () => Promise.resolve() },
    });
    return { refused, stop };
  }

  test('a token in use is renewed before its last five minutes, once', async () => {
    const made = await bench(20 * MINUTE);
    await accessOf(made.signIns);
    keep(made);
    for (let minute = 0; minute < 14; minute += 1) made.clock.advance(MINUTE);
    await waitFor(() => made.spent.length === 1, 'the renewal');
    for (let minute = 0; minute < 60; minute += 1) made.clock.advance(MINUTE);
    expect(await accessOf(made.signIns)).toBe('access-1');
    expect(made.spent).toHaveLength(1);
  });

  test.each<[string, Partial<Account>]>([['nobody has used', {}], ['is paused', { paused: true }], ['needs a person', { needsLogin: { reason: 'x', at: 0 } }]])('one that %s is left alone', async (what, change) => {
    const made = await bench(3 * MINUTE);
    if (what !== 'nobody has used') {
      made.answer(() => ({ ok: false, kind: 'unreachable', code: 'x', message: 'x' }));
      await accessOf(made.signIns);
      await waitFor(() => made.spent.length === 1, 'the one of the call');
      made.spent.splice(0);
    }
    keep(made, accountNamed('a', change));
    for (let minute = 0; minute < 30; minute += 1) made.clock.advance(MINUTE);
    expect(made.spent).toEqual([]);
  });

  test('a sign-in that is over is said at once, and a stop is a stop', async () => {
    const made = await bench(20 * MINUTE);
    await accessOf(made.signIns);
    const kept = keep(made);
    made.answer(() => ({ ok: false, kind: 'refused', status: 401, body: '{"error":"invalid_grant"}' }));
    for (let minute = 0; minute < 15; minute += 1) made.clock.advance(MINUTE);
    await waitFor(() => kept.refused.length > 0, 'the refusal');
    expect(kept.refused[0]).toMatchObject({ kind: 'login-dead', code: 'invalid_grant' });
    kept.stop();
    expect(made.clock.pending).toBe(0);
  });
});
