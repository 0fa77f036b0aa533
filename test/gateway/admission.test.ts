import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import type { MockStep } from '../../src/mock/steps.ts';
import { createGate, cut, failed, hang, ok, rateLimited, refuse, reset } from '../../src/mock/steps.ts';
import { checkBudgets, WIDE_BUDGETS } from '../support/check-budgets.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { ServedAccountSpec, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { openSocket } from '../support/socket-client.ts';
import { waitFor } from '../support/wait-for.ts';

const REFUSED = refuse(400, { error: { message: 'No.', type: 'invalid_request_error', param: null, code: 'invalid_value' } });

/** A request on each endpoint that generates. */
const WIRES: readonly { readonly path: string; readonly body: (change: JsonObject) => JsonObject }[] = [
  { path: '/v1/chat/completions', body: (change) => chat('Say much', change) },
  { path: '/v1/responses', body: (change) => responses('Say much', change) },
  { path: '/v1/messages', body: (change) => ({ ...chat('Say much', change), max_tokens: 500 }) },
];

interface Budgeted {
  readonly relay: ServedRelay;
  readonly key: string;
}

/** A Relay with a client under budgets of its own and of its project. */
async function serveBudgeted(config: JsonObject = {}): Promise<Budgeted> {
  const relay = await serveInProcess({ config });
  const key = await relay.client('counted', { project: 'web', budgets: [...WIDE_BUDGETS], concurrency: 4 });
  for (const budget of WIDE_BUDGETS) await relay.daemon.control.call('budgets.set', { of: 'project', name: 'web', budget });
  return { relay, key };
}

interface Phase {
  readonly phase: string;
  readonly stream: boolean;
  readonly steps: Readonly<Record<'a' | 'b', readonly MockStep[]>>;
  /** Calls that have reached an upstream by then. */
  readonly calls: number;
  /** Whether the client has been told something by then. */
  readonly begun?: true;
}

const PHASES: readonly Phase[] = [
  { phase: 'before the upstream has said anything', stream: true, steps: { a: [hang()], b: [] }, calls: 1 },
  { phase: 'before a whole answer has begun', stream: false, steps: { a: [hang()], b: [] }, calls: 1 },
  { phase: 'behind the upstream\'s headers', stream: true, steps: { a: [hang('after-headers')], b: [] }, calls: 1 },
  { phase: 'behind its first event', stream: true, steps: { a: [hang('after-first-event')], b: [] }, calls: 1 },
  { phase: 'behind the first piece of output', stream: true, steps: { a: [hang({ afterDeltas: 1 })], b: [] }, calls: 1, begun: true },
  { phase: 'in the middle of the output', stream: true, steps: { a: [hang({ afterDeltas: 3 })], b: [] }, calls: 1, begun: true },
  { phase: 'in the middle of a whole answer', stream: false, steps: { a: [hang({ afterDeltas: 1 })], b: [] }, calls: 1 },
  { phase: 'while the second account is asked', stream: true, steps: { a: [rateLimited({ retryAfter: '60' })], b: [hang()] }, calls: 2 },
  { phase: 'while the second account tells', stream: true, steps: { a: [failed(500)], b: [hang({ afterDeltas: 1 })] }, calls: 2, begun: true },
  {
    phase: 'while it waits for an account to come back', stream: true, calls: 2,
    steps: { a: [rateLimited({ retryAfter: '20' })], b: [rateLimited({ retryAfter: '20' })] },
  },
];

