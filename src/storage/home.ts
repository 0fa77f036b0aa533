import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, realpath, stat, unlink } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';

import { CommandError, EXIT } from '../core/errors.ts';
import { errorCode, errorText } from './error-code.ts';

/** Where everything stands inside a `RELAY_HOME`. */
export interface HomePaths {
  readonly config: string;
  readonly state: string;
  readonly ledger: string;
  readonly journal: string;
  readonly usage: string;
  /** Totals of the lines that were pruned. */
  readonly pruned: string;
  /** The broad price table that was fetched last. */
  readonly prices: string;
  readonly locks: string;
  readonly logs: string;
}

/** The paths inside a `RELAY_HOME`; nothing is touched. */
export function homePaths(home: string): HomePaths {
  const ledger = join(home, 'ledger');
  return {
    config: join(home, 'config.json'),
    state: join(home, 'state.json'),
    ledger,
    journal: join(ledger, 'journal'),
    usage: join(ledger, 'usage.json'),
    pruned: join(ledger, 'pruned.json'),
    prices: join(home, 'prices.json'),
    locks: join(home, 'locks'),
    logs: join(home, 'logs'),
  };
}

/**
 * Makes or takes a `RELAY_HOME`: 0700 with its folders, files inside tightened to 0600, all of it the user's own. Returns its
 * real path. Throws a CommandError (73) when it cannot be written or belongs to somebody else. This is the one place that
 * creates it: a home removed while Relay runs is not made again.
 */
export async function openHome(path: string): Promise<string> {
  const wanted = resolve(path);
  try {
    await refuseForeignLink(wanted);
    await makeFolder(wanted);
    const home = await realpath(wanted);
    refuseForeign(await stat(home), home);
    const paths = homePaths(home);
    for (const folder of [paths.ledger, paths.journal, paths.locks, paths.logs]) await makeFolder(folder);
    await tighten(home, 2);
    await probeWrite(home);
    return home;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const remedy = 'make it writable or set RELAY_HOME to another folder';
    throw new CommandError(EXIT.cannotWrite, `cannot use ${wanted}: ${errorText(error)}; ${remedy}`);
  }
}

/** Node's own recursive mkdir never ends where a file system refuses with ENOENT, as /proc does (Node 22, observed 2026-11). */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

/** A link is fine where the user made it; one that somebody else made could lead anywhere. */
async function refuseForeignLink(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (found?.isSymbolicLink()) refuseForeign(found, path);
}

function refuseForeign(found: Stats, path: string): void {
  const user = process.getuid?.();
  if (user === undefined || found.uid === user) return;
  throw new CommandError(EXIT.cannotWrite, `${path} belongs to user ${found.uid}, not to you; set RELAY_HOME to a folder of your own`);
}

/** Takes group and others out of the modes of a folder and what is in it. Links are left alone: their target may be anything. */
async function tighten(folder: string, depth: number): Promise<void> {
  if (process.platform === 'win32') return;
  await tightenOne(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(noneIfGone)) {
    const path = join(folder, entry.name);
    if (entry.isFile()) await tightenOne(path, 0o600);
    else if (entry.isDirectory() && depth > 0) await tighten(path, depth - 1);
  }
}

function noneIfGone(error: unknown): [] {
  if (errorCode(error) === 'ENOENT') return [];
  throw error;
}

async function tightenOne(path: string, mode: number): Promise<void> {
  try {
    const { mode: before } = await stat(path);
    if ((before & 0o077) !== 0) await chmod(path, mode);
  } catch (error) {
    // Another process at work here makes and removes files of its own.
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

/** Whether a file can be made here, found out by making one: modes alone do not tell of a read-only mount. */
async function probeWrite(home: string): Promise<void> {
  const path = join(home, `.probe-${randomBytes(6).toString('hex')}`);
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  await file.close();
  await unlink(path);
}
