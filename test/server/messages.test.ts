import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt } from '../../src/core/json.ts';
import { createGate, errorEvent, failed, failedEvent, frameOf, hang, ok, rateLimited, refuse, usageLimited } from '../../src/mock/steps.ts';
import { eventsIn } from '../support/collect-events.ts';
import type { Answer, Call, ServedAccountSpec, ServedRelay } from '../support/serve-in-process.ts';
import { KEY_MODEL, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS, TWO_SIGN_INS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const VERSION = { 'anthropic-version': '2023-06-01' };
const WEATHER = { name: 'weather', description: 'Tells the weather.', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };

/** The smallest Messages request. */
function messages(text: string, change: JsonObject = {}): JsonObject {
  return { model: SIGN_IN_MODEL, max_tokens: 500, messages: [{ role: 'user', content: text }], ...change };
}

/** The text of a message, whole or streamed. */
function textOf({ text, json }: Answer): string {
  const blocks = json === undefined ? [] : (arrayAt(json, 'content') ?? []);
  const whole = blocks.map((block) => (isJsonObject(block) && block['type'] === 'text' ? block['text'] : '')).join('');
  return whole + eventsIn(text).map(({ json: event }) => objectAt(event, 'delta')?.['text'] ?? '').join('');
}

/** Checks an error's whole shape in Anthropic's envelope. Gives the message back. */
function expectError(answer: Answer, status: number, type: string): string {
  expect({ status: answer.status, type: answer.error?.['type'] }, answer.text).toEqual({ status, type });
  expect(answer.json).toEqual({ type: 'error', error: { type, message: expect.any(String) }, request_id: answer.id });
  expect(answer.headers.get('request-id')).toBe(answer.id);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  return String(answer.error?.['message']);
}

const PLACES: readonly { readonly place: string; readonly accounts: readonly ServedAccountSpec[]; readonly model: string }[] = [
  { place: 'ChatGPT sign-ins', accounts: TWO_SIGN_INS, model: SIGN_IN_MODEL },
  { place: 'keys of the platform', accounts: TWO_PLATFORM_KEYS, model: KEY_MODEL },
  { place: 'a server that speaks chat only', accounts: TWO_CHAT_KEYS, model: KEY_MODEL },
];

describe.each(PLACES)('Messages over $place', ({ accounts, model }) => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ accounts, until: 'suite' });
  });
  afterEach(async () => {
    for (const name of ['a', 'b']) {
      relay.upstream.mend(name);
      await relay.daemon.control.call('accounts.wake', { name });
    }
  });
  afterAll(() => relay.stop());

  const ask = (body: JsonObject, call: Call = {}): Promise<Answer> => relay.ask('/v1/messages', { headers: VERSION, ...call, body: { ...body, model } });

  test.each([false, true])('text, streamed: %s, with its account, its usage and its line in the journal', async (stream) => {
    const answer = await ask(messages('Say hello to me', { stream, system: 'Be brief.' }));
    expect(answer.status, answer.text).toBe(200);
    expect(textOf(answer)).toContain('Say hello to me');
    expect(Object.fromEntries(['x-relay-account', 'x-relay-model', 'x-relay-attempts'].map((name) => [name, answer.headers.get(name)])))
      .toEqual({ 'x-relay-account': 'a', 'x-relay-model': model, 'x-relay-attempts': '1' });
    expect(answer.headers.get('content-type')).toMatch(stream ? 'text/event-stream' : 'application/json');
    expect(answer.headers.get('request-id')).toBe(answer.id);
    const line = await relay.line(answer.id);
    expect(line).toMatchObject({ endpoint: 'messages', stream, status: 200, outcome: 'ok', account: 'a', model: { asked: model, ran: model } });
    const usage = stream ? objectAt(eventsIn(answer.text).at(-2)?.json, 'usage') : objectAt(answer.json, 'usage');
    const told = ['input_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'].reduce((sum, name) => sum + Number(usage?.[name]), 0);
    expect([told, usage?.['output_tokens']]).toEqual([line.tokens?.input, line.tokens?.output]);
  });

  test.each([false, true])('a tool goes round, streamed: %s', async (stream) => {
    const asked = { role: 'user', content: 'What is the weather in Paris? Use the tool.' };
    const thinking = { thinking: { type: 'adaptive' }, tools: [WEATHER] };
    const first = await ask(messages('', { stream, ...thinking, messages: [asked] }));
    const content = stream ? contentOf(first.text) : (arrayAt(first.json, 'content') ?? []).filter(isJsonObject);
    const call = content.find(({ type }) => type === 'tool_use');
    expect(call).toMatchObject({ name: 'weather', input: { city: expect.any(String) } });
    const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: call?.['id'] ?? '', content: '21 degrees' }] };
    const second = await ask(messages('', { stream, ...thinking, messages: [asked, { role: 'assistant', content }, result] }));
    expect(textOf(second)).toContain('21 degrees');
  });

  test('the effort and the cap arrive where they are taken', async () => {
    const answer = await ask(messages('Think', { output_config: { effort: 'low' }, temperature: 0.5, top_k: 3 }));
    const dropped = answer.headers.get('x-relay-dropped')?.split(',') ?? [];
    expect(dropped).toContain('top_k');
    expect((await relay.line(answer.id)).dropped).toEqual(dropped);
    const sent = relay.sent().at(-1)?.body;
    expect(sent?.['temperature'] === 0.5).toBe(!dropped.includes('temperature'));
  });

  test('U03 a 429 before any output is served by the next account, unnoticed', async () => {
    relay.upstream.script('a', [rateLimited({ retryAfter: '30' })]);
    const answer = await ask(messages('Say failover', { stream: true }));
    expect(textOf(answer)).toContain('Say failover');
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect((await relay.line(answer.id)).attempts).toMatchObject([{ account: 'a', status: 429 }, { account: 'b', status: 200 }]);
  });

  test.each(['eof', 'cut', 'reset'] as const)('a stream that ends by %s after its first words is an error event and a broken connection', async (how) => {
    relay.upstream.script('a', [ok({ text: 'one two three four five six', break: { at: { afterDeltas: 2 }, how } })]);
    const answer = await ask(messages('Say broken', { stream: true }));
    expect(answer.broken).toBe(true);
    expect(eventsIn(answer.text).at(-1)).toMatchObject({ event: 'error', json: { type: 'error', error: { type: 'api_error' } } });
    expect(answer.text).not.toMatch(/message_delta|message_stop/);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'broken_stream', endpoint: 'messages' });
  });

  test('a stop sequence cuts the answer and ends the call upstream', async () => {
    relay.upstream.script('a', [ok({ text: 'one two END three four', paceMs: 0, break: { at: { afterDeltas: 4 }, how: 'hang' } })]);
    const answer = await ask(messages('Count', { stream: true, stop_sequences: ['END'] }));
    expect(textOf(answer)).toBe('one two ');
    expect(eventsIn(answer.text).at(-2)?.json).toMatchObject({ delta: { stop_reason: 'stop_sequence', stop_sequence: 'END' } });
    await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the end of the call upstream');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok' });
  });

  test('a limit reached is told as such, and journaled as incomplete', async () => {
    relay.upstream.script('a', [ok({ text: 'one two', incomplete: 'max_output_tokens' })]);
    const answer = await ask(messages('Say much'));
    expect(answer.json).toMatchObject({ stop_reason: 'max_tokens' });
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'incomplete' });
  });

  test('the request\'s own fault is passed on, and no other account is asked', async () => {
    const before = relay.sent('b').length;
    relay.upstream.script('a', [failed(400, 'context_length_exceeded', 'Your input exceeds the context window.')]);
    const answer = await ask(messages('Too long'));
    expect(expectError(answer, 400, 'invalid_request_error')).toBe('prompt is too long: Your input exceeds the context window.');
    expect(relay.sent('b')).toHaveLength(before);
  });
});

