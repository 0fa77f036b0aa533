import { execFileSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { CredentialStoreError } from '../../src/core/ports.ts';
import { createSystemKeychain } from '../../src/io/keychain.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { describeCredentialStore, LARGE_SIGN_IN } from './credential-store-contract.ts';

/** Set by `test/keyring.sh`, which brings up the keyring each part needs. */
const KEYRING = process.env['RELAY_TEST_KEYRING'];

async function refusalOf(promise: Promise<unknown>): Promise<CredentialStoreError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialStoreError)) throw new Error('the keychain did not refuse', { cause: error });
  return error;
}

describe.runIf(KEYRING === '1')('a real, open keyring', () => {
  describeCredentialStore(() => createSystemKeychain(systemClock));

  test('the item stands under service relay and the account’s id, for any tool to see', async () => {
    const store = createSystemKeychain(systemClock);
    await store.set('acc_seen', { kind: 'api-key', apiKey: 'sk-seen' });
    const seen = execFileSync('secret-tool', ['lookup', 'service', 'relay', 'account', 'acc_seen'], { encoding: 'utf8' });
    expect(JSON.parse(seen)).toEqual({ kind: 'api-key', apiKey: 'sk-seen' });
    await store.delete('acc_seen');
  });

  test('K04 an item deleted outside is absent, not an error', async () => {
    const store = createSystemKeychain(systemClock);
    await store.set('acc_cleared', LARGE_SIGN_IN);
    execFileSync('secret-tool', ['clear', 'service', 'relay', 'account', 'acc_cleared']);
    expect(await store.get('acc_cleared')).toBeNull();
    await store.set('acc_cleared', LARGE_SIGN_IN);
    expect(await store.get('acc_cleared')).toEqual(LARGE_SIGN_IN);
    await store.delete('acc_cleared');
  });

  test('nothing of the probe is left', async () => {
    await createSystemKeychain(systemClock).probe();
    const left = execFileSync('sh', ['-c', `secret-tool search --all service relay account probe:${process.pid} 2>&1 || true`], {
      encoding: 'utf8',
    });
    expect(left).not.toContain('attribute.account');
  });
});

describe.runIf(KEYRING === 'locked')('a real, locked keyring', () => {
  test('K02 is said to be locked within 10 s, whatever is asked of it', async () => {
    const store = createSystemKeychain(systemClock);
    const started = performance.now();
    expect(await store.probe()).toMatchObject({ state: 'locked' });
    const error = await refusalOf(store.get('acc_any'));
    expect(error.state).toBe('locked');
    expect(error.message).toContain('Unlock it');
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe.runIf(KEYRING === 'none')('no session bus', () => {
  test('K01 is an error within 3 s that names the choices', async () => {
    const store = createSystemKeychain(systemClock);
    const started = performance.now();
    const error = await refusalOf(store.set('acc_any', { kind: 'none' }));
    expect(error.state).toBe('unavailable');
    expect(error.message).toMatch(/No OS keychain reachable \(no D-Bus session\).*relay config set keychain file/);
    expect(await store.probe()).toMatchObject({ state: 'unavailable' });
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});

describe.runIf(KEYRING === 'no-service')('a session bus without a secret service', () => {
  test('K01 is an error within 3 s that says what is missing', async () => {
    const started = performance.now();
    const error = await refusalOf(createSystemKeychain(systemClock).set('acc_any', { kind: 'none' }));
    expect(error.state).toBe('unavailable');
    expect(error.message).toContain('secret service');
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
