import { randomBytes } from 'node:crypto';
import { link, open, rename, stat, unlink } from 'node:fs/promises';

/** A holder works for milliseconds; one this old was killed. */
const STALE_MS = 10_000;
const LOOK_AGAIN_MS = 10;

/**
 * Runs `work` while this process alone holds `path`. Waits for another holder up to `deadlineMs`, then rejects. A
 * lock left by a killed process is taken over once it is 10 s old.
 */
export async function withFileLock<T>(path: string, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  while (!(await take(path))) {
    if (performance.now() - started > deadlineMs) throw new Error(`${path} is held by another process`);
    await breakIfStale(path);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  try {
    return await work();
  } finally {
    await unlink(path).catch(() => {});
  }
}

async function take(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function breakIfStale(path: string): Promise<void> {
  const seen = await stat(path).catch(() => null);
  if (seen === null || Date.now() - seen.mtimeMs < STALE_MS) return;
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
    // Between the look and the rename another may have broken it and taken a fresh one: that one goes back.
    if ((await stat(aside)).ino !== seen.ino) await link(aside, path).catch(() => {});
    await unlink(aside);
  } catch {
    // Another process was faster; the next round sees what it left.
  }
}
