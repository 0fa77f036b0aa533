import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { CredentialStoreError } from '../../src/core/ports.ts';
import type { CredentialStore } from '../../src/core/ports.ts';
import { createKeychain } from '../../src/io/keychain.ts';
import { joinParts, readKeychainValue, splitSecret } from '../../src/io/keychain-items.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { describeCredentialStore, LARGE_SIGN_IN } from './credential-store-contract.ts';
import type { FakeKeychain } from './fake-keychain.ts';
import { fakeKeychain } from './fake-keychain.ts';

function open(keychain: FakeKeychain, over: { readonly itemCap?: number; readonly clock?: FakeClock } = {}): CredentialStore {
  return createKeychain({
    load: () => Promise.resolve(keychain),
    clock: over.clock ?? systemClock,
    timeoutMs: 5_000,
    itemCap: over.itemCap ?? null,
    probeName: 'probe:1',
  });
}

async function refusalOf(promise: Promise<unknown>): Promise<CredentialStoreError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialStoreError)) throw new Error('the store did not refuse', { cause: error });
  return error;
}

describe('memory', () => describeCredentialStore(createMemoryStore));
describe('a keychain', () => describeCredentialStore(() => open(fakeKeychain())));
describe('a keychain with small items', () =>
  describeCredentialStore(() => {
    const keychain = fakeKeychain();
    keychain.cap = 1_280;
    return open(keychain, { itemCap: 1_280 });
  }));

describe('splitting', () => {
  test('a secret that fits stands whole', () => {
    expect(splitSecret('a', 'x'.repeat(1_280), 1_280)).toEqual([{ name: 'a', value: 'x'.repeat(1_280) }]);
    expect(splitSecret('a', 'x'.repeat(100_000), null)).toHaveLength(1);
  });

  test('one unit more makes parts, and the index is written last', () => {
    const items = splitSecret('a', 'x'.repeat(1_281), 1_280);
    expect(items.map((item) => item.value.length <= 1_280)).toEqual([true, true, true]);
    expect(items.at(-1)?.name).toBe('a');
  });

  test('whatever the text and the cap, parts fit and join to the same text through UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.integer({ min: 60, max: 120 }), (text, cap) => {
        const stored = new Map(splitSecret('n', text, cap).map(({ name, value }) => [name, Buffer.from(value).toString('utf8')]));
        expect([...stored.values()].every((value) => value.length <= cap)).toBe(true);
        const meaning = readKeychainValue('n', stored.get('n') ?? '');
        const read =
          meaning?.kind === 'parts'
            ? joinParts(
                meaning.names.map((name) => stored.get(name) ?? null),
                meaning.digest,
              )
            : meaning?.text;
        expect(read).toBe(text.isWellFormed() ? text : Buffer.from(text).toString('utf8'));
      }),
    );
  });

  test('a secret that looks like an index is kept as parts, so that it is never taken for one', () => {
    const items = splitSecret('a', 'relay-parts/1:00:1', 1_280);
    expect(items).toHaveLength(2);
    expect(readKeychainValue('a', 'relay-parts/1:nonsense:1')).toBeNull();
    expect(readKeychainValue('a', `relay-parts/1:${'0'.repeat(32)}:100000`)).toBeNull();
  });

  test('a write that breaks off leaves the older secret', async () => {
    const keychain = fakeKeychain();
    const store = open(keychain, { itemCap: 1_280 });
    await store.set('acc', LARGE_SIGN_IN);
    keychain.onWrite = (account) => {
      if (account === 'acc') throw new Error('disk I/O error');
    };
    await refusalOf(store.set('acc', { ...LARGE_SIGN_IN, refreshedAt: 2 }));
    expect(await store.get('acc')).toEqual(LARGE_SIGN_IN);
  });

  test('replaced and deleted parts are removed', async () => {
    const keychain = fakeKeychain();
    const store = open(keychain, { itemCap: 1_280 });
    await store.set('acc', LARGE_SIGN_IN);
    const parts = keychain.items.size;
    await store.set('acc', { ...LARGE_SIGN_IN, refreshedAt: 2 });
    expect(keychain.items.size).toBe(parts);
    await store.delete('acc');
    expect(keychain.items.size).toBe(0);
  });

  test('a missing part is corruption that names the remedy', async () => {
    const keychain = fakeKeychain();
    const store = open(keychain, { itemCap: 1_280 });
    await store.set('acc', LARGE_SIGN_IN);
    keychain.items.delete([...keychain.items.keys()].find((name) => name.startsWith('acc#')) ?? '');
    const error = await refusalOf(store.get('acc'));
    expect(error.state).toBe('corrupt');
    expect(error.message).toContain('relay keys login');
  });
});

