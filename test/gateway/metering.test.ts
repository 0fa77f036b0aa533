import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, afterAll, describe, expect, test } from 'vitest';

import type { JsonValue } from '../../src/core/json.ts';
import type { JournalLine, OpenRecord } from '../../src/core/record.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, KEY_MODEL, responses, serveInProcess, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const PRICING = { pricing: { [KEY_MODEL]: { input: 1, output: 4 } } };

async function openLines(relay: ServedRelay): Promise<readonly JournalLine<OpenRecord>[]> {
  const folder = join(relay.home, 'ledger', 'journal');
  const texts = await Promise.all((await readdir(folder)).sort().map((name) => readFile(join(folder, name), 'utf8')));
  return texts.join('').split('\n').filter((text) => text.includes('"k":"open"')).map((text): JournalLine<OpenRecord> => JSON.parse(text));
}

describe('what a request used', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: PRICING, until: 'suite' });
  });
  afterAll(() => relay.stop());

  const ask = async (path: '/v1/chat/completions' | '/v1/responses', stream: boolean) => {
    const body = path === '/v1/responses' ? responses('Say it', { model: KEY_MODEL, stream }) : chat('Say it', { model: KEY_MODEL, stream });
    const answer = await relay.ask(path, { body });
    return { answer, line: await relay.line(answer.id) };
  };

  test.each<[string, JsonValue, string]>([
    ['none', null, 'usage_missing'],
    ['a text', 'many', 'usage_missing'],
    ['no counts', {}, 'count_missing input'],
    ['only the input', { input_tokens: 5, prompt_tokens: 5 }, 'count_missing output'],
    ['a negative count', { input_tokens: -3, prompt_tokens: -3, output_tokens: 1, completion_tokens: 1 }, 'count_invalid'],
    ['an absurd count', { input_tokens: 1e300, prompt_tokens: 1e300, output_tokens: 1, completion_tokens: 1 }, 'count_invalid'],
    ['half a token', { input_tokens: 5, prompt_tokens: 5, output_tokens: 1.5, completion_tokens: 1.5 }, 'count_invalid'],
  ])('U37 a whole answer with %s for usage is unmetered, and the line says why', async (_name, usage, reason) => {
    for (const path of ['/v1/chat/completions', '/v1/responses'] as const) {
      for (const stream of [true, false]) {
        relay.upstream.script('a', [{ do: 'answer', text: 'said', usage }]);
        const { answer, line } = await ask(path, stream);
        expect(answer.status).toBe(200);
        expect(line).toMatchObject({ outcome: 'ok', tokens: null, cost: { list: 0, charged: 0, price: null }, unmetered: expect.stringContaining(reason) });
      }
    }
    const { totals } = await relay.daemon.control.call('usage.report', { since: null, until: null, by: [] });
    expect(Number.isSafeInteger(totals.tokens.input + totals.tokens.output + totals.cost.list)).toBe(true);
  });

  test('an answer with usage says nothing of the kind', async () => {
    const { line } = await ask('/v1/chat/completions', true);
    expect(line.tokens).toMatchObject({ estimated: false });
    expect(line).not.toHaveProperty('unmetered');
    expect(line.cost.list).toBe((line.tokens?.input ?? 0) * 1_000 + (line.tokens?.output ?? 0) * 4_000);
  });

  test('a stream that breaks off is counted from what passed', async () => {
    relay.upstream.script('a', [{ do: 'answer', text: 'one two three four five six', break: { at: { afterDeltas: 3 }, how: 'cut' } }]);
    const { line } = await ask('/v1/responses', true);
    expect(line).toMatchObject({ outcome: 'broken_stream', tokens: { estimated: true } });
    expect(line.tokens?.output).toBeGreaterThanOrEqual(2);
    expect(line.tokens?.input).toBeGreaterThan(5);
    expect(line.cost.list).toBe((line.tokens?.input ?? 0) * 1_000 + (line.tokens?.output ?? 0) * 4_000);
  });

  test('a client that leaves while the model thinks has cost its input', async () => {
    relay.upstream.script('a', [{ do: 'answer', text: 'never heard', break: { at: 'after-first-event', how: 'hang' } }]);
    const leaving = new AbortController();
    const asked = relay.call('/v1/responses', { body: responses('Say it', { model: KEY_MODEL, stream: true }), signal: leaving.signal });
    asked.catch(() => {});
    await waitFor(() => relay.daemon.live.running().some(({ phase }) => phase === 'waiting' || phase === 'streaming'), 'the first event');
    leaving.abort();
    const line = await waitFor(async () => (await relay.journal()).findLast(({ outcome }) => outcome === 'client_closed'), 'its line');
    expect(line.tokens).toMatchObject({ output: 0, estimated: true });
    expect(line.tokens?.input).toBeGreaterThan(5);
  });

  test('what failed before an upstream began costs nothing', async () => {
    relay.upstream.script('a', [{ do: 'refuse', status: 500, body: {} }]);
    relay.upstream.script('b', [{ do: 'refuse', status: 500, body: {} }, { do: 'refuse', status: 500, body: {} }]);
    const { line } = await ask('/v1/chat/completions', false);
    expect(line).toMatchObject({ outcome: 'failed', tokens: null, cost: { list: 0 } });
    expect(line).not.toHaveProperty('unmetered');
  });
});

