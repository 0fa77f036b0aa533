import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { CredentialStore } from '../core/ports.ts';
import { CredentialStoreError } from '../core/ports.ts';
import { readCredential, writeCredential } from './credential-json.ts';
import { withFileLock } from './file-lock.ts';
import type { SealedRecord, Vault } from './vault-format.ts';
import { openRecord, parseVault, sealRecord } from './vault-format.ts';
import type { KeyDerivation, VaultEnvironment, VaultSecret } from './vault-key.ts';
import { deriveVaultKey, findVaultSecret, SCRYPT } from './vault-key.ts';
import { writeDurably } from './write-durably.ts';

export interface VaultOptions {
  /** `vault.json` in RELAY_HOME. */
  readonly path: string;
  readonly environment: VaultEnvironment;
  /** Asks a person for the passphrase, once; null where there is no terminal. */
  readonly prompt: (() => Promise<string | null>) | null;
}

const CHECK_NAME = '';
const CHECK_TEXT = 'relay';
const LOCK_WAIT_MS = 5_000;
const IV_BYTES = 12;

/**
 * A {@link CredentialStore} in one encrypted file, for machines without a keychain: chosen, never fallen back to. It
 * protects copies and backups, not against a program of the same user. Each record is sealed by itself and bound to
 * its name; each write reads the file again under a lock, so that two processes lose nothing of each other's.
 */
export function createVaultStore({ path, environment, prompt }: VaultOptions): CredentialStore {
  let secret: Promise<VaultSecret> | null = null;
  let derived: { readonly of: string; readonly key: Promise<Buffer> } | null = null;
  let lastWrite: Promise<unknown> = Promise.resolve();

  const theSecret = (): Promise<VaultSecret> => {
    secret ??= findVaultSecret(environment, path, prompt).catch((error: unknown) => {
      secret = null;
      throw error;
    });
    return secret;
  };
  const keyFor = async (derivation: KeyDerivation): Promise<Buffer> => {
    const of = JSON.stringify(derivation);
    if (derived?.of !== of) derived = { of, key: deriveVaultKey(await theSecret(), derivation) };
    return derived.key;
  };
  const unlocked = async (vault: Vault): Promise<Buffer> => {
    const key = await keyFor(vault.key);
    if (openRecord(key, CHECK_NAME, vault.check) === CHECK_TEXT) return key;
    secret = null;
    derived = null;
    throw new CredentialStoreError('denied', `The passphrase or key does not open ${path}.`);
  };
  const getSecret = async (name: string): Promise<string | null> => {
    const vault = await readVault(path);
    if (vault === null) return null;
    const key = await unlocked(vault);
    const record = Object.hasOwn(vault.records, name) ? vault.records[name] : undefined;
    if (record === undefined) return null;
    const text = openRecord(key, name, record);
    if (text === null)
      throw new CredentialStoreError('corrupt', `The record of ${name} in ${path} was changed. Sign in again: relay keys login.`);
    return text;
  };
  const emptyVault = async (): Promise<Vault> => {
    const kind = (await theSecret()).kind;
    const key: KeyDerivation =
      kind === 'key-file' ? { name: 'key-file' } : { name: 'scrypt', ...SCRYPT, salt: randomBytes(16).toString('base64') };
    return { version: 1, key, check: sealRecord(await keyFor(key), CHECK_NAME, CHECK_TEXT, randomBytes(IV_BYTES)), records: {} };
  };
  /** Applies a change to the newest file; a change that returns null writes nothing. */
  const update = <T>(change: (vault: Vault, key: Buffer) => { readonly vault: Vault | null; readonly result: T }): Promise<T> => {
    const write = async (): Promise<T> => {
      // The key is derived before the lock is taken, since that takes most of a second.
      const before = (await readVault(path)) ?? (await emptyVault());
      await unlocked(before);
      return withFileLock(`${path}.lock`, LOCK_WAIT_MS, async () => {
        const newest = (await readVault(path)) ?? before;
        const { vault, result } = change(newest, await unlocked(newest));
        if (vault !== null) await writeDurably(path, `${JSON.stringify(vault, null, 2)}\n`);
        return result;
      }).catch((error: unknown) => {
        throw asStoreError(error, path);
      });
    };
    const turn = lastWrite.then(write, write);
    lastWrite = turn.catch(() => {});
    return turn;
  };
  const setSecret = async (name: string, value: string): Promise<void> => {
    await update((vault, key) => ({
      vault: { ...vault, records: withRecord(vault.records, name, sealRecord(key, name, value, randomBytes(IV_BYTES))) },
      result: null,
    }));
    if ((await getSecret(name)) !== value)
      throw new CredentialStoreError('unavailable', `${path} took a secret and did not give the same one back.`);
  };
  const deleteSecret = async (name: string): Promise<boolean> => {
    if ((await readVault(path)) === null) return false;
    return update((vault) => {
      if (!Object.hasOwn(vault.records, name)) return { vault: null, result: false };
      const records = Object.fromEntries(Object.entries(vault.records).filter(([other]) => other !== name));
      return { vault: { ...vault, records }, result: true };
    });
  };

  return {
    backend: 'file',
    async get(accountId) {
      const text = await getSecret(accountId);
      return text === null ? null : readCredential(text, accountId);
    },
    set: (accountId, credential) => setSecret(accountId, writeCredential(credential)),
    delete: deleteSecret,
    getSecret,
    setSecret,
    deleteSecret,
    async probe() {
      try {
        // Writing nothing new still takes the lock and opens the check record: what a real write would need.
        await update((vault) => ({ vault: { ...vault }, result: null }));
        return { state: 'ready' };
      } catch (error) {
        const { state, message } = asStoreError(error, path);
        return { state: state === 'corrupt' ? 'unavailable' : state, message };
      }
    },
  };
}

async function readVault(path: string): Promise<Vault | null> {
  try {
    return parseVault(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw asStoreError(error, path);
  }
}

function withRecord(records: Vault['records'], name: string, record: SealedRecord): Vault['records'] {
  return Object.fromEntries([...Object.entries(records).filter(([other]) => other !== name), [name, record]]);
}

function asStoreError(error: unknown, path: string): CredentialStoreError {
  if (error instanceof CredentialStoreError) return error;
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new CredentialStoreError('unavailable', `The vault ${path} cannot be read or written${code}.`, { cause: error });
}
