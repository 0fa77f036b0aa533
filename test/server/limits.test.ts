import { describe, expect, test } from 'vitest';

import type { MockStep } from '../../src/mock/steps.ts';
import { createGate, cut, ok, rateLimited } from '../../src/mock/steps.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import {
  chat,
  expectError,
  KEY_MODEL,
  responses,
  serveInProcess,
  serveTimed,
  SIGN_IN_MODEL,
  TWO_CHAT_KEYS,
  TWO_SIGN_INS,
} from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const say = (relay: ServedRelay, key: string, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  relay.ask('/v1/chat/completions', { key, body: chat('Say hi', change) });

describe('A01 revoked keys', () => {
  test('a revoked key is out at once; the stream it runs ends normally', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('short-lived');
    const gate = createGate();
    relay.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
    const running = say(relay, key, { stream: true });
    await waitFor(() => relay.daemon.live.running().some(({ phase }) => phase === 'streaming'), 'the stream');
    await relay.daemon.control.call('clients.revoke', { name: 'short-lived' });
    expectError(await say(relay, key), 401, 'invalid_api_key');
    gate.release();
    const answer = await running;
    expect(answer.text).toContain('[DONE]');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok', client: 'short-lived' });
  });

  test('a rotated key stays good for its grace and no longer', async () => {
    const relay = await serveTimed();
    const old = await relay.client('turning');
    const { key } = await relay.daemon.control.call('clients.rotate', { name: 'turning', graceMs: 60_000 });
    expect((await say(relay, old)).status).toBe(200);
    expect((await say(relay, key)).status).toBe(200);
    relay.clock.advance(60_000);
    expectError(await say(relay, old), 401, 'invalid_api_key');
    expect((await say(relay, key)).status).toBe(200);
  });
});

describe('A02 expired keys', () => {
  test('an expired key is 401 and stays so when the clock steps back', async () => {
    const relay = await serveTimed();
    const key = await relay.client('month', { expiresAt: relay.clock.now() + 60_000 });
    expect((await say(relay, key)).status).toBe(200);
    relay.clock.advance(60_000);
    expect(expectError(await say(relay, key), 401, 'invalid_api_key')).toContain('relay clients rotate month');
    relay.clock.set(relay.clock.now() - 3_600_000);
    expectError(await say(relay, key), 401, 'invalid_api_key');
  });
});

