import type { Clock, CredentialStore, CredentialStoreState } from '../core/ports.ts';
import { CredentialStoreError } from '../core/ports.ts';
import { readCredential, writeCredential } from './credential-json.ts';
import { describeKeychainError, keychainSilent } from './keychain-error.ts';
import { joinParts, readKeychainValue, splitSecret } from './keychain-items.ts';

/** The service under which every item of Relay's stands. */
export const KEYCHAIN_SERVICE = 'relay';

/** The part of keytar Relay uses. Its `findCredentials` crashes the process on a locked keyring, so it is not here. */
export interface KeychainPort {
  getPassword(service: string, account: string): Promise<string | null>;
  setPassword(service: string, account: string, password: string): Promise<void>;
  deletePassword(service: string, account: string): Promise<boolean>;
}

export interface KeychainOptions {
  /** Loads the native module; called once, at the first use, since it may be missing. */
  readonly load: () => Promise<KeychainPort>;
  readonly clock: Pick<Clock, 'after'>;
  /** How long one operation may take: 5 s, or 60 s where a person can answer a prompt. */
  readonly timeoutMs: number;
  /** UTF-16 units an item may hold; null where there is no limit. */
  readonly itemCap: number | null;
  /** Names the probe's item, so that two processes do not read each other's. */
  readonly probeName: string;
}

/** Credential Manager holds 2,560 bytes an item, which are 1,280 UTF-16 units. */
const WINDOWS_ITEM_CAP = 1_280;

/** The keychain of this machine through keytar: macOS Keychain, Secret Service, Windows Credential Manager. */
export function createSystemKeychain(clock: Pick<Clock, 'after'>): CredentialStore {
  return createKeychain({
    load: loadKeytar,
    clock,
    timeoutMs: process.stdin.isTTY === true ? 60_000 : 5_000,
    itemCap: process.platform === 'win32' ? WINDOWS_ITEM_CAP : null,
    probeName: `probe:${process.pid}`,
  });
}

/**
 * A {@link CredentialStore} over a keychain. Operations run one after another, so that a keychain that hangs holds
 * one worker thread and not all of them; one whose time ran out while it waited is not made at all.
 */
export function createKeychain(options: KeychainOptions): CredentialStore {
  const { clock, timeoutMs, itemCap, probeName } = options;
  let port: Promise<KeychainPort> | null = null;
  let last: Promise<unknown> = Promise.resolve();

  const loaded = (): Promise<KeychainPort> => {
    port ??= options.load().catch((error: unknown) => {
      port = null;
      throw error;
    });
    return port;
  };
  const inTurn = <T>(operation: (keychain: KeychainPort) => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      let expired = false;
      const cancel = clock.after(timeoutMs, () => {
        expired = true;
        reject(keychainSilent(timeoutMs));
      });
      const run = async (): Promise<void> => {
        if (expired) return;
        try {
          resolve(await operation(await loaded()));
        } catch (error) {
          reject(describeKeychainError(error));
        } finally {
          cancel();
        }
      };
      last = last.then(run);
    });

  const probe = async (): Promise<CredentialStoreState> => {
    try {
      await inTurn((keychain) => writeProbe(keychain, probeName));
      return { state: 'ready' };
    } catch (error) {
      const { state, message } = describeKeychainError(error);
      return { state: state === 'corrupt' ? 'unavailable' : state, message };
    }
  };
  /** A locked keyring reads like an empty one: before "absent" is believed, a write has to succeed. */
  const confirmAbsence = async (): Promise<void> => {
    const found = await probe();
    if (found.state !== 'ready') throw new CredentialStoreError(found.state, found.message);
  };
  const getSecret = async (name: string): Promise<string | null> => {
    const text = await inTurn((keychain) => readSecret(keychain, name));
    if (text === null) await confirmAbsence();
    return text;
  };
  const setSecret = (name: string, value: string): Promise<void> => inTurn((keychain) => writeSecret(keychain, { name, value, itemCap }));
  const deleteSecret = async (name: string): Promise<boolean> => {
    const deleted = await inTurn((keychain) => removeSecret(keychain, name));
    if (!deleted) await confirmAbsence();
    return deleted;
  };

  return {
    backend: 'os',
    async get(accountId) {
      const text = await getSecret(accountId);
      return text === null ? null : readCredential(text, accountId);
    },
    set: (accountId, credential) => setSecret(accountId, writeCredential(credential)),
    delete: deleteSecret,
    getSecret,
    setSecret,
    deleteSecret,
    probe,
  };
}

