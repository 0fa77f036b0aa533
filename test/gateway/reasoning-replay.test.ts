import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, stringAt } from '../../src/core/json.ts';
import { HOUR_MS } from '../../src/core/units.ts';
import type { ReplayScope } from '../../src/gateway/reasoning-replay.ts';
import { createReasoningReplay } from '../../src/gateway/reasoning-replay.ts';
import { rateLimited, refuse } from '../../src/mock/steps.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, serveInProcess, SIGN_IN_MODEL } from '../support/serve-in-process.ts';

const SCOPE: ReplayScope = { clientId: 'one', accountId: 'acc', model: 'm' };
const thought = (id: string): JsonObject => ({ type: 'reasoning', id, summary: [], encrypted_content: `sealed ${id}` });
const call = (callId: string): JsonObject => ({ type: 'function_call', call_id: callId, name: 'f', arguments: '{}' });
const text: JsonObject = { type: 'message', role: 'assistant', content: [] };

describe('reasoning by the call it stood before', () => {
  test.each<[string, JsonObject[], Record<string, string[]>]>([
    ['one call', [thought('r1'), call('c1')], { c1: ['r1'] }],
    ['parallel calls share it', [thought('r1'), call('c1'), call('c2')], { c1: ['r1'], c2: ['r1'] }],
    ['words in between do not part them', [thought('r1'), text, call('c1')], { c1: ['r1'] }],
    ['each call its own', [thought('r1'), call('c1'), thought('r2'), call('c2')], { c1: ['r1'], c2: ['r2'] }],
    ['several thoughts before a call', [thought('r1'), thought('r2'), call('c1')], { c1: ['r1', 'r2'] }],
    ['a call without a thought', [call('c1'), thought('r1')], { c1: [] }],
    ['a thought that is not sealed is of no use', [{ type: 'reasoning', id: 'r0', summary: [] }, call('c1')], { c1: [] }],
  ])('%s', (_name, items, wanted) => {
    const replay = createReasoningReplay(fakeClock());
    replay.learn(SCOPE, items);
    for (const [callId, ids] of Object.entries(wanted)) {
      expect((replay.before(SCOPE, callId) ?? []).map((item) => stringAt(item, 'id'))).toEqual(ids);
    }
  });

  test('belongs to one client, one account and one model', () => {
    const replay = createReasoningReplay(fakeClock());
    replay.learn(SCOPE, [thought('r1'), call('c1')]);
    const elsewhere: readonly Partial<ReplayScope>[] = [{ clientId: 'two' }, { accountId: 'other' }, { model: 'n' }];
    for (const other of elsewhere) expect(replay.before({ ...SCOPE, ...other }, 'c1')).toBeUndefined();
    expect(replay.before(SCOPE, 'c1')).toBeDefined();
  });

  test('is forgotten on request, after an hour, and least recently used first', () => {
    const clock = fakeClock();
    const replay = createReasoningReplay(clock, { count: 2, bytes: 1e6, idleMs: HOUR_MS });
    for (const name of ['1', '2', '3']) replay.learn(SCOPE, [thought(`r${name}`), call(`c${name}`)]);
    expect(['c1', 'c2', 'c3'].map((callId) => replay.before(SCOPE, callId) !== undefined)).toEqual([false, true, true]);
    replay.forget(SCOPE, 'c2');
    expect(replay.before(SCOPE, 'c2')).toBeUndefined();
    clock.advance(HOUR_MS);
    expect(replay.before(SCOPE, 'c3')).toBeUndefined();
    expect(replay.size).toBe(0);
  });

  test('holds no more bytes than it may', () => {
    const replay = createReasoningReplay(fakeClock(), { count: 100, bytes: 5_000, idleMs: HOUR_MS });
    const sealed = (id: string, length: number): JsonObject => ({ ...thought(id), encrypted_content: 'x'.repeat(length) });
    replay.learn(SCOPE, [sealed('huge', 6_000), call('huge')]);
    for (let index = 0; index < 10; index += 1) replay.learn(SCOPE, [sealed(`r${index}`, 1_000), call(`c${index}`)]);
    expect(replay.before(SCOPE, 'huge')).toBeUndefined();
    expect(replay.size).toBeLessThan(5);
    expect(replay.before(SCOPE, 'c9')).toBeDefined();
  });
});

const TOOLS = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];
const QUESTION: JsonObject = { role: 'user', content: 'What is the weather? Use the tool.' };

/** The first half of a tool loop: what the assistant called, and the conversation with the tool's answer behind it. */
async function callTool(relay: ServedRelay, stream = false): Promise<{ readonly callId: string; readonly messages: JsonObject[] }> {
  const asked = await relay.ask('/v1/chat/completions', { body: chat('', { messages: [QUESTION], tools: TOOLS, stream }) });
  expect(asked.status, asked.text).toBe(200);
  const callId = /"id":"(call_[^"]+)"/.exec(asked.text)?.[1] ?? '';
  const made = { id: callId, type: 'function', function: { name: 'weather', arguments: '{}' } };
  const assistant = { role: 'assistant', content: null, tool_calls: [made] };
  return { callId, messages: [QUESTION, assistant, { role: 'tool', tool_call_id: callId, content: '21 degrees' }] };
}

