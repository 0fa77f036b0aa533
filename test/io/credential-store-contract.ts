import { expect, test } from 'vitest';

import type { Credential } from '../../src/core/account.ts';
import type { CredentialStore } from '../../src/core/ports.ts';

/** A sign-in as large as ChatGPT's: three tokens of about 2 KB. */
export const LARGE_SIGN_IN: Extract<Credential, { kind: 'oauth' }> = {
  kind: 'oauth',
  accessToken: `access-${'a'.repeat(2_000)}`,
  refreshToken: `refresh-${'r'.repeat(200)}`,
  idToken: `id-${'ï🔑'.repeat(700)}`,
  expiresAt: 1_800_000_000_000,
  refreshedAt: 1_795_000_000_000,
};

/** What every credential store promises, whatever it keeps its secrets in. */
export function describeCredentialStore(open: () => CredentialStore | Promise<CredentialStore>): void {
  test.each<[string, Credential]>([
    ['an API key', { kind: 'api-key', apiKey: 'sk-test-1' }],
    ['a sign-in', LARGE_SIGN_IN],
    ['a sign-in without an end', { kind: 'oauth', accessToken: 'a', refreshToken: null, idToken: null, expiresAt: null, refreshedAt: 1 }],
    ['nothing', { kind: 'none' }],
  ])('%s is given back as it was', async (_what, credential) => {
    const store = await open();
    await store.set('acc_round', credential);
    expect(await store.get('acc_round')).toEqual(credential);
    expect(await store.delete('acc_round')).toBe(true);
  });

  test('an absent account is null, and deleting it says there was none', async () => {
    const store = await open();
    expect(await store.get('acc_absent')).toBeNull();
    expect(await store.delete('acc_absent')).toBe(false);
  });

  test('the newest write stands, whether it is longer or shorter', async () => {
    const store = await open();
    await store.set('acc_newest', { kind: 'api-key', apiKey: 'short' });
    await store.set('acc_newest', LARGE_SIGN_IN);
    await store.set('acc_newest', { kind: 'api-key', apiKey: 'short again' });
    expect(await store.get('acc_newest')).toEqual({ kind: 'api-key', apiKey: 'short again' });
    expect(await store.delete('acc_newest')).toBe(true);
    expect(await store.get('acc_newest')).toBeNull();
  });

  test('accounts and named secrets do not touch each other', async () => {
    const store = await open();
    await store.set('acc_beside', { kind: 'api-key', apiKey: 'mine' });
    await store.setSecret('client:c1', 'sk-relay-1');
    expect(await store.getSecret('client:c1')).toBe('sk-relay-1');
    expect(await store.deleteSecret('client:c1')).toBe(true);
    expect(await store.getSecret('client:c1')).toBeNull();
    expect(await store.deleteSecret('client:c1')).toBe(false);
    expect(await store.get('acc_beside')).toEqual({ kind: 'api-key', apiKey: 'mine' });
    await store.delete('acc_beside');
  });

  test('many writes at once all stand', async () => {
    const store = await open();
    const ids = Array.from({ length: 8 }, (_, index) => `acc_many_${index}`);
    await Promise.all(ids.map((id) => store.set(id, { kind: 'api-key', apiKey: `key of ${id}` })));
    expect(await Promise.all(ids.map((id) => store.get(id)))).toEqual(ids.map((id) => ({ kind: 'api-key', apiKey: `key of ${id}` })));
    await Promise.all(ids.map((id) => store.delete(id)));
  });

  test('the probe says it is ready and leaves nothing behind', async () => {
    const store = await open();
    expect(await store.probe()).toEqual({ state: 'ready' });
    expect(await store.probe()).toEqual({ state: 'ready' });
  });
}
