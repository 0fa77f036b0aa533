import { connect } from 'node:net';

import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { createGate, ok, rateLimited } from '../../src/mock/steps.ts';
import { openSocket, typesOf } from '../support/socket-client.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';
import { within } from '../support/wait-for.ts';

const MODEL = 'gpt-5.5';
type Create = Omit<OpenAI.Responses.ResponsesClientEvent.ResponseCreate, 'type'>;

/** The built program as a child process, and the WebSocket client of the real SDK. */
describe('the built daemon serves the openai SDK over the WebSocket', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  let relay: RunningRelay;

  beforeAll(async () => {
    upstream = await startMockUpstream({
      accounts: [
        { name: 'work', kind: 'chatgpt', plan: 'plus' },
        { name: 'home', kind: 'chatgpt', plan: 'pro' },
      ],
    });
    home = await makeRelayHome(chatgptAt(upstream));
    relay = await home.start();
    await importAccount(home, upstream, 'work', ['--priority', '1']);
    await importAccount(home, upstream, 'home', ['--priority', '2']);
  });
  afterAll(async () => {
    await relay?.kill('SIGKILL');
    await home?.remove();
    await upstream?.close();
  });

  /** A connection of the SDK's; `ask` sends one request and resolves with the finished response, or rejects with the error. */
  function open(): { ask(create: Create): Promise<OpenAI.Responses.Response> } {
    const socket = new ResponsesWS(new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: relay.key, maxRetries: 0 }));
    onTestFinished(() => socket.close());
    return {
      ask: (create) =>
        within(
          new Promise((resolve, reject) => {
            const items: OpenAI.Responses.ResponseOutputItem[] = [];
            const take = (event: OpenAI.Responses.ResponsesServerEvent): void => {
              if (event.type === 'response.output_item.done') items.push(event.item);
              if (event.type !== 'response.completed') return;
              done();
              resolve({ ...event.response, output: event.response.output.length > 0 ? event.response.output : items });
            };
            const fail = (error: Error): void => {
              done();
              reject(error);
            };
            const done = (): void => {
              socket.off('event', take);
              socket.off('error', fail);
            };
            socket.on('event', take);
            socket.on('error', fail);
            socket.send({ type: 'response.create', ...create });
          }),
          'an answer',
          10_000,
        ),
    };
  }

  test('a tool loop that sends only what is new', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
    const tools: OpenAI.Responses.Tool[] = [{ type: 'function', name: 'weather', parameters, strict: false }];
    const connection = open();
    const first = await connection.ask({ model: MODEL, tools, input: 'What is the weather in Paris? Use the tool.' });
    const call = first.output.find((item) => item.type === 'function_call');
    expect(call?.name).toBe('weather');
    const output: OpenAI.Responses.ResponseInputItem = { type: 'function_call_output', call_id: call?.call_id ?? '', output: '21 degrees' };
    const second = await connection.ask({ model: MODEL, tools, input: [output], previous_response_id: first.id });
    expect(JSON.stringify(second.output)).toContain('21 degrees');
    const third = await connection.ask({ model: MODEL, tools, input: 'Say thanks', previous_response_id: second.id });
    expect(third.status).toBe('completed');
    expect(upstream.callsOf('work', '/codex/responses').at(-1)?.text).toContain('What is the weather in Paris?');
    expect((await home.journal()).slice(-3).map(({ outcome, endpoint }) => [outcome, endpoint])).toEqual(
      Array.from({ length: 3 }, () => ['ok', 'responses']),
    );
  });

  test('a limit on the first account is not noticed', async () => {
    upstream.script('work', [rateLimited({ retryAfter: '7' })]);
    const answer = await open().ask({ model: MODEL, input: 'Say failover' });
    expect(JSON.stringify(answer.output)).toContain('Say failover');
    expect((await home.journal()).at(-1)?.attempts).toMatchObject([
      { account: 'work', status: 429 },
      { account: 'home', status: 200 },
    ]);
    await home.run(['keys', 'wake', 'work']);
  });

  test("an error is the SDK's own, with its code", async () => {
    const connection = open();
    await expect(connection.ask({ model: 'nobody-has-this', input: 'Say hello' })).rejects.toMatchObject({
      error: { error: { code: 'model_not_found' } },
    });
    expect((await connection.ask({ model: MODEL, input: 'Say hello' })).status).toBe('completed');
  });

  test('C43 handshakes that are reset at every byte leave it running', async () => {
    const { hostname, port } = new URL(relay.url);
    const handshake = [
      'GET /v1/responses HTTP/1.1',
      `host: ${hostname}:${port}`,
      `authorization: Bearer ${relay.key}`,
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      '\r\n',
    ].join('\r\n');
    const bytes = Buffer.concat([Buffer.from(handshake), Buffer.from([0x81, 0xfe, 0x01, 0x00, 1, 2, 3, 4, 5, 6])]);
    const resets = Array.from(
      { length: bytes.length },
      (_, length) =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), hostname);
          socket.on('error', () => {});
          socket.once('close', () => resolve());
          socket.once('connect', () => socket.write(bytes.subarray(0, length + 1), () => socket.resetAndDestroy()));
        }),
    );
    await within(Promise.all(resets), 'the resets', 20_000);
    expect((await open().ask({ model: MODEL, input: 'Say still here' })).status).toBe('completed');
  });

  test('P01 asked to stop, it finishes what runs, closes its sockets and exits with 0', async () => {
    const gate = createGate();
    upstream.script('work', [ok({ text: 'first words and last', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
    const [idle, busy] = [await openSocket(relay), await openSocket(relay)];
    busy.send({ type: 'response.create', model: MODEL, input: 'Say slowly' });
    await busy.first('response.output_text.delta');
    const exited = relay.kill('SIGTERM');
    expect(await idle.ended()).toMatchObject({ code: 1001 });
    gate.release();
    expect(await busy.ended()).toMatchObject({ code: 1001 });
    expect(typesOf(busy.messages).at(-1)).toBe('response.completed');
    expect(await exited).toBe(0);
    expect((await home.journal()).at(-1)).toMatchObject({ outcome: 'ok', account: 'work' });
  });
});
