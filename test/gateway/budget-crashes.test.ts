import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { emptyTotals, foldRecord } from '../../src/accounting/totals.ts';
import { spentSince } from '../../src/accounting/usage-report.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { CloseRecord, JournalRecord } from '../../src/core/record.ts';
import type { Daemon } from '../../src/daemon/start-daemon.ts';
import { startDaemon } from '../../src/daemon/start-daemon.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import type { MockStep } from '../../src/mock/steps.ts';
import { hang, ok, rateLimited, refuse } from '../../src/mock/steps.ts';
import { WIDE_BUDGETS } from '../support/check-budgets.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, responses, serveInProcess } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const REFUSED = refuse(400, { error: { message: 'No.', type: 'invalid_request_error', param: null, code: 'invalid_value' } });
/** Nothing that sets the whole provider aside: something has to be under way when a crash comes. */
const STEPS: readonly MockStep[] = [ok(), ok(), ok(), REFUSED, rateLimited({ retryAfter: '1' })];

/** The files as a process killed at this moment leaves them: the totals first, since a journal may be ahead of them and never behind. */
async function homeAsItIs(home: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'relay-crashed-'));
  onTestFinished(() => rm(copy, { recursive: true, force: true }));
  await mkdir(join(copy, 'ledger', 'journal'), { recursive: true, mode: 0o700 });
  for (const name of ['config.json', join('ledger', 'usage.json'), 'state.json']) await copyFile(join(home, name), join(copy, name)).catch(() => {});
  for (const name of await readdir(join(home, 'ledger', 'journal'))) {
    await copyFile(join(home, 'ledger', 'journal', name), join(copy, 'ledger', 'journal', name));
  }
  return copy;
}

async function startOver(home: string, { credentials }: ServedRelay, start: number): Promise<Daemon> {
  const daemon = await startDaemon({
    home, port: 0, withMock: false, clock: systemClock, random: seededRandom(100 + start), env: {}, prompt: null, version: '0.0.0-test', credentials,
    mirrorLog: () => {}, onStop: () => {},
  });
  onTestFinished(() => daemon.drain(0));
  return daemon;
}

async function journalOf(home: string): Promise<readonly JournalRecord[]> {
  const folder = join(home, 'ledger', 'journal');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const text = (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('');
  return text.split('\n').filter((line) => line !== '').map((line): JournalRecord => JSON.parse(line));
}

/** Nothing is held, every budget stands at the journal's sum, and every request that left has one end. */
async function checkAll(daemon: Daemon, home: string): Promise<readonly CloseRecord[]> {
  const lines = await journalOf(home);
  const ends = lines.filter((line): line is CloseRecord => line.k === 'close' || line.k === 'orphan');
  const totals = ends.reduce(foldRecord, emptyTotals());
  const budgets = await daemon.control.call('budgets.list', {});
  expect(budgets).toHaveLength(2 * WIDE_BUDGETS.length);
  for (const { of, name, unit, spent, reserved } of budgets) {
    const owner = of === 'client' ? { client: name } : { project: name };
    expect({ name, unit, spent, reserved }).toEqual({ name, unit, spent: spentSince(totals, 0, owner)[unit], reserved: 0 });
  }
  const ended = ends.map(({ id }) => id);
  expect(new Set(ended).size).toBe(ended.length);
  expect(lines.filter(({ k }) => k === 'open').every((line) => 'id' in line && ended.includes(line.id))).toBe(true);
  return ends;
}

test.each([1, 2, 3])('S01 the budgets equal the journal\'s sum after a random day with crashes (%i)', async (seed) => {
  const random = seededRandom(seed);
  const relay = await serveInProcess();
  const key = await relay.client('counted', { project: 'web', budgets: [...WIDE_BUDGETS], concurrency: 16 });
  for (const budget of WIDE_BUDGETS) await relay.daemon.control.call('budgets.set', { of: 'project', name: 'web', budget });
  let home = relay.home;
  let daemon = relay.daemon;
  const served: string[] = [];
  const ask = async (): Promise<void> => {
    const stream = random.next() < 0.6;
    const [path, body]: [string, JsonObject] = random.next() < 0.5 ? ['/v1/responses', responses('Say much', { stream })] : ['/v1/chat/completions', chat('Say much', { stream })];
    const response = await fetch(`${daemon.url}${path}`, {
      method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    await response.text();
    if (response.status === 200) served.push(response.headers.get('x-request-id') ?? '');
  };
  const wake = async (): Promise<void> => {
    for (const name of ['a', 'b']) await daemon.control.call('accounts.wake', { name });
  };
  const script = (steps: () => readonly MockStep[]): void => {
    for (const name of ['a', 'b']) {
      // What the last part of the day left over is not for this one.
      for (let left = 0; left < 40; left += 1) relay.upstream.account(name).nextStep();
      relay.upstream.script(name, steps());
    }
  };
  for (let crashes = 0; crashes < 3; crashes += 1) {
    await wake();
    script(() => Array.from({ length: 4 }, () => STEPS[Math.floor(random.next() * STEPS.length)] ?? ok()));
    await Promise.allSettled(Array.from({ length: 8 }, ask));
    await wake();
    // Some are in the middle of their answer when it happens, others anywhere.
    const inFlight = (): number => relay.upstream.account('a').inFlight + relay.upstream.account('b').inFlight;
    script(() => Array.from({ length: 8 }, () => hang({ afterDeltas: 1 })));
    const late = Promise.allSettled(Array.from({ length: 4 }, ask));
    await waitFor(() => inFlight() > 0, 'answers that are under way');
    const before = [...served];
    const others = Promise.allSettled(Array.from({ length: 3 }, ask));
    for (let turn = Math.floor(random.next() * 40); turn > 0; turn -= 1) await new Promise((resolve) => setImmediate(resolve));
    const crashed = await homeAsItIs(home);
    await daemon.drain(0);
    await Promise.all([late, others]);
    served.splice(0, served.length, ...before);
    home = crashed;
    daemon = await startOver(home, relay, crashes);
    const ends = await checkAll(daemon, home);
    expect(ends.filter(({ k }) => k === 'orphan').length).toBeGreaterThan(crashes);
    expect(served.filter((id) => !ends.some((end) => end.id === id))).toEqual([]);
  }
  await daemon.drain(0);
  expect(served.length).toBeGreaterThan(3);
}, 40_000);
