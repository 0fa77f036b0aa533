import { describe, expect, test } from 'vitest';

import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { HOUR_MS } from '../../src/core/units.ts';
import { ok, rateLimited } from '../../src/mock/steps.ts';
import { textOf } from '../../src/mock/task.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import {
  expectError, KEY_MODEL, responses, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS, TWO_SIGN_INS,
} from '../support/serve-in-process.ts';

async function say(relay: ServedRelay, model: string, change: JsonObject): Promise<Answer> {
  return relay.ask('/v1/responses', { body: responses('Say it', { model, ...change }) });
}

/** The id of a good answer, streamed or whole. */
function idOf(answer: Answer): string {
  expect(answer.status, answer.text).toBe(200);
  const id = stringAt(answer.json, 'id') ?? /"response":\{"id":"(resp_[^"]+)"/.exec(answer.text)?.[1];
  expect(id).toBeDefined();
  return String(id);
}

/** What the newest call told the upstream, as role and text. */
function toldIn(body: JsonObject | undefined): readonly string[] {
  const items: readonly JsonValue[] = arrayAt(body, 'messages') ?? arrayAt(body, 'input') ?? [stringAt(body, 'input') ?? ''];
  return items.map((item) => {
    if (typeof item === 'string') return `user: ${item}`;
    return `${stringAt(item, 'role') ?? stringAt(item, 'type')}: ${textOf(objectAt({ item }, 'item')?.['content'])}`;
  });
}

describe('previous_response_id', () => {
  test.each([
    ['the ChatGPT backend', TWO_SIGN_INS, SIGN_IN_MODEL], ['a chat server', TWO_CHAT_KEYS, KEY_MODEL],
  ] as const)('is written out for %s, which keeps nothing, turn after turn, streamed or not', async (_name, accounts, model) => {
    const relay = await serveInProcess({ accounts });
    const first = idOf(await say(relay, model, { input: 'Say one', instructions: 'Only for the first.' }));
    const second = idOf(await say(relay, model, { input: 'Say two', previous_response_id: first, stream: true }));
    idOf(await say(relay, model, { input: 'Say three', previous_response_id: second }));
    const { body } = relay.sent().at(-1) ?? {};
    const told = toldIn(body).filter((line) => !line.startsWith('reasoning'));
    const wanted = [/^user: Say one/, /^assistant: .*Say one/s, /^user: Say two/, /^assistant: .*Say two/s, /^user: Say three/];
    expect(told).toHaveLength(wanted.length);
    for (const [index, pattern] of wanted.entries()) expect(told[index]).toMatch(pattern);
    expect(JSON.stringify(body)).not.toContain('Only for the first');
    expect(body).not.toHaveProperty('previous_response_id');
  });

  test('goes out as it came to the platform account that keeps the answer', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const first = idOf(await say(relay, KEY_MODEL, { input: 'Say one' }));
    idOf(await say(relay, KEY_MODEL, { input: 'Say two', previous_response_id: first }));
    expect(relay.sent().map(({ account }) => account)).toEqual(['a', 'a']);
    expect(relay.sent().at(-1)?.body).toMatchObject({ input: 'Say two', previous_response_id: first });
  });

  test('finds that account also when Relay itself has forgotten the answer', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [rateLimited({ retryAfter: '1' })]);
    const first = await say(relay, KEY_MODEL, { input: 'Say one' });
    expect(first.headers.get('x-relay-account')).toBe('b');
    relay.clock.advance(3 * HOUR_MS);
    const next = await say(relay, KEY_MODEL, { input: 'Say two', previous_response_id: idOf(first) });
    expect([next.status, next.headers.get('x-relay-account')], next.text).toEqual([200, 'b']);
    expect(relay.sent('b').at(-1)?.body).toMatchObject({ previous_response_id: idOf(first) });
  });

  test('moves to another account with its history once the owner cannot serve', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const first = idOf(await say(relay, KEY_MODEL, { input: 'Say one' }));
    relay.upstream.script('a', [rateLimited({ retryAfter: '600' })]);
    const answer = await say(relay, KEY_MODEL, { input: 'Say two', previous_response_id: first });
    expect([answer.status, answer.headers.get('x-relay-account')]).toEqual([200, 'b']);
    const { body } = relay.sent('b').at(-1) ?? {};
    expect(body).not.toHaveProperty('previous_response_id');
    expect(toldIn(body).filter((line) => !line.startsWith('reasoning'))).toMatchObject([
      expect.stringMatching(/^user: Say one/), expect.stringMatching(/^assistant: /), expect.stringMatching(/^user: Say two/),
    ]);
  });

  test('U01: a conversation on sign-ins survives a 429 in its second turn', async () => {
    const relay = await serveInProcess();
    const first = idOf(await say(relay, SIGN_IN_MODEL, { input: 'Say one' }));
    relay.upstream.script('a', [rateLimited({ retryAfter: '600' })]);
    const answer = await say(relay, SIGN_IN_MODEL, { input: 'Say two', previous_response_id: first });
    expect([answer.status, answer.headers.get('x-relay-account')]).toEqual([200, 'b']);
    expect(toldIn(relay.sent('b').at(-1)?.body)[0]).toMatch(/^user: Say one/);
  });

  test('goes to the account that made the answer, also where another would be taken first', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [rateLimited({ retryAfter: '1' })]);
    const made = await say(relay, SIGN_IN_MODEL, { input: 'Say one' });
    expect(made.headers.get('x-relay-account')).toBe('b');
    await relay.daemon.control.call('accounts.wake', { name: 'a' });
    const next = await say(relay, SIGN_IN_MODEL, { input: 'Nothing alike', previous_response_id: idOf(made) });
    expect(next.headers.get('x-relay-account')).toBe('b');
    expect((await relay.line(next.id)).route?.sticky).toBe('hit');
  });

  test.each([
    ['the ChatGPT backend', TWO_SIGN_INS, SIGN_IN_MODEL], ['a chat server', TWO_CHAT_KEYS, KEY_MODEL],
    ['the platform', TWO_PLATFORM_KEYS, KEY_MODEL],
  ] as const)('of another client is unknown, at %s', async (_name, accounts, model) => {
    const relay = await serveInProcess({ accounts });
    const id = idOf(await say(relay, model, { input: 'Say a secret' }));
    const key = await relay.client('other');
    const before = relay.sent().length;
    const answer = await relay.ask('/v1/responses', { key, body: responses('Say two', { model, previous_response_id: id }) });
    expect(expectError(answer, 400, 'previous_response_not_found')).toContain(id);
    expect(answer.error).toMatchObject({ type: 'invalid_request_error', param: 'previous_response_id' });
    expect(relay.sent().length).toBe(before);
  });

  test('that nobody knows is a 400 before any call, in a stream as well; the platform may know more than Relay', async () => {
    const previous_response_id = 'resp_unknown';
    for (const [accounts, model] of [[TWO_SIGN_INS, SIGN_IN_MODEL], [TWO_CHAT_KEYS, KEY_MODEL]] as const) {
      const relay = await serveInProcess({ accounts });
      for (const stream of [false, true]) {
        expectError(await say(relay, model, { previous_response_id, stream }), 400, 'previous_response_not_found');
      }
      expect(relay.sent()).toEqual([]);
    }
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    expectError(await say(relay, KEY_MODEL, { previous_response_id }), 400, 'previous_response_not_found');
    expect(relay.sent()).toHaveLength(1);
  });

  test('that was not stored, or is forgotten, is unknown', async () => {
    const relay = await serveTimed();
    const unstored = idOf(await say(relay, SIGN_IN_MODEL, { store: false }));
    expectError(await say(relay, SIGN_IN_MODEL, { previous_response_id: unstored }), 400, 'previous_response_not_found');
    const stored = idOf(await say(relay, SIGN_IN_MODEL, {}));
    relay.clock.advance(HOUR_MS + 1_000);
    expectError(await say(relay, SIGN_IN_MODEL, { previous_response_id: stored }), 400, 'previous_response_not_found');
  });

  test('carries tool calls: their outputs alone make the next request', async () => {
    for (const [accounts, model] of [[TWO_SIGN_INS, SIGN_IN_MODEL], [TWO_CHAT_KEYS, KEY_MODEL], [TWO_PLATFORM_KEYS, KEY_MODEL]] as const) {
      const relay = await serveInProcess({ accounts });
      const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object', properties: {} } }];
      const asked = await say(relay, model, { input: 'What is the weather? Use the tool.', tools });
      const call = (arrayAt(asked.json, 'output') ?? []).find((item) => stringAt(item, 'type') === 'function_call');
      const output: JsonObject = { type: 'function_call_output', call_id: stringAt(call, 'call_id') ?? '', output: '21 degrees' };
      const answer = await say(relay, model, { input: [output], tools, previous_response_id: idOf(asked) });
      expect(answer.status, answer.text).toBe(200);
      expect(answer.text).toContain('21 degrees');
    }
  });
});

