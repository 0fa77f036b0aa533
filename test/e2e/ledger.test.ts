import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import type { CloseRecord, JournalLine } from '../../src/core/record.ts';
import { DAY_MS } from '../../src/core/units.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { makeLedger } from '../support/make-ledger.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';
import { waitFor } from '../support/wait-for.ts';

const KEY = 'sk-made-up';
let upstream: MockUpstream;
const homes: RelayHome[] = [];
beforeAll(async () => {
  upstream = await startMockUpstream({ accounts: [{ name: 'key', kind: 'api-key', apiKey: KEY }] });
});
afterAll(async () => {
  for (const home of homes) await home.remove();
  await upstream.close();
});

async function makeHome(config: Readonly<Record<string, unknown>> = {}): Promise<RelayHome> {
  const home = await makeRelayHome({
    providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } }, pricing: { 'relay-mini': { input: 1, output: 4 } }, ...config,
  });
  homes.push(home);
  const added = await home.run(['keys', 'add', 'key', '--provider', 'openai', '--api-key-stdin', '--json'], { input: KEY });
  expect(added.stderr).toBe('');
  return home;
}

function ask(relay: RunningRelay, key: string, text: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${relay.url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'relay-mini', stream: true, messages: [{ role: 'user', content: text }] }),
    ...(signal !== undefined && { signal }),
  });
}

const reportOf = async (home: RelayHome, args: readonly string[] = []) => JSON.parse((await home.run(['usage', '--json', ...args])).stdout);

/** All lines of one kind, in order. */
async function linesOf(home: RelayHome, kind: string): Promise<readonly JournalLine<CloseRecord>[]> {
  const folder = join(home.path, 'ledger', 'journal');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.join('').split('\n').filter((text) => text !== '').map((text): JournalLine<CloseRecord> => JSON.parse(text)).filter(({ k }) => k === kind);
}

