import { scrypt } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, sep } from 'node:path';

import { CredentialStoreError } from '../core/ports.ts';

/** What the vault's key is made of. */
export type VaultSecret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'key-file'; readonly key: Buffer };

/** How a vault says its key is derived; stands in its header, so that other ways can be added beside these. */
export type KeyDerivation =
  | { readonly name: 'scrypt'; readonly n: number; readonly r: number; readonly p: number; readonly salt: string }
  | { readonly name: 'key-file' };

/** The environment the vault's key may be named in. */
export interface VaultEnvironment {
  readonly RELAY_VAULT_PASSPHRASE?: string | undefined;
  readonly RELAY_VAULT_PASSPHRASE_FILE?: string | undefined;
  readonly RELAY_VAULT_KEYFILE?: string | undefined;
}

export const KEY_BYTES = 32;
/** What OWASP recommends for scrypt: about 128 MiB, and 0.8 s on a small machine. */
export const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const;
const SCRYPT_MAX_MEMORY = 256 * 1024 * 1024;
const MAX_SECRET_FILE_BYTES = 64 * 1024;

const WAYS = 'Set RELAY_VAULT_PASSPHRASE, RELAY_VAULT_PASSPHRASE_FILE or RELAY_VAULT_KEYFILE';

/**
 * Finds the vault's secret: a key file, a passphrase, a passphrase file, then the prompt, where there is a terminal.
 * Throws `unavailable` when none is there, naming the ways; a key that is missing is never made.
 */
export async function findVaultSecret(
  environment: VaultEnvironment,
  vaultPath: string,
  prompt: (() => Promise<string | null>) | null,
): Promise<VaultSecret> {
  const { RELAY_VAULT_KEYFILE: keyFile, RELAY_VAULT_PASSPHRASE: direct, RELAY_VAULT_PASSPHRASE_FILE: passphraseFile } = environment;
  if (keyFile !== undefined && keyFile !== '') return { kind: 'key-file', key: await readKeyFile(keyFile, vaultPath) };
  if (direct !== undefined && direct !== '') return { kind: 'passphrase', passphrase: direct };
  if (passphraseFile !== undefined && passphraseFile !== '') {
    const passphrase = (await readSecretFile(passphraseFile, 'passphrase file')).toString('utf8').replace(/\r?\n$/, '');
    if (passphrase === '') throw unavailable(`The vault's passphrase file ${passphraseFile} is empty.`);
    return { kind: 'passphrase', passphrase };
  }
  const typed = prompt === null ? null : await prompt();
  if (typed === null || typed === '') throw unavailable(`The vault needs its key. ${WAYS}.`);
  return { kind: 'passphrase', passphrase: typed };
}

async function readKeyFile(path: string, vaultPath: string): Promise<Buffer> {
  const key = await readSecretFile(path, 'key file');
  if (key.byteLength !== KEY_BYTES) {
    throw unavailable(`The vault's key file ${path} must hold exactly 32 bytes. Make one with: head -c 32 /dev/urandom > ${path}`);
  }
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & 0o007) !== 0) {
    throw unavailable(`The vault's key file ${path} can be read by everyone on this machine. Close it: chmod 600 ${path}`);
  }
  const folder = await realpath(dirname(vaultPath)).catch(() => dirname(vaultPath));
  if ((await realpath(path)).startsWith(folder + sep)) {
    throw unavailable(`The vault's key file ${path} lies beside the vault, where every copy takes both. Move it elsewhere.`);
  }
  return key;
}

async function readSecretFile(path: string, what: string): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > MAX_SECRET_FILE_BYTES) throw unavailable(`The vault's ${what} ${path} is too large to be one.`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof CredentialStoreError) throw error;
    throw unavailable(`The vault's ${what} ${path} cannot be read. Without the key the vault stays shut; no new key is made.`, error);
  }
}

/** Derives the AES key, off the event loop. Throws `denied` when the vault was made with the other kind of secret. */
export async function deriveVaultKey(secret: VaultSecret, derivation: KeyDerivation): Promise<Buffer> {
  if (derivation.name === 'key-file') {
    if (secret.kind === 'key-file') return secret.key;
    throw new CredentialStoreError('denied', 'The vault was made with a key file. Name it in RELAY_VAULT_KEYFILE.');
  }
  if (secret.kind === 'key-file') {
    throw new CredentialStoreError('denied', 'The vault was made with a passphrase. Give it in RELAY_VAULT_PASSPHRASE.');
  }
  const { n, r, p, salt } = derivation;
  return new Promise((resolve, reject) => {
    scrypt(
      secret.passphrase.normalize('NFC'),
      Buffer.from(salt, 'base64'),
      KEY_BYTES,
      { N: n, r, p, maxmem: SCRYPT_MAX_MEMORY },
      (error, key) => {
        if (error === null) resolve(key);
        else reject(new CredentialStoreError('corrupt', "The vault's key derivation cannot be carried out.", { cause: error }));
      },
    );
  });
}

function unavailable(message: string, cause?: unknown): CredentialStoreError {
  return new CredentialStoreError('unavailable', message, { cause });
}
