import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Low } from 'lowdb';

import { isJsonObject } from '../core/json.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { JournalLine, OpenRecord } from '../core/record.ts';
import { errorText } from './error-code.ts';
import type { FoldBounds, Folded, Folder } from './fold-journal.ts';
import { foldJournal, foldLine, nothingFolded } from './fold-journal.ts';
import { homePaths } from './home.ts';
import { readSeal } from './journal-line.ts';
import { JsonDocument } from './json-document.ts';
import { isOpenRecord } from './ledger-line.ts';
import { isInJournal, parsePosition } from './position.ts';
import type { Position } from './position.ts';
import { readForward } from './segment-lines.ts';
import { listExtents } from './segments.ts';
import type { Extent } from './segments.ts';

/** What `usage.json` is kept with. */
export interface TotalsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Rewritten at most this often, in ms; more rarely where writing takes long. 3,000. */
  readonly writeEveryMs?: number;
  /** Puts the journal on the disk itself before the totals take their place: they must not count what a power cut may take. */
  readonly syncJournal?: () => Promise<void>;
}

/** Totals in memory, and how far into the journal they reach. */
export interface TotalsFile<T> {
  read(): T;
  readonly position: Position | null;
  /** Requests that were opened and not closed, as far as the position. */
  readonly open: ReadonlyMap<string, OpenRecord>;
  /** Folds acknowledged lines; those at or before the own position are passed over, so that nothing counts twice. */
  apply(lines: readonly JournalLine[], position: Position): void;
  /**
   * Folds the whole journal anew, on top of what was pruned, while lines may go on coming; the old totals are read until
   * it is done. Gives back how many lines were read. Rejects with Node's error, and then the old totals stay. One at a time.
   */
  rebuild(onProgress?: FoldBounds['onProgress']): Promise<number>;
  /** Folds the lines that pruning is about to take away, so that they go on counting. Rejects with a StorageError. */
  keepPruned(extents: readonly Extent[], through: number): Promise<void>;
  /** Writes what is not written yet. Rejects with a StorageError. */
  flush(): Promise<void>;
  /** Flushes and stops writing; a failure is logged, since the journal has everything. */
  close(): Promise<void>;
}

interface UsageDocument<T> {
  readonly version: 1;
  readonly position: Position | null;
  readonly totals: T;
  /** Requests that were opened and not closed. */
  readonly open: readonly OpenRecord[];
}

/**
 * Reads `ledger/usage.json` and folds what the journal has beyond it. A file that is missing, unreadable, of another
 * version or of another journal is rebuilt: from `ledger/pruned.json` where lines were pruned, else from the beginning;
 * an unreadable one is kept aside. Must be called while nobody appends. Rejects with a StorageError or Node's error when
 * the journal cannot be read.
 */
export async function openTotals<T>(home: string, folder: Folder<T>, options: TotalsOptions): Promise<TotalsFile<T>> {
  const paths = homePaths(home);
  const file = new JsonDocument(paths.usage, (value) => parseUsage(value, folder), {
    ...(options.syncJournal && { beforeReplace: options.syncJournal }),
  });
  const pruned = new JsonDocument(paths.pruned, (value) => parseUsage(value, folder));
  const parts: TotalsParts<T> = { journal: paths.journal, folder, options, file, pruned };
  const stored = await loadStored(file, folder, options);
  const extents = await listExtents(paths.journal);
  const start = await startFrom(stored, parts, extents);
  const caught = await foldJournal(paths.journal, extents, start, folder, { through: Number.POSITIVE_INFINITY });
  return new OpenTotals(parts, caught, caught !== stored);
}

/** The stored totals where they can be carried on from, else those of what was pruned. */
async function startFrom<T>(stored: Folded<T>, parts: TotalsParts<T>, extents: readonly Extent[]): Promise<Folded<T>> {
  const base = await loadPruned(parts, extents);
  if (!(await isUsable(parts.journal, extents, stored.position))) {
    parts.options.log.warn('usage.json is of another journal; rebuilding it');
    return base;
  }
  return (base.position?.seq ?? 0) > (stored.position?.seq ?? 0) ? base : stored;
}

/**
 * Totals of the lines that were pruned from this journal; nothing where none were. What neither the file nor its copy
 * tells is lost, and said.
 */
async function loadPruned<T>({ pruned, journal, folder, options }: TotalsParts<T>, extents: readonly Extent[]): Promise<Folded<T>> {
  const content = await pruned.load();
  if (content.kind === 'absent') return nothingFolded(folder);
  const backup = content.kind === 'value' ? content : await pruned.loadBackup();
  if (content.kind === 'invalid') {
    options.log.warn('pruned.json cannot be read; totals of pruned requests may be missing', { reason: content.message, copy: backup.kind });
  }
  if (backup.kind !== 'value' || backup.value.position === null) return nothingFolded(folder);
  const { seq } = backup.value.position;
  const isGone = extents.length > 0 && extents.every(({ header }) => header !== null && header.seq > seq);
  if (isGone || (await isInJournal(journal, backup.value.position))) return toFolded(backup.value);
  options.log.warn('pruned.json is of another journal; it is left out');
  return nothingFolded(folder);
}

function toFolded<T>({ position, totals, open }: UsageDocument<T>): Folded<T> {
  return { position, totals, open: new Map(open.map((record) => [record.id, record])) };
}

function toDocument<T>({ position, totals, open }: Folded<T>): UsageDocument<T> {
  return { version: 1, position, totals, open: [...open.values()] };
}

