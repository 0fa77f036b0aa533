import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import type { Clock, Log } from '../../src/core/ports.ts';
import { stickyDocument } from '../../src/daemon/sticky-document.ts';
import type { StickyFile, StickyStore } from '../../src/gateway/sticky-store.ts';
import { openStickyStore, parseStickyFile } from '../../src/gateway/sticky-store.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor } from '../support/wait-for.ts';

async function makeHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'relay-sticky-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  return home;
}

interface Opened {
  readonly store: StickyStore;
  readonly warnings: string[];
}

async function open(home: string, clock: Clock, accounts: readonly string[] = ['acc_a', 'acc_b']): Promise<Opened> {
  const warnings: string[] = [];
  const log: Log = { debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} };
  const store = await openStickyStore({ document: stickyDocument(home), clock, random: seededRandom(Math.floor(clock.now()) % 97), log, accountIds: () => new Set(accounts) });
  return { store, warnings };
}

const written = async (home: string): Promise<StickyFile> => parseStickyFile(JSON.parse(await readFile(join(home, 'sticky.json'), 'utf8')));

describe('over a restart', () => {
  test('a conversation is on its account still, under the same name', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const first = await open(home, clock);
    const name = first.store.digest('["id","cli_1","thread-7"]');
    first.store.sessions.remember([name], 'acc_b', clock.now());
    await first.store.flush();
    clock.advance(10 * 60_000);
    const second = await open(home, clock);
    expect(second.store.digest('["id","cli_1","thread-7"]')).toBe(name);
    expect(second.store.sessions.lookup([name], clock.now())).toBe('acc_b');
    expect(second.warnings).toEqual([]);
  });

  test('one that has gone idle, or whose account is gone, is not', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const first = await open(home, clock);
    first.store.sessions.remember(['idle'], 'acc_a', clock.now() - 3_600_000);
    first.store.sessions.remember(['orphan'], 'acc_gone', clock.now());
    first.store.sessions.remember(['live'], 'acc_a', clock.now());
    await first.store.flush();
    expect((await written(home)).sessions.map(([key]) => key)).toEqual(['live']);
  });

  test('a clock that was set back keeps none of them forever', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const first = await open(home, clock);
    first.store.sessions.remember(['x'], 'acc_a', clock.now());
    await first.store.flush();
    clock.set(clock.now() - 10 * 86_400_000);
    const second = await open(home, clock);
    expect(second.store.sessions.lookup(['x'], clock.now())).toBe('acc_a');
    expect(second.store.sessions.lookup(['x'], clock.now() + 7_200_000)).toBeNull();
  });
});

describe('what stands on disk', () => {
  test('is for the user alone, and nothing but digests, account ids and times', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const { store } = await open(home, clock);
    store.sessions.remember([store.digest('a very private prompt')], 'acc_a', clock.now());
    await store.flush();
    expect((await stat(join(home, 'sticky.json'))).mode & 0o777).toBe(0o600);
    const text = await readFile(join(home, 'sticky.json'), 'utf8');
    expect(text).not.toContain('private');
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['version', 'key', 'sessions']);
    expect((await written(home)).sessions[0]?.[0]).toMatch(/^[\w-]{22}$/);
  });

  test('two homes give one text two names', async () => {
    const clock = fakeClock();
    const one = await open(await makeHome(), clock);
    clock.advance(5_000);
    const other = await open(await makeHome(), clock);
    expect(one.store.digest('same')).not.toBe(other.store.digest('same'));
  });

  test('is written once for a burst of turns, and at most 10,000 of them', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const { store } = await open(home, clock);
    for (let turn = 0; turn < 10_500; turn += 1) store.sessions.remember([`k${turn}`], 'acc_a', clock.now());
    expect(clock.pending).toBe(1);
    await expect(stat(join(home, 'sticky.json'))).rejects.toThrow('ENOENT');
    clock.advance(10_000);
    const file = await waitFor(() => written(home).catch(() => null), 'the file');
    expect(file.sessions).toHaveLength(10_000);
    expect(file.sessions.at(-1)?.[0]).toBe('k10499');
    expect(clock.pending).toBe(0);
  });

  test('goes with the account that is removed', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const { store } = await open(home, clock);
    store.sessions.remember(['x'], 'acc_a', clock.now());
    store.sessions.remember(['y'], 'acc_b', clock.now());
    store.sessions.forgetAccount('acc_a');
    await store.flush();
    expect((await written(home)).sessions.map(([key]) => key)).toEqual(['y']);
  });

  test.each([['nothing', ''], ['no JSON', '{"ver'], ['another version', '{"version":2,"key":"","sessions":[]}'], ['a key of another length', '{"version":1,"key":"YWJj","sessions":[]}']])(
    'that is %s begins anew and says so', async (_what, text) => {
      const [home, clock] = [await makeHome(), fakeClock()];
      await writeFile(join(home, 'sticky.json'), text, { mode: 0o600 });
      const { store, warnings } = await open(home, clock);
      expect(warnings).toHaveLength(1);
      store.sessions.remember(['x'], 'acc_a', clock.now());
      await store.flush();
      expect((await written(home)).sessions).toHaveLength(1);
    });

  test('hostile entries are left out one by one', () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    expect(parseStickyFile({ version: 1, key, sessions: [['ok', 'acc', 1], ['no'], 'x', [1, 'acc', 1], ['a', 'b', 'c'], null] }).sessions).toEqual([['ok', 'acc', 1]]);
  });

  test('that cannot be written now is tried again with the next turn, and stops nobody', async () => {
    const [home, clock] = [await makeHome(), fakeClock()];
    const { store, warnings } = await open(home, clock);
    store.sessions.remember(['x'], 'acc_a', clock.now());
    await rm(home, { recursive: true });
    await store.flush();
    expect(warnings).toHaveLength(1);
    expect(store.sessions.lookup(['x'], clock.now())).toBe('acc_a');
  });
});