/** What a client makes of a stream's blocks. */
function contentOf(text: string): JsonObject[] {
  const blocks: JsonObject[] = [];
  const inputs = new Map<number, string>();
  for (const { json } of eventsIn(text)) {
    const index = Number(json?.['index'] ?? 0);
    if (json?.['type'] === 'content_block_start') blocks[index] = { ...objectAt(json, 'content_block') };
    const delta = objectAt(json, 'delta');
    const block = blocks[index];
    if (json?.['type'] !== 'content_block_delta' || !delta || !block) continue;
    if (delta['type'] === 'input_json_delta') inputs.set(index, `${inputs.get(index) ?? ''}${String(delta['partial_json'])}`);
    for (const name of ['text', 'thinking', 'signature']) if (typeof delta[name] === 'string') block[name] = `${String(block[name])}${delta[name]}`;
  }
  return blocks.map((block, index) => (inputs.has(index) ? { ...block, input: JSON.parse(inputs.get(index) ?? '') as JsonObject } : block));
}

describe('reasoning between the turns of a Messages client', () => {
  const asked = { role: 'user', content: 'What is the weather in Paris? Use the tool.' };
  const turn = async (relay: ServedRelay, thinking: JsonObject | null): Promise<readonly JsonObject[]> => {
    const change = { tools: [WEATHER], output_config: { effort: 'high' }, ...(thinking !== null && { thinking }) };
    const first = await relay.ask('/v1/messages', { body: messages('', { ...change, messages: [asked] }) });
    const content = (arrayAt(first.json, 'content') ?? []).filter(isJsonObject);
    const id = content.find(({ type }) => type === 'tool_use')?.['id'] ?? '';
    await relay.ask('/v1/messages', { body: messages('', { ...change, messages: [asked, { role: 'assistant', content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: '21' }] }] }) });
    const [made] = relay.sent().slice(-1);
    return [...content, ...(arrayAt(made?.body, 'input') ?? []).filter(isJsonObject)];
  };

  test.each<[string, JsonObject | null, string | null]>([
    ['shown', { type: 'adaptive' }, 'thinking'], ['hidden', { type: 'adaptive', display: 'omitted' }, 'thinking'], ['not asked for', null, null],
  ])('comes back to the ChatGPT backend, though it was %s', async (_claim, thinking, block) => {
    const relay = await serveInProcess({});
    const items = await turn(relay, thinking);
    const shown = items.find(({ type }) => type === 'thinking' || type === 'redacted_thinking');
    expect(shown?.['type'] ?? null).toBe(block);
    const reasoning = items.filter(({ type }) => type === 'reasoning');
    expect(reasoning).toMatchObject([{ id: expect.stringMatching(/^rs_/), encrypted_content: expect.stringMatching(/^gAAAA/) }]);
    if (shown !== undefined) expect(shown['signature']).toContain(String(reasoning[0]?.['encrypted_content']));
    expect((await relay.journal()).map(({ account, outcome }) => [account, outcome])).toEqual([['a', 'ok'], ['a', 'ok']]);
  });

  test('the conversation is known by Claude Code\'s session', async () => {
    const relay = await serveInProcess({});
    const session = '5cf364fc-073f-4567-9270-be7df729ece0';
    await relay.ask('/v1/messages', { body: messages('Hello', { metadata: { user_id: JSON.stringify({ device_id: 'd', session_id: session }) } }) });
    expect(relay.sent().at(-1)).toMatchObject({ body: { prompt_cache_key: session }, headers: { 'session-id': session } });
    expect(JSON.stringify(relay.sent().at(-1)?.body)).not.toContain('device_id');
  });
});