describe('A03 scopes', () => {
  const settings = { models: { aliases: { fast: 'gpt-6-luna', slow: 'gpt-5.5' }, fallbacks: { 'gpt-5.5': ['gpt-6-sol'] } } };
  const outside = ['gpt-6-luna', 'fast', 'gpt-6-luna-high', 'gpt-6-luna-xhigh-fast'];

  test.each(outside)('a model outside the scope is 403, whatever it is called: %s', async (model) => {
    const relay = await serveInProcess({ config: settings });
    const key = await relay.client('narrow', { models: ['gpt-5.5', 'gpt-5.6-*'] });
    const answer = await say(relay, key, { model });
    expect(expectError(answer, 403, 'insufficient_scope')).toContain('relay clients set narrow');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: 403, client: 'narrow', attempts: [] });
    expect(relay.sent()).toHaveLength(0);
  });

  test('what the scope allows is served, by alias and by suffix too', async () => {
    const relay = await serveInProcess({ config: settings });
    const key = await relay.client('narrow', { models: ['gpt-5.5', 'gpt-5.6-*'] });
    for (const model of ['gpt-5.5', 'slow', 'gpt-5.5-high', 'gpt-5.6-sol'])
      expect((await say(relay, key, { model })).status, model).toBe(200);
  });

  const spelled = ['GPT-6-LUNA', 'gpt-6-luna-2026-10-01', 'GPT-6-Luna-2026-10-01', 'FAST'];

  test.each(spelled)('A03 another spelling gets no client past its scope, and nothing is sent: %s', async (model) => {
    const relay = await serveInProcess({ config: settings });
    const key = await relay.client('narrow', { models: ['gpt-5.5', 'gpt-5.6-*'] });
    const answer = await say(relay, key, { model });
    // A spelling that is no model's is as good as unknown.
    expect(['insufficient_scope', 'model_not_found']).toContain(answer.error?.['code']);
    expect([403, 404]).toContain(answer.status);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', client: 'narrow', attempts: [] });
    expect(relay.sent()).toHaveLength(0);
  });

  test.each(['gpt-5.5-2026-10-01', 'gpt-*-2026-*'])('A03 where a server takes any name, a dated one is checked as it is sent: %s', async (glob) => {
    const relay = await serveInProcess({ accounts: [{ name: 'any', kind: 'api-key', apiKey: 'sk-upstream-any', models: ['gpt-5.5', 'gpt-5.5-2026-10-01'] }] });
    const plain = await relay.client('plain', { models: ['gpt-5.5'] });
    const dated = await relay.client('dated', { models: [glob] });
    expectError(await say(relay, plain, { model: 'gpt-5.5-2026-10-01' }), 403, 'insufficient_scope');
    expect((await say(relay, dated, { model: 'gpt-5.5-2026-10-01' })).status).toBe(200);
    expectError(await say(relay, dated, { model: 'gpt-5.5' }), 403, 'insufficient_scope');
    expect((await say(relay, plain, { model: 'gpt-5.5' })).status).toBe(200);
    expect(relay.sent().map(({ body }) => body?.['model'])).toEqual(['gpt-5.5-2026-10-01', 'gpt-5.5']);
  });

  test('a scope is the same in upper case', async () => {
    const relay = await serveInProcess({ config: settings });
    const key = await relay.client('loud', { models: ['GPT-5.5'] });
    expect((await say(relay, key, { model: 'gpt-5.5' })).status).toBe(200);
    expectError(await say(relay, key, { model: 'gpt-6-luna' }), 403, 'insufficient_scope');
  });

  test('a fallback outside the scope is not taken', async () => {
    const relay = await serveInProcess({ config: settings, accounts: [{ name: 'a', kind: 'chatgpt' }] });
    const key = await relay.client('narrow', { models: ['gpt-5.5'] });
    relay.upstream.script('a', [rateLimited({ retryAfter: '3600' })]);
    expectError(await say(relay, key), 429, 'accounts_exhausted');
    expect(relay.sent().map(({ body }) => body?.['model'])).toEqual(['gpt-5.5']);
  });

  test('an endpoint outside the scope is 403 and journaled', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('chat-only', { endpoints: ['chat'] });
    expect((await say(relay, key)).status).toBe(200);
    const answer = await relay.ask('/v1/responses', { key, body: responses('Say hi') });
    expect(expectError(answer, 403, 'insufficient_scope')).toContain('--endpoints');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: 403, client: 'chat-only', endpoint: 'responses' });
    expectError(await relay.ask('/v1/models', { key }), 403, 'insufficient_scope');
  });

  test('accounts outside the scope are never asked', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('second-only', { accounts: ['b'] });
    const answer = await say(relay, key);
    expect(answer.headers.get('x-relay-account')).toBe('b');
    relay.upstream.script('b', [rateLimited({ retryAfter: '3600' })]);
    expectError(await say(relay, key), 429, 'accounts_exhausted');
    expect(relay.sent('a')).toHaveLength(0);
  });

  test('a client sees in the model list what it may use', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('narrow', { models: ['gpt-5.5'] });
    const list = (await relay.ask('/v1/models', { key })).json;
    expect(list).toMatchObject({ object: 'list', data: [{ id: 'gpt-5.5', object: 'model', owned_by: 'chatgpt' }] });
    expectError(await relay.ask('/v1/models/gpt-6-luna', { key }), 404, 'model_not_found');
  });
});

