import { mkdir, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Clock, Log, LogFacts } from '../core/ports.ts';
import type { LogEntry, LogLevel } from './log-line.ts';
import { LOG_LEVELS } from './log-line.ts';

/** Takes entries that have passed the level. */
export type LogSink = (entry: LogEntry) => void;

const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** A log over one or more sinks; entries below `level` are dropped. A sink that throws is left out for that entry. */
export function createLog(
  { clock, level, sinks }: { readonly clock: Pick<Clock, 'now'>; readonly level: LogLevel; readonly sinks: readonly LogSink[] },
): Log {
  const lowest = LOG_LEVELS.indexOf(level);
  const at = (entryLevel: LogLevel) => (message: string, facts: LogFacts = {}): void => {
    if (LOG_LEVELS.indexOf(entryLevel) < lowest) return;
    const entry = { t: clock.now(), level: entryLevel, message, facts };
    for (const sink of sinks) {
      try {
        sink(entry);
      } catch {
        // A log that cannot be written must not fail what it was to tell of.
      }
    }
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Writes entries as lines through a stream's `write`, e.g. stderr's. */
export function streamSink(write: (line: string) => void, format: (entry: LogEntry) => string): LogSink {
  return (entry) => write(format(entry));
}

export interface LogFile {
  readonly sink: LogSink;
  /** Resolves when everything taken so far is in the file. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface LogFileOptions {
  readonly path: string;
  readonly format: (entry: LogEntry) => string;
  /** Past this size the file becomes `relay.log.1`, and so on. */
  readonly maxBytes: number;
  /** Rotated files kept beside the current one. */
  readonly keep: number;
}

/** Relay's usual log file: 10 MB, five kept. */
export const LOG_FILE_BOUNDS = { maxBytes: 10_000_000, keep: 5 } as const;

/**
 * A log file, 0600, written behind the caller's back and in order. A disk that fails costs entries, never the
 * daemon: what cannot be written is dropped, and past 4 MiB waiting so is what comes.
 */
export function openLogFile({ path, format, maxBytes, keep }: LogFileOptions): LogFile {
  let file: FileHandle | null = null;
  let size = 0;
  let waiting: string[] = [];
  let waitingBytes = 0;
  let writing: Promise<void> | null = null;

  const current = async (): Promise<FileHandle> => {
    if (file !== null) return file;
    await mkdir(dirname(path), { recursive: false, mode: 0o700 }).catch(() => {});
    file = await open(path, 'a', 0o600);
    await file.chmod(0o600);
    size = (await file.stat()).size;
    return file;
  };
  const rotate = async (): Promise<void> => {
    await file?.close();
    file = null;
    await unlink(`${path}.${keep}`).catch(() => {});
    for (let number = keep - 1; number >= 1; number--) await rename(`${path}.${number}`, `${path}.${number + 1}`).catch(() => {});
    await rename(path, `${path}.1`).catch(() => {});
  };
  const writeWaiting = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = Buffer.from(waiting.join(''));
      waiting = [];
      waitingBytes = 0;
      try {
        const target = await current();
        await target.appendFile(batch);
        size += batch.byteLength;
        if (size >= maxBytes) await rotate();
      } catch {
        await file?.close().catch(() => {});
        file = null;
      }
    }
  };
  const pendingWork = (): Promise<void> | null => writing ?? (waiting.length > 0 ? start() : null);
  const flush = async (): Promise<void> => {
    for (let work = pendingWork(); work !== null; work = pendingWork()) await work;
  };
  const start = (): Promise<void> => {
    writing = writeWaiting().finally(() => {
      writing = null;
    });
    return writing;
  };

  return {
    sink(entry) {
      const line = format(entry);
      if (waitingBytes + line.length > MAX_WAITING_BYTES) return;
      waiting.push(line);
      waitingBytes += line.length;
      if (writing === null) void start();
    },
    flush,
    async close() {
      await flush();
      await file?.close().catch(() => {});
      file = null;
    },
  };
}