describe.each(WIRES)('A10 a client that leaves $path', ({ path, body }) => {
  test.each(PHASES)('leaves nothing held: $phase', async ({ stream, steps, calls, begun }) => {
    const { relay, key } = await serveBudgeted();
    relay.upstream.script('a', steps.a);
    relay.upstream.script('b', steps.b);
    const leave = new AbortController();
    const asked = relay.call(path, { key, body: body({ stream }), signal: leave.signal });
    const over = asked.then((response) => response.text()).then(() => 'answered', () => 'left');
    await waitFor(() => relay.sent().length === calls, 'the calls');
    if (begun) await waitFor(() => relay.daemon.live.running().some(({ phase }) => phase === 'streaming'), 'the stream');
    leave.abort();
    await over;
    await checkBudgets(relay);
    // The same client under the same budgets is served next.
    for (const name of ['a', 'b']) {
      relay.upstream.script(name, []);
      await relay.daemon.control.call('accounts.wake', { name });
    }
    expect((await relay.ask(path, { key, body: body({}) })).status).toBe(200);
    expect(await checkBudgets(relay)).toHaveLength(8);
  });

  test.each([
    ['its own client\'s turn', { concurrency: 1 }, {}],
    ['an account', { concurrency: 4 }, { routing: { accountConcurrency: 1 } }],
  ])('leaves nothing held: while it waits for %s', async (_what, change, config) => {
    const { relay, key } = await serveBudgeted(config);
    await relay.daemon.control.call('clients.set', { name: 'counted', ...change });
    const gate = createGate();
    for (const name of ['a', 'b']) relay.upstream.script(name, [ok({ gate })]);
    const holders = Array.from({ length: change.concurrency === 1 ? 1 : 2 }, () => relay.ask(path, { key, body: body({}) }));
    await waitFor(() => relay.sent().length === holders.length, 'the holders');
    const leave = new AbortController();
    const waiting = relay.call(path, { key, body: body({}), signal: leave.signal }).then(() => 'answered', () => 'left');
    await waitFor(() => relay.daemon.held().calls === holders.length + 1, 'the one that waits');
    leave.abort();
    expect(await waiting).toBe('left');
    gate.release();
    expect((await Promise.all(holders)).map(({ status }) => status)).toEqual(holders.map(() => 200));
    const requests = (await checkBudgets(relay)).filter(({ unit }) => unit === 'requests');
    expect(requests.map(({ spent }) => spent)).toEqual([holders.length, holders.length]);
  });

  test.each<[string, readonly MockStep[], readonly MockStep[], boolean, number]>([
    ['is whole', [ok()], [], false, 1],
    ['is streamed', [ok()], [], true, 1],
    ['is cut short by its length', [ok({ incomplete: 'max_output_tokens' })], [], true, 1],
    ['comes from the second account', [rateLimited({ retryAfter: '60' })], [ok()], true, 1],
    ['breaks in the middle', [cut({ afterDeltas: 3 })], [], true, 1],
    ['is refused by the upstream', [REFUSED], [], false, 0],
    ['never comes', [reset(), reset()], [reset(), reset()], false, 0],
  ])('A07 an answer that %s is booked as the journal tells it', async (_what, a, b, stream, served) => {
    const { relay, key } = await serveBudgeted();
    relay.upstream.script('a', a);
    relay.upstream.script('b', b);
    await relay.ask(path, { key, body: body({ stream }) });
    const requests = (await checkBudgets(relay)).filter(({ unit }) => unit === 'requests');
    expect(requests.map(({ spent }) => spent)).toEqual([served, served]);
  });
});

test('A10 a WebSocket that closes in the middle of an answer leaves nothing held', async () => {
  const { relay, key } = await serveBudgeted();
  relay.upstream.script('a', [ok(), hang({ afterDeltas: 1 })]);
  const client = await openSocket(relay, { key });
  await client.answer({ type: 'response.create', ...responses('Say hi', { stream: true }) });
  client.send({ type: 'response.create', ...responses('Say much', { stream: true }) });
  await waitFor(() => relay.daemon.live.running().some(({ phase }) => phase === 'streaming'), 'the second answer');
  client.socket.terminate();
  await checkBudgets(relay);
});

