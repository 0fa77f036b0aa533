import { connect } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { ok } from '../../src/mock/steps.ts';
import { foldChat, parseFrames } from '../support/golden.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, SIGN_IN_MODEL, TWO_CHAT_KEYS } from '../support/serve-in-process.ts';
import { within } from '../support/wait-for.ts';

const PATCH = '*** Begin Patch\n*** End Patch';

function chunksIn(text: string): readonly JsonObject[] {
  return parseFrames(text).map(({ data }) => parseJsonObject(data)).filter((chunk) => chunk !== undefined);
}

describe('Cursor', () => {
  const body = (model: string, change: JsonObject = {}): JsonObject => ({
    model, stream: true, user: 'u', stream_options: { include_usage: true },
    input: [{ role: 'system', content: 'S' }, { role: 'user', content: [{ type: 'input_text', text: 'patch it' }] }],
    tools: [{ type: 'custom', name: 'ApplyPatch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } }], ...change,
  });
  const places: readonly (readonly [string, string, () => Promise<ServedRelay>, 'custom' | 'function', string])[] = [
    ['a ChatGPT sign-in', SIGN_IN_MODEL, () => serveInProcess(), 'custom', PATCH],
    ['a chat server', KEY_MODEL, () => serveInProcess({ accounts: TWO_CHAT_KEYS }), 'function', JSON.stringify({ input: PATCH })],
  ];

  test.each(places)('posts a Responses body to the chat path and reads chunks, its free-form call as raw text, from %s', async (_name, model, serve, kind, payload) => {
    const relay = await serve();
    relay.upstream.script('a', [ok({ calls: [{ name: 'ApplyPatch', kind, payload, callId: 'call_1' }] })]);
    const answer = await relay.ask('/v1/chat/completions', { body: body(model) });
    expect(answer.status, answer.text).toBe(200);
    expect(foldChat(answer.text)).toMatchObject({
      role_first: true, done: true, finish_reason: 'tool_calls', usage: { total_tokens: expect.any(Number) },
      tool_calls: [{ index: 0, id: 'call_1', type: 'function', name: 'ApplyPatch', arguments: PATCH }],
    });
  });

  test.each(places)('sends that call back as it got it, and %s is told what it said', async (_name, model, serve, kind, payload) => {
    const relay = await serve();
    const input = [
      { role: 'user', content: 'patch it' }, { type: 'function_call', call_id: 'call_1', name: 'ApplyPatch', arguments: PATCH },
      { type: 'function_call_output', call_id: 'call_1', output: 'done' },
    ];
    const answer = await relay.ask('/v1/chat/completions', { body: body(model, { input }) });
    expect(answer.status, answer.text).toBe(200);
    const sent = relay.sent('a').at(-1)?.body;
    const items = (arrayAt(sent, 'input') ?? []).filter(isJsonObject);
    const [calling] = (arrayAt(sent, 'messages') ?? []).filter((message) => stringAt(message, 'role') === 'assistant');
    if (kind === 'custom') expect(items[1]).toEqual({ type: 'custom_tool_call', call_id: 'call_1', name: 'ApplyPatch', input: PATCH });
    else expect(arrayAt(calling, 'tool_calls')).toEqual([{ id: 'call_1', type: 'function', function: { name: 'ApplyPatch', arguments: payload } }]);
  });

  test('mixes flat and nested tools beside messages, and says nothing as a list', async () => {
    const relay = await serveInProcess();
    const answer = await relay.ask('/v1/chat/completions', { body: {
      model: SIGN_IN_MODEL, tools: [{ type: 'function', name: 'flat' }, { type: 'function', function: { name: 'nested' } }],
      messages: [
        { role: 'user', content: 'x' }, { role: 'assistant', content: [], tool_calls: [{ id: 'a', type: 'function', function: { name: 'flat', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'a', content: 'y' },
      ],
    } });
    expect(answer.status, answer.text).toBe(200);
    const sent = relay.sent().at(-1)?.body;
    expect((arrayAt(sent, 'tools') ?? []).map((tool) => stringAt(tool, 'name'))).toEqual(['flat', 'nested']);
    expect((arrayAt(sent, 'input') ?? []).map((item) => stringAt(item, 'type'))).toEqual(['message', 'function_call', 'function_call_output']);
  });
});

describe('settings for one client', () => {
  test('tell it reasoning where it reads it, and nobody else', async () => {
    const relay = await serveInProcess({ config: { compat: { odd: { reasoningField: 'reasoning' } } } });
    const odd = await relay.client('odd');
    relay.upstream.script('a', [ok({ reasoning: 'hm', text: 'A' }), ok({ reasoning: 'hm', text: 'A' })]);
    const message = async (key: string): Promise<JsonObject | undefined> => {
      const [choice] = arrayAt((await relay.ask('/v1/chat/completions', { key, body: chat('x') })).json, 'choices') ?? [];
      return objectAt(isJsonObject(choice) ? choice : {}, 'message');
    };
    expect(await message(odd)).toMatchObject({ content: 'A', reasoning: 'hm' });
    expect(await message(relay.key)).toMatchObject({ content: 'A', reasoning_content: 'hm' });
  });

  test('`*` is for all that have none of their own', async () => {
    const config = { compat: { '*': { reasoningField: 'think-tags' } } };
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS, config });
    relay.upstream.script('a', [ok({ reasoning: 'hm', text: 'A' })]);
    const answer = await relay.ask('/v1/chat/completions', { body: chat('x', { model: KEY_MODEL, stream: true }) });
    expect(foldChat(answer.text)).toMatchObject({ content: '<think>hm</think>\n\nA', done: true, finish_reason: 'stop' });
  });
});

describe('what clients insist on', () => {
  const kinds: readonly (readonly [string, string, () => Promise<ServedRelay>])[] = [
    ['translated', SIGN_IN_MODEL, () => serveInProcess()],
    ['spliced', KEY_MODEL, () => serveInProcess({ accounts: TWO_CHAT_KEYS })],
    ['mended', KEY_MODEL, () => serveInProcess({ accounts: TWO_CHAT_KEYS, config: { compat: { '*': { reasoningField: 'reasoning' } } } })],
  ];
  test.each(kinds)('JetBrains: every frame of a %s chat stream has choices, created, id, model and object', async (_kind, model, serve) => {
    const relay = await serve();
    relay.upstream.script('a', [ok({ reasoning: 'hm', text: 'Hello there' })]);
    const answer = await relay.ask('/v1/chat/completions', { body: chat('x', { model, stream: true, stream_options: { include_usage: true } }) });
    const chunks = chunksIn(answer.text);
    expect(chunks.length).toBeGreaterThan(3);
    for (const chunk of chunks) {
      expect(chunk).toMatchObject({ id: expect.any(String), object: 'chat.completion.chunk', created: expect.any(Number), model: expect.any(String) });
      expect(Array.isArray(chunk['choices'])).toBe(true);
    }
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    // Cline, Roo and Continue: the usage comes behind the finish, in a chunk without choices.
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) } });
  });

  test('Xcode, Zed and Cursor: the list of models is there with and without /v1, and one model by itself', async () => {
    const relay = await serveInProcess();
    for (const path of ['/v1/models', '/models', '/cursor/models']) {
      const { json } = await relay.ask(path);
      expect(json).toMatchObject({ object: 'list' });
      expect((arrayAt(json, 'data') ?? []).map((model) => stringAt(model, 'id'))).toContain(SIGN_IN_MODEL);
    }
    expect((await relay.ask(`/v1/models/${SIGN_IN_MODEL}`)).json).toMatchObject({ id: SIGN_IN_MODEL, object: 'model', created: expect.any(Number), owned_by: expect.any(String) });
  });

  test('Codex: with client_version the same list also has its own `models`', async () => {
    const relay = await serveInProcess();
    const { json } = await relay.ask('/v1/models?client_version=0.169.0');
    expect((arrayAt(json, 'models') ?? []).map((model) => stringAt(model, 'slug'))).toContain(SIGN_IN_MODEL);
    expect(arrayAt(json, 'data')).not.toHaveLength(0);
  });

  test('opencode and the AI SDK: a Responses answer of a chat server has its usage even where that told none', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [ok({ text: 'A', usage: null })]);
    const answer = await relay.ask('/v1/responses', { body: responses('x', { model: KEY_MODEL }) });
    expect(answer.json).toMatchObject({ status: 'completed', usage: {
      input_tokens: 0, input_tokens_details: { cached_tokens: 0 }, output_tokens: 0, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 0,
    } });
  });

  test('an address that is not served says so in the envelope every client reads', async () => {
    const relay = await serveInProcess();
    expectError(await relay.ask('/v1/no-such-thing', { body: {} }), 404, 'unknown_url');
  });
});