function parseUsage<T>(value: unknown, folder: Folder<T>): UsageDocument<T> {
  if (!isJsonObject(value) || value['version'] !== 1) throw new Error('it is of another version');
  const position = value['position'] === null ? null : parsePosition(value['position']);
  if (position === null && value['position'] !== null) throw new Error('its position cannot be read');
  const open: unknown = value['open'] ?? [];
  if (!Array.isArray(open) || !open.every(isOpenRecord)) throw new Error('its open requests cannot be read');
  return { version: 1, position, totals: folder.parse(value['totals']), open };
}

async function loadStored<T>(file: JsonDocument<UsageDocument<T>>, folder: Folder<T>, options: TotalsOptions): Promise<Folded<T>> {
  const content = await file.load();
  if (content.kind === 'value') return toFolded(content.value);
  if (content.kind === 'invalid') {
    const aside = await file.setAside('corrupt', options.clock.now());
    options.log.warn('usage.json cannot be used; rebuilding it from the journal', { reason: content.message, kept: aside });
  }
  return nothingFolded(folder);
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

interface TotalsParts<T> {
  readonly journal: string;
  readonly folder: Folder<T>;
  readonly options: TotalsOptions;
  readonly file: JsonDocument<UsageDocument<T>>;
  readonly pruned: JsonDocument<UsageDocument<T>>;
}

/** A rebuild under way: the lines that came since it began, to be folded behind it. */
interface Rebuild {
  readonly came: { readonly lines: readonly JournalLine[]; readonly position: Position }[];
}

/** Totals that take long to write are written more rarely, so that it stays a small part of the time. A start then reads more lines. */
const WRITE_SHARE = 50;
const LONGEST_REST_MS = 60_000;

class OpenTotals<T> implements TotalsFile<T> {
  readonly #parts: TotalsParts<T>;
  readonly #low: Low<UsageDocument<T>>;
  #folded: Folded<T> & { readonly open: Map<string, OpenRecord> };
  #rebuild: Rebuild | null = null;
  #isDirty: boolean;
  /** How long the last write took, in ms. */
  #writeMs = 0;
  #cancelWrite: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: TotalsParts<T>, folded: Folded<T>, isDirty: boolean) {
    this.#parts = parts;
    this.#folded = { ...folded, open: new Map(folded.open) };
    this.#low = new Low<UsageDocument<T>>(parts.file, toDocument(folded));
    this.#isDirty = isDirty;
    if (isDirty) this.#writeSoon();
  }

  read(): T {
    return this.#folded.totals;
  }

  get position(): Position | null {
    return this.#folded.position;
  }

  get open(): ReadonlyMap<string, OpenRecord> {
    return this.#folded.open;
  }

  apply(lines: readonly JournalLine[], position: Position): void {
    this.#rebuild?.came.push({ lines, position });
    this.#take(lines, position);
  }

  #take(lines: readonly JournalLine[], position: Position): void {
    const reached = this.#folded.position?.seq ?? 0;
    if (position.seq <= reached) return;
    const { open } = this.#folded;
    let { totals } = this.#folded;
    for (const line of lines) if (line.seq > reached) totals = foldLine({ totals, open }, line, this.#parts.folder);
    this.#folded = { position, totals, open };
    this.#isDirty = true;
    this.#writeSoon();
  }

  async rebuild(onProgress?: FoldBounds['onProgress']): Promise<number> {
    const { journal, folder } = this.#parts;
    const through = this.#folded.position?.seq ?? 0;
    const rebuild: Rebuild = { came: [] };
    this.#rebuild = rebuild;
    let lines = 0;
    try {
      const extents = await listExtents(journal);
      const folded = await foldJournal(journal, extents, await loadPruned(this.#parts, extents), folder, {
        through,
        onProgress(progress) {
          lines = progress.lines;
          onProgress?.(progress);
        },
      });
      this.#folded = { ...folded, open: new Map(folded.open) };
      for (const { lines: came, position } of rebuild.came) this.#take(came, position);
    } finally {
      this.#rebuild = null;
    }
    this.#isDirty = true;
    this.#writeSoon();
    return lines;
  }

  async keepPruned(extents: readonly Extent[], through: number): Promise<void> {
    const { journal, folder, pruned } = this.#parts;
    const base = await loadPruned(this.#parts, extents);
    const folded = await foldJournal(journal, extents, base, folder, { through });
    if (folded !== base) await pruned.write(toDocument(folded));
  }

  flush(): Promise<void> {
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelWrite?.();
    await this.flush().catch((error: unknown) => this.#parts.options.log.warn('usage.json was not written', { reason: errorText(error) }));
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const { clock } = this.#parts.options;
    const startedAt = clock.now();
    try {
      this.#low.data = toDocument(this.#folded);
      await this.#low.write();
      this.#writeMs = Math.max(0, clock.now() - startedAt);
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  #writeSoon(): void {
    const { clock, log, writeEveryMs } = this.#parts.options;
    if (this.#cancelWrite || this.#isClosed) return;
    const restMs = Math.min(this.#writeMs * WRITE_SHARE, LONGEST_REST_MS);
    this.#cancelWrite = clock.after(Math.max(writeEveryMs ?? 3_000, restMs), () => {
      this.#cancelWrite = null;
      this.flush().catch((error: unknown) => {
        log.warn('usage.json was not written', { reason: errorText(error) });
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