/** The second half. */
function goOn(relay: ServedRelay, messages: JsonObject[], { key = relay.key, model = SIGN_IN_MODEL } = {}): Promise<Answer> {
  return relay.ask('/v1/chat/completions', { key, body: chat('', { messages, tools: TOOLS, model }) });
}

const typesSent = (relay: ServedRelay, account?: string): readonly (string | undefined)[] =>
  (arrayAt(relay.sent(account).at(-1)?.body, 'input') ?? []).map((item) => stringAt(item, 'type'));

const UNREADABLE = {
  message: 'The encrypted content gAAA...X could not be verified.', type: 'invalid_request_error', code: 'invalid_encrypted_content',
};
const MISPLACED = "Item 'rs_1' of type 'reasoning' was provided without its required following item.";
const WITH = ['message', 'reasoning', 'function_call', 'function_call_output'];
const WITHOUT = ['message', 'function_call', 'function_call_output'];

describe('a chat client\'s tool loop on a sign-in', () => {
  test.each([false, true])('gets its reasoning back in front of the call, streamed: %s', async (stream) => {
    const relay = await serveInProcess({ upstream: { ciphertext: 'bound' } });
    const { messages } = await callTool(relay, stream);
    const answer = await goOn(relay, messages);
    expect(answer.text).toContain('21 degrees');
    expect(typesSent(relay)).toEqual(WITH);
    expect(stringAt(arrayAt(relay.sent().at(-1)?.body, 'input')?.[1], 'encrypted_content')).toMatch(/^gAAAA/);
  });

  test('at another account, with another model or key, it starts without', async () => {
    const relay = await serveInProcess({ upstream: { ciphertext: 'bound' } });
    const { messages } = await callTool(relay);
    expect((await goOn(relay, messages, { model: 'gpt-6-sol' })).status).toBe(200);
    expect(typesSent(relay)).toEqual(WITHOUT);
    expect((await goOn(relay, messages, { key: await relay.client('other') })).status).toBe(200);
    expect(typesSent(relay)).toEqual(WITHOUT);
    relay.upstream.script('a', [rateLimited({ retryAfter: '600' })]);
    expect((await goOn(relay, messages)).headers.get('x-relay-account')).toBe('b');
    expect(typesSent(relay, 'b')).toEqual(WITHOUT);
  });

  test.each([
    ['cannot be read any more', UNREADABLE],
    ['stands in the wrong place', { ...UNREADABLE, code: null, message: MISPLACED }],
  ])('where it %s the request goes on without it, once, and the next one does not try', async (_name, error) => {
    const relay = await serveInProcess();
    const { messages } = await callTool(relay);
    relay.upstream.script('a', [refuse(400, { error })]);
    const answer = await goOn(relay, messages);
    expect([answer.status, answer.headers.get('x-relay-account'), answer.headers.get('x-relay-attempts')]).toEqual([200, 'a', '2']);
    const lengths = relay.sent('a').slice(-2).map(({ body }) => arrayAt(body, 'input')?.length);
    expect(lengths).toEqual([WITH.length, WITHOUT.length]);
    expect(typesSent(relay)).toEqual(WITHOUT);
    const { attempts } = await relay.line(answer.id);
    expect(attempts).toMatchObject([{ account: 'a', status: 400 }, { account: 'a', status: 200, error: null }]);
    expect((await goOn(relay, messages)).headers.get('x-relay-attempts')).toBe('1');
    expect(typesSent(relay)).toEqual(WITHOUT);
  });

  test('a refusal that stays is passed on after one retry', async () => {
    const relay = await serveInProcess();
    const { messages } = await callTool(relay);
    relay.upstream.script('a', [refuse(400, { error: UNREADABLE }), refuse(400, { error: UNREADABLE })]);
    const answer = await goOn(relay, messages);
    expect([answer.status, answer.error?.['code']]).toEqual([400, 'invalid_encrypted_content']);
    expect(relay.sent('b')).toEqual([]);
  });
});

test('a Responses client\'s stored conversation goes on without reasoning that another account sealed', async () => {
  const relay = await serveInProcess({ upstream: { ciphertext: 'bound' } });
  const ask = (body: JsonObject): Promise<Answer> => relay.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, ...body } });
  const first = await ask({ input: 'Say one' });
  expect(first.text).toContain('encrypted_content');
  relay.upstream.script('a', [rateLimited({ retryAfter: '600' })]);
  const second = await ask({ input: 'Say two', previous_response_id: stringAt(first.json, 'id') ?? '' });
  expect([second.status, second.headers.get('x-relay-account')], second.text).toEqual([200, 'b']);
  const sent = relay.sent('b').map(({ body }) => JSON.stringify(body).includes('encrypted_content":"gAAAA'));
  expect(sent).toEqual([true, false]);
});
