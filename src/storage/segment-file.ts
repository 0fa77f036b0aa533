import { constants } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { open, stat, unlink } from 'node:fs/promises';
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

function segmentFile(path: string, file: FileHandle): SegmentFile {
  return {
    write: async (bytes) => (await file.write(bytes)).bytesWritten,
    datasync: () => file.datasync(),
    isInPlace: async () => {
      const [here, there] = await Promise.all([file.stat({ bigint: true }), statIfThere(path)]);
      return there !== null && here.ino === there.ino && here.dev === there.dev;
    },
    size: async () => (await file.stat()).size,
    close: () => file.close(),
  };
}

async function statIfThere(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
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