describe('the door of the Messages routes', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ until: 'suite', config: { server: { maxBodyMb: 1 }, models: { aliases: { 'claude-opus-4-8': SIGN_IN_MODEL } } } });
  });
  afterAll(() => relay.stop());

  test('the key comes as x-api-key, or as bearer', async () => {
    expect((await relay.ask('/v1/messages', { key: null, headers: { 'x-api-key': relay.key }, body: messages('Hi') })).status).toBe(200);
    expect((await relay.ask('/v1/messages', { body: messages('Hi') })).status).toBe(200);
    expect((await relay.ask('/v1/models', { key: null, headers: { 'x-api-key': relay.key, ...VERSION } })).status).toBe(200);
    expect((await relay.ask('/v1/models', { key: null, headers: { 'x-api-key': relay.key } })).status).toBe(401);
  });

  test('Claude\'s own names are whatever an alias says', async () => {
    const answer = await relay.ask('/v1/messages?beta=true', { body: messages('Hi', { model: 'claude-opus-4-8' }) });
    expect(answer.headers.get('x-relay-model')).toBe(SIGN_IN_MODEL);
    expect(await relay.line(answer.id)).toMatchObject({ model: { asked: 'claude-opus-4-8', sent: SIGN_IN_MODEL } });
  });

  test.each<[string, Call & { readonly path?: string }, number, string]>([
    ['no key', { key: null, body: messages('Hi') }, 401, 'authentication_error'],
    ['a key of nobody\'s', { key: 'sk-relay-nobody', body: messages('Hi') }, 401, 'authentication_error'],
    ['another site', { headers: { origin: 'https://evil.example' }, body: messages('Hi') }, 403, 'permission_error'],
    ['an unknown model', { body: messages('Hi', { model: 'claude-nobody' }) }, 404, 'not_found_error'],
    ['an unknown route', { path: '/v1/messages/batches', body: {} }, 404, 'not_found_error'],
    ['no model', { body: { messages: [] } }, 400, 'invalid_request_error'],
    ['no messages', { body: { model: SIGN_IN_MODEL } }, 400, 'invalid_request_error'],
    ['a body that is no JSON', { body: '{' }, 400, 'invalid_request_error'],
    ['a body of another type', { headers: { 'content-type': 'text/plain' }, body: '{}' }, 415, 'invalid_request_error'],
    ['a body too large', { body: messages('x'.repeat(1_200_000)) }, 413, 'request_too_large'],
    ['a count without a model', { path: '/v1/messages/count_tokens', body: { messages: [{ role: 'user', content: 'x' }] } }, 400, 'invalid_request_error'],
    ['an unknown model\'s description', { path: '/v1/models/claude-nobody', headers: VERSION }, 404, 'not_found_error'],
    ['a list of half a page', { path: '/v1/models?limit=0.5', headers: VERSION }, 400, 'invalid_request_error'],
  ])('%s is refused in Anthropic\'s words', async (_claim, { path = '/v1/messages', ...call }, status, type) => {
    const before = relay.sent().length;
    expectError(await relay.ask(path, call), status, type);
    expect(relay.sent()).toHaveLength(before);
  });

  test('the other routes keep to OpenAI\'s', async () => {
    const answer = await relay.ask('/v1/chat/completions', { key: null, headers: VERSION, body: {} });
    expect(answer.json).toMatchObject({ error: { code: 'invalid_api_key', param: null } });
    expect(answer.headers.get('request-id')).toBeNull();
  });

  test('a client without the chat scope is refused, and the refusal is journaled', async () => {
    const key = await relay.client('reader', { endpoints: ['models'] });
    const answer = await relay.ask('/v1/messages', { key, body: messages('Hi') });
    expectError(answer, 403, 'permission_error');
    expect(await relay.line(answer.id)).toMatchObject({ endpoint: 'messages', status: 403, outcome: 'refused', client: 'reader' });
    expectError(await relay.ask('/v1/messages/count_tokens', { key, body: messages('Hi') }), 403, 'permission_error');
  });

  test('tokens are counted here, and said to be an estimate', async () => {
    const answer = await relay.ask('/v1/messages/count_tokens?beta=true', { body: messages('word '.repeat(400), { max_tokens: null, tools: [WEATHER] }) });
    expect([answer.status, answer.headers.get('x-relay-estimated')]).toEqual([200, 'input_tokens']);
    expect(answer.json).toEqual({ input_tokens: expect.any(Number) });
    expect(Number(answer.json?.['input_tokens'])).toBeGreaterThan(500);
    expect(Number(answer.json?.['input_tokens'])).toBeLessThan(700);
  });

  test('models come in Anthropic\'s shape, page by page, to those who name its version', async () => {
    const whole = await relay.ask('/v1/models?limit=1000', { headers: VERSION });
    const ids = (arrayAt(whole.json, 'data') ?? []).map((model) => (isJsonObject(model) ? model['id'] : null));
    expect(whole.json).toMatchObject({ has_more: false, first_id: ids[0], last_id: ids.at(-1) });
    expect(arrayAt(whole.json, 'data')?.[0]).toEqual({ type: 'model', id: ids[0], display_name: expect.any(String), created_at: '1970-01-01T00:00:00Z', max_input_tokens: expect.any(Number) });
    expect(ids).toContain('claude-opus-4-8');
    const walked: unknown[] = [];
    for (let page = await relay.ask('/v1/models?limit=3', { headers: VERSION }); ; page = await relay.ask(`/v1/models?limit=3&after_id=${String(page.json?.['last_id'])}`, { headers: VERSION })) {
      walked.push(...(arrayAt(page.json, 'data') ?? []));
      if (page.json?.['has_more'] !== true) break;
    }
    expect(walked).toEqual(arrayAt(whole.json, 'data'));
    const back = await relay.ask(`/v1/models?limit=2&before_id=${String(ids[3])}`, { headers: VERSION });
    expect([back.json?.['first_id'], back.json?.['last_id'], back.json?.['has_more']]).toEqual([ids[1], ids[2], true]);
    expect((await relay.ask(`/v1/models/${SIGN_IN_MODEL}`, { headers: VERSION })).json).toMatchObject({ type: 'model', id: SIGN_IN_MODEL });
    expect((await relay.ask('/v1/models')).json).toMatchObject({ object: 'list' });
  });
});