describe('budgets', () => {
  test('A05 an exhausted budget is 429, says when it begins anew, and nothing is called', async () => {
    const relay = await serveTimed();
    const key = await relay.client('frugal', { budgets: [{ unit: 'tokens', limit: 10, window: 'day' }] });
    // What is left is less than one reservation: one request at a time may try.
    expect((await say(relay, key)).status).toBe(200);
    const answer = await say(relay, key);
    expect(expectError(answer, 429, 'budget_exceeded')).toContain('2026-11-22T00:00:00');
    expect(answer.error).toMatchObject({ type: 'insufficient_quota', resets_at: Date.UTC(2026, 10, 22) / 1_000 });
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: 429, error: { code: 'budget_exceeded' } });
    expect(relay.sent()).toHaveLength(1);
  });

  test('a thousand parallel requests against a budget of ten: ten run', async () => {
    const relay = await serveInProcess({ config: { routing: { accountConcurrency: 50 }, limits: { queue: 1_000 } } });
    const key = await relay.client('ten', { budgets: [{ unit: 'requests', limit: 10, window: 'month' }], concurrency: 1_000 });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => say(relay, key)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ error }) => error?.['code'] === 'budget_exceeded')).toHaveLength(990);
    expect(relay.sent()).toHaveLength(10);
  }, 40_000);

  test('A07 a clean refusal gives everything back, a broken stream costs what it delivered', async () => {
    const relay = await serveInProcess({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
    const key = await relay.client('two', { budgets: [{ unit: 'requests', limit: 2, window: 'day' }] });
    relay.upstream.script('a', [rateLimited({ retryAfter: '3600' })]);
    expectError(await say(relay, key), 429, 'accounts_exhausted');
    await relay.daemon.control.call('accounts.wake', { name: 'a' });
    relay.upstream.script('a', [cut({ afterDeltas: 3 })]);
    const broken = await say(relay, key, { stream: true });
    expect(broken.broken).toBe(true);
    expect(await relay.line(broken.id)).toMatchObject({ outcome: 'broken_stream', tokens: { estimated: true } });
    expect((await say(relay, key)).status).toBe(200);
    expectError(await say(relay, key), 429, 'budget_exceeded');
  });

  test("A12 a day's budget begins anew at midnight UTC, once", async () => {
    const relay = await serveTimed();
    const key = await relay.client('daily', { budgets: [{ unit: 'requests', limit: 1, window: 'day' }] });
    expect((await say(relay, key)).status).toBe(200);
    expectError(await say(relay, key), 429, 'budget_exceeded');
    relay.clock.advance(12 * 3_600_000 - 1);
    expectError(await say(relay, key), 429, 'budget_exceeded');
    relay.clock.advance(1);
    expect((await say(relay, key)).status).toBe(200);
    expectError(await say(relay, key), 429, 'budget_exceeded');
  });

  test.each([
    ['the output asked for', { max_tokens: 3_000 }],
    ['the choices asked for', { n: 4, max_tokens: 750 }],
    ['what such requests usually take', {}],
  ])('A13 beside a running request of the same size there is no room: %s', async (_what, change) => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const key = await relay.client('bounded', { budgets: [{ unit: 'tokens', limit: 5_000, window: 'day' }] });
    const gate = createGate();
    relay.upstream.script('a', [ok({ gate })]);
    const running = say(relay, key, { model: KEY_MODEL, ...change });
    await waitFor(() => relay.sent().length === 1, 'the first');
    expectError(await say(relay, key, { model: KEY_MODEL, ...change }), 429, 'budget_exceeded');
    expect((await say(relay, key, { model: KEY_MODEL, max_tokens: 100 })).status).toBe(200);
    gate.release();
    expect((await running).status).toBe(200);
    expect((await say(relay, key, { model: KEY_MODEL, ...change })).status).toBe(200);
  });
});

