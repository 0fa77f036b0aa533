import { spawn } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import type { Clock } from '../../src/core/ports.ts';
import { homePaths, openHome } from '../../src/storage/home.ts';
import { acquireLock, processLock, withLock } from '../../src/storage/lock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { freshHome, removeHomes } from './journal-fixture.ts';

afterAll(removeHomes);

const realClock: Clock = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
const HOLDER = fileURLToPath(new URL('./hold-lock.ts', import.meta.url));

/** Another process that takes the lock, says so, and holds it until it is killed. */
async function holdElsewhere(home: string, name: string): Promise<{ kill(): Promise<void> }> {
  const child = spawn(process.execPath, [HOLDER, home, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  await within(new Promise<void>((resolve) => child.stdout.once('data', () => resolve())), 'the other process');
  return {
    kill: () => within(new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    })),
  };
}

describe('a lock', () => {
  test('lets one in at a time, and all in the end', async () => {
    const home = await freshHome();
    const lock = processLock(home, { clock: realClock, waitMs: 10_000 });
    let inside = 0;
    let most = 0;
    const done = await Promise.all(Array.from({ length: 20 }, (_, index) => lock('refresh-a', async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      return index;
    })));
    expect(most).toBe(1);
    expect(done).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(await readdir(homePaths(home).locks)).toEqual([]);
  });

  test('of another name is another lock', async () => {
    const home = await freshHome();
    const both = await withLock(home, 'a', { clock: realClock }, () => withLock(home, 'b', { clock: realClock }, async () => 'both'));
    expect(both).toBe('both');
  });

  test('is released when the work fails', async () => {
    const home = await freshHome();
    await expect(withLock(home, 'a', { clock: realClock }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await withLock(home, 'a', { clock: realClock, waitMs: 0 }, async () => 'in')).toBe('in');
  });

  test('that is held is given up at the deadline', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    const held = await acquireLock(home, 'a', { clock });
    const second = acquireLock(home, 'a', { clock, waitMs: 5_000 });
    await waitFor(() => clock.pending === 1);
    clock.advance(5_000);
    expect(await second).toBeNull();
    await expect(withLock(home, 'a', { clock, waitMs: 0 }, async () => 'in')).rejects.toThrow('another relay process holds "a"');
    await held?.release();
    expect(await withLock(home, 'a', { clock, waitMs: 0 }, async () => 'in')).toBe('in');
  });

  test('S12: of a process that was killed is taken over at once, also by many at the same time, by one after the other', async () => {
    const home = await freshHome();
    for (let round = 0; round < 3; round += 1) {
      const other = await holdElsewhere(home, 'a');
      expect(await acquireLock(home, 'a', { clock: realClock, waitMs: 0 })).toBeNull();
      await other.kill();
      let inside = 0;
      let most = 0;
      await Promise.all(Array.from({ length: 12 }, () => withLock(home, 'a', { clock: realClock, waitMs: 10_000 }, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      })));
      expect(most).toBe(1);
    }
    expect(await readdir(homePaths(home).locks)).toEqual([]);
  });

  test('of a dead holder goes to one at a time, however many find it dead at once', async () => {
    const home = await freshHome();
    const folder = homePaths(home).locks;
    for (let round = 0; round < 25; round += 1) {
      const token = String(round).padStart(32, '0');
      await writeFile(join(folder, 'a.lock'), JSON.stringify({ token, socket: join(folder, 'nobody.sock') }));
      let inside = 0;
      let most = 0;
      await Promise.all(Array.from({ length: 8 }, () => withLock(home, 'a', { clock: realClock, waitMs: 10_000 }, async () => {
        inside += 1;
        most = Math.max(most, inside);
        // Long enough for the others to act on what they saw before.
        for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
      })));
      expect(most, `round ${round}`).toBe(1);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  test('is handed on to a waiting process the moment its holder dies', async () => {
    const home = await freshHome();
    const other = await holdElsewhere(home, 'a');
    const waiting = acquireLock(home, 'a', { clock: realClock, waitMs: 10_000 });
    await other.kill();
    const held = await within(waiting, 'the lock', 2_000);
    expect(held).not.toBeNull();
    await held?.release();
  });

  test('whose breaker died too is still broken', async () => {
    const home = await freshHome();
    const folder = homePaths(home).locks;
    const dead = (token: string): string => JSON.stringify({ token: token.repeat(32), socket: join(folder, `${token}.sock`) });
    await writeFile(join(folder, 'a.lock'), dead('1'));
    await writeFile(join(folder, `a.lock.${'1'.repeat(32)}`), dead('2'));
    expect(await withLock(home, 'a', { clock: realClock, waitMs: 1_000 }, async () => 'in')).toBe('in');
    expect(await readdir(folder)).toEqual([]);
  });

  test('never removes what is not a lock', async () => {
    const home = await freshHome();
    const path = join(homePaths(home).locks, 'a.lock');
    await writeFile(path, 'somebody else’s');
    await expect(acquireLock(home, 'a', { clock: realClock })).rejects.toThrow('is not a lock');
    expect(await readFile(path, 'utf8')).toBe('somebody else’s');
  });

  test('works in a home whose path is too long for a socket', async () => {
    const home = join(await freshHome(), 'd'.repeat(60), 'e'.repeat(60));
    const deep = await openHome(home);
    const held = await acquireLock(deep, 'a', { clock: realClock });
    expect(await acquireLock(deep, 'a', { clock: realClock, waitMs: 0 })).toBeNull();
    await held?.release();
  });
});
