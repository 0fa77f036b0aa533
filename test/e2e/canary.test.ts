import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';
import { filesUnder, spellingsOf, tracesIn } from '../support/traces-of.ts';
import { waitFor } from '../support/wait-for.ts';

/** One word, since the mock upstream streams a word at a time; with letters that every encoder spells in its own way. */
const canary = (what: string): string => `Canary-${what.replace(' ', '-')}/ö+${randomBytes(6).toString('hex')}&sings`;
/** What people and models say, wherever in a request or an answer it can stand. */
const said = {
  prompt: canary('prompt'), instructions: canary('instructions'), completion: canary('completion'), reasoning: canary('reasoning'), argument: canary('argument'),
  toolOutput: canary('tool output'), description: canary('description'), cacheKey: canary('cache key'), metadata: canary('metadata'), user: canary('user'), header: randomBytes(12).toString('hex'),
};
const API_KEY = `sk-${randomBytes(24).toString('base64url')}`;

describe('a prompt, a completion or a secret is in no file and no output of Relay\'s', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  let relay: RunningRelay;
  let clientKey: string;
  let collected = '';
  const collector = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (collected += chunk.toString('utf8')));
    request.on('end', () => response.writeHead(200).end('{}'));
  });
  const heard: string[] = [];

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    upstream = await startMockUpstream({ accounts: [{ name: 'work', kind: 'chatgpt', plan: 'plus' }, { name: 'key', kind: 'api-key', apiKey: API_KEY }] });
    home = await makeRelayHome({
      plans: { work: 20 }, pricing: { 'relay-mini': { input: 1, output: 4 } },
      providers: { ...(chatgptAt(upstream)['providers'] as object), openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl, headers: { 'x-made-up': 'yes' } } },
      telemetry: { otlpEndpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`, headers: {} },
    });
    await importAccount(home, upstream, 'work');
    // What was imported from is the user's own file.
    await rm(join(home.path, 'work-auth.json'), { force: true });
    expect((await home.run(['keys', 'add', 'key', '--provider', 'openai', '--api-key-stdin'], { input: API_KEY })).code).toBe(0);
    relay = await home.start();
    const added = await home.run(['clients', 'add', 'seer', '--endpoints', 'chat,responses,models,usage', '--budget', '900usd/month', '--keep', '--json']);
    clientKey = JSON.parse(added.stdout).key;
  });
  afterAll(async () => {
    await relay?.kill('SIGKILL');
    await home?.remove();
    await upstream?.close();
    collector.closeAllConnections();
    collector.close();
  });

  const call = async (path: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<string> => {
    const response = await fetch(`${relay.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return response.text().catch(() => '');
  };
  const tool = { name: 'weather', description: said.description, parameters: { type: 'object', properties: { city: { type: 'string', description: said.description } } } };
  const chatBody = (model: string, stream: boolean): object => ({
    model, stream, user: said.user, metadata: { note: said.metadata }, tools: [{ type: 'function', function: tool }],
    messages: [
      { role: 'system', content: said.instructions }, { role: 'user', content: [{ type: 'text', text: said.prompt }] },
      { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: JSON.stringify({ city: said.argument }) } }] },
      { role: 'tool', tool_call_id: 'call_1', content: said.toolOutput },
    ],
  });
  const responsesBody = (model: string, stream: boolean): object => ({
    model, stream, instructions: said.instructions, prompt_cache_key: said.cacheKey, metadata: { note: said.metadata }, tools: [{ type: 'function', strict: false, ...tool }],
    input: [
      { role: 'user', content: [{ type: 'input_text', text: said.prompt }] },
      { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: JSON.stringify({ city: said.argument }) },
      { type: 'function_call_output', call_id: 'call_1', output: said.toolOutput },
    ],
  });
  const answer = { do: 'answer', text: `${said.completion} `.repeat(3), reasoning: said.reasoning } as const;
  const echo = `"${said.prompt}" is not what ${said.completion} can be made of`;
  const refuse = (status: number, code: string) => ({ do: 'refuse', status, body: { error: { type: 'server_error', code, message: echo } } }) as const;
  const failedEvent = `event: response.failed\ndata: ${JSON.stringify({ type: 'response.failed', response: { id: 'r', status: 'failed', error: { code: 'server_error', message: echo } } })}\n\n`;

  test('what is served goes through: the canaries are really sent and really come back', async () => {
    for (const [account, model] of [['work', 'gpt-5.5'], ['key', 'relay-mini']] as const) {
      for (const stream of [true, false]) {
        for (const [path, body] of [['/v1/chat/completions', chatBody(model, stream)], ['/v1/responses', responsesBody(model, stream)]] as const) {
          upstream.script(account, [answer]);
          const text = await call(path, body, { 'session-id': said.header, 'user-agent': said.header, 'x-request-id': said.header });
          expect(text).toContain(JSON.stringify(said.completion).slice(1, -1));
          upstream.script(account, [{ do: 'answer', calls: [{ name: 'weather', payload: JSON.stringify({ city: said.argument }) }] }]);
          expect(await call(path, body)).toContain('weather');
        }
      }
    }
    expect(await call('/v1/messages', { model: 'relay-mini', max_tokens: 100, system: said.instructions, messages: [{ role: 'user', content: said.prompt }] })).toContain('"role":"assistant"');
    const sent = upstream.calls.map(({ body }) => (typeof body === 'string' ? body : JSON.stringify(body ?? null))).join('\n');
    for (const what of ['prompt', 'argument', 'toolOutput', 'description'] as const) expect(sent, what).toContain(JSON.stringify(said[what]).slice(1, -1));
  });

  test('upstreams that fail in the request\'s own words are told to the client, and fail over', async () => {
    for (const [status, code] of [[400, 'invalid_prompt'], [400, 'context_length_exceeded'], [422, 'unprocessable'], [413, 'too_large'], [429, 'rate_limit_exceeded'], [500, 'server_error'], [503, 'overloaded'], [403, 'forbidden']] as const) {
      upstream.script('key', [refuse(status, code), refuse(status, code)]);
      heard.push(await call('/v1/chat/completions', chatBody('relay-mini', status % 2 === 0)));
      upstream.script('work', [refuse(status, code), refuse(status, code)]);
      heard.push(await call('/v1/responses', responsesBody('gpt-5.5', status % 2 === 1)));
      for (const account of ['work', 'key']) await home.run(['keys', 'wake', account]);
    }
    upstream.script('work', [{ do: 'answer', frames: [failedEvent] }]);
    await call('/v1/responses', responsesBody('gpt-5.5', true));
    upstream.script('work', [{ do: 'answer', text: answer.text, insert: { at: { afterDeltas: 1 }, frames: [failedEvent], next: 'end' } }]);
    await call('/v1/responses', responsesBody('gpt-5.5', true));
    upstream.script('key', [{ do: 'answer', text: answer.text, break: { at: { afterDeltas: 1 }, how: 'cut' } }]);
    await call('/v1/chat/completions', chatBody('relay-mini', true));
    upstream.script('key', [{ do: 'answer', body: `{"choices": ${said.completion}` }, { do: 'answer', frames: [`data: {"choices": ${said.completion}\n\n`] }]);
    await call('/v1/chat/completions', chatBody('relay-mini', false));
    await call('/v1/chat/completions', chatBody('relay-mini', true));
    expect(heard.join('\n')).toContain('is not what');
  });

  test('requests that Relay itself refuses quote what they like to their client', async () => {
    await call('/v1/chat/completions', { model: 'relay-mini', messages: [{ role: said.prompt, content: said.prompt }] });
    await call('/v1/chat/completions', { model: 'relay-mini', messages: [{ role: 'user', content: [{ type: said.prompt, text: said.prompt }] }] });
    await call('/v1/responses', { model: 'relay-mini', input: [{ type: said.prompt }] });
    await call('/v1/responses', { model: 'relay-mini', input: 'x', tools: [{ type: said.prompt }] });
    await call(`/v1/${encodeURIComponent(said.prompt)}?q=${encodeURIComponent(said.prompt)}`);
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: 'POST', headers: { authorization: `Bearer ${clientKey}`, 'content-type': 'application/json' }, body: `{"messages": ${said.prompt}`,
    });
    expect(response.status).toBe(400);
    await fetch(`${relay.url}/v1/models`, { headers: { authorization: `Bearer ${said.prompt.replaceAll(/[^\x21-\x7e]/g, '')}` } });
  });

  test('and nothing of it is left anywhere', async () => {
    const outputs = new Map<string, string>();
    for (const command of ['logs --json', 'logs', 'show last', 'show last --json', 'usage --json', 'usage --by model,client', 'status --json', 'keys list --json', 'keys show work', 'keys show key',
      'clients list --json', 'models --json', 'prices --json', 'ledger export', 'ledger export --csv', 'ledger verify --json', 'why --model relay-mini']) {
      const { stdout, stderr } = await home.run(command.split(' '));
      outputs.set(`relay ${command}`, stdout + stderr);
    }
    for (const path of ['/relay/v1/usage?by=model,client', '/relay/v1/requests?limit=1000', '/relay/v1/accounts', '/metrics', '/v1/models']) outputs.set(path, await call(path));
    await waitFor(() => collected.includes('gen_ai.usage.input_tokens'), 'the spans', 10_000);
    await relay.kill('SIGTERM');
    outputs.set('the daemon itself', relay.output());
    outputs.set('the collector', collected);
    expect(outputs.get('relay ledger export')?.split('\n').length).toBeGreaterThan(30);

    const secrets: Record<string, string> = { apiKey: API_KEY, clientKey };
    for (const { credential } of upstream.accounts.values()) {
      if (credential.kind !== 'oauth') continue;
      for (const [name, token] of Object.entries({ access: credential.accessToken, refresh: credential.refreshToken, id: credential.idToken })) if (token !== null) secrets[name] = token;
    }
    expect(Object.keys(secrets).length).toBeGreaterThanOrEqual(5);
    const files = await filesUnder(home.path);
    expect([...files.keys()].sort()).toEqual(expect.arrayContaining(['config.json', 'state.json', 'vault.json', 'ledger/usage.json', 'logs/relay.log']));
    expect(tracesIn(outputs, { ...said, ...secrets })).toEqual([]);
    expect(tracesIn(files, { ...said, ...secrets })).toEqual([]);
  });
});

test('the search finds every spelling it looks for', () => {
  const text = canary('itself');
  const spelled = [
    text, JSON.stringify(text), encodeURIComponent(text), Buffer.from(text).toString('hex'), text.toUpperCase(),
    ...['', 'x', 'xy', 'xyz'].flatMap((before) => [Buffer.from(`${before}${text} and more`).toString('base64'), Buffer.from(`${before}${text} and more`).toString('base64url')]),
  ];
  for (const haystack of spelled) expect(tracesIn(new Map([['here', haystack]]), { text }), haystack).not.toEqual([]);
  expect(tracesIn(new Map([['here', canary('another')]]), { text })).toEqual([]);
  expect(spellingsOf(text).every(({ bytes }) => bytes.length > 20)).toBe(true);
});