/** What a budget of ten million tokens holds for one request while it runs. */
async function heldFor(relay: ServedRelay, body: JsonObject, path = '/v1/responses'): Promise<number> {
  const name = `held-${relay.sent().length}`;
  const key = await relay.client(name, { budgets: [{ unit: 'tokens', limit: 1e7, window: 'day' }] });
  const gate = createGate();
  relay.upstream.script('a', [ok({ gate })]);
  const before = relay.sent().length;
  const running = relay.ask(path, { key, body });
  await waitFor(() => relay.sent().length === before + 1, 'the call');
  const held = (await relay.daemon.control.call('budgets.list', {})).find((budget) => budget.name === name);
  gate.release();
  expect((await running).status).toBe(200);
  return held?.reserved ?? 0;
}

describe('A13 what a request reserves', () => {
  const PLATFORM = { accounts: TWO_PLATFORM_KEYS };
  const onKey = (change: JsonObject): JsonObject => ({ ...responses('Say hi', change), model: KEY_MODEL });

  test.each([15_000, 100])('where the upstream ignores caps a cap of %i is not what is reserved, what such answers take is', async (cap) => {
    const relay = await serveInProcess();
    const held = await heldFor(relay, responses('Say hi', { max_output_tokens: cap }));
    expect(held).toBeGreaterThanOrEqual(4_000);
    expect(held).toBeLessThan(4_200);
    await checkBudgets(relay);
  });

  test('where the upstream ignores caps, what was learned of the client is reserved', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('habitual', { budgets: [{ unit: 'tokens', limit: 1e7, window: 'day' }] });
    for (let answer = 0; answer < 20; answer += 1) await relay.ask('/v1/responses', { key, body: responses('Say hi', { max_output_tokens: 9_000 }) });
    const longest = Math.max(...(await relay.journal()).map(({ tokens }) => tokens?.output ?? 0));
    const gate = createGate();
    relay.upstream.script('a', [ok({ gate })]);
    relay.upstream.script('b', [ok({ gate })]);
    const running = relay.ask('/v1/responses', { key, body: responses('Say hi', { max_output_tokens: 9_000 }) });
    await waitFor(() => relay.sent().length === 21, 'the call');
    const [budget] = await relay.daemon.control.call('budgets.list', {});
    expect(budget?.reserved).toBeGreaterThan(0);
    expect(budget?.reserved).toBeLessThan(longest * 2 + 200);
    gate.release();
    expect((await running).status).toBe(200);
    await checkBudgets(relay);
  });

  test('where one account keeps caps and another does not, the greater of cap and habit is', async () => {
    const mixed: readonly ServedAccountSpec[] = [
      { name: 'a', kind: 'chatgpt', plan: 'plus' },
      { name: 'b', kind: 'api-key', apiKey: 'sk-upstream-second', provider: 'openai', models: [SIGN_IN_MODEL] },
    ];
    const relay = await serveInProcess({ accounts: mixed });
    expect(await heldFor(relay, responses('Say hi', { max_output_tokens: 100 }))).toBeGreaterThanOrEqual(4_000);
    expect(await heldFor(relay, responses('Say hi', { max_output_tokens: 15_000 }))).toBeGreaterThanOrEqual(15_000);
    await checkBudgets(relay);
  });

  test('where the upstream keeps caps the cap is, for every answer asked for', async () => {
    const relay = await serveInProcess(PLATFORM);
    expect(Math.floor((await heldFor(relay, onKey({ max_output_tokens: 3_000 }))) / 1_000)).toBe(3);
    const many = await heldFor(relay, { ...chat('Say hi', { n: 4, max_tokens: 2_000 }), model: KEY_MODEL }, '/v1/chat/completions');
    expect(Math.floor(many / 1_000)).toBe(8);
    await checkBudgets(relay);
  });

  test.each<[string, JsonObject, number]>([
    ['web_search', { type: 'web_search' }, 40_000],
    ['code_interpreter', { type: 'code_interpreter', container: { type: 'auto' } }, 10_000],
    ['image_generation', { type: 'image_generation' }, 10_000],
    ['mcp', { type: 'mcp', server_label: 'docs', server_url: 'https://mcp.example', require_approval: 'never' }, 40_000],
    ['computer', { type: 'computer' }, 10_000],
  ])('a hosted tool is bounded beside the output: %s', async (_name, tool, bound) => {
    const relay = await serveInProcess(PLATFORM);
    const bare = await heldFor(relay, onKey({ max_output_tokens: 100 }));
    const withTool = await heldFor(relay, onKey({ max_output_tokens: 100, tools: [tool] }));
    expect(withTool - bare).toBeGreaterThanOrEqual(bound);
    expect(withTool - bare).toBeLessThan(bound + 200);
    await checkBudgets(relay);
  });

  test('beside a running request with tools there is no room for a second, and nothing is called for it', async () => {
    const pricing = { [KEY_MODEL]: { input: 1, output: 2 } };
    const relay = await serveInProcess({ ...PLATFORM, config: { pricing } });
    // Five pictures are 1.25 USD at most: one request fits into two dollars, not two.
    const key = await relay.client('pictures', { budgets: [{ unit: 'usd', limit: 2e9, window: 'day' }] });
    const gate = createGate();
    relay.upstream.script('a', [ok({ gate })]);
    const body = onKey({ tools: [{ type: 'image_generation' }], max_output_tokens: 100 });
    const running = relay.ask('/v1/responses', { key, body });
    await waitFor(() => relay.sent().length === 1, 'the first');
    const [budget] = await relay.daemon.control.call('budgets.list', {});
    expect(budget?.reserved).toBeGreaterThan(1.25e9);
    expectError(await relay.ask('/v1/responses', { key, body }), 429, 'budget_exceeded');
    expect(relay.sent()).toHaveLength(1);
    gate.release();
    expect((await running).status).toBe(200);
    await checkBudgets(relay);
  });

  test('a tool that does not reach the upstream holds nothing', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const bare = await heldFor(relay, onKey({ max_output_tokens: 100 }));
    expect((await heldFor(relay, onKey({ max_output_tokens: 100, tools: [{ type: 'web_search' }] }))) - bare).toBeLessThan(200);
  });
});