/** The chunks of a chunked body, as they were written. */
async function writesOf(relay: ServedRelay, path: string, body: JsonObject): Promise<readonly string[]> {
  const payload = JSON.stringify(body);
  const socket = connect({ port: relay.port, host: '127.0.0.1' });
  onTestFinished(() => void socket.destroy());
  let text = '';
  const over = new Promise<void>((resolve, reject) => {
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1');
      if (text.endsWith('\r\n0\r\n\r\n')) resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve());
  });
  socket.write(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${relay.port}\r\nauthorization: Bearer ${relay.key}\r\n`
    + `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(payload)}\r\n\r\n${payload}`);
  await within(over, 'the chunked answer', 10_000);
  const chunks: string[] = [];
  for (let at = text.indexOf('\r\n\r\n') + 4; at < text.length;) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!(size > 0)) break;
    chunks.push(text.slice(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return chunks;
}

describe('a stream on the wire', () => {
  test.each([
    ['chat client of a sign-in', '/v1/chat/completions', () => serveInProcess(), chat('x', { stream: true })],
    ['Responses client of a chat server', '/v1/responses', () => serveInProcess({ accounts: TWO_CHAT_KEYS }), responses('x', { model: KEY_MODEL, stream: true })],
    ['Responses client of a sign-in', '/v1/responses', () => serveInProcess(), responses('x', { stream: true })],
  ] as const)('%s: no write ever ends inside an event, whatever the upstream cut', async (_name, path, serve, body) => {
    const relay = await serve();
    relay.upstream.script('a', [ok({ text: 'Grüße, 世界, and all the rest of them', drip: { bytes: 7, everyMs: 0 } })]);
    const writes = await writesOf(relay, path, body);
    expect(writes.length).toBeGreaterThan(2);
    expect(writes.filter((write) => !write.endsWith('\n\n'))).toEqual([]);
  });

  test('an event of 16 MB and a last event without its blank line reach both kinds of client', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const big = 'x'.repeat(16 * 1024 * 1024);
    const head = { id: 'cc', object: 'chat.completion.chunk', created: 1, model: 'm' };
    const frames = [
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: { content: big }, finish_reason: null }] })}\n\n`,
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`, 'data: [DONE]',
    ];
    relay.upstream.script('a', [ok({ frames }), ok({ frames })]);
    const spliced = await relay.ask('/v1/chat/completions', { body: chat('x', { model: KEY_MODEL, stream: true }) });
    expect([spliced.broken, spliced.text.endsWith('data: [DONE]\n\n'), spliced.text.length > big.length]).toEqual([false, true, true]);
    const translated = await relay.ask('/v1/responses', { body: responses('x', { model: KEY_MODEL, stream: true }) });
    const last = chunksIn(translated.text).at(-1);
    expect([translated.broken, last?.['type']]).toEqual([false, 'response.completed']);
  });
});
