import { chmod, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { CommandError } from '../../src/core/errors.ts';
import { StorageError } from '../../src/core/ports.ts';
import type { StateStore } from '../../src/core/ports.ts';
import { EMPTY_STATE, parseState } from '../../src/core/state.ts';
import type { State } from '../../src/core/state.ts';
import { homePaths } from '../../src/storage/home.ts';
import { openState } from '../../src/storage/state-file.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { freshHome, keptLog, NOON, removeHomes } from './journal-fixture.ts';
import type { KeptLog } from './journal-fixture.ts';

afterAll(removeHomes);

interface Opened {
  readonly home: string;
  readonly file: string;
  readonly clock: FakeClock;
  readonly log: KeptLog;
  readonly state: StateStore;
}

async function open(home?: string): Promise<Opened> {
  const where = home ?? (await freshHome());
  const clock = fakeClock();
  const log = keptLog();
  return { home: where, file: homePaths(where).state, clock, log, state: await openState(where, { clock, log }) };
}

const budgetOf = (name: string) => (state: State): State =>
  ({ ...state, budgets: [...state.budgets, { of: 'member', name, budget: { unit: 'usd', limit: 1, window: 'day' } }] });
const names = (state: State): string[] => state.budgets.map(({ name }) => name);
const stored = async (file: string): Promise<State> => parseState(JSON.parse(await readFile(file, 'utf8')));

describe('updates', () => {
  test('are on disk when they resolve, in call order, none lost', async () => {
    const { file, state } = await open();
    const results = await Promise.all(Array.from({ length: 50 }, (_, index) => state.update(budgetOf(`m${index}`))));
    const expected = Array.from({ length: 50 }, (_, index) => `m${index}`);
    expect(names(await stored(file))).toEqual(expected);
    expect(names(state.read())).toEqual(expected);
    expect(results.length).toBe(50);
    await state.update(budgetOf('last'));
    expect(names(await stored(file)).at(-1)).toBe('last');
  });

  test('that throw change nothing and reject by themselves', async () => {
    const { state } = await open();
    const before = state.update(budgetOf('a'));
    await expect(state.update(() => { throw new CommandError(1, 'the name is taken'); })).rejects.toThrow('the name is taken');
    await before;
    expect(names(state.read())).toEqual(['a']);
  });

  test('leave the version before as .bak, and no temporary file; S16: 0600 under any umask', async () => {
    const { home, file, state } = await open();
    const before = process.umask(0);
    try {
      await state.update(budgetOf('a'));
      await state.update(budgetOf('b'));
    } finally {
      process.umask(before);
    }
    expect(names(await stored(`${file}.bak`))).toEqual(['a']);
    for (const name of ['state.json', 'state.json.bak']) expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
    expect((await readdir(home)).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  test('that cannot be written are refused and taken back out of memory', async () => {
    const { home, file, state } = await open();
    await state.update(budgetOf('a'));
    // A link where the file should be is refused for everyone, also for root.
    await rm(file);
    await symlink(join(home, 'state.json.bak'), file);
    await writeFile(join(home, 'state.json.bak'), JSON.stringify(state.read()));
    await expect(state.update(budgetOf('b'))).rejects.toBeInstanceOf(StorageError);
    expect(names(state.read())).toEqual(['a']);
  });
});

describe('notes', () => {
  test('show at once, and many become one write a second later', async () => {
    const { file, state, clock } = await open();
    await state.update(budgetOf('a'));
    const before = await readFile(file, 'utf8');
    for (let index = 1; index <= 100; index += 1) state.note((current) => ({ ...current, lastSeenAt: index }));
    expect(state.read().lastSeenAt).toBe(100);
    expect(clock.pending).toBe(1);
    expect(await readFile(file, 'utf8')).toBe(before);
    clock.advance(1_000);
    await waitFor(async () => (await stored(file)).lastSeenAt === 100);
    expect(clock.pending).toBe(0);
  });

  test('go along with an update, and flush leaves none behind', async () => {
    const { file, state, clock } = await open();
    state.note((current) => ({ ...current, lastSeenAt: 1 }));
    await state.update(budgetOf('a'));
    expect((await stored(file)).lastSeenAt).toBe(1);
    state.note((current) => ({ ...current, lastSeenAt: 2 }));
    await state.flush();
    expect((await stored(file)).lastSeenAt).toBe(2);
    clock.advance(5_000);
    await state.flush();
  });
});

describe('S05: a damaged file', () => {
  test.each([
    ['garbage', '{"version":1,"acc'], ['nothing', ''], ['another shape', '{"version":1,"accounts":7}'], ['zeros', '\0\0\0\0'],
  ])('%s: the version before is taken and said, the damaged one kept', async (_, damage) => {
    const first = await open();
    await first.state.update(budgetOf('a'));
    await first.state.update(budgetOf('b'));
    await writeFile(first.file, damage);
    const second = await open(first.home);
    expect(names(second.state.read())).toEqual(['a']);
    expect(second.log.lines[0]).toContain('state.json cannot be used');
    expect(await readFile(`${first.file}.corrupt-${NOON}`, 'utf8')).toBe(damage);
    expect(names(await stored(first.file))).toEqual(['a']);
  });

  test('neither it nor its copy can be read: refuses with 78 naming the file, again and again, and touches nothing', async () => {
    const { home, file, state } = await open();
    await state.update(budgetOf('a'));
    await state.update(budgetOf('b'));
    await writeFile(file, 'x');
    await writeFile(`${file}.bak`, '');
    for (let round = 0; round < 2; round += 1) {
      await expect(open(home)).rejects.toMatchObject({ exitCode: 78, message: expect.stringContaining(file) });
    }
    expect(await readFile(file, 'utf8')).toBe('x');
  });

  test('no copy and no file is a fresh start; a lost file with a copy is not', async () => {
    const { home, file, state } = await open();
    expect(state.read()).toEqual(EMPTY_STATE);
    await state.update(budgetOf('a'));
    await state.update(budgetOf('b'));
    await rm(file);
    expect(names((await open(home)).state.read())).toEqual(['a']);
  });

  test('G05: a file of a newer Relay is refused, not replaced by its older copy', async () => {
    const { home, file, state } = await open();
    await state.update(budgetOf('a'));
    await state.update(budgetOf('b'));
    await writeFile(file, '{"version":2}');
    await expect(open(home)).rejects.toMatchObject({ exitCode: 78, message: expect.stringContaining('newer Relay (version 2)') });
    expect(await readFile(file, 'utf8')).toBe('{"version":2}');
  });
});

describe('S14: edited by hand while running', () => {
  test('a valid edit is taken over, and what Relay wanted to write is applied to it', async () => {
    const { file, state, log } = await open();
    await state.update(budgetOf('a'));
    const edited = { ...(await stored(file)), budgets: [], termsAcceptedAt: 7 };
    await writeFile(file, JSON.stringify(edited));
    await state.update(budgetOf('b'));
    expect(await stored(file)).toMatchObject({ termsAcceptedAt: 7, budgets: [{ name: 'b' }] });
    expect(state.read()).toMatchObject({ termsAcceptedAt: 7, budgets: [{ name: 'b' }] });
    expect(log.lines).toEqual(['info state.json was edited by hand; the edit is in force']);
  });

  test('an invalid edit is kept aside and said, and Relay goes on with its own', async () => {
    const { file, state, log } = await open();
    await state.update(budgetOf('a'));
    await writeFile(file, '{"version":1,');
    await state.update(budgetOf('b'));
    expect(names(await stored(file))).toEqual(['a', 'b']);
    expect(await readFile(`${file}.edited-${NOON}`, 'utf8')).toBe('{"version":1,');
    expect(log.lines.some((line) => line.startsWith('error state.json was edited by hand'))).toBe(true);
  });

  test('touching the file changes nothing', async () => {
    const { file, state, log } = await open();
    await state.update(budgetOf('a'));
    await writeFile(file, await readFile(file));
    await state.update(budgetOf('b'));
    expect(names(await stored(file))).toEqual(['a', 'b']);
    expect(log.lines).toEqual([]);
  });

  test('an update the edit made impossible is refused by itself', async () => {
    const { file, state } = await open();
    await state.update(budgetOf('a'));
    const onlyOnce = (current: State): State => {
      if (names(current).includes('b')) throw new CommandError(1, 'b is there already');
      return budgetOf('b')(current);
    };
    await writeFile(file, JSON.stringify(budgetOf('b')(await stored(file))));
    const refused = state.update(onlyOnce);
    const other = state.update(budgetOf('c'));
    await expect(refused).rejects.toThrow('b is there already');
    await other;
    expect(names(await stored(file))).toEqual(['a', 'b', 'c']);
  });
});

describe('S20: removed while running', () => {
  test.each(['file', 'home'])('the %s: updates are refused, nothing is made anew, memory keeps its keys', async (what) => {
    const { home, file, state } = await open();
    await state.update(budgetOf('a'));
    await rm(what === 'file' ? file : home, { recursive: true });
    await expect(state.update(budgetOf('b'))).rejects.toMatchObject({ reason: 'gone' });
    expect(names(state.read())).toEqual(['a']);
    await expect(stat(what === 'file' ? file : home)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('before the first write, too', async () => {
    const { home, state } = await open();
    await rm(dirname(home), { recursive: true });
    await expect(state.update(budgetOf('b'))).rejects.toMatchObject({ reason: 'gone' });
    await expect(stat(home)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(names(state.read())).toEqual([]);
  });
});

test.skipIf(process.getuid?.() === 0)('S09: a folder that may not be written refuses updates as read-only', async () => {
  const { home, state } = await open();
  await state.update(budgetOf('a'));
  await chmod(home, 0o500);
  await expect(state.update(budgetOf('b'))).rejects.toMatchObject({ reason: 'read-only' });
  await chmod(home, 0o700);
});