test.each([1, 2, 3])('the budgets equal the journal\'s sum after a random day (%i)', async (seed) => {
  const random = seededRandom(seed);
  const pick = <T>(choices: readonly T[]): T => {
    const chosen = choices[Math.floor(random.next() * choices.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  };
  const { relay, key } = await serveBudgeted();
  const keys = [key, await relay.client('other', { project: 'web', budgets: [{ unit: 'requests', limit: 9, window: 'month' }] })];
  const steps = (): readonly MockStep[] =>
    Array.from({ length: 6 }, () => pick([ok(), ok(), cut({ afterDeltas: 2 }), REFUSED, failed(500), rateLimited({ retryAfter: '1' }), reset()]));
  const act = async (): Promise<void> => {
    const { path, body } = pick(WIRES);
    const leave = new AbortController();
    const leaves = random.next() < 0.3;
    const turns = leaves ? Math.floor(random.next() * 30) : 0;
    const asked = relay.call(path, { key: pick(keys), body: body({ stream: random.next() < 0.6 }), signal: leave.signal });
    const over = asked.then((response) => response.text()).catch(() => '');
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    if (leaves) leave.abort();
    await over;
  };
  for (let batch = 0; batch < 8; batch += 1) {
    for (const name of ['a', 'b']) {
      relay.upstream.script(name, steps());
      await relay.daemon.control.call('accounts.wake', { name });
    }
    await Promise.all(Array.from({ length: 5 }, act));
  }
  const budgets = await checkBudgets(relay);
  expect(budgets.find(({ name, unit }) => name === 'web' && unit === 'requests')?.spent).toBeGreaterThan(0);
  expect(budgets.find(({ name }) => name === 'other')?.spent).toBeLessThanOrEqual(9);
}, 30_000);
