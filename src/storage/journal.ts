import { StorageError } from '../core/ports.ts';
import type { Clock, Journal, Log } from '../core/ports.ts';
import type { JournalLine, JournalRecord } from '../core/record.ts';
import { errorCode, toStorageError } from './error-code.ts';
import { homePaths } from './home.ts';
import type { Head } from './journal-line.ts';
import { JournalQueue } from './journal-queue.ts';
import type { Waiting } from './journal-queue.ts';
import { JournalTail } from './journal-tail.ts';
import type { Position } from './position.ts';
import { readPosition } from './position.ts';
import { recoverJournal } from './recover.ts';
import { realDisk } from './segment-file.ts';
import type { SegmentDisk } from './segment-file.ts';

/** What a journal is opened with; everything behind `log` has a value that serves. */
export interface JournalOptions {
  readonly clock: Clock;
  /** `disk`: a line is acknowledged once it is on the disk itself; `process`: once the operating system has it. */
  readonly durability: 'disk' | 'process';
  readonly log: Log;
  /** Called with each acknowledged batch, in order, before its appends resolve. Must not throw. */
  readonly onDurable?: (lines: readonly JournalLine[], position: Position) => void;
  readonly disk?: SegmentDisk;
  /** A segment is not made longer than this. 64 MiB. */
  readonly segmentBytes?: number;
  /** How many records may wait while nothing can be written. 1,000. */
  readonly queueLimit?: number;
  /** How long an append waits for room before it rejects, in ms. The record itself goes on waiting. 2,000. */
  readonly waitMs?: number;
  /** How often a full disk is tried again, in ms. 1,000. */
  readonly retryMs?: number;
}

/** The journal with what its folds and its owner need beside the port. */
export interface OpenJournal extends Journal {
  /** How far acknowledged lines reach; null while there are none. */
  readonly position: Position | null;
  /** Puts everything acknowledged on the disk itself; does nothing under `durability: "disk"`, where it is there already. */
  sync(): Promise<void>;
}

/**
 * Opens the journal of a `RELAY_HOME`, which must exist, and recovers it (`recover.ts`). One process at a time may hold
 * it open. Rejects with a StorageError when it cannot be read or written. The format is `docs/ledger-format.md`.
 */
export async function openJournal(home: string, options: JournalOptions): Promise<OpenJournal> {
  const { journal: folder, usage } = homePaths(home);
  const disk = options.disk ?? realDisk;
  try {
    const recovery = await recoverJournal(folder, await readPosition(usage), options.clock.now());
    const { durability, segmentBytes = 64 << 20 } = options;
    const tail = await JournalTail.open({ folder, disk, durability, segmentBytes }, recovery);
    const journal = new GroupCommitJournal(tail, options);
    for (const note of recovery.notes) {
      options.log.warn(`journal: ${note.note}`, note.detail);
      await journal.append(note);
    }
    return journal;
  } catch (error) {
    throw toStorageError(error, `cannot open the journal in ${folder}`);
  }
}

type Written =
  | { readonly ok: true; readonly lines: readonly JournalLine[] }
  | { readonly ok: false; readonly failure: StorageError };

/** What gathered while the last write ran is the next batch: one write and one sync for all of it, and no timer before it. */
class GroupCommitJournal implements OpenJournal {
  readonly #tail: JournalTail;
  readonly #options: JournalOptions;
  readonly #queue: JournalQueue;
  #pumping: Promise<void> | null = null;
  #trouble: StorageError | null = null;
  #cancelRetry: (() => void) | null = null;
  /** Records in the write that is running. */
  #inFlight = 0;
  #isDegraded = false;
  #isClosed = false;

  constructor(tail: JournalTail, options: JournalOptions) {
    this.#tail = tail;
    this.#options = options;
    this.#queue = new JournalQueue(options.clock, options.waitMs ?? 2_000);
  }

  get head(): Head {
    return this.#tail.head;
  }

  get position(): Position | null {
    return this.#tail.position;
  }

  get state(): Journal['state'] {
    if (this.#trouble) return 'full';
    return this.#isDegraded ? 'degraded' : 'operational';
  }

  append<R extends JournalRecord>(record: R): Promise<JournalLine<R>> {
    if (this.#isClosed) return Promise.reject(new StorageError('io', 'the journal is closed'));
    if (!this.#isStuck()) {
      const appended = this.#queue.add(record, null);
      this.#pump();
      return appended;
    }
    if (this.#queue.length + this.#inFlight >= (this.#options.queueLimit ?? 1_000)) return Promise.reject(this.#trouble);
    return this.#queue.add(record, this.#trouble);
  }

  /** Waiting for the disk to take writes again. A journal that is gone is looked for with every append instead. */
  #isStuck(): boolean {
    return this.#trouble !== null && this.#trouble.reason !== 'gone';
  }

  async sync(): Promise<void> {
    await this.#tail.sync();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#pump();
    while (this.#pumping) await this.#pumping;
    this.#queue.rejectAll(this.#trouble ?? new StorageError('io', 'the journal was closed'));
    await this.#tail.close();
  }

  /** Starts writing what waits unless that is going on already. */
  #pump(): void {
    if (this.#pumping || this.#queue.length === 0) return;
    this.#pumping = this.#drain().finally(() => {
      this.#pumping = null;
      // What came after the last look at the queue; a full disk has its own timer.
      if (!this.#isStuck()) this.#pump();
    });
  }

  async #drain(): Promise<void> {
    // Appends of the same turn go into the same batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.take();
      this.#inFlight = batch.length;
      const written = await this.#write(batch);
      this.#inFlight = 0;
      if (!written.ok) {
        this.#queue.putBack(batch);
        this.#stop(written.failure);
        return;
      }
      this.#recovered();
      if (this.#tail.position) this.#options.onDurable?.(written.lines, this.#tail.position);
      for (const [index, line] of written.lines.entries()) batch[index]?.resolve(line);
    }
  }

  /** Writes a batch, once more in a new segment when the first try fails for any reason but want of room. */
  async #write(batch: readonly Waiting[]): Promise<Written> {
    const first = await this.#tryWrite(batch);
    if (first.ok || first.failure.reason !== 'io') return first;
    this.#isDegraded = true;
    return this.#tryWrite(batch);
  }

  async #tryWrite(batch: readonly Waiting[]): Promise<Written> {
    try {
      return { ok: true, lines: await this.#tail.write(batch.map(({ record }) => record), this.#options.clock.now()) };
    } catch (error) {
      const failure = toStorageError(error, 'the journal cannot be written');
      if (!this.#trouble) this.#options.log.warn(`journal: ${failure.message}`, { code: errorCode(error), reason: failure.reason });
      return { ok: false, failure };
    }
  }

  #recovered(): void {
    if (!this.#trouble) return;
    this.#trouble = null;
    this.#options.log.info('journal: written again', { seq: this.#tail.head.seq });
  }

  #stop(failure: StorageError): void {
    if (!this.#trouble) this.#options.log.error(`journal: nothing can be written: ${failure.message}`, { reason: failure.reason });
    this.#trouble = failure;
    if (failure.reason === 'gone') {
      this.#queue.rejectAll(failure);
      return;
    }
    this.#queue.startWaiting(failure);
    if (this.#isClosed) return;
    this.#cancelRetry = this.#options.clock.after(this.#options.retryMs ?? 1_000, () => this.#pump());
  }
}
