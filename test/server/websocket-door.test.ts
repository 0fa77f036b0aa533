import { connect } from 'node:net';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import type { ServedRelay } from '../support/serve-in-process.ts';
import { serveInProcess, SIGN_IN_MODEL } from '../support/serve-in-process.ts';
import { openSocket, refusedSocket, typesOf } from '../support/socket-client.ts';
import { waitFor, within } from '../support/wait-for.ts';

const UPGRADE = ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=='];

/** A request as it goes over the wire. */
function requestText(port: number, first: string, headers: readonly string[], body = ''): string {
  return [`${first} HTTP/1.1`, `host: 127.0.0.1:${port}`, ...headers, '', body].join('\r\n');
}

describe('the door of the WebSocket', () => {
  let relay: ServedRelay;

  beforeAll(async () => {
    relay = await serveInProcess({ until: 'suite', config: { server: { allowedOrigins: ['https://my.app'] } } });
  });
  afterAll(() => relay.stop());

  /** Sends raw bytes and resolves with everything that came until the connection's end. */
  function raw(bytes: string): Promise<string> {
    const socket = connect(relay.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.write(bytes);
    return within(
      new Promise((resolve, reject) => {
        socket.once('close', () => resolve(text));
        socket.once('error', reject);
      }),
      'the end of the connection',
    );
  }

  test.each(['/v1/responses', '/responses', '/v1/responses?api-version=1'])('%s opens with a client key', async (path) => {
    const client = await openSocket(relay, { path });
    expect(typesOf(await client.answer({ type: 'response.create', model: SIGN_IN_MODEL, input: 'Say hello' })).at(-1)).toBe(
      'response.completed',
    );
  });

  test.each([
    ['C01 no key', { key: null }, 401, 'invalid_api_key'],
    ['C02 a wrong key', { key: 'sk-relay-wrong' }, 401, 'invalid_api_key'],
    ['B13 a key in the query', { key: null, path: '/v1/responses?api_key=sk-relay-x' }, 401, 'invalid_api_key'],
    ['B01 a foreign origin', { headers: { origin: 'https://evil.example' } }, 403, 'forbidden_origin'],
    ['a foreign host', { headers: { host: 'evil.example' } }, 403, 'forbidden_host'],
  ])('%s is refused before the upgrade', async (_what, handshake, status, code) => {
    const refused = await refusedSocket(relay, handshake);
    expect(refused).toMatchObject({ status, json: { error: { code, message: expect.any(String) } } });
    expect(refused.headers).toMatchObject({
      'x-request-id': expect.stringMatching(/^req_/),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    expect(JSON.stringify(refused.json)).not.toContain('sk-relay-wrong');
  });

  test('C05 two keys are none', async () => {
    const key = `authorization: Bearer ${relay.key}`;
    const answer = await raw(requestText(relay.port, 'GET /v1/responses', [...UPGRADE, key, key]));
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });

  test('an allowed origin may come in', async () => {
    await openSocket(relay, { headers: { origin: 'https://my.app' } });
  });

  test('a client without the scope is refused', async () => {
    const key = await relay.client('chats-only', { endpoints: ['chat'] });
    expect(await refusedSocket(relay, { key })).toMatchObject({ status: 403, json: { error: { code: 'insufficient_scope' } } });
  });

  test('another WebSocket than the Responses one is a request like all', async () => {
    expect(await refusedSocket(relay, { path: '/v1/realtime' })).toMatchObject({ status: 404, json: { error: { code: 'unknown_url' } } });
  });

  test('without an upgrade the path says what it wants', async () => {
    expect((await relay.ask('/v1/responses')).status).toBe(405);
  });

  test('a request that only offers another protocol is served as it is', async () => {
    const body = JSON.stringify({ model: SIGN_IN_MODEL, input: 'Say hello' });
    const offer = ['connection: Upgrade, HTTP2-Settings, close', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQAAP__'];
    const headers = [`authorization: Bearer ${relay.key}`, 'content-type: application/json', `content-length: ${body.length}`, ...offer];
    const answer = await raw(requestText(relay.port, 'POST /v1/responses', headers, body));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('Say hello');
  });

  test('a version of the protocol nobody speaks is refused', async () => {
    const old = UPGRADE.map((header) => header.replace('version: 13', 'version: 7'));
    const answer = await raw(requestText(relay.port, 'GET /v1/responses', [`authorization: Bearer ${relay.key}`, ...old]));
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
  });

  test('C43 a reset in the middle of a handshake harms nobody, with a good key and with a bad one', async () => {
    const resets = Array.from(
      { length: 60 },
      (_, index) =>
        new Promise<void>((resolve) => {
          const socket = connect(relay.port, '127.0.0.1');
          socket.on('error', () => {});
          socket.once('close', () => resolve());
          socket.once('connect', () => {
            const key = index % 2 === 0 ? relay.key : 'sk-relay-bad';
            const bytes = requestText(relay.port, 'GET /v1/responses', [`authorization: Bearer ${key}`, ...UPGRADE]);
            socket.write(bytes.slice(0, index % 3 === 0 ? bytes.length : 40 + index), () => socket.resetAndDestroy());
          });
        }),
    );
    await within(Promise.all(resets), 'the resets');
    await openSocket(relay);
    expect((await relay.ask('/healthz')).status).toBe(200);
    await relay.idle();
  });
});

describe('the setting server.websocket', () => {
  test('off: the upgrade is answered with 426 at once, and HTTP serves', async () => {
    const relay = await serveInProcess({ config: { server: { websocket: false } } });
    expect(await refusedSocket(relay)).toMatchObject({ status: 426, json: { error: { code: 'websocket_unavailable' } } });
    expect(await refusedSocket(relay, { key: 'sk-relay-wrong' })).toMatchObject({ status: 401 });
    expect((await relay.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, input: 'Say hello' } })).status).toBe(200);
  });
});

test('C42 256 connections stand at once, others are served meanwhile, and one more is refused', async () => {
  const relay = await serveInProcess();
  const clients = await Promise.all(Array.from({ length: 256 }, () => openSocket(relay)));
  expect(await refusedSocket(relay)).toMatchObject({ status: 503, json: { error: { code: 'overloaded' } } });
  expect((await relay.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, input: 'Say hello' } })).status).toBe(200);
  clients[0]?.socket.close();
  await clients[0]?.ended();
  await waitFor(() => openSocket(relay).catch(() => undefined), 'a place to become free');
});
