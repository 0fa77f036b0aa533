import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createGate, cut, failed, ok, rateLimited, usageLimited } from '../../src/mock/steps.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { KEY_MODEL, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { CODEX_HANDSHAKE, openSocket, typesOf } from '../support/socket-client.ts';
import { waitFor } from '../support/wait-for.ts';

const create = (input: JsonObject['input'], change: JsonObject = {}): JsonObject => ({
  type: 'response.create',
  model: SIGN_IN_MODEL,
  input,
  ...change,
});
const idOf = (told: readonly JsonObject[]): string => stringAt(objectAt(told.at(-1), 'response'), 'id') ?? '';
const DEVELOPER: JsonObject = { type: 'message', role: 'developer', id: 'msg_dev', content: [{ type: 'input_text', text: 'Be brief.' }] };
const user = (text: string): JsonObject => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
const inputsSent = (relay: ServedRelay) => relay.sent().map(({ text }) => arrayAt(parseJsonObject(text), 'input') ?? []);

describe('an answer', () => {
  test('is the events of the stream, one message each, and a line in the journal like any other', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [ok({ text: 'the same words' }), ok({ text: 'the same words' })]);
    const streamed = await relay.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, input: 'Say hello', stream: true } });
    const client = await openSocket(relay);
    const told = await client.answer(create('Say hello'));
    const overHttp = [...streamed.text.matchAll(/^data: (.+)$/gm)].map(([, json]) => parseJsonObject(json ?? ''));
    expect(typesOf(told)).toEqual(overHttp.map((event) => event?.['type']));
    expect(told.map((event) => event['delta'])).toEqual(overHttp.map((event) => event?.['delta']));
    expect(idOf(told)).toMatch(/^resp_/);
    const [first, second] = await relay.journal();
    expect(second).toMatchObject({
      endpoint: 'responses',
      stream: true,
      outcome: 'ok',
      account: 'a',
      tokens: { input: first?.tokens?.input, output: first?.tokens?.output },
    });
  });

  test.each([
    ['a platform key', TWO_PLATFORM_KEYS],
    ['a server with chat only', TWO_CHAT_KEYS],
  ])('comes the same way from %s', async (_what, accounts) => {
    const relay = await serveInProcess({ accounts });
    const client = await openSocket(relay);
    const told = await client.answer(create('Say hello', { model: KEY_MODEL }));
    expect(typesOf(told).at(0)).toBe('response.created');
    expect(typesOf(told).at(-1)).toBe('response.completed');
    const next = await client.answer(create('Say more', { model: KEY_MODEL, previous_response_id: idOf(told) }));
    expect(typesOf(next).at(-1)).toBe('response.completed');
    expect(relay.sent()[1]?.text).toContain('Say hello');
  });

  test('moves to another account before its first words, unnoticed', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [rateLimited({ retryAfter: '30' })]);
    const client = await openSocket(relay);
    expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
    expect((await relay.journal()).at(-1)?.attempts).toMatchObject([
      { account: 'a', status: 429 },
      { account: 'b', status: 200 },
    ]);
  });

  test('that cannot begin is an error with the status and headers of HTTP, and the connection serves on', async () => {
    const relay = await serveInProcess();
    const resetsAt = Math.floor(Date.now() / 1_000) + 7_200;
    for (const name of ['a', 'b']) relay.upstream.script(name, [usageLimited({ resetsAt, resetsInSeconds: 7_200 })]);
    const client = await openSocket(relay);
    const [error, ...rest] = await client.answer(create('Say hello', { model: SIGN_IN_MODEL }));
    expect(rest).toEqual([]);
    expect(error).toMatchObject({
      type: 'error',
      status: 429,
      error: { type: 'usage_limit_reached', code: 'usage_limit_reached', plan_type: expect.any(String), resets_at: expect.any(Number) },
      headers: { 'retry-after': '60', 'x-request-id': expect.stringMatching(/^req_/), 'x-relay-attempts': '2' },
    });
    expect((await relay.line(stringAt(error?.['headers'], 'x-request-id') ?? '')).status).toBe(429);
    const [unknown] = await client.answer(create('Say hello', { model: 'nobody-has-this' }));
    expect(unknown).toMatchObject({ type: 'error', status: 404, error: { code: 'model_not_found', param: 'model' } });
    expect(client.closed).toBeNull();
  });

  test('that breaks after its first words ends in response.failed, and the connection serves on', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [ok({ text: 'one two three four', break: { at: { afterDeltas: 2 }, how: 'cut' } })]);
    const client = await openSocket(relay);
    const told = await client.answer(create('Say hello'));
    expect(told.at(-1)).toMatchObject({ type: 'response.failed', response: { status: 'failed', error: { code: expect.any(String) } } });
    expect(typesOf(told)).toContain('response.output_text.delta');
    expect((await relay.journal()).at(-1)?.outcome).toBe('broken_stream');
    expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
  });

  test('U36 that is refused for its content is passed on as told', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [failed(400, 'context_length_exceeded', 'Too long.')]);
    const client = await openSocket(relay);
    expect(await client.answer(create('Say hello'))).toMatchObject([
      { type: 'error', status: 400, error: { code: 'context_length_exceeded' } },
    ]);
    expect(relay.sent('b')).toEqual([]);
  });

  test('U26 that is long in coming is heard of, and an error behind that is still one with a status', async () => {
    const relay = await serveTimed();
    const gate = createGate();
    relay.upstream.script('a', [{ ...failed(400, 'invalid_prompt', 'No.'), gate }]);
    const client = await openSocket(relay, { headers: CODEX_HANDSHAKE });
    client.send(create([user('Say hello')]));
    await waitFor(() => relay.sent().length === 1, 'the call');
    relay.clock.advance(10_000);
    expect(await client.first('codex.keepalive')).toEqual({ type: 'codex.keepalive' });
    gate.release();
    expect(await client.first('error')).toMatchObject({ status: 400, error: { code: 'invalid_prompt' } });
  });
});