describe('failures on their way to a Messages client', () => {
  test('U05 with every account spent it is told to stop trying', async () => {
    const relay = await serveInProcess({});
    const resetsAt = Math.floor(Date.now() / 1_000) + 7_200;
    for (const name of ['a', 'b']) relay.upstream.script(name, [usageLimited({ resetsAt, resetsInSeconds: 7_200 })]);
    const answer = await relay.ask('/v1/messages', { body: messages('Hi', { stream: true }) });
    expectError(answer, 429, 'rate_limit_error');
    expect([answer.headers.get('retry-after'), answer.headers.get('x-should-retry'), answer.headers.get('x-relay-attempts')]).toEqual(['60', 'false', '2']);
  });

  test('overload is Anthropic\'s own 529, in the answer and in the journal', async () => {
    const relay = await serveInProcess({});
    for (const name of ['a', 'b']) relay.upstream.script(name, Array.from({ length: 4 }, () => refuse(503, { error: { code: 'server_is_overloaded', message: 'Busy.' } })));
    const answer = await relay.ask('/v1/messages', { body: messages('Hi') });
    expectError(answer, 529, 'overloaded_error');
    expect(await relay.line(answer.id)).toMatchObject({ status: 529, outcome: 'failed' });
  });

  test('a failure inside a whole answer is a status, not an answer', async () => {
    const relay = await serveInProcess({});
    for (const name of ['a', 'b']) relay.upstream.script(name, Array.from({ length: 4 }, () => failedEvent('server_error', 'Oops.', { afterDeltas: 1 })));
    expectError(await relay.ask('/v1/messages', { body: messages('Hi') }), 502, 'api_error');
  });

  test('an error event of the upstream\'s after the first words is passed on', async () => {
    const relay = await serveInProcess({});
    relay.upstream.script('a', [errorEvent({ error: { code: 'rate_limit_exceeded', message: 'Slow down.' } }, { afterDeltas: 2 })]);
    const answer = await relay.ask('/v1/messages', { body: messages('Hi', { stream: true }) });
    expect(answer.broken).toBe(true);
    expect(eventsIn(answer.text).at(-1)).toMatchObject({ event: 'error', json: { error: { type: 'rate_limit_error', message: expect.stringContaining('Slow down.') } } });
  });

  test('strict names what would be lost, and asks nobody', async () => {
    const relay = await serveInProcess({ config: { strict: true } });
    const answer = await relay.ask('/v1/messages', { body: messages('Hi', { max_tokens: null, top_k: 4 }) });
    expect(expectError(answer, 400, 'invalid_request_error')).toContain('top_k');
    expect(relay.sent()).toHaveLength(0);
  });

  test('a client that leaves ends the call upstream', async () => {
    const relay = await serveInProcess({});
    relay.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang' } })]);
    const leaving = new AbortController();
    const response = await within(relay.call('/v1/messages', { body: messages('Hi', { stream: true }), signal: leaving.signal }), 'the status');
    leaving.abort();
    await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the end of the call upstream');
    expect(await relay.line(response.headers.get('x-request-id'))).toMatchObject({ outcome: 'client_closed', endpoint: 'messages' });
  });
});