async function writeProbe(keychain: KeychainPort, name: string): Promise<void> {
  await keychain.setPassword(KEYCHAIN_SERVICE, name, 'probe');
  const read = await keychain.getPassword(KEYCHAIN_SERVICE, name);
  await keychain.deletePassword(KEYCHAIN_SERVICE, name);
  if (read !== 'probe') throw notKept();
}

async function readSecret(keychain: KeychainPort, name: string): Promise<string | null> {
  const value = await keychain.getPassword(KEYCHAIN_SERVICE, name);
  if (value === null) return null;
  const meaning = readKeychainValue(name, value);
  if (meaning?.kind === 'whole') return meaning.text;
  const parts: (string | null)[] = [];
  for (const part of meaning?.names ?? []) parts.push(await keychain.getPassword(KEYCHAIN_SERVICE, part));
  const text = meaning === null ? null : joinParts(parts, meaning.digest);
  if (text === null)
    throw new CredentialStoreError('corrupt', `The keychain's item ${name} is incomplete. Sign in again: relay keys login.`);
  return text;
}

async function writeSecret(
  keychain: KeychainPort,
  { name, value, itemCap }: { readonly name: string; readonly value: string; readonly itemCap: number | null },
): Promise<void> {
  const before = await partsOf(keychain, name);
  const items = splitSecret(name, value, itemCap);
  for (const item of items) await keychain.setPassword(KEYCHAIN_SERVICE, item.name, item.value);
  const kept = await readSecret(keychain, name).catch(() => null);
  if (kept !== value) throw notKept();
  const current = new Set(items.map((item) => item.name));
  for (const part of before) if (!current.has(part)) await keychain.deletePassword(KEYCHAIN_SERVICE, part);
}

async function removeSecret(keychain: KeychainPort, name: string): Promise<boolean> {
  const parts = await partsOf(keychain, name);
  const deleted = await keychain.deletePassword(KEYCHAIN_SERVICE, name);
  for (const part of parts) await keychain.deletePassword(KEYCHAIN_SERVICE, part);
  return deleted;
}

async function partsOf(keychain: KeychainPort, name: string): Promise<readonly string[]> {
  const value = await keychain.getPassword(KEYCHAIN_SERVICE, name);
  const meaning = value === null ? null : readKeychainValue(name, value);
  return meaning?.kind === 'parts' ? meaning.names : [];
}

function notKept(): CredentialStoreError {
  return new CredentialStoreError('unavailable', 'The OS keychain took a secret and did not give the same one back. Try: relay doctor.');
}

/** Loads keytar's native module. Throws `unavailable` when it or a library it needs is missing. */
async function loadKeytar(): Promise<KeychainPort> {
  const loaded: unknown = await import('keytar');
  for (const candidate of [loaded, defaultOf(loaded)]) if (isKeychainPort(candidate)) return candidate;
  throw new CredentialStoreError('unavailable', 'The keychain module has another shape than expected. Reinstall Relay.');
}

function defaultOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'default' in value ? value.default : undefined;
}

function isKeychainPort(value: unknown): value is KeychainPort {
  return (
    typeof value === 'object' &&
    value !== null &&
    'getPassword' in value &&
    typeof value.getPassword === 'function' &&
    'setPassword' in value &&
    typeof value.setPassword === 'function' &&
    'deletePassword' in value &&
    typeof value.deletePassword === 'function'
  );
}
