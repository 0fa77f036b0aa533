import type { Clock, StorageError } from '../core/ports.ts';
import type { JournalLine, JournalRecord } from '../core/record.ts';

/** A record on its way to the journal. */
export interface Waiting {
  readonly record: JournalRecord;
  /** Answers the caller with the record's line; nothing happens when it was told of a failure before. */
  resolve(line: JournalLine): void;
}

interface Entry extends Waiting {
  reject(failure: StorageError): void;
  /** Set while the caller is being kept waiting for room. */
  cancelWait: (() => void) | null;
}

/** The most records in one write: 4 MiB at the longest. */
const BATCH_RECORDS = 1_024;

/**
 * Records in the order they came. While nothing can be written a caller waits a bounded time and is then told; its
 * record stays, since what it says did happen, and is written once there is room.
 */
export class JournalQueue {
  readonly #clock: Clock;
  readonly #waitMs: number;
  #entries: Entry[] = [];

  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Adds a record; with `failure` its caller's time begins to run at once. */
  add<R extends JournalRecord>(record: R, failure: StorageError | null): Promise<JournalLine<R>> {
    return new Promise<JournalLine<R>>((resolve, reject) => {
      const entry: Entry = {
        record,
        resolve: (line) => {
          entry.cancelWait?.();
          // The line was made from this very record.
          resolve(line as JournalLine & JournalLine<R>);
        },
        reject: (failed) => {
          entry.cancelWait?.();
          reject(failed);
        },
        cancelWait: null,
      };
      this.#entries.push(entry);
      if (failure) this.#wait(entry, failure);
    });
  }

  /** Takes the next batch out. */
  take(): readonly Waiting[] {
    return this.#entries.splice(0, BATCH_RECORDS);
  }

  /** Puts a batch that was not written back in front. */
  putBack(batch: readonly Waiting[]): void {
    this.#entries = [...batch.filter((waiting): waiting is Entry => 'cancelWait' in waiting), ...this.#entries];
  }

  /** Starts the time of every caller whose time does not run yet. */
  startWaiting(failure: StorageError): void {
    for (const entry of this.#entries) if (!entry.cancelWait) this.#wait(entry, failure);
  }

  /** Empties the queue; every caller is told. */
  rejectAll(failure: StorageError): void {
    for (const entry of this.#entries.splice(0)) entry.reject(failure);
  }

  #wait(entry: Entry, failure: StorageError): void {
    entry.cancelWait = this.#clock.after(this.#waitMs, () => entry.reject(failure));
  }
}