describe('a conversation on its connection', () => {
  test('goes on from what was said, and only what is new is sent', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    const first = await client.answer(create('Say one'));
    const second = await client.answer(create([user('Say two')], { previous_response_id: idOf(first) }));
    await client.answer(create('Say three', { previous_response_id: idOf(second) }));
    const [, , input = []] = inputsSent(relay);
    const texts = input.map((item) => stringAt(item, 'role') ?? stringAt(item, 'type'));
    expect(texts.filter((role) => role !== 'reasoning')).toEqual(['user', 'assistant', 'user', 'assistant', 'user']);
    expect(relay.sent().every(({ text }) => !text.includes('previous_response_id'))).toBe(true);
    const forked = await client.answer(create('Say fork', { previous_response_id: idOf(first) }));
    expect(typesOf(forked).at(-1)).toBe('response.completed');
    expect(JSON.stringify(inputsSent(relay).at(-1))).not.toContain('Say two');
  });

  test('an answer that was not given here is not known, and the connection serves on', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    expect(await client.answer(create('Say hello', { previous_response_id: 'resp_unknown' }))).toMatchObject([
      { type: 'error', status: 400, error: { code: 'previous_response_not_found', param: 'previous_response_id' } },
    ]);
    expect(await client.answer(create([], { previous_response_id: 'resp_unknown', generate: false }))).toMatchObject([
      { type: 'error', error: { code: 'previous_response_not_found' } },
    ]);
    expect(relay.sent()).toEqual([]);
    expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
  });

  test('a prewarm is answered here, at no cost, and its input stands before what follows', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay, { headers: CODEX_HANDSHAKE });
    const warm = await client.answer(create([DEVELOPER], { generate: false }));
    expect(warm).toMatchObject([
      { type: 'response.created' },
      { type: 'response.completed', response: { output: [], usage: { total_tokens: 0 } } },
    ]);
    expect(relay.sent()).toEqual([]);
    expect(await relay.journal()).toEqual([]);
    await client.answer(create([{ ...user('Say hello'), id: 'msg_user' }], { previous_response_id: idOf(warm), store: false }));
    expect(inputsSent(relay)[0]?.map((item) => stringAt(item, 'id'))).toEqual(['msg_dev', 'msg_user']);
  });

  test('an empty prewarm can be continued too, as Codex does on its lite models', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay, { headers: CODEX_HANDSHAKE });
    const warm = await client.answer(create([], { generate: false }));
    expect(
      typesOf(await client.answer(create([DEVELOPER, user('Say hello')], { previous_response_id: idOf(warm), store: false }))).at(-1),
    ).toBe('response.completed');
  });

  test('a failed answer cannot be continued, the one before it can', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    const first = await client.answer(create('Say one'));
    relay.upstream.script('a', [ok({ text: 'lost words here', break: { at: { afterDeltas: 1 }, how: 'cut' } })]);
    const lost = await client.answer(create('Say two', { previous_response_id: idOf(first) }));
    expect(typesOf(lost).at(-1)).toBe('response.failed');
    expect(await client.answer(create('Say three', { previous_response_id: idOf(lost) }))).toMatchObject([{ type: 'error', status: 400 }]);
    expect(typesOf(await client.answer(create('Say two', { previous_response_id: idOf(first) }))).at(-1)).toBe('response.completed');
  });

  test('an answer given over HTTP is known too, and what follows it here has all of it', async () => {
    const relay = await serveInProcess();
    const stored = await relay.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, input: 'Say one' } });
    const client = await openSocket(relay);
    const second = await client.answer(create('Say two', { previous_response_id: stringAt(stored.json, 'id') ?? '' }));
    const third = await client.answer(create('Say three', { previous_response_id: idOf(second) }));
    expect(typesOf(third).at(-1)).toBe('response.completed');
    for (const text of ['Say one', 'Say two', 'Say three']) expect(relay.sent().at(-1)?.text).toContain(text);
  });

  test('C57 what is written out in front counts as part of the body', async () => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 1 } } });
    const client = await openSocket(relay);
    const first = await client.answer(create('x'.repeat(450_000)));
    const [error] = await client.answer(create('y'.repeat(300_000), { previous_response_id: idOf(first) }));
    expect(error).toMatchObject({ type: 'error', status: 503, error: { code: 'overloaded' } });
    expect(typesOf(await client.answer(create('Say hello', { previous_response_id: idOf(first) }))).at(-1)).toBe('response.completed');
  });

  test('a whole conversation may not be larger than one request', async () => {
    const relay = await serveInProcess({ config: { server: { maxBodyMb: 1 } } });
    const client = await openSocket(relay);
    const first = await client.answer(create('x'.repeat(700_000)));
    const [error] = await client.answer(create('y'.repeat(700_000), { previous_response_id: idOf(first) }));
    expect(error).toMatchObject({ type: 'error', status: 413, error: { code: 'request_too_large' } });
  });
});