describe('relay ledger', () => {
  let home: RelayHome;
  beforeAll(async () => {
    home = await makeHome({ plans: { key: 20 } });
    await makeLedger({ home: home.path, requests: 400, days: 20, until: Date.now() - DAY_MS, segmentBytes: 64 << 10 });
  });

  for (const state of ['stopped', 'running'] as const) {
    test(`verify, export and rebuild tell the same with the daemon ${state}`, async () => {
      const relay = state === 'running' ? await home.start() : null;
      if (relay !== null) {
        const client = JSON.parse((await home.run(['clients', 'add', 'some', '--json'])).stdout);
        await (await ask(relay, client.key, 'Say hello')).text();
      }
      const journal = await home.journal();
      const verified = await home.run(['ledger', 'verify', '--json']);
      expect([verified.code, verified.stderr]).toEqual([0, '']);
      expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true });
      expect((await home.run(['ledger', 'verify'])).stdout).toMatch(/^[\d,]+ lines in \d+ segments, chain whole\nhead \d+ [0-9a-f]{32}\n$/);

      const exported = (await home.run(['ledger', 'export'])).stdout;
      expect(exported.trimEnd().split('\n').map((line) => JSON.parse(line))).toEqual(journal);
      const csv = (await home.run(['ledger', 'export', '--csv', '--since', '5d'])).stdout.trimEnd().split('\r\n');
      expect(csv[0]).toMatch(/^seq,time,t,id,client,/);
      expect(csv.length - 1).toBe(journal.filter(({ t }) => t >= Date.now() - 5 * DAY_MS).length);

      const before = await reportOf(home, ['--by', 'account,model']);
      expect(before.totals.requests).toBe(journal.length);
      const rebuilt = JSON.parse((await home.run(['ledger', 'rebuild', '--json'])).stdout);
      expect(rebuilt.lines).toBeGreaterThanOrEqual(journal.length);
      expect(await reportOf(home, ['--by', 'account,model'])).toEqual(before);
      await relay?.kill('SIGTERM');
    });
  }

  test('the same numbers stand in the report, the export, the HTTP routes and the metrics', async () => {
    const relay = await home.start();
    const { key } = JSON.parse((await home.run(['clients', 'add', 'seer', '--endpoints', 'usage', '--json'])).stdout);
    const get = (path: string): Promise<Response> => fetch(`${relay.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
    const report = await reportOf(home, ['--by', 'client']);
    expect(await (await get('/relay/v1/usage?by=client')).json()).toEqual(report);
    const exported = (await home.run(['ledger', 'export'])).stdout.trimEnd().split('\n').map((line): CloseRecord => JSON.parse(line));
    const sum = (read: (record: CloseRecord) => number): number => exported.reduce((total, record) => total + read(record), 0);
    expect(report.totals).toMatchObject({
      requests: exported.length, cost: { list: sum(({ cost }) => cost.list), charged: sum(({ cost }) => cost.charged), saved: sum(({ cost }) => cost.list - cost.charged) },
      tokens: { input: sum(({ tokens }) => tokens?.input ?? 0), output: sum(({ tokens }) => tokens?.output ?? 0) },
    });
    const metrics = await (await get('/metrics')).text();
    const counted = [...metrics.matchAll(/^relay_tokens_total\{[^}]*kind="output"[^}]*\} (\d+)$/gm)].reduce((total, [, value]) => total + Number(value), 0);
    expect(counted).toBe(report.totals.tokens.output);
    const page = (await (await get('/relay/v1/requests?limit=1000')).json()) as { readonly data: readonly CloseRecord[] };
    expect(page.data.toReversed()).toEqual(exported);
    await relay.kill('SIGTERM');
  });

  test('a subscription\'s price stands beside what it was worth', async () => {
    const { groups } = await reportOf(home, ['--by', 'account']);
    const plan = groups.find(({ key }: { readonly key: { readonly account: string } }) => key.account === 'key').plan;
    expect(plan.monthly).toBe(20e9);
    expect(plan.paid).toBeGreaterThan(10e9);
    const table = await home.run(['usage', '--by', 'account']);
    expect(table.stdout).toMatch(/key +plan \$20\.00 a month: \$\d+\.\d\d for this time, \$[\d.]+ a million tokens; worth \$[\d.]+ at list price/);
  });

  test('prune asks first, removes whole days, and every total stays', async () => {
    const before = await reportOf(home, ['--by', 'model']);
    const unasked = await home.run(['ledger', 'prune', '--before', '10d']);
    expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining('--yes')]);
    const pruned = JSON.parse((await home.run(['ledger', 'prune', '--before', '10d', '--yes', '--json'])).stdout);
    expect(pruned.lines).toBeGreaterThan(100);
    expect((await home.journal()).length).toBeLessThan(before.totals.requests - 100);
    expect(await reportOf(home, ['--by', 'model'])).toEqual(before);
    expect((await home.run(['ledger', 'verify'])).code).toBe(0);
    const relay = await home.start();
    const again = JSON.parse((await home.run(['ledger', 'prune', '--before', '5d', '--yes', '--json'])).stdout);
    expect(again.lines).toBeGreaterThan(50);
    expect(await reportOf(home, ['--by', 'model'])).toEqual(before);
    await relay.kill('SIGTERM');
    expect((await home.run(['ledger', 'prune', '--before', '5d', '--yes'])).stdout).toContain('nothing to remove');
  });

  test('a changed line makes verify end with 3 and name segment and line', async () => {
    const folder = join(home.path, 'ledger', 'journal');
    const [name = ''] = (await readdir(folder)).filter((file) => file.endsWith('.jsonl')).sort();
    const text = await readFile(join(folder, name), 'utf8');
    await writeFile(join(folder, name), text.replace('"k":"close"', '"k":"clobe"'));
    const line = text.slice(0, text.indexOf('"k":"close"')).split('\n').length;
    const verified = await home.run(['ledger', 'verify']);
    expect(verified.code).toBe(3);
    expect(verified.stderr).toContain(`${name} line ${line}:`);
    await writeFile(join(folder, name), text);
  });
});

test('ledger.retentionDays is kept by the daemon', async () => {
  const home = await makeHome({ ledger: { retentionDays: 7 } });
  await makeLedger({ home: home.path, requests: 200, days: 20, until: Date.now() });
  const before = await reportOf(home);
  const relay = await home.start();
  await waitFor(() => relay.output().includes('old requests were pruned'), 'the pruning', 10_000);
  const oldest = Math.min(...(await home.journal()).map(({ t }) => t));
  expect(oldest).toBeGreaterThan(Date.now() - 9 * DAY_MS);
  expect((await reportOf(home)).totals).toEqual(before.totals);
  await relay.kill('SIGTERM');
});

test('a request that kill -9 cut is closed once at the next start, and its budget is charged with its input', async () => {
  const home = await makeHome();
  const first = await home.start();
  const { key } = JSON.parse((await home.run(['clients', 'add', 'tight', '--budget', '5usd/month', '--json'])).stdout);
  upstream.script('key', [{ do: 'answer', text: 'a b c d e f', break: { at: { afterDeltas: 2 }, how: 'hang' } }]);
  const leaving = new AbortController();
  const answer = await ask(first, key, 'Say what is never heard '.repeat(200), leaving.signal);
  const id = answer.headers.get('x-request-id');
  await waitFor(async () => (await linesOf(home, 'open')).length === 1, 'the open line');
  await first.kill('SIGKILL');
  leaving.abort();

  for (let start = 0; start < 2; start += 1) {
    const relay = await home.start();
    const orphans = await linesOf(home, 'orphan');
    expect(orphans).toMatchObject([{ id, client: 'tight', outcome: 'orphaned', tokens: { output: 0, estimated: true } }]);
    expect(orphans[0]?.tokens?.input).toBeGreaterThan(1_000);
    expect(orphans[0]?.cost.list).toBe((orphans[0]?.tokens?.input ?? 0) * 1_000);
    const { totals } = await reportOf(home, ['--by', 'client']);
    expect(totals).toMatchObject({ requests: 1, failed: 1, cost: { list: orphans[0]?.cost.list } });
    await relay.kill(start === 0 ? 'SIGKILL' : 'SIGTERM');
  }
  expect((await home.run(['logs', '--errors', '--json'])).stdout).toContain('"outcome":"orphaned"');
  expect((await home.run(['show', 'last'])).stdout).toContain('cut by a crash');
  expect((await home.run(['ledger', 'verify'])).code).toBe(0);
});

describe('relay prices', () => {
  const rows = (price: number): object[] => [{
    id: 'openai', name: 'OpenAI', api_pattern: 'https://api\\.openai\\.com', pricing_urls: ['https://prices.example'],
    models: [
      ...Array.from({ length: 30 }, (_, index) => ({ id: `other-${index}`, match: { equals: `other-${index}` }, prices: { input_mtok: 1, output_mtok: 2 } })),
      { id: 'brand-new', match: { starts_with: 'brand-new' }, prices: { input_mtok: price, cache_read_mtok: 0.25, output_mtok: 9 } },
      { id: 'broken', match: { equals: 'broken' }, prices: { input_mtok: 'much' } },
    ],
  }];

  async function priceServer(body: () => { readonly status: number; readonly text: string }): Promise<string> {
    const server = createServer((_request, response) => {
      const { status, text } = body();
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/prices.json`;
  }

  test('says each price and where it is from, and the models that have none', async () => {
    const home = await makeHome({ pricing: { 'my-model': { input: 3, output: 6 } } });
    const prices = JSON.parse((await home.run(['prices', '--json'])).stdout) as { model: string; origin: string | null; servedBy: string[]; usdPerMillion: object; readOn: string | null }[];
    expect(prices.find(({ model }) => model === 'my-model')).toMatchObject({ origin: 'config', usdPerMillion: { input: 3, output: 6 }, readOn: null });
    expect(prices.find(({ model }) => model === 'gpt-6-luna')).toMatchObject({ origin: 'relay', vendor: 'openai', readOn: '2026-10-01' });
    expect(prices.find(({ model }) => model === 'relay-mini')).toMatchObject({ origin: null, servedBy: ['key'], usdPerMillion: null });
    expect((await home.run(['prices'])).stdout).toContain('no price known');
  });

  test('update takes a new table over, running or not; one bad row is one bad row; a bad table leaves the last good one', async () => {
    const home = await makeHome({ providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl, models: ['brand-new'] } } });
    let answer = { status: 200, text: JSON.stringify(rows(5)) };
    const url = await priceServer(() => answer);
    const priceOf = async (): Promise<object | undefined> =>
      (JSON.parse((await home.run(['prices', '--json'])).stdout) as { model: string }[]).find(({ model }) => model === 'brand-new');
    const updated = await home.run(['prices', 'update', '--from', url]);
    expect([updated.code, updated.stdout]).toEqual([0, expect.stringContaining('31 prices taken over')]);
    expect(updated.stderr).toContain('openai/broken: its prices cannot be read');
    expect(await priceOf()).toMatchObject({ origin: 'genai-prices', usdPerMillion: { input: 5, cached: 0.25, output: 9 }, source: 'https://prices.example' });

    const relay = await home.start();
    answer = { status: 200, text: JSON.stringify(rows(7)) };
    expect((await home.run(['prices', 'update', '--from', url, '--json'])).code).toBe(0);
    expect(await priceOf()).toMatchObject({ usdPerMillion: { input: 7 } });
    for (const bad of [{ status: 503, text: '' }, { status: 200, text: '<html>' }, { status: 200, text: '[]' }, { status: 200, text: '{"error":1}' }]) {
      answer = bad;
      const failed = await home.run(['prices', 'update', '--from', url]);
      expect(failed.code).toBe(1);
      expect(failed.stderr).toContain('The prices known so far stay in force');
    }
    expect(await priceOf()).toMatchObject({ usdPerMillion: { input: 7 } });
    await relay.kill('SIGTERM');
    await writeFile(join(home.path, 'prices.json'), '{"version":1,"fetchedAt":');
    expect(await priceOf()).toMatchObject({ usdPerMillion: { input: 5 } });
  });

  test('without a network it says so, and changes nothing', async () => {
    const home = await makeHome();
    const failed = await home.run(['prices', 'update', '--from', 'http://127.0.0.1:9/prices.json']);
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/No prices could be fetched from 127\.0\.0\.1:9: .*\. The prices known so far stay in force/)]);
    const unsafe = await home.run(['prices', 'update', '--from', 'http://prices.example/prices.json']);
    expect([unsafe.code, unsafe.stderr]).toEqual([1, expect.stringContaining('no https address')]);
    await expect(readFile(join(home.path, 'prices.json'))).rejects.toThrow('ENOENT');
  });
});

test('a home with nothing in it is a whole ledger', async () => {
  const home = await makeRelayHome();
  homes.push(home);
  await mkdir(join(home.path, 'ledger', 'journal'), { recursive: true });
  expect((await home.run(['ledger', 'verify'])).stdout).toContain('0 lines in 0 segments');
  expect((await home.run(['ledger', 'export'])).stdout).toBe('');
  expect(JSON.parse((await home.run(['ledger', 'rebuild', '--json'])).stdout)).toEqual({ lines: 0 });
});