describe('slots', () => {
  test('A09 two run, some wait, the rest is told to come back', async () => {
    const relay = await serveInProcess({ config: { limits: { queue: 2 } } });
    const key = await relay.client('pair', { concurrency: 2 });
    const gate = createGate();
    relay.upstream.script(
      'a',
      Array.from({ length: 5 }, () => ok({ gate })),
    );
    const answers = Array.from({ length: 5 }, () => say(relay, key));
    await waitFor(() => relay.sent().length === 2 && relay.daemon.held().calls === 4, 'two to run and two to wait');
    const early = await Promise.race(answers);
    expectError(early, 429, 'concurrency_limit');
    expect(early.headers.get('retry-after')).toBe('1');
    gate.release();
    const all = await Promise.all(answers);
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 429]);
    expect(relay.upstream.account('a').peakInFlight).toBe(2);
  });

  test('A09 who waits longer than the line allows is told so', async () => {
    const relay = await serveTimed({ config: { limits: { queueMs: 5_000 } } });
    const key = await relay.client('single', { concurrency: 1 });
    const gate = createGate();
    relay.upstream.script('a', [ok({ gate })]);
    const first = say(relay, key);
    await waitFor(() => relay.sent().length === 1, 'the first');
    const second = say(relay, key);
    await waitFor(() => relay.daemon.held().calls === 2, 'the second');
    relay.clock.advance(5_000);
    expectError(await second, 429, 'concurrency_limit');
    gate.release();
    expect((await first).status).toBe(200);
  });

  test('requests a minute are counted over any minute', async () => {
    const relay = await serveTimed();
    const key = await relay.client('paced', { requestsPerMinute: 2 });
    expect((await say(relay, key)).status).toBe(200);
    relay.clock.advance(30_000);
    expect((await say(relay, key)).status).toBe(200);
    const refused = await say(relay, key);
    expectError(refused, 429, 'rate_limit_exceeded');
    expect(refused.headers.get('retry-after')).toBe('30');
    relay.clock.advance(30_001);
    expect((await say(relay, key)).status).toBe(200);
  });

  test('A10 a thousand clients that leave at any moment leave no slot taken', async () => {
    const relay = await serveInProcess({ config: { routing: { accountConcurrency: 20 } }, upstream: { paceMs: 1 } });
    let left = 0;
    const leaveAt = async (index: number): Promise<void> => {
      const leave = new AbortController();
      const asked = relay.call(index % 2 === 0 ? '/v1/chat/completions' : '/v1/responses', {
        body: index % 2 === 0 ? chat('Say much', { stream: index % 3 !== 0 }) : responses('Say much', { stream: index % 3 !== 0 }),
        signal: leave.signal,
      });
      // From before the request is written to in the middle of its answer.
      const turns = index % 40;
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      leave.abort();
      await asked.then((response) => response.text()).catch(() => (left += 1));
    };
    for (let batch = 0; batch < 20; batch += 1) await Promise.all(Array.from({ length: 50 }, (_, index) => leaveAt(batch * 50 + index)));
    expect(left).toBeGreaterThan(500);
    await relay.idle();
    expect(relay.upstream.account('a').inFlight + relay.upstream.account('b').inFlight).toBe(0);
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say next') })).status).toBe(200);
    expect(relay.log()).not.toContain('"error"');
  }, 40_000);

  test('a client waiting for an account gets it as soon as one it can use is free', async () => {
    const relay = await serveTimed({
      accounts: [
        { name: 'small', kind: 'api-key', provider: 'chatty', models: ['one'] },
        { name: 'large', kind: 'api-key', provider: 'chatty', models: ['two'] },
      ],
      config: { routing: { accountConcurrency: 1 } },
    });
    const gates = { one: createGate(), two: createGate() };
    relay.upstream.script('small', [ok({ gate: gates.one })]);
    relay.upstream.script('large', [ok({ gate: gates.two })]);
    const one = [say(relay, relay.key, { model: 'one' }), say(relay, relay.key, { model: 'one' })];
    await waitFor(() => relay.daemon.held().calls === 2 && relay.sent('small').length === 1, 'one to run and one to wait');
    const two = [say(relay, relay.key, { model: 'two' }), say(relay, relay.key, { model: 'two' })];
    await waitFor(() => relay.daemon.held().calls === 4 && relay.sent('large').length === 1, 'the other model');
    gates.two.release();
    expect((await within(Promise.all(two), 'both of the second model')).map(({ status }) => status)).toEqual([200, 200]);
    gates.one.release();
    expect((await Promise.all(one)).map(({ status }) => status)).toEqual([200, 200]);
  });

  test('a client waiting for a busy account takes another whose wait ends first', async () => {
    const relay = await serveTimed({ config: { routing: { accountConcurrency: 1 } } });
    const gate = createGate();
    relay.upstream.script('a', [rateLimited({ retryAfter: '3' })]);
    relay.upstream.script('b', [ok({ gate })]);
    const first = say(relay, relay.key);
    await waitFor(() => relay.sent('b').length === 1, 'the first at b');
    const second = say(relay, relay.key);
    await waitFor(() => relay.daemon.held().calls === 2, 'the second');
    expect(relay.sent()).toHaveLength(2);
    relay.clock.advance(4_000);
    expect((await within(second, 'the second')).headers.get('x-relay-account')).toBe('a');
    gate.release();
    expect((await first).status).toBe(200);
  });

  test('A11 a greedy client does not keep a modest one waiting for accounts', async () => {
    const relay = await serveTimed({ accounts: TWO_SIGN_INS, config: { routing: { accountConcurrency: 2 } } });
    const greedy = await relay.client('greedy', { concurrency: 50 });
    const modest = await relay.client('modest');
    const gates = Array.from({ length: 24 }, () => createGate());
    relay.upstream.script(
      'a',
      gates.slice(0, 12).map((gate) => ok({ gate })),
    );
    relay.upstream.script(
      'b',
      gates.slice(12).map((gate) => ok({ gate })),
    );
    const many = Array.from({ length: 20 }, () => say(relay, greedy));
    await waitFor(() => relay.sent().length === 4 && relay.daemon.held().calls === 20, 'four to run and sixteen to wait');
    const one = say(relay, modest);
    await waitFor(() => relay.daemon.held().calls === 21, 'the modest one to wait');
    // One greedy request ends: the next turn is the modest client's, though sixteen were there before it.
    gates[0]?.release();
    await waitFor(() => relay.sent().length === 5, 'the next call');
    expect(relay.daemon.live.running().find(({ client }) => client === 'modest')?.account).not.toBeNull();
    for (const gate of gates) gate.release();
    expect((await one).status).toBe(200);
    expect(new Set((await Promise.all(many)).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('A11 fifty greedy streams that go on and on keep nobody else from being served', async () => {
    const relay = await serveInProcess({ config: { routing: { accountConcurrency: 8 } } });
    const greedy = await relay.client('greedy', { concurrency: 50 });
    const modest = await relay.client('modest', { concurrency: 1 });
    const gate = createGate();
    const held = (): MockStep => ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } });
    for (const name of ['a', 'b']) relay.upstream.script(name, Array.from({ length: 7 }, held));
    const many = Array.from({ length: 50 }, () => say(relay, greedy, { stream: true }));
    await waitFor(() => relay.daemon.held().calls === 50, 'fifty to run or to wait');
    const streaming = (): number => relay.daemon.live.running().filter(({ client, phase }) => client === 'greedy' && phase === 'streaming').length;
    await waitFor(() => streaming() === 14, 'all the slots that one client may have');
    // None of the fifty has ended when the modest client has had its twenty streams, one after the other.
    for (let turn = 0; turn < 20; turn += 1) {
      const answer = await say(relay, modest, { stream: true });
      expect(answer.text).toContain('[DONE]');
    }
    expect(streaming()).toBe(14);
    expect(relay.daemon.held().calls).toBe(50);
    gate.release();
    expect((await Promise.all(many)).filter(({ text }) => text.includes('[DONE]'))).toHaveLength(50);
    expect(relay.upstream.account('a').peakInFlight + relay.upstream.account('b').peakInFlight).toBeLessThanOrEqual(16);
  });
});