describe('a keychain that fails', () => {
  test('K02 a locked one, which reads as empty, is locked and not absent', async () => {
    const keychain = fakeKeychain();
    const store = open(keychain);
    await store.set('acc', { kind: 'api-key', apiKey: 'k' });
    keychain.mode = 'locked';
    expect((await refusalOf(store.get('acc'))).state).toBe('locked');
    expect((await refusalOf(store.delete('acc'))).state).toBe('locked');
    expect((await refusalOf(store.set('acc', { kind: 'none' }))).state).toBe('locked');
    expect(await store.probe()).toMatchObject({ state: 'locked' });
    keychain.mode = 'open';
    expect(await store.get('acc')).toEqual({ kind: 'api-key', apiKey: 'k' });
  });

  test.each([
    ['K01', 'Cannot autolaunch D-Bus without X11 $DISPLAY', 'unavailable'],
    ['K01', 'The name org.freedesktop.secrets was not provided by any .service files', 'unavailable'],
    ['K03', 'The user name or passphrase you entered is not correct.', 'denied'],
    ['K03', 'User canceled the operation.', 'denied'],
    ['K02', 'User interaction is not allowed.', 'locked'],
    ['K06', 'Failed to load keytar native addon, checked prebuilds', 'unavailable'],
    ['K06', 'libsecret-1.so.0: cannot open shared object file', 'unavailable'],
    ['K01', 'something nobody has seen', 'unavailable'],
  ])('%s %j is said as %s, with the choices', async (_row, text, state) => {
    const store = createKeychain({
      load: () => Promise.reject(new Error(text)),
      clock: systemClock,
      timeoutMs: 5_000,
      itemCap: null,
      probeName: 'probe:1',
    });
    const error = await refusalOf(store.get('acc'));
    expect(error.state).toBe(state);
    expect(error.message).toContain('relay config set keychain file');
    expect((await store.probe()).state).toBe(state);
  });

  test('K06 a module that could not be loaded is tried again at the next use', async () => {
    const keychain = fakeKeychain();
    let loads = 0;
    const store = createKeychain({
      load: () => (++loads === 1 ? Promise.reject(new Error('libsecret')) : Promise.resolve(keychain)),
      clock: systemClock,
      timeoutMs: 5_000,
      itemCap: null,
      probeName: 'probe:1',
    });
    await refusalOf(store.set('acc', { kind: 'none' }));
    await store.set('acc', { kind: 'none' });
    expect(loads).toBe(2);
  });

  test('K08 one that does not answer is given up at the deadline, and calls behind it are never made', async () => {
    const keychain = fakeKeychain();
    const clock = fakeClock();
    const store = open(keychain, { clock });
    keychain.mode = 'silent';
    const first = refusalOf(store.set('a', { kind: 'none' }));
    const second = refusalOf(store.set('b', { kind: 'none' }));
    await waitFor(() => keychain.calls.length === 1);
    clock.advance(5_000);
    expect((await first).message).toContain('5 s');
    expect((await second).state).toBe('locked');
    expect(keychain.calls).toEqual(['get a']);
  });

  test('one that forgets what it is given is found out by reading back', async () => {
    const keychain = fakeKeychain();
    keychain.mode = 'forgetful';
    const store = open(keychain);
    expect((await refusalOf(store.set('acc', { kind: 'api-key', apiKey: 'sk-secret' }))).message).not.toContain('sk-secret');
    expect((await store.probe()).state).toBe('unavailable');
  });

  test('an item that is not Relay’s is corruption, and its content is in no error', async () => {
    const keychain = fakeKeychain();
    keychain.items.set('acc', '{"kind":"oauth","accessToken":"sk-secret"}');
    const error = await refusalOf(open(keychain).get('acc'));
    expect(error.state).toBe('corrupt');
    expect(error.message).not.toContain('sk-secret');
  });
});
