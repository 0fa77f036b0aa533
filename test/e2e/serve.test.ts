import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';

const MODEL = 'gpt-5.5';

/** The built program as a child process, two ChatGPT accounts at a backend as strict as the real one, and the real SDK. */
describe('the built daemon serves the openai SDK from two ChatGPT accounts', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  let relay: RunningRelay;
  let client: OpenAI;

  beforeAll(async () => {
    upstream = await startMockUpstream({ accounts: [{ name: 'work', kind: 'chatgpt', plan: 'plus' }, { name: 'home', kind: 'chatgpt', plan: 'pro' }] });
    home = await makeRelayHome(chatgptAt(upstream));
    relay = await home.start();
    await importAccount(home, upstream, 'work', ['--priority', '1']);
    await importAccount(home, upstream, 'home', ['--priority', '2']);
    client = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: relay.key, maxRetries: 0 });
  });
  afterAll(async () => {
    await relay?.kill('SIGKILL');
    await home?.remove();
    await upstream?.close();
  });

  test('both accounts are there without a restart, and no secret is in state.json', async () => {
    const list = await home.run(['keys', 'list', '--json']);
    expect(JSON.parse(list.stdout)).toMatchObject([{ name: 'work', state: 'ready', plan: 'plus' }, { name: 'home', state: 'ready', plan: 'pro' }]);
  });

  test('models are those of the accounts', async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toContain(MODEL);
  });

  test('chat, whole: a streaming-only backend is folded into one object', async () => {
    const answer = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Say whole chat' }] });
    expect(answer.choices[0]?.message.content).toContain('Say whole chat');
    expect(answer.usage?.prompt_tokens).toBeGreaterThan(0);
  });

  test('chat, streamed, with the usage chunk', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL, stream: true, stream_options: { include_usage: true }, messages: [{ role: 'user', content: 'Say streamed chat' }],
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toContain('Say streamed chat');
    expect(usage?.completion_tokens).toBeGreaterThan(0);
  });

  test('responses, whole: the output is rebuilt where the backend sends none', async () => {
    const answer = await client.responses.create({ model: MODEL, input: 'Say whole responses' });
    expect(answer.status).toBe('completed');
    expect(answer.output_text).toContain('Say whole responses');
  });

  test('responses, streamed: the SDK\'s own helper gets its final response', async () => {
    const stream = client.responses.stream({ model: MODEL, input: 'Say streamed responses' });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    const final = await stream.finalResponse();
    expect(types[0]).toBe('response.created');
    expect(types.filter((type) => type.startsWith('codex.'))).toEqual([]);
    expect(final.output_text).toContain('Say streamed responses');
  });

  test('a tool call goes round trip on both wires', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris? Use the tool.' }];
    const first = await client.chat.completions.create({ model: MODEL, messages, tools: [{ type: 'function', function: { name: 'weather', parameters } }] });
    const call = first.choices[0]?.message.tool_calls?.[0];
    expect(first.choices[0]?.finish_reason).toBe('tool_calls');
    expect(call?.type === 'function' ? call.function.name : '').toBe('weather');
    messages.push(first.choices[0]!.message, { role: 'tool', tool_call_id: call!.id, content: '21 degrees' });
    const second = await client.chat.completions.create({ model: MODEL, messages, tools: [{ type: 'function', function: { name: 'weather', parameters } }] });
    expect(second.choices[0]?.message.content).toContain('21 degrees');

    const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: 'What is the weather in Paris? Use the tool.' }];
    const tools: OpenAI.Responses.Tool[] = [{ type: 'function', name: 'weather', parameters, strict: false }];
    const one = await client.responses.create({ model: MODEL, input, tools });
    const made = one.output.find((item) => item.type === 'function_call');
    expect(made?.name).toBe('weather');
    input.push(made!, { type: 'function_call_output', call_id: made!.call_id, output: '21 degrees' });
    const two = await client.responses.create({ model: MODEL, input, tools });
    expect(two.output_text).toContain('21 degrees');
  });

  test('structured output is asked for in the backend\'s terms', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
    const answer = await client.chat.completions.create({
      model: MODEL, messages: [{ role: 'user', content: 'Answer in json' }], response_format: { type: 'json_schema', json_schema: { name: 'verdict', schema, strict: true } },
    });
    expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toHaveProperty('ok');
  });

  test('a 429 on the first account is not noticed: the next one serves, and both attempts are in the journal', async () => {
    upstream.script('work', [{ do: 'refuse', status: 429, headers: { 'retry-after': '7' }, body: { error: { type: 'rate_limit_error', code: 'rate_limit_exceeded', message: 'slow down' } } }]);
    const { data, response } = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: 'Say failover' }] }).withResponse();
    expect(data.choices[0]?.message.content).toContain('Say failover');
    expect(response.headers.get('x-relay-account')).toBe('home');
    expect(response.headers.get('x-relay-attempts')).toBe('2');
    const id = response.headers.get('x-request-id');
    const record = (await home.journal()).find((line) => line.id === id);
    expect(record?.attempts).toMatchObject([{ account: 'work', status: 429 }, { account: 'home', status: 200, error: null }]);
    const work = JSON.parse((await home.run(['keys', 'show', 'work', '--json'])).stdout);
    expect(work.state).toBe('cooldown');
    await home.run(['keys', 'wake', 'work']);
  });

  test('a quota error hidden in a 200 stream moves on as well', async () => {
    const frame = 'event: response.failed\ndata: {"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 2s."}}}\n\n';
    upstream.script('work', [{ do: 'answer', frames: [frame] }]);
    const stream = await client.chat.completions.create({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Say hidden quota' }] });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toContain('Say hidden quota');
    await home.run(['keys', 'wake', 'work']);
  });

  test('an expired access token is renewed once and not noticed', async () => {
    upstream.account('work').expireAccessToken();
    const before = upstream.calls.filter(({ path }) => path === '/oauth/token').length;
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => client.responses.create({ model: MODEL, input: `Say renewed ${index}` })));
    expect(answers.every(({ status }) => status === 'completed')).toBe(true);
    expect(upstream.calls.filter(({ path }) => path === '/oauth/token').length - before).toBe(1);
  });

  test('a broken stream after its first words is an error, never a shortened success', async () => {
    upstream.script('work', [{ do: 'answer', text: 'one two three four five six', break: { at: { afterDeltas: 2 }, how: 'eof' } }]);
    const stream = await client.chat.completions.create({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Say broken' }] });
    const readAll = async (): Promise<number> => {
      let chunks = 0;
      for await (const chunk of stream) chunks += chunk.choices.length;
      return chunks;
    };
    await expect(readAll()).rejects.toThrow();
  });

  test('a 400 never moves to another account', async () => {
    const before = upstream.callsOf('home', '/codex/responses').length;
    upstream.script('work', [{ do: 'refuse', status: 400, body: { error: { type: 'invalid_request_error', code: 'context_length_exceeded', message: 'Too long.' } } }]);
    await expect(client.responses.create({ model: MODEL, input: 'Say too long' })).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    expect(upstream.callsOf('home', '/codex/responses').length).toBe(before);
  });

  test('a client that leaves has its upstream call cancelled', async () => {
    upstream.script('work', [{ do: 'answer', text: 'a b c d e f g h', break: { at: { afterDeltas: 2 }, how: 'hang' } }]);
    const stream = await client.responses.create({ model: MODEL, input: 'Say leaving', stream: true });
    for await (const event of stream) if (event.type === 'response.output_text.delta') break;
    await expect.poll(() => upstream.callsOf('work', '/codex/responses').at(-1)?.state, { timeout: 5_000 }).toBe('aborted');
    await expect.poll(async () => (await home.journal()).at(-1)?.outcome, { timeout: 5_000 }).toBe('client_closed');
  });

  test('Relay names itself honestly upstream', () => {
    const call = upstream.callsOf('work', '/codex/responses').at(-1);
    expect(call?.headers['originator']).toBe('relay');
    expect(call?.headers['user-agent']).toMatch(/^relay\/\d/);
  });
});