test('a whole request of a known client stands in the journal with what it was asked and given', async () => {
  const relay = await serveInProcess();
  const key = await relay.client('full', { member: 'ada', project: 'engine', env: 'dev' });
  const answer = await relay.ask('/v1/chat/completions', { key, body: chat('Say hi', { service_tier: 'priority' }) });
  expect(await relay.line(answer.id)).toMatchObject({
    v: 1,
    k: 'close',
    id: answer.id,
    client: 'full',
    member: 'ada',
    project: 'engine',
    env: 'dev',
    endpoint: 'chat',
    stream: false,
    model: { asked: SIGN_IN_MODEL, sent: SIGN_IN_MODEL, ran: SIGN_IN_MODEL },
    provider: 'chatgpt',
    account: 'a',
    status: 200,
    outcome: 'ok',
    error: null,
    attempts: [{ account: 'a', provider: 'chatgpt', model: SIGN_IN_MODEL, status: 200, error: null }],
    tokens: { estimated: false },
    tier: { asked: 'priority' },
    cost: { charged: 0 },
    route: { strategy: 'balanced' },
    dropped: [],
  });
  expect((await relay.journal()).map(({ id }) => id)).toEqual([answer.id]);
  expect(answer.headers.get('x-relay-provider')).toBe('chatgpt');
  expect(answer.headers.get('x-relay-model')).toBe(SIGN_IN_MODEL);
});