describe('Codex on a WebSocket', () => {
  test('reads what HTTP says in headers from events, and its turn stays where it is', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay, { headers: CODEX_HANDSHAKE });
    const told = await client.answer(
      create([DEVELOPER, user('Say hello')], {
        store: false,
        client_metadata: { thread_id: 'thread-2', 'x-codex-turn-metadata': '{"request_kind":"turn"}' },
      }),
    );
    expect(typesOf(told).slice(0, 2)).toEqual(['response.metadata', 'codex.rate_limits']);
    const turnState = stringAt(told[0]?.['headers'], 'x-codex-turn-state') ?? '';
    expect(turnState).toMatch(/^ts_a_/);
    expect(told[1]).toMatchObject({
      metered_limit_name: 'codex',
      rate_limits: { primary: { window_minutes: 300 }, secondary: { window_minutes: 10_080 } },
    });
    await client.answer(
      create([DEVELOPER, user('More')], {
        store: false,
        client_metadata: { 'x-codex-turn-state': turnState, ws_request_header_x_openai_internal_codex_responses_lite: 'true' },
      }),
    );
    const [first, second] = relay.sent().map(({ headers }) => headers);
    expect(first).toMatchObject({
      originator: 'codex_exec',
      'session-id': 'thread-1',
      'thread-id': 'thread-2',
      'x-client-request-id': 'thread-2',
      'x-codex-turn-metadata': '{"request_kind":"turn"}',
    });
    for (const name of ['openai-beta', 'x-codex-turn-state', 'sec-websocket-key', 'upgrade']) expect(first).not.toHaveProperty([name]);
    expect(second).toMatchObject({ 'x-codex-turn-state': turnState, 'x-openai-internal-codex-responses-lite': 'true' });
    expect(second).not.toHaveProperty(['x-codex-turn-metadata']);
  });

  test('nobody else is sent events of its own', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    const told = await client.answer(create('Say hello'));
    expect(typesOf(told).filter((type) => type.startsWith('codex.') || type === 'response.metadata')).toEqual([]);
  });
});

