import { randomBytes } from 'node:crypto';
import { link, lstat, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Clock, ProcessLock } from '../core/ports.ts';
import { StorageError } from '../core/ports.ts';
import { errorCode, toStorageError } from './error-code.ts';
import { homePaths } from './home.ts';

/** What a lock is taken with. */
export interface LockOptions {
  readonly clock: Clock;
  /** How long to wait for another holder, in ms. 30,000. */
  readonly waitMs?: number;
}

/** A lock that is held; releasing twice does no harm. */
export interface HeldLock {
  release(): Promise<void>;
}

/** What stands in a lock's file: who holds it, by the socket that is listening as long as that process lives. */
interface Holder {
  readonly token: string;
  readonly socket: string;
}

/** One's own proof of life: a listening socket, which the kernel closes when the process ends, however it ends. */
interface Life extends Holder {
  end(): Promise<void>;
}

type Attempt = { readonly taken: true } | { readonly taken: false; readonly holder: Holder };

/**
 * Locks between processes of one `RELAY_HOME`, for refreshes and for commands that write while no daemon runs.
 * See {@link withLock}.
 */
export function processLock(home: string, options: LockOptions): ProcessLock {
  return (name, work) => withLock(home, name, options, work);
}

/**
 * Runs `work` while no other process, and nobody else in this one, holds the same name. Rejects with a StorageError when
 * the holder does not let go in time or the lock cannot be written, else with what `work` rejects with.
 *
 * The lock is a file made with link(2), which only one can win; it names a socket its holder listens on. A connection that is
 * accepted is proof of life, and its end is the news that the lock is free: no polling, no heartbeat that a suspended laptop
 * misses, no process id that another program was given meanwhile. After kill -9 the connection is refused. Who breaks a dead
 * holder's lock first takes the right to do so, itself such a lock, then looks again, so that no living one is ever broken.
 */
export async function withLock<T>(home: string, name: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const lock = await acquireLock(home, name, options);
  if (!lock) throw new StorageError('io', `another relay process holds "${name}"; try again, or end that process`);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Takes a lock, or null when its holder does not let go in time. Rejects with a StorageError when it cannot be written. */
export async function acquireLock(home: string, name: string, { clock, waitMs = 30_000 }: LockOptions): Promise<HeldLock | null> {
  if (!/^[\w.-]{1,80}$/.test(name)) throw new StorageError('io', `"${name}" cannot name a lock`);
  const folder = homePaths(home).locks;
  const path = join(folder, `${name}.lock`);
  const deadline = clock.now() + waitMs;
  const life = await beginLife(folder).catch((error: unknown) => {
    throw toStorageError(error, `cannot lock ${path}`);
  });
  try {
    for (;;) {
      const attempt = await tryTake(path, life);
      if (attempt.taken) return { release: () => release(path, life) };
      const left = deadline - clock.now();
      if (left <= 0 || (await waitForEnd(attempt.holder, clock, left)) === 'timed-out') {
        await life.end();
        return null;
      }
    }
  } catch (error) {
    await life.end();
    throw toStorageError(error, `cannot lock ${path}`);
  }
}

async function release(path: string, life: Life): Promise<void> {
  if ((await readHolder(path))?.token === life.token) await unlink(path).catch(ignoreAbsence);
  await life.end();
}

/** Takes the lock if it is free or its holder is dead; else says who holds it. */
async function tryTake(path: string, life: Life): Promise<Attempt> {
  for (;;) {
    if (await linkOwn(path, life)) return { taken: true };
    const holder = await readHolder(path);
    if (!holder) continue;
    if (await isAlive(holder)) return { taken: false, holder };
    const broken = await breakDead(path, holder, life);
    if (broken) return broken;
  }
}

/** Makes the lock's file with its content already in it; false when there is one. */
async function linkOwn(path: string, life: Holder): Promise<boolean> {
  const own = await writeOwn(path, life);
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(own).catch(ignoreAbsence);
  }
}

async function writeOwn(path: string, { token, socket }: Holder): Promise<string> {
  const own = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(own, JSON.stringify({ token, socket }), { mode: 0o600, flag: 'wx' });
  return own;
}

/**
 * Takes a dead holder's place. The right to is a lock of its own, named after the dead: only under it is the file replaced.
 * While somebody living has that right it is he who is waited for; null when the file is no longer the dead one's.
 */
async function breakDead(path: string, dead: Holder, life: Life): Promise<Attempt | null> {
  const right = `${path}.${dead.token}`;
  const attempt = await tryTake(right, life);
  if (!attempt.taken) return attempt;
  try {
    if ((await readHolder(path))?.token !== dead.token) return null;
    await rename(await writeOwn(path, life), path);
    await unlink(dead.socket).catch(ignoreAbsence);
    return { taken: true };
  } finally {
    await unlink(right).catch(ignoreAbsence);
  }
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value !== 'object' || value === null || !('token' in value) || !('socket' in value)) throw new Error('no holder in it');
    const { token, socket } = value;
    if (typeof token !== 'string' || !/^[0-9a-f]{32}$/.test(token) || typeof socket !== 'string') throw new Error('no holder in it');
    return { token, socket };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new StorageError('io', `${path} is not a lock of Relay's; remove it if no relay process runs`, { cause: error });
  }
}

function ignoreAbsence(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}

/** Listens on a socket of its own until `end`. Waiting connections are held open: their end is the signal. */
async function beginLife(folder: string): Promise<Life> {
  const token = randomBytes(16).toString('hex');
  const socket = await socketPath(folder, token);
  const waiting = new Set<Socket>();
  const server = createServer((connection) => {
    waiting.add(connection.on('error', () => undefined).on('close', () => waiting.delete(connection)).unref());
  });
  await listen(server, socket);
  server.unref();
  return {
    token,
    socket,
    end: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const connection of waiting) connection.destroy();
    }),
  };
}

/** A unix socket's path may have about 100 bytes: where the home is deeper it stands in the user's own temporary folder. */
async function socketPath(folder: string, token: string): Promise<string> {
  const name = `${token.slice(0, 16)}.sock`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\relay-${token}`;
  if (Buffer.byteLength(join(folder, name)) < 100) return join(folder, name);
  const short = join(tmpdir(), `relay-locks-${process.getuid?.() ?? 0}`);
  await mkdir(short, { recursive: true, mode: 0o700 });
  const found = await lstat(short);
  const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  if (!isOurs) throw new StorageError('io', `${short} is not a private folder of yours; remove it, or choose a shorter RELAY_HOME`);
  return join(short, name);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, readableAll: false, writableAll: false }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Nobody listens: refused or no such socket. A full queue or any other answer means that somebody does. */
function isDeadCode(code: string | null): boolean {
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

function isAlive({ socket }: Holder): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => resolve(!isDeadCode(errorCode(error))));
  });
}

/** Waits until the holder lets go or dies, or the time is over. */
function waitForEnd({ socket }: Holder, clock: Clock, ms: number): Promise<'ended' | 'timed-out'> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    const cancel = clock.after(ms, () => {
      resolve('timed-out');
      connection.destroy();
    });
    connection.on('error', () => undefined);
    connection.once('close', () => {
      cancel();
      resolve('ended');
    });
    connection.resume();
  });
}
