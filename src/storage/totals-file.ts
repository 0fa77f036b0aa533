import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Low } from 'lowdb';

import { isJsonObject } from '../core/json.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import { errorText } from './error-code.ts';
import { homePaths } from './home.ts';
import { readSeal } from './journal-line.ts';
import { JsonDocument } from './json-document.ts';
import { isInJournal, parsePosition } from './position.ts';
import type { Position } from './position.ts';
import { readCloseLine } from './query.ts';
import { readForward } from './segment-lines.ts';
import { compareSegments, listExtents } from './segments.ts';
import type { Extent } from './segments.ts';

/** How closing lines become totals. */
export interface Folder<T> {
  empty(): T;
  /** May change and give back the same object. */
  fold(totals: T, line: JournalLine<CloseRecord>): T;
  /** Throws when a stored value is not totals of this version. */
  parse(value: unknown): T;
}

/** What `usage.json` is kept with. */
export interface TotalsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Rewritten at most this often, in ms. 3,000. */
  readonly writeEveryMs?: number;
  /** Puts the journal on the disk itself before the totals take their place: they must not count what a power cut may take. */
  readonly syncJournal?: () => Promise<void>;
}

/** Totals in memory, and how far into the journal they reach. */
export interface TotalsFile<T> {
  read(): T;
  readonly position: Position | null;
  /** Folds acknowledged lines; those at or before the own position are passed over, so that nothing counts twice. */
  apply(lines: readonly JournalLine[], position: Position): void;
  /** Writes what is not written yet. Rejects with a StorageError. */
  flush(): Promise<void>;
  /** Flushes and stops writing; a failure is logged, since the journal has everything. */
  close(): Promise<void>;
}

interface UsageDocument<T> {
  readonly version: 1;
  readonly position: Position | null;
  readonly totals: T;
}

/**
 * Reads `ledger/usage.json` and folds what the journal has beyond it. A file that is missing, unreadable, of another
 * version or of another journal is rebuilt from the beginning; an unreadable one is kept aside. Must be called while
 * nobody appends. Rejects with a StorageError or Node's error when the journal cannot be read.
 */
export async function openTotals<T>(home: string, folder: Folder<T>, options: TotalsOptions): Promise<TotalsFile<T>> {
  const paths = homePaths(home);
  const adapter = new JsonDocument(paths.usage, (value) => parseUsage(value, folder), {
    ...(options.syncJournal && { beforeReplace: options.syncJournal }),
  });
  const stored = await loadStored(adapter, folder, options);
  const extents = await listExtents(paths.journal);
  const start = (await isUsable(paths.journal, extents, stored.position)) ? stored : emptyUsage(folder);
  if (start !== stored) options.log.warn('usage.json is of another journal; rebuilding it');
  const caught = await catchUp(paths.journal, extents, start, folder);
  const low = new Low<UsageDocument<T>>(adapter, caught);
  return new OpenTotals(low, folder, options, caught !== stored);
}

function emptyUsage<T>(folder: Folder<T>): UsageDocument<T> {
  return { version: 1, position: null, totals: folder.empty() };
}

function parseUsage<T>(value: unknown, folder: Folder<T>): UsageDocument<T> {
  if (!isJsonObject(value) || value['version'] !== 1) throw new Error('it is of another version');
  const position = value['position'] === null ? null : parsePosition(value['position']);
  if (position === null && value['position'] !== null) throw new Error('its position cannot be read');
  return { version: 1, position, totals: folder.parse(value['totals']) };
}

async function loadStored<T>(
  adapter: JsonDocument<UsageDocument<T>>, folder: Folder<T>, options: TotalsOptions,
): Promise<UsageDocument<T>> {
  const content = await adapter.load();
  if (content.kind === 'value') return content.value;
  if (content.kind === 'invalid') {
    const aside = await adapter.setAside('corrupt', options.clock.now());
    options.log.warn('usage.json cannot be used; rebuilding it from the journal', { reason: content.message, kept: aside });
  }
  return emptyUsage(folder);
}