describe('several at once', () => {
  test('messages of one lane are answered one after the other', async () => {
    const relay = await serveInProcess();
    const gate = createGate();
    relay.upstream.script('a', [ok({ text: 'slow', gate })]);
    const client = await openSocket(relay);
    for (const text of ['Say first', 'Say second', 'Say third']) client.send(create(text));
    await waitFor(() => relay.sent().length === 1, 'the first call');
    gate.release();
    await waitFor(() => typesOf(client.messages).filter((type) => type === 'response.completed').length === 3, 'three answers');
    const frame = typesOf(client.messages).filter((type) => type === 'response.created' || type === 'response.completed');
    expect(frame).toEqual([
      'response.created',
      'response.completed',
      'response.created',
      'response.completed',
      'response.created',
      'response.completed',
    ]);
  });

  test('lanes run side by side, and each event names its own', async () => {
    const relay = await serveInProcess();
    const gate = createGate();
    relay.upstream.script('a', [ok({ text: 'slow words', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
    const client = await openSocket(relay);
    client.send(create('Say slow', { stream_id: 'slow "lane"' }));
    await client.first('response.output_text.delta');
    client.send(create('Say quick', { stream_id: 'quick' }));
    expect(await client.first('response.completed')).toMatchObject({ stream_id: 'quick' });
    gate.release();
    await waitFor(() => typesOf(client.messages).filter((type) => type === 'response.completed').length === 2, 'both answers');
    expect(new Set(client.messages.map(({ stream_id: lane }) => lane))).toEqual(new Set(['slow "lane"', 'quick']));
    expect(client.messages.filter(({ type }) => type === 'unreadable')).toEqual([]);
    expect(await client.answer(create('Say hello', { stream_id: 'x', model: 'nobody-has-this' }))).toMatchObject([
      { type: 'error', stream_id: 'x' },
    ]);
  });

  test('a 33rd lane, and a 17th answer at once, are refused by name', async () => {
    const relay = await serveInProcess();
    const gate = createGate();
    relay.upstream.script(
      'a',
      Array.from({ length: 16 }, () => ok({ text: 'held', gate })),
    );
    const client = await openSocket(relay);
    for (let lane = 0; lane < 16; lane++) client.send(create('Say hello', { stream_id: `lane-${lane}` }));
    client.send(create('Say hello', { stream_id: 'lane-16' }));
    expect(await client.first('error')).toMatchObject({
      stream_id: 'lane-16',
      status: 400,
      error: { code: 'websocket_stream_limit_reached' },
    });
    gate.release();
    const count = (type: string): number => typesOf(client.messages).filter((told) => told === type).length;
    await waitFor(() => count('response.completed') === 16, 'sixteen answers');
    for (let lane = 16; lane < 33; lane++) await client.answer(create([], { stream_id: `lane-${lane}`, generate: false }));
    expect(client.messages.at(-1)).toMatchObject({
      type: 'error',
      stream_id: 'lane-32',
      error: { code: 'websocket_stream_limit_reached' },
    });
    expect(count('response.completed')).toBe(32);
  });

  test('A09 a client may not run more at once than over HTTP', async () => {
    const relay = await serveInProcess({ config: { limits: { queue: 0 } } });
    const gate = createGate();
    relay.upstream.script('a', [ok({ text: 'held', gate })]);
    const client = await openSocket(relay, { key: await relay.client('narrow', { concurrency: 1 }) });
    client.send(create('Say hello', { stream_id: 'one' }));
    await waitFor(() => relay.sent().length === 1, 'the first call');
    expect(await client.answer(create('Say hello', { stream_id: 'two' }))).toMatchObject([
      { type: 'error', status: 429, stream_id: 'two', error: { code: 'concurrency_limit' } },
    ]);
    gate.release();
    expect(await client.first('response.completed')).toMatchObject({ stream_id: 'one' });
  });

  test('steering is refused at once, and what Codex has read needs no answer', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    client.send({ type: 'response.processed', response_id: 'r' });
    expect(await client.answer({ type: 'response.steer', previous_response_id: 'r', input: 'stop' })).toMatchObject([
      { type: 'response.steer.failed', error: { code: 'steering_not_supported' } },
    ]);
  });
});

test('an upstream that dies before anything came is asked elsewhere, as over HTTP', async () => {
  const relay = await serveInProcess();
  relay.upstream.script('a', [cut('after-headers')]);
  const client = await openSocket(relay);
  expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
  expect((await relay.journal()).at(-1)?.attempts.map(({ account }) => account)).toEqual(['a', 'b']);
});