test('the tier that was served sets the price, whatever was asked for', async () => {
  const relay = await serveInProcess({ accounts: [{ name: 'a', kind: 'api-key', apiKey: 'sk-upstream-first', models: ['gpt-5.4'] }] });
  const usage = { input_tokens: 1_000, output_tokens: 100, prompt_tokens: 1_000, completion_tokens: 100 };
  const priceOf = async (tier: string, asked: string): Promise<{ readonly list: number; readonly price: string | null; readonly tier: object }> => {
    relay.upstream.script('a', [{ do: 'answer', usage, tier }]);
    const { id } = await relay.ask('/v1/responses', { body: responses('Say it', { model: 'gpt-5.4', service_tier: asked }) });
    const line = await relay.line(id);
    return { list: line.cost.list, price: line.cost.price, tier: line.tier };
  };
  const standard = await priceOf('default', 'priority');
  const flex = await priceOf('flex', 'auto');
  const priority = await priceOf('priority', 'auto');
  expect([flex.list / standard.list, priority.list / standard.list]).toEqual([0.5, 2]);
  expect(standard.tier).toEqual({ asked: 'priority', served: 'default' });
  expect(priority.price).toContain('+priority');
});

describe('an open line', () => {
  test('is written for a client under a budget as its first attempt leaves, once, and before its closing line', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: PRICING });
    const key = await relay.client('tight', { budgets: [{ unit: 'usd', limit: 5e9, window: 'month' }], member: 'ada', project: 'web' });
    relay.upstream.script('a', [{ do: 'refuse', status: 503, body: {} }]);
    const { id } = await relay.ask('/v1/chat/completions', { key, body: chat('Say it', { model: KEY_MODEL, max_tokens: 50 }) });
    const line = await relay.line(id);
    expect(line.attempts).toHaveLength(2);
    const opened = await openLines(relay);
    expect(opened).toMatchObject([{
      id, client: 'tight', member: 'ada', project: 'web', endpoint: 'chat', model: { asked: KEY_MODEL, sent: KEY_MODEL }, account: 'a', reserved: { output: 50 },
    }]);
    expect(opened[0]?.cost.list).toBe((opened[0]?.reserved.input ?? 0) * 1_000);
    expect(opened[0]?.seq).toBeLessThan(line.seq);
  });

  test('is written for the budget of its member as well, and for nobody without one', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: PRICING });
    await relay.ask('/v1/chat/completions', { body: chat('Say it', { model: KEY_MODEL }) });
    const key = await relay.client('of-bob', { member: 'bob' });
    await relay.ask('/v1/chat/completions', { key, body: chat('Say it', { model: KEY_MODEL }) });
    expect(await openLines(relay)).toEqual([]);
    await relay.daemon.control.call('budgets.set', { of: 'member', name: 'bob', budget: { unit: 'tokens', limit: 1e6, window: 'day' } });
    const { id } = await relay.ask('/v1/chat/completions', { key, body: chat('Say it', { model: KEY_MODEL }) });
    expect(await openLines(relay)).toMatchObject([{ id, client: 'of-bob', member: 'bob' }]);
  });

  test('is not written for a request that never leaves', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: PRICING });
    const key = await relay.client('tight', { budgets: [{ unit: 'requests', limit: 1, window: 'day' }] });
    await relay.ask('/v1/chat/completions', { key, body: chat('Say it', { model: KEY_MODEL }) });
    expect((await relay.ask('/v1/chat/completions', { key, body: chat('Say it', { model: KEY_MODEL }) })).status).toBe(429);
    expect(await openLines(relay)).toHaveLength(1);
  });
});
