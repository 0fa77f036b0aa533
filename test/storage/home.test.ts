import { chmod, chown, lchown, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { homePaths, openHome } from '../../src/storage/home.ts';
import { freshHome, removeHomes } from './journal-fixture.ts';

afterAll(removeHomes);

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

describe('a home', () => {
  test('is made with its folders, 0700 under any umask', async () => {
    const before = process.umask(0);
    try {
      const home = await freshHome();
      const { ledger, journal, locks } = homePaths(home);
      for (const path of [home, ledger, journal, locks]) expect(await modeOf(path)).toBe('700');
    } finally {
      process.umask(before);
    }
  });

  test('S16: open modes are tightened, to the last journal segment, and contents are left', async () => {
    const home = await freshHome();
    const segment = join(homePaths(home).journal, '2026-11-21.001.jsonl');
    await writeFile(segment, 'x');
    await writeFile(homePaths(home).state, '{}');
    for (const path of [segment, homePaths(home).state]) await chmod(path, 0o644);
    for (const path of [home, homePaths(home).journal]) await chmod(path, 0o777);
    await openHome(home);
    const { state, journal } = homePaths(home);
    expect(await Promise.all([segment, state, home, journal].map(modeOf))).toEqual(['600', '600', '700', '700']);
    expect(await readFile(segment, 'utf8')).toBe('x');
  });

  test('the user’s own link to a folder is followed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relay-link-'));
    await mkdir(join(folder, 'real'));
    await symlink(join(folder, 'real'), join(folder, 'link'));
    expect(await openHome(join(folder, 'link'))).toBe(join(folder, 'real'));
    await rm(folder, { recursive: true });
  });

  test.skipIf(process.getuid?.() !== 0)('a home of somebody else is refused with 73', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relay-foreign-'));
    await mkdir(join(folder, 'theirs'));
    await chown(join(folder, 'theirs'), 65_534, 65_534);
    await expect(openHome(join(folder, 'theirs'))).rejects.toMatchObject({ exitCode: 73 });
    await mkdir(join(folder, 'mine'));
    await symlink(join(folder, 'mine'), join(folder, 'link'));
    await lchown(join(folder, 'link'), 65_534, 65_534);
    const foreign = { exitCode: 73, message: expect.stringContaining('belongs to user 65534') };
    await expect(openHome(join(folder, 'link'))).rejects.toMatchObject(foreign);
    await rm(folder, { recursive: true });
  });

  test('S09: one that cannot be written is refused with 73, which names it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relay-file-'));
    await writeFile(join(folder, 'file'), '');
    const named = { exitCode: 73, message: expect.stringContaining(join(folder, 'file')) };
    await expect(openHome(join(folder, 'file'))).rejects.toMatchObject(named);
    await expect(openHome(join(folder, 'file', 'below'))).rejects.toMatchObject({ exitCode: 73 });
    await expect(openHome('/proc/relay-home')).rejects.toMatchObject({ exitCode: 73 });
    await rm(folder, { recursive: true });
  });
});