describe('a silent stream of a Messages client', () => {
  test('hears pings while failover goes on under them, and then one clean stream', async () => {
    const relay = await serveTimed({ config: { timeouts: { headersMs: 25_000 } } });
    const gate = createGate();
    relay.upstream.script('a', [hang('before-headers', gate)]);
    relay.upstream.script('b', [ok({ text: 'served after all' })]);
    const asking = relay.ask('/v1/messages', { body: messages('Hi', { stream: true }) });
    await waitFor(() => relay.sent('a').length === 1, 'the first call');
    const answer = await within((async () => {
      await waitFor(() => {
        relay.clock.advance(1_000);
        return relay.sent('b').length === 1;
      }, 'the second call');
      return asking;
    })(), 'the answer', 10_000);
    const events = eventsIn(answer.text);
    expect(events.slice(0, 2)).toMatchObject([{ event: 'ping', json: { type: 'ping' } }, { event: 'ping' }]);
    expect(events.map(({ event }) => event).filter((event) => event !== 'ping').slice(0, 2)).toEqual(['message_start', 'content_block_start']);
    expect(textOf(answer)).toBe('served after all');
    gate.release();
  });

  test('with nobody left hears of it in the stream, behind the pings', async () => {
    const relay = await serveTimed({ config: { timeouts: { headersMs: 25_000 } }, accounts: TWO_SIGN_INS.slice(0, 1) });
    relay.upstream.script('a', [hang(), hang(), hang()]);
    const asking = relay.ask('/v1/messages', { body: messages('Hi', { stream: true }) });
    let answer: Answer | null = null;
    void asking.then((given) => (answer = given));
    await waitFor(() => {
      relay.clock.advance(1_000);
      return answer !== null;
    }, 'the answer', 10_000);
    const { text, broken } = await asking;
    expect(broken).toBe(true);
    expect(eventsIn(text)[0]).toMatchObject({ event: 'ping' });
    expect(eventsIn(text).at(-1)).toMatchObject({ event: 'error', json: { type: 'error', error: { type: 'timeout_error' } } });
  });
});

