import { join } from 'node:path';

import { StorageError } from '../core/ports.ts';
import type { JournalLine, JournalRecord, NoteRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { errorCode } from './error-code.ts';
import type { Head, SealedLine } from './journal-line.ts';
import { MAX_LINE_BYTES, sealRecord } from './journal-line.ts';
import type { Position } from './position.ts';
import type { Recovery } from './recover.ts';
import type { SegmentDisk, SegmentFile } from './segment-file.ts';
import type { SegmentReason } from './segments.ts';
import { dayOfSegment, nextSegmentName, utcDay } from './segments.ts';

/** Where and how a journal's end is written. */
export interface TailSettings {
  readonly folder: string;
  readonly disk: SegmentDisk;
  readonly durability: 'disk' | 'process';
  readonly segmentBytes: number;
}

interface Segment {
  readonly name: string;
  readonly file: SegmentFile;
  /** Bytes that were acknowledged; what a failed write may have left behind them does not count. */
  end: number;
}

/**
 * The end of the journal: the one open file and the chain's head. After a failed write or sync the file is not trusted
 * again; the next batch begins a new segment whose first line says where the old one ends.
 */
export class JournalTail {
  readonly #settings: TailSettings;
  #head: Head;
  #current: Segment | null;
  #lastName: string | null;
  /** What the next write must begin a segment for; null to go on in the current one. */
  #pending: SegmentReason | null;
  #unsynced = false;

  private constructor(settings: TailSettings, recovery: Recovery, current: Segment | null) {
    this.#settings = settings;
    this.#head = recovery.head;
    this.#current = current;
    this.#lastName = recovery.segment?.name ?? null;
    this.#pending = recovery.isCorrupt ? 'corruption' : null;
  }

  /** Opens the segment recovery ended in; an empty journal gets its first one with its first line. */
  static async open(settings: TailSettings, recovery: Recovery): Promise<JournalTail> {
    if (!recovery.segment) return new JournalTail(settings, recovery, null);
    const { name, end } = recovery.segment;
    return new JournalTail(settings, recovery, { name, end, file: await settings.disk.reopen(join(settings.folder, name)) });
  }

  get head(): Head {
    return this.#head;
  }

  get position(): Position | null {
    return this.#current && { segment: this.#current.name, offset: this.#current.end, ...this.#head };
  }

  /** Writes records as the chain's next lines and resolves when they are durable. Rejects when they may not be; nothing counts then. */
  async write(records: readonly JournalRecord[], now: EpochMs): Promise<readonly JournalLine[]> {
    const reason = this.#reasonForNew(records.length, now);
    if (reason === null && this.#current) return this.#writeInto(this.#current, records);
    if (this.#current) await requireInPlace(this.#current.file);
    return this.#writeIntoNew(reason ?? 'first', records, now);
  }

  /** Puts on the disk what `durability: "process"` left with the operating system. */
  async sync(): Promise<void> {
    if (!this.#unsynced || !this.#current) return;
    this.#unsynced = false;
    await this.#current.file.datasync();
  }

  async close(): Promise<void> {
    await this.sync().catch(() => undefined);
    await this.#current?.file.close();
    this.#current = null;
  }

  #reasonForNew(records: number, now: EpochMs): SegmentReason | null {
    if (this.#pending) return this.#pending;
    if (!this.#current) return this.#head.seq === 0 ? 'first' : 'corruption';
    if (utcDay(now) > dayOfSegment(this.#current.name)) return 'day';
    return this.#current.end + (records + 1) * MAX_LINE_BYTES > this.#settings.segmentBytes && this.#current.end > 0 ? 'size' : null;
  }

  async #writeInto(segment: Segment, records: readonly JournalRecord[]): Promise<readonly JournalLine[]> {
    const sealed = sealAll(records, this.#head);
    try {
      const bytes = await this.#put(segment.file, sealed, segment.end);
      await requireInPlace(segment.file);
      segment.end += bytes;
    } catch (error) {
      this.#pending = 'failed-write';
      throw error;
    }
    return this.#acknowledge(sealed);
  }

  async #writeIntoNew(reason: SegmentReason, records: readonly JournalRecord[], now: EpochMs): Promise<readonly JournalLine[]> {
    const sealed = sealAll([this.#headerOf(reason, now), ...records], this.#head);
    const lastName = this.#lastName;
    const { name, file } = await this.#create(now);
    try {
      const end = await this.#put(file, sealed, 0);
      await this.#settings.disk.syncFolder(this.#settings.folder);
      await this.#leaveCurrent(reason);
      this.#current = { name, file, end };
      this.#pending = null;
    } catch (error) {
      // If it cannot be removed it stands between two segments, and the next one's header passes it over.
      this.#pending = 'failed-write';
      await file.close().catch(() => undefined);
      // A disk that stays full is tried again and again: the name is free for the next try.
      await this.#settings.disk.remove(join(this.#settings.folder, name)).then(() => {
        this.#lastName = lastName;
      }, () => undefined);
      throw error;
    }
    return this.#acknowledge(sealed).slice(1);
  }

  #headerOf(reason: SegmentReason, t: EpochMs): NoteRecord {
    const detail = { reason, previous: this.#head.h, after: this.#current?.name ?? null, offset: this.#current?.end ?? 0 };
    return { v: 1, t, k: 'note', note: 'segment', detail };
  }

  async #create(now: EpochMs): Promise<{ readonly name: string; readonly file: SegmentFile }> {
    for (;;) {
      const name = nextSegmentName(this.#lastName, utcDay(now));
      try {
        const file = await this.#settings.disk.create(join(this.#settings.folder, name));
        this.#lastName = name;
        return { name, file };
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
        this.#lastName = name;
      }
    }
  }

  /** After a failed write the old file is not synced again: what it holds was acknowledged, or does not count. */
  async #leaveCurrent(reason: SegmentReason): Promise<void> {
    if (!this.#current) return;
    if (this.#settings.durability === 'process' && reason !== 'failed-write') await this.#current.file.datasync();
    await this.#current.file.close().catch(() => undefined);
  }

  /** Writes until everything is written, then syncs; gives back how many bytes that were. */
  async #put(file: SegmentFile, sealed: readonly SealedLine[], end: number): Promise<number> {
    const bytes = Buffer.from(sealed.map(({ text }) => text).join(''), 'latin1');
    for (let written = 0; written < bytes.length;) {
      const count = await file.write(bytes.subarray(written));
      if (count <= 0) throw new StorageError('io', 'the file system took no bytes');
      written += count;
    }
    // A file system that says it took more than it did, or a second writer: either way the lines do not stand where they should.
    const size = await file.size();
    if (size !== end + bytes.length) throw new StorageError('io', `the segment is ${size} bytes long and should be ${end + bytes.length}`);
    if (this.#settings.durability === 'disk') await file.datasync();
    else this.#unsynced = true;
    return bytes.length;
  }

  #acknowledge(sealed: readonly SealedLine[]): readonly JournalLine[] {
    const last = sealed.at(-1);
    if (last) this.#head = { seq: last.line.seq, h: last.line.h };
    return sealed.map(({ line }) => line);
  }
}

function sealAll(records: readonly JournalRecord[], head: Head): readonly SealedLine[] {
  let previous = head;
  return records.map((record) => {
    const sealed = sealRecord(record, previous);
    previous = sealed.line;
    return sealed;
  });
}

async function requireInPlace(file: SegmentFile): Promise<void> {
  if (await file.isInPlace()) return;
  const remedy = 'stop Relay, then put RELAY_HOME back or start afresh';
  throw new StorageError('gone', `the journal was moved or removed while Relay was running; ${remedy}`);
}