describe('item_reference', () => {
  test('is the item itself to an upstream that keeps nothing', async () => {
    for (const [accounts, model] of [[TWO_SIGN_INS, SIGN_IN_MODEL], [TWO_CHAT_KEYS, KEY_MODEL]] as const) {
      const relay = await serveInProcess({ accounts });
      const first = await say(relay, model, { input: 'Say one' });
      const said = (arrayAt(first.json, 'output') ?? []).find((item) => stringAt(item, 'type') === 'message');
      const user = (text: string): JsonObject => ({ role: 'user', content: text });
      const input = [user('Say one'), { type: 'item_reference', id: stringAt(said, 'id') ?? '' }, user('Say two')];
      expect((await say(relay, model, { input })).status).toBe(200);
      expect(toldIn(relay.sent().at(-1)?.body)[1]).toMatch(/^assistant: .*Say one/s);
      const key = await relay.client('other');
      const theirs = await relay.ask('/v1/responses', { key, body: responses('', { model, input }) });
      expect(expectError(theirs, 400, 'unsupported_value')).toMatch(/no item/);
    }
  });
});

test('an answer kept by Relay says so, and what it continued', async () => {
  const relay = await serveInProcess();
  const first = idOf(await say(relay, SIGN_IN_MODEL, {}));
  const second = idOf(await say(relay, SIGN_IN_MODEL, { previous_response_id: first }));
  expect((await relay.ask(`/v1/responses/${second}`)).json).toMatchObject({ store: true, previous_response_id: first });
});

test('an answer that broke off is not kept', async () => {
  const relay = await serveInProcess();
  relay.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 2 }, how: 'eof' } })]);
  const answer = await say(relay, SIGN_IN_MODEL, { stream: true });
  const last = answer.text.split('\n\n').findLast((frame) => frame.includes('response.failed')) ?? '';
  const id = stringAt(objectAt(parseJsonObject(last.slice(last.indexOf('data: ') + 6)), 'response'), 'id');
  expect(id).toMatch(/^resp_/);
  expectError(await relay.ask(`/v1/responses/${id}`), 404, 'not_found');
});
