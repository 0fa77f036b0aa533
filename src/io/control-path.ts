import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';

import { CommandError, EXIT } from '../core/errors.ts';

/** A unix socket's address holds 104 bytes on macOS and 108 on Linux, the closing zero included. */
const MAX_PATH_BYTES = 103;

/**
 * Where the control socket of a `RELAY_HOME` is: `relay.sock` in it; where that is too long for a socket, a name made
 * from it in the user's runtime folder or in a folder of the user's own below the temporary one; a pipe on Windows.
 * Makes that folder, 0700, where it is needed. Throws a CommandError (73) when somebody else's is in its place.
 */
export async function controlPath(home: string, environment: { readonly XDG_RUNTIME_DIR?: string | undefined }): Promise<string> {
  const whole = await realpath(home).catch(() => resolve(home));
  if (process.platform === 'win32') return `\\\\.\\pipe\\relay-${homeDigest(whole)}`;
  const direct = join(whole, 'relay.sock');
  if (Buffer.byteLength(direct) <= MAX_PATH_BYTES) return direct;
  const name = `relay-${homeDigest(whole)}.sock`;
  const runtime = environment.XDG_RUNTIME_DIR;
  if (runtime !== undefined && runtime.startsWith('/')) {
    const path = join(runtime, name);
    if (Buffer.byteLength(path) <= MAX_PATH_BYTES && (await isOwnFolder(runtime))) return path;
  }
  return join(await ownTemporaryFolder(), name);
}

/** Names a home without telling where it is: 16 hex digits. */
export function homeDigest(home: string): string {
  return createHash('sha256').update(home).digest('hex').slice(0, 16);
}

async function ownTemporaryFolder(): Promise<string> {
  const base = Buffer.byteLength(tmpdir()) > 60 ? '/tmp' : tmpdir();
  const folder = join(base, `relay-${userInfo().uid}`);
  await mkdir(folder, { mode: 0o700 }).catch(() => {});
  if (await isOwnFolder(folder)) return folder;
  throw new CommandError(
    EXIT.cannotWrite,
    `${folder} belongs to somebody else or is open to others. Remove it, or choose a shorter RELAY_HOME.`,
  );
}

async function isOwnFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  return found !== null && found.isDirectory() && found.uid === userInfo().uid && (found.mode & 0o077) === 0;
}