test.each(['client', 'member', 'project', 'env'] as const)('usage by %s adds up what the journal says under that label', async (by) => {
  const relay = await serveInProcess();
  const labels = [
    { client: 'web-ada', member: 'ada', project: 'web', env: 'dev' },
    { client: 'web-bob', member: 'bob', project: 'web', env: 'prod' },
    { client: 'api-bob', member: 'bob', project: 'api', env: 'prod' },
  ];
  for (const [index, { client, ...labelled }] of labels.entries()) {
    const key = await relay.client(client, labelled);
    for (let turn = 0; turn <= index; turn += 1) {
      const answer = await say(relay, key, { stream: turn % 2 === 1 });
      expect(await relay.line(answer.id)).toMatchObject({ client, ...labelled });
    }
  }
  const lines = await relay.journal();
  const expected = [...new Set(labels.map((label) => label[by]))].map((value) => {
    const own = lines.filter((line) => line[by] === value);
    return { value, requests: own.length, output: own.reduce((sum, { tokens }) => sum + (tokens?.output ?? 0), 0), list: own.reduce((sum, { cost }) => sum + cost.list, 0) };
  });
  const report = await relay.daemon.control.call('usage.report', { since: null, until: null, by: [by] });
  const told = report.groups.map(({ key, requests, tokens, cost }) => ({ value: key[by], requests, output: tokens.output, list: cost.list }));
  const inOrder = (a: { value: string | null | undefined }, b: { value: string | null | undefined }): number => String(a.value).localeCompare(String(b.value));
  expect(told.sort(inOrder)).toEqual(expected.sort(inOrder));
  expect(expected.reduce((sum, { requests }) => sum + requests, 0)).toBe(6);
});

test('every authenticated request to a generation route has one closing line, however it ends; an unknown key has none', async () => {
  const relay = await serveInProcess();
  const routes = ['/v1/chat/completions', '/chat/completions', '/v1/responses', '/responses', '/v1/responses/compact', '/v1/messages'];
  const ids: (string | null)[] = [];
  for (const path of routes) {
    for (const body of ['{', '[]', JSON.stringify({ model: 'gpt-none', messages: [], input: 'x' }), JSON.stringify({})]) {
      const answer = await relay.ask(path, { body });
      expect(answer.status, `${path} ${answer.text}`).toBeGreaterThanOrEqual(400);
      ids.push(answer.id);
    }
    expect((await relay.ask(path, { key: 'sk-relay-unknown', body: '{}' })).status).toBe(401);
  }
  expect((await relay.journal()).map(({ id }) => id)).toEqual(ids);
  expect((await relay.journal()).every(({ outcome, attempts }) => outcome === 'refused' && attempts.length === 0)).toBe(true);
});
