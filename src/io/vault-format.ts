import { createCipheriv, createDecipheriv } from 'node:crypto';

import { isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { CredentialStoreError } from '../core/ports.ts';
import type { KeyDerivation } from './vault-key.ts';
import { SCRYPT } from './vault-key.ts';

/** One sealed secret, all parts base64. */
export interface SealedRecord {
  readonly iv: string;
  readonly tag: string;
  readonly data: string;
}

/** `vault.json`: how its key is derived, a record that only the right key opens, and the secrets. */
export interface Vault {
  readonly version: 1;
  readonly key: KeyDerivation;
  readonly check: SealedRecord;
  readonly records: Readonly<Record<string, SealedRecord>>;
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Bound into every record, so that none can be moved to another name. */
const boundTo = (name: string): Buffer => Buffer.from(`relay-vault/v1|${name}`);

/** Seals a secret with AES-256-GCM under its name. `iv` must be 12 fresh random bytes. */
export function sealRecord(key: Buffer, name: string, text: string, iv: Uint8Array): SealedRecord {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(boundTo(name));
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return { iv: Buffer.from(iv).toString('base64'), tag: cipher.getAuthTag().toString('base64'), data: data.toString('base64') };
}

/** Opens a record; null when the key is wrong, or the record was changed or belongs to another name. */
export function openRecord(key: Buffer, name: string, record: SealedRecord): string | null {
  const iv = Buffer.from(record.iv, 'base64');
  const tag = Buffer.from(record.tag, 'base64');
  if (iv.byteLength !== IV_BYTES || tag.byteLength !== TAG_BYTES) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(boundTo(name));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(Buffer.from(record.data, 'base64')), decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}

/** Reads `vault.json`. Throws `corrupt`, naming the file, when it is not Relay's; it is left as it is. */
export function parseVault(text: string, path: string): Vault {
  const value = parseJsonObject(text);
  const key = readDerivation(objectAt(value, 'key'));
  const check = readRecord(objectAt(value, 'check'));
  const records = objectAt(value, 'records');
  if (numberAt(value, 'version') !== 1 || key === null || check === null || records === undefined) throw corrupt(path);
  const read: Record<string, SealedRecord> = {};
  for (const [name, entry] of Object.entries(records)) {
    const record = readRecord(entry);
    if (record === null) throw corrupt(path);
    Object.defineProperty(read, name, { value: record, enumerable: true, configurable: true, writable: true });
  }
  return { version: 1, key, check, records: read };
}

function readRecord(value: unknown): SealedRecord | null {
  if (!isJsonObject(value)) return null;
  const [iv, tag, data] = [stringAt(value, 'iv'), stringAt(value, 'tag'), stringAt(value, 'data')];
  return iv === undefined || tag === undefined || data === undefined ? null : { iv, tag, data };
}

function readDerivation(value: unknown): KeyDerivation | null {
  if (stringAt(value, 'name') === 'key-file') return { name: 'key-file' };
  if (stringAt(value, 'name') !== 'scrypt') return null;
  const [n, r, p, salt] = [numberAt(value, 'n'), numberAt(value, 'r'), numberAt(value, 'p'), stringAt(value, 'salt')];
  // Weaker parameters than Relay writes would be someone's attempt to make the passphrase cheap to guess.
  if (n === undefined || r === undefined || p === undefined || salt === undefined) return null;
  if (n < SCRYPT.n || n > SCRYPT.n * 2 || r !== SCRYPT.r || p < 1 || p > 4 || (n & (n - 1)) !== 0) return null;
  return { name: 'scrypt', n, r, p, salt };
}

function corrupt(path: string): CredentialStoreError {
  return new CredentialStoreError(
    'corrupt',
    `${path} is not a vault Relay can read. Restore it from a backup, or move it away and sign in again: relay keys login.`,
  );
}
