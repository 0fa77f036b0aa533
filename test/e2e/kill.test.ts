import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { startLoad } from '../support/load.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { RelayHome } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';
import { waitFor } from '../support/wait-for.ts';

/** `npm run test:kill` makes 200 rounds of it. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 4);
const CLIENTS = 32;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What is left after rounds of load and kill -9. */
interface Aftermath {
  readonly acknowledged: number;
  readonly missing: readonly string[];
  readonly doubled: readonly string[];
}

describe('S01 kill -9 under load', () => {
  let upstream: MockUpstream;
  const homes: RelayHome[] = [];
  beforeAll(async () => {
    upstream = await startMockUpstream({ accounts: [{ name: 'key', kind: 'api-key', apiKey: 'sk-made-up' }], keepCalls: 0 });
  });
  afterAll(async () => {
    for (const home of homes) await home.remove();
    await upstream.close();
  });

  const makeHome = async (launcher?: string): Promise<{ readonly home: RelayHome; readonly key: string }> => {
    const home = await makeRelayHome({ providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } } }, launcher);
    homes.push(home);
    const added = await home.run(['keys', 'add', 'key', '--provider', 'openai', '--api-key-stdin', '--json'], { input: 'sk-made-up' });
    expect(added.stderr).toBe('');
    const client = await home.run(['clients', 'add', 'load', '--json']);
    return { home, key: JSON.parse(client.stdout).key };
  };

  test('no acknowledged answer is missing from the journal, none stands there twice, and the sums agree', async () => {
    const { home, key } = await makeHome();
    const after = await killRounds({ home, key, rounds: ROUNDS });
    expect(after.acknowledged).toBeGreaterThan(ROUNDS * 5);
    expect(after.missing).toEqual([]);
    expect(after.doubled).toEqual([]);

    const verified = await home.run(['ledger', 'verify', '--json']);
    expect(verified.code, verified.stderr).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, torn: 0 });
    const lines = await home.journal();
    const usage = JSON.parse((await home.run(['usage', '--json'])).stdout);
    expect(usage.totals.requests).toBe(lines.length);
    expect(usage.totals.tokens.output).toBe(lines.reduce((sum, line) => sum + (line.tokens?.output ?? 0), 0));
    expect(usage.totals.cost.list).toBe(lines.reduce((sum, line) => sum + line.cost.list, 0));
  }, 60_000 + ROUNDS * 5_000);

  test('each request under a budget that was opened is closed once, by its answer or as an orphan', async () => {
    const { home } = await makeHome();
    const client = await home.run(['clients', 'add', 'tight', '--tokens', '900M/month', '--json']);
    await killRounds({ home, key: JSON.parse(client.stdout).key, rounds: Math.ceil(ROUNDS / 2) });
    const kinds = await linesByKind(home);
    const closings = [...kinds.close, ...kinds.orphan];
    expect(kinds.open.length).toBeGreaterThan(20);
    expect(new Set(closings).size).toBe(closings.length);
    expect(kinds.open.filter((id) => !closings.includes(id))).toEqual([]);
    expect(kinds.orphan.filter((id) => !kinds.open.includes(id))).toEqual([]);
    const usage = JSON.parse((await home.run(['usage', '--json'])).stdout);
    expect(usage.totals.requests).toBe(closings.length);
    expect((await home.run(['ledger', 'verify', '--json'])).code).toBe(0);
  }, 60_000 + ROUNDS * 5_000);

  test('a build that acknowledges before it has written is caught', async () => {
    const launcher = await buildThatAcknowledgesFirst();
    const { home, key } = await makeHome(launcher);
    let missing: readonly string[] = [];
    for (let round = 0; round < 10 && missing.length === 0; round++) missing = (await killRounds({ home, key, rounds: 1 })).missing;
    await rm(join(launcher, '..', '..'), { recursive: true, force: true });
    expect(missing.length).toBeGreaterThan(0);
  }, 90_000);
});

/** Ids of all requests' lines, by kind. */
async function linesByKind(home: RelayHome): Promise<Readonly<Record<'open' | 'close' | 'orphan', readonly string[]>>> {
  const folder = join(home.path, 'ledger', 'journal');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = texts.join('').split('\n').filter((text) => text !== '').map((text): { readonly k: string; readonly id: string } => JSON.parse(text));
  const idsOf = (kind: string): readonly string[] => lines.filter(({ k }) => k === kind).map(({ id }) => id);
  return { open: idsOf('open'), close: idsOf('close'), orphan: idsOf('orphan') };
}

interface Rounds {
  readonly home: RelayHome;
  readonly key: string;
  readonly rounds: number;
}

async function killRounds({ home, key, rounds }: Rounds): Promise<Aftermath> {
  const random = seededRandom();
  const acknowledged = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const relay = await home.start();
    const load = startLoad(relay, { clients: CLIENTS, model: 'relay-mini', key });
    // Killed after a number of answers and not of milliseconds: at another moment of the work in each round.
    const enough = 10 + Math.floor(random.next() * 150);
    await waitFor(() => load.acknowledged.size >= enough, 'answers under load', 20_000);
    await relay.kill('SIGKILL');
    await load.stop();
    for (const id of load.acknowledged) acknowledged.add(id);
  }
  // One more start recovers the journal.
  const last = await home.start();
  await last.kill('SIGTERM');
  const counts = new Map<string, number>();
  for (const { id } of await home.journal()) counts.set(id, (counts.get(id) ?? 0) + 1);
  return {
    acknowledged: acknowledged.size,
    missing: [...acknowledged].filter((id) => !counts.has(id)),
    doubled: [...counts].filter(([, count]) => count > 1).map(([id]) => id),
  };
}

/** The built program with one thing changed: a request counts as settled before its line is written. */
async function buildThatAcknowledgesFirst(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'relay-wrong-'));
  for (const part of ['bin', 'dist', 'package.json']) await cp(join(ROOT, part), join(folder, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const file = join(folder, 'dist', 'gateway', 'ticket.js');
  const right = await readFile(file, 'utf8');
  const wrong = right.replace(
    'deps.live.finish(request.id, await deps.journal.append(record));',
    'deps.live.finish(request.id, { ...record, seq: 0, h: "" }); setTimeout(() => void deps.journal.append(record), 300);',
  );
  expect(wrong).not.toBe(right);
  await writeFile(file, wrong);
  return join(folder, 'bin', 'relay.js');
}
