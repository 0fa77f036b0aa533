import { zstdCompressSync } from 'node:zlib';

import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { collectEvents, textOf, typesOf } from '../support/collect-events.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { codexBody, fakeUpstream, postTo, signedIn } from '../support/fake-upstream.ts';
import { waitFor } from '../support/wait-for.ts';

describe('the platform', () => {
  test('answers the OpenAI SDK on chat, streamed and whole, with the same text', async () => {
    const upstream = await fakeUpstream();
    const client = new OpenAI({ apiKey: 'sk-test-a', baseURL: upstream.platformBaseUrl, maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'Tell me of Paris' }];
    const whole = await client.chat.completions.create({ model: 'relay-mini', messages });
    const stream = await client.chat.completions.create({
      model: 'relay-mini',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: unknown = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(whole.choices[0]?.message.content).toContain('Tell me of Paris');
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(usage).toEqual(whole.usage);
    expect(whole.usage?.total_tokens).toBeGreaterThan(5);
  });

  test('answers the OpenAI SDK on responses, and its accumulated stream equals the whole answer', async () => {
    const upstream = await fakeUpstream();
    const client = new OpenAI({ apiKey: 'sk-test-a', baseURL: upstream.platformBaseUrl, maxRetries: 0 });
    const asked = { model: 'relay-mini', input: 'Tell me of Paris', reasoning: { effort: 'low' as const, summary: 'auto' as const } };
    const whole = await client.responses.create(asked);
    const streamed = await client.responses.stream(asked).finalResponse();
    expect(whole.output_text).toContain('Tell me of Paris');
    expect(streamed.output_text).toBe(whole.output_text);
    expect(streamed.usage).toEqual(whole.usage);
    expect(streamed.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
  });

  test('lists models and finds one by its name', async () => {
    const upstream = await fakeUpstream();
    const client = new OpenAI({ apiKey: 'sk-test-a', baseURL: upstream.platformBaseUrl, maxRetries: 0 });
    const list = await client.models.list();
    expect(list.data.map(({ id }) => id)).toEqual(['relay-mini', 'relay-large']);
    await expect(client.models.retrieve('relay-mini')).resolves.toMatchObject({ id: 'relay-mini' });
    await expect(client.models.retrieve('gpt-unknown')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  test('embeds a text the same way every time, as floats or base64', async () => {
    const upstream = await fakeUpstream();
    const client = new OpenAI({ apiKey: 'sk-test-a', baseURL: upstream.platformBaseUrl, maxRetries: 0 });
    const floats = await client.embeddings.create({ model: 'relay-mini', input: ['one', 'two'], encoding_format: 'float' });
    const packed = await client.embeddings.create({ model: 'relay-mini', input: ['one', 'two'] });
    expect(floats.data).toHaveLength(2);
    expect(floats.data[0]?.embedding).not.toEqual(floats.data[1]?.embedding);
    packed.data[0]?.embedding.forEach((value, index) => expect(value).toBeCloseTo(floats.data[0]?.embedding[index] ?? 9, 5));
  });

  test.each([
    ['a wrong key', 'sk-wrong', { model: 'relay-mini', messages: [{ role: 'user', content: 'x' }] }, 401, 'invalid_api_key'],
    ['an unknown model', 'sk-test-a', { model: 'gpt-nope', messages: [{ role: 'user', content: 'x' }] }, 404, 'model_not_found'],
    ['no messages', 'sk-test-a', { model: 'relay-mini' }, 400, 'missing_required_parameter'],
    [
      'a tool message out of nowhere',
      'sk-test-a',
      { model: 'relay-mini', messages: [{ role: 'tool', tool_call_id: 'c', content: 'x' }] },
      400,
      null,
    ],
    [
      'a call without an answer',
      'sk-test-a',
      {
        model: 'relay-mini',
        messages: [
          { role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
          { role: 'user', content: 'x' },
        ],
      },
      400,
      null,
    ],
  ])('refuses %s', async (_what, key, body, status, code) => {
    const upstream = await fakeUpstream();
    const response = await fetch(`${upstream.platformBaseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
  });

  test('knows the answers it gave, and no other, by previous_response_id', async () => {
    const upstream = await fakeUpstream();
    const first: JsonObject = JSON.parse(
      await (await postTo(upstream, '/v1/responses', { as: 'key-a', body: { model: 'relay-mini', input: 'hi' } })).text(),
    );
    const ask = (id: unknown): Promise<Response> =>
      postTo(upstream, '/v1/responses', { as: 'key-a', body: { model: 'relay-mini', input: 'again', previous_response_id: String(id) } });
    expect((await ask(first['id'])).status).toBe(200);
    expect(await (await ask('resp_other')).json()).toMatchObject({ error: { code: 'previous_response_not_found' } });
  });

  test('an account without a secret is made by naming it', async () => {
    const upstream = await fakeUpstream();
    const response = await fetch(`${upstream.platformBaseUrl}/models`, { headers: { 'x-mock-account': 'mock-z' } });
    expect(response.status).toBe(200);
    expect(upstream.account('mock-z').kind).toBe('open');
    expect((await fetch(`${upstream.platformBaseUrl}/models`)).status).toBe(401);
  });
});

describe('the ChatGPT backend', () => {
  test('streams, leaves the terminal output empty and tells its quota', async () => {
    const upstream = await fakeUpstream();
    const response = await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody() });
    expect(response.headers.get('x-codex-primary-window-minutes')).toBe('300');
    expect(response.headers.get('x-codex-turn-state')).toMatch(/^ts_personal_/);
    const events = await collectEvents(response);
    const types = typesOf(events);
    expect(types[0]).toBe('response.created');
    expect(types.at(-1)).toBe('response.completed');
    expect(types.filter((type) => type === 'response.output_item.done')).toHaveLength(1);
    expect(textOf(events)).toContain('Say hello');
    expect(events.at(-1)?.json).toMatchObject({
      response: { status: 'completed', output: [], usage: { total_tokens: expect.any(Number) } },
    });
    expect(events.map(({ json }) => json?.['sequence_number'])).toEqual(events.map((_event, index) => index));
    expect(events.every(({ event, json }) => event === json?.['type'])).toBe(true);
  });

  test.each<[string, JsonObject, string]>([
    ['store left out', { store: undefined }, 'Store must be set to false'],
    ['no stream', { stream: false }, 'Stream must be set to true'],
    ['a string as input', { input: 'hello' }, 'Input must be a list'],
    ['no instructions', { instructions: undefined }, 'Instructions are required'],
    ['a system message', { input: [{ role: 'system', content: 'x' }] }, 'System messages are not allowed'],
    ['a cap on output', { max_output_tokens: 5 }, 'Unsupported parameter: max_output_tokens'],
    ['a temperature', { temperature: 1 }, 'Unsupported parameter: temperature'],
    ['a user', { user: 'ada' }, 'Unsupported parameter: user'],
    ['metadata', { metadata: {} }, 'Unsupported parameter: metadata'],
    ['a previous response', { previous_response_id: 'resp_1' }, 'Unsupported parameter: previous_response_id'],
    ['the flex tier', { service_tier: 'flex' }, 'Unsupported parameter: service_tier'],
    ['another model', { model: 'relay-mini' }, "The 'relay-mini' model is not supported when using Codex with a ChatGPT account."],
  ])('refuses %s in its own words', async (_what, change, detail) => {
    const upstream = await fakeUpstream();
    const response = await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody(change) });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ detail });
  });

  test.each<[string, JsonObject[], RegExp]>([
    ['a chat part', [{ role: 'user', content: [{ type: 'text', text: 'x' }] }], /Invalid value: 'text'/],
    ['an output without its call', [{ type: 'function_call_output', call_id: 'call_1', output: 'x' }], /No tool call found/],
    ['a call without its output', [{ type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }], /No tool output found/],
    ['a call id too long', [{ type: 'function_call', call_id: 'c'.repeat(65), name: 'f', arguments: '{}' }], /maximum length 64/],
  ])('refuses %s', async (_what, input, message) => {
    const upstream = await fakeUpstream();
    const response = await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody({ input }) });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { message: expect.stringMatching(message) } });
  });

  test('takes instructions as a developer item, and a zstd body', async () => {
    const upstream = await fakeUpstream();
    const body = codexBody({
      instructions: undefined,
      input: [
        { role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
        { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      ],
    });
    const response = await fetch(`${upstream.chatgptBaseUrl}/codex/responses`, {
      method: 'POST',
      headers: { ...signedIn(upstream, 'personal'), 'content-encoding': 'zstd' },
      body: zstdCompressSync(JSON.stringify(body)),
    });
    expect(response.status).toBe(200);
    expect(typesOf(await collectEvents(response)).at(-1)).toBe('response.completed');
    expect(upstream.calls[0]?.body).toMatchObject({ model: 'gpt-5.5' });
  });

  test('lists its catalogue with an ETag, and nothing new for one who knows it', async () => {
    const upstream = await fakeUpstream();
    const url = `${upstream.chatgptBaseUrl}/codex/models?client_version=0.169.0`;
    const first = await fetch(url, { headers: signedIn(upstream, 'personal') });
    expect(await first.json()).toMatchObject({
      models: expect.arrayContaining([expect.objectContaining({ slug: 'gpt-5.5', use_responses_lite: false })]),
    });
    const again = await fetch(url, { headers: { ...signedIn(upstream, 'personal'), 'if-none-match': first.headers.get('etag') ?? '' } });
    expect(again.status).toBe(304);
  });

  test("refuses another workspace than the token's", async () => {
    const upstream = await fakeUpstream();
    const response = await fetch(`${upstream.chatgptBaseUrl}/codex/models`, {
      headers: { ...signedIn(upstream, 'personal'), 'chatgpt-account-id': 'ws-work' },
    });
    expect(response.status).toBe(401);
  });

  test('its quota moves with use, in headers and report, and refuses when it is spent', async () => {
    const upstream = await fakeUpstream();
    const { quota } = upstream.account('personal');
    const before = quota.primaryPercent;
    await (await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody() })).text();
    expect(quota.primaryPercent).toBeGreaterThan(before);
    quota.primaryPercent = 100;
    const refused = await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody() });
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({
      error: { type: 'usage_limit_reached', plan_type: 'plus', resets_in_seconds: expect.any(Number) },
    });
    const report = await fetch(`${upstream.chatgptBaseUrl}/wham/usage`, { headers: signedIn(upstream, 'personal') });
    expect(await report.json()).toMatchObject({
      rate_limit: { limit_reached: true, primary_window: { used_percent: 100, limit_window_seconds: 18_000 } },
    });
  });

  test('a spent window is empty again after its reset', async () => {
    const clock = fakeClock();
    const upstream = await fakeUpstream({ clock });
    const { quota } = upstream.account('personal');
    quota.primaryPercent = 100;
    clock.advance(300 * 60_000 - 1);
    expect((await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody() })).status).toBe(429);
    clock.advance(1);
    expect((await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: codexBody() })).status).toBe(200);
    expect(quota.primaryPercent).toBeCloseTo(0.2, 6);
  });

  test('a WebSocket upgrade is answered with 426', async () => {
    const upstream = await fakeUpstream();
    const response = await fetch(`${upstream.chatgptBaseUrl}/codex/responses`, { headers: signedIn(upstream, 'personal') });
    expect(response.status).toBe(426);
  });

  test('bound ciphertext is read by its own account alone', async () => {
    const upstream = await fakeUpstream({ ciphertext: 'bound' });
    const body = codexBody({ include: ['reasoning.encrypted_content'], reasoning: { effort: 'low' } });
    const events = await collectEvents(await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body }));
    const reasoning = events
      .map(({ json }) => json?.['item'])
      .find((item) => typeof item === 'object' && item !== null && 'encrypted_content' in item);
    expect(reasoning).toBeDefined();
    const next = codexBody({ input: [reasoning ?? null, { role: 'user', content: 'go on' }] });
    expect((await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body: next })).status).toBe(200);
    const foreign = await postTo(upstream, '/backend-api/codex/responses', { as: 'work', body: next });
    expect(foreign.status).toBe(400);
    expect(await foreign.json()).toMatchObject({ error: { code: 'invalid_encrypted_content' } });
  });

  test('folds the history into one item when asked to', async () => {
    const upstream = await fakeUpstream();
    const body = codexBody({ input: [{ role: 'user', content: 'hi' }, { type: 'compaction_trigger' }] });
    const events = await collectEvents(await postTo(upstream, '/backend-api/codex/responses', { as: 'personal', body }));
    const items = events.filter(({ json }) => json?.['type'] === 'response.output_item.done').map(({ json }) => json?.['item']);
    expect(items).toEqual([expect.objectContaining({ type: 'compaction', encrypted_content: expect.any(String) })]);
  });
});

test('records who called with what, how it ended, and how many ran at once', async () => {
  const upstream = await fakeUpstream({ paceMs: 0 });
  await (await postTo(upstream, '/v1/responses', { as: 'key-a', body: { model: 'relay-mini', input: 'x' } })).text();
  await waitFor(() => upstream.calls[0]?.state === 'completed', 'the end of the call');
  expect(upstream.callsOf('key-a', '/responses')).toMatchObject([
    { account: 'key-a', method: 'POST', status: 200, body: { model: 'relay-mini' } },
  ]);
  expect(upstream.account('key-a')).toMatchObject({ inFlight: 0, peakInFlight: 1 });
});

test('a call by nobody counts for the anonymous account where there is one', async () => {
  const upstream = await fakeUpstream({ accounts: [{ name: 'laptop', kind: 'open' }], anonymous: 'laptop' });
  expect((await fetch(`${upstream.platformBaseUrl}/models`)).status).toBe(200);
  expect(upstream.callsOf('laptop')).toHaveLength(1);
});