describe('a web search over the platform', () => {
  test('comes back as Anthropic\'s own blocks', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const item = { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'weather in Rome' } };
    const text = { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text: 'Sunny.', annotations: [{ type: 'url_citation', url: 'https://a.example', title: 'A' }] }] };
    const response = { id: 'resp_1', model: KEY_MODEL, status: 'completed', output: [item, text], usage: { input_tokens: 9, output_tokens: 2 } };
    relay.upstream.script('a', [ok({ frames: [
      frameOf('response.created', { type: 'response.created', response: { id: 'resp_1', model: KEY_MODEL } }),
      frameOf('response.output_item.done', { type: 'response.output_item.done', output_index: 0, item }),
      frameOf('response.output_item.done', { type: 'response.output_item.done', output_index: 1, item: text }),
      frameOf('response.completed', { type: 'response.completed', response }),
    ] })]);
    const answer = await relay.ask('/v1/messages', { body: messages('Look it up', { model: KEY_MODEL, stream: true, tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 5 }] }) });
    expect(relay.sent('a').at(-1)?.body?.['tools']).toEqual([{ type: 'web_search' }]);
    expect(contentOf(answer.text)).toMatchObject([
      { type: 'server_tool_use', name: 'web_search', input: { query: 'weather in Rome' } }, { type: 'text', text: 'Sunny.' },
      { type: 'web_search_tool_result', content: [{ type: 'web_search_result', url: 'https://a.example', title: 'A' }] },
    ]);
  });
});
