import { constants, fstatSync, statSync, writeSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { errorCode } from './error-code.ts';

/** A segment open for appending. */
export interface SegmentFile {
  /** Appends what fits and says how many bytes that were; may be fewer than given. */
  write(bytes: Buffer): Promise<number>;
  /** Resolves when everything written is on the disk itself. */
  datasync(): Promise<void>;
  /** False once the path leads elsewhere or nowhere: writes would reach a file nobody can find. */
  isInPlace(): Promise<boolean>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** What the journal asks of a file system: narrow, so that a test can make it fail. Rejects with Node's own errors. */
export interface SegmentDisk {
  /** Makes a new file, 0600; fails when the name is taken. */
  create(path: string): Promise<SegmentFile>;
  /** Opens an existing file; a symbolic link is refused. */
  reopen(path: string): Promise<SegmentFile>;
  remove(path: string): Promise<void>;
  /** Makes created and removed names durable. */
  syncFolder(path: string): Promise<void>;
}

const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** The machine's own file system. */
export const realDisk: SegmentDisk = {
  create: async (path) => segmentFile(path, await open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)),
  reopen: async (path) => segmentFile(path, await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW)),
  remove: unlink,
  syncFolder,
};

/**
 * Appending to the system's cache and asking after a name take microseconds, less than a turn of the thread pool costs;
 * only the sync, which waits for the disk, is made to wait elsewhere.
 */
function segmentFile(path: string, file: FileHandle): SegmentFile {
  const { ino, dev } = fstatSync(file.fd, { bigint: true });
  return {
    write: async (bytes) => writeSync(file.fd, bytes),
    datasync: () => file.datasync(),
    isInPlace: async () => {
      const there = statIfThere(path);
      return there !== undefined && there.ino === ino && there.dev === dev;
    },
    size: async () => Number(fstatSync(file.fd, { bigint: true }).size),
    close: () => file.close(),
  };
}

function statIfThere(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Makes a folder's entries durable. Windows cannot open a folder; there the file's own sync has to do. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
