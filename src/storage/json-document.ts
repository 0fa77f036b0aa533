import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { copyFile, link, lstat, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { hash, randomBytes } from 'node:crypto';
import { dirname } from 'node:path';

import type { Adapter } from 'lowdb';

import { StorageError } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { errorCode, errorText, toStorageError } from './error-code.ts';
import { syncFolder } from './segment-file.ts';

/** What stands in a file: a value, nothing, or something that is none of ours. */
export type Content<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly message: string; readonly error: unknown };

/** How a document is written. */
export interface DocumentOptions {
  /** Spaces of indentation, for files a person may read; none unless said. */
  readonly indent?: number;
  /** Runs when the new text is fixed and on disk, before it takes the old one's place. Its failure keeps the old one. */
  readonly beforeReplace?: () => Promise<void>;
}

/**
 * A JSON file for lowdb that survives a crash at any moment: written under a random name, 0600, synced, renamed over the
 * old one, which stays as `.bak`, and the folder synced. It knows what it last read or wrote, so that an edit from
 * outside is seen before it would be lost.
 */
export class JsonDocument<T> implements Adapter<T> {
  readonly path: string;
  readonly #parse: (value: unknown) => T;
  #seen: { readonly stamp: string; readonly digest: string } | null = null;

  readonly #options: DocumentOptions;

  /** `parse` throws when a value is not this document's. */
  constructor(path: string, parse: (value: unknown) => T, options: DocumentOptions = {}) {
    this.path = path;
    this.#parse = parse;
    this.#options = options;
  }

  /** For lowdb: the value, or null when the file is absent. Throws when it is not this document's. */
  async read(): Promise<T | null> {
    const content = await this.load();
    if (content.kind === 'invalid') throw new Error(`${this.path}: ${content.message}`);
    return content.kind === 'value' ? content.value : null;
  }

  /** Reads and checks the file, and takes note of it as seen. Rejects with a StorageError when it cannot be read. */
  async load(): Promise<Content<T>> {
    try {
      const stamp = stampOf(await stat(this.path, { bigint: true }));
      const text = await readFile(this.path, 'utf8');
      this.#seen = { stamp, digest: digestOf(text) };
      return this.#check(text);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return { kind: 'absent' };
      throw toStorageError(error, `cannot read ${this.path}`);
    }
  }

  /** Reads the copy of the version before. */
  async loadBackup(): Promise<Content<T>> {
    const text = await readFile(`${this.path}.bak`, 'utf8').catch(() => null);
    return text === null ? { kind: 'absent' } : this.#check(text);
  }

  #check(text: string): Content<T> {
    try {
      return { kind: 'value', value: this.#parse(JSON.parse(text)) };
    } catch (error) {
      return { kind: 'invalid', message: text.trim() === '' ? 'it is empty' : errorText(error), error };
    }
  }

  /** Whether somebody else has written or removed the file since it was last read or written here. */
  async changedOutside(): Promise<'no' | 'edited' | 'removed'> {
    try {
      const stamp = stampOf(await stat(this.path, { bigint: true }));
      if (this.#seen?.stamp === stamp) return 'no';
      const digest = digestOf(await readFile(this.path, 'utf8'));
      if (this.#seen?.digest !== digest) return 'edited';
      this.#seen = { stamp, digest };
      return 'no';
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return this.#seen ? 'removed' : 'no';
      throw toStorageError(error, `cannot read ${this.path}`);
    }
  }

  /** Replaces the file; it holds the old or the new value at every moment. Rejects with a StorageError. */
  async write(data: T): Promise<void> {
    const text = `${JSON.stringify(data, null, this.#options.indent ?? 0)}\n`;
    const temporary = `${this.path}.${randomBytes(8).toString('hex')}.tmp`;
    try {
      await refuseLink(this.path);
      await writeNew(temporary, text);
      await this.#options.beforeReplace?.();
      await this.#keepBackup();
      await rename(temporary, this.path);
      await syncFolder(dirname(this.path));
      this.#seen = { stamp: stampOf(await stat(this.path, { bigint: true })), digest: digestOf(text) };
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw toStorageError(error, `cannot write ${this.path}`);
    }
  }

  /** The version that stands becomes `.bak`, by a second name for the same file, so that it is there at every moment. */
  async #keepBackup(): Promise<void> {
    const next = `${this.path}.${randomBytes(8).toString('hex')}.tmp`;
    try {
      await link(this.path, next);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      await copyFile(this.path, next, constants.COPYFILE_EXCL);
    }
    await rename(next, `${this.path}.bak`);
  }

  /** Puts the file aside under `<path>.<word>-<time>`; gives back that path. */
  async setAside(word: 'corrupt' | 'edited', now: EpochMs): Promise<string> {
    const aside = `${this.path}.${word}-${now}`;
    await rename(this.path, aside);
    this.#seen = null;
    return aside;
  }
}

/** Replaces any file durably: it holds the old or the new text at every moment. Rejects with Node's error. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  try {
    await writeNew(temporary, text, mode & 0o700);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function writeNew(path: string, text: string, mode = 0o600): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename would replace the link and leave its target behind, silently. */
async function refuseLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isSymbolicLink()) throw new StorageError('io', `${path} is a symbolic link; put the file itself there`);
}

function stampOf({ mtimeNs, size, ino }: BigIntStats): string {
  return `${mtimeNs}:${size}:${ino}`;
}

function digestOf(text: string): string {
  return hash('sha256', text, 'hex');
}