/** True unless the journal has another line under the position's number: then these are another journal's totals. */
async function isUsable(journal: string, extents: readonly Extent[], position: Position | null): Promise<boolean> {
  if (position === null) return true;
  if (await isInJournal(journal, position)) return true;
  const holder = extents.findLast(({ header }) => header !== null && header.seq <= position.seq);
  if (!holder) return extents.every(({ header }) => header !== null && header.seq > position.seq);
  for await (const { lines } of readForward(join(journal, holder.name), 0, holder.end)) {
    for (const { bytes } of lines) {
      const seal = readSeal(bytes);
      if (seal?.seq === position.seq) return seal.h === position.h;
    }
  }
  return true;
}

async function catchUp<T>(
  journal: string, extents: readonly Extent[], start: UsageDocument<T>, folder: Folder<T>,
): Promise<UsageDocument<T>> {
  let { position, totals } = start;
  const known = position !== null && (await isInJournal(journal, position)) ? position : null;
  for (const { name, end } of extents) {
    if (known && compareSegments(name, known.segment) < 0) continue;
    const from = known?.segment === name ? known.offset : 0;
    for await (const { lines } of readForward(join(journal, name), from, end)) {
      for (const line of lines) {
        const seal = readSeal(line.bytes);
        if (!seal || seal.seq <= (position?.seq ?? 0)) continue;
        const closed = readCloseLine(line.bytes);
        if (closed) totals = folder.fold(totals, closed);
        position = { segment: name, offset: line.end, ...seal };
      }
    }
  }
  return position === start.position ? start : { version: 1, position, totals };
}

class OpenTotals<T> implements TotalsFile<T> {
  readonly #low: Low<UsageDocument<T>>;
  readonly #folder: Folder<T>;
  readonly #options: TotalsOptions;
  #isDirty: boolean;
  #cancelWrite: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(low: Low<UsageDocument<T>>, folder: Folder<T>, options: TotalsOptions, isDirty: boolean) {
    this.#low = low;
    this.#folder = folder;
    this.#options = options;
    this.#isDirty = isDirty;
    if (isDirty) this.#writeSoon();
  }

  read(): T {
    return this.#low.data.totals;
  }

  get position(): Position | null {
    return this.#low.data.position;
  }

  apply(lines: readonly JournalLine[], position: Position): void {
    const { position: reached } = this.#low.data;
    let { totals } = this.#low.data;
    for (const line of lines) {
      if (line.seq <= (reached?.seq ?? 0) || line.k !== 'close') continue;
      totals = this.#folder.fold(totals, line);
    }
    if (position.seq <= (reached?.seq ?? 0)) return;
    this.#low.data = { version: 1, position, totals };
    this.#isDirty = true;
    this.#writeSoon();
  }

  flush(): Promise<void> {
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelWrite?.();
    await this.flush().catch((error: unknown) => this.#options.log.warn('usage.json was not written', { reason: errorText(error) }));
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    try {
      await this.#low.write();
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  #writeSoon(): void {
    if (this.#cancelWrite || this.#isClosed) return;
    this.#cancelWrite = this.#options.clock.after(this.#options.writeEveryMs ?? 3_000, () => {
      this.#cancelWrite = null;
      this.flush().catch((error: unknown) => {
        this.#options.log.warn('usage.json was not written', { reason: errorText(error) });
        this.#writeSoon();
      });
    });
  }
}

/** The totals as `usage.json` has them, for a command that runs without the daemon and must not write; null when it has none. */
export async function readTotals<T>(home: string, folder: Folder<T>): Promise<T | null> {
  const text = await readFile(homePaths(home).usage, 'utf8').catch(() => null);
  try {
    return text === null ? null : parseUsage(JSON.parse(text), folder).totals;
  } catch {
    return null;
  }
}
