import { networkInterfaces } from 'node:os';
import { connect } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, responses, serveInProcess } from '../support/serve-in-process.ts';
import { within } from '../support/wait-for.ts';

const MINE = 'https://notebook.example';

describe('what a web page can do', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({
      until: 'suite',
      config: { server: { allowedOrigins: [MINE], allowedHosts: ['relay.tunnel.example'] } },
    });
  });
  afterAll(() => relay.stop());

  const keyLine = (): string => `Authorization: Bearer ${relay.key}`;
  const raw = async (startLine: string, headers: readonly string[], body = '') => {
    const connection = await openRaw(relay.port);
    connection.socket.write(rawRequest(relay.port, startLine, { headers, body }));
    return connection.answer();
  };
  const post = (headers: readonly string[], startLine = 'POST /v1/chat/completions HTTP/1.1') =>
    raw(startLine, ['Content-Type: application/json', ...headers], JSON.stringify(chat('Say hi')));

  test.each([
    'https://evil.example',
    'null',
    'http://127.0.0.1:1',
    'https://localhost',
    'http://localhost.evil.example',
    'file://',
    `${MINE}.evil.example`,
    'http://notebook.example',
  ])('B01 a foreign origin is refused, also with a valid key: %s', async (origin) => {
    const before = relay.sent().length;
    const answer = await relay.ask('/v1/chat/completions', { headers: { origin }, body: chat('Say hi') });
    expectError(answer, 403, 'forbidden_origin');
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(relay.sent()).toHaveLength(before);
  });

  test("B01 a page of Relay's own is let in", async () => {
    for (const origin of [relay.url, `http://localhost:${relay.port}`, `http://[::1]:${relay.port}`]) {
      expect((await relay.ask('/v1/models', { headers: { origin } })).status).toBe(200);
    }
  });

  test('B02 a form or text post that needs no preflight is refused and calls nobody', async () => {
    const before = relay.sent().length;
    const body = JSON.stringify(chat('Say hi'));
    const posts = [
      { headers: { origin: 'https://evil.example', 'content-type': 'text/plain' }, body },
      { headers: { 'content-type': 'text/plain' }, body },
      { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `x=${encodeURIComponent(body)}` },
      { key: null, headers: { origin: 'https://evil.example', 'content-type': 'text/plain' }, body },
    ];
    const answers = await Promise.all(posts.map((call) => relay.ask('/v1/chat/completions', call)));
    expect(answers.map(({ status }) => status)).toEqual([403, 415, 415, 403]);
    expect(relay.sent()).toHaveLength(before);
  });

  test('B03 a preflight from a foreign page grants nothing', async () => {
    for (const path of ['/v1/chat/completions', '/v1/models', '/healthz', '/nowhere']) {
      const answer = await relay.ask(path, {
        method: 'OPTIONS',
        key: null,
        headers: {
          origin: 'https://evil.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        },
      });
      expect(answer.status).toBe(403);
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
  });

  test.each([
    'evil.example',
    'evil.example:80',
    '127.0.0.1',
    '127.0.0.1:1',
    'localhost',
    '',
    '127.0.0.1.evil.example',
    'relay.tunnel.example:1',
    '0.0.0.0',
    '[::]',
    'user@127.0.0.1',
    '2130706433',
  ])("a Host that is not Relay's is refused, so that rebinding a name gains nothing: %j", async (host) => {
    const answer = await post([keyLine(), `Host: ${host}`]);
    expect([400, 403], JSON.stringify(answer)).toContain(answer.status);
    expect(answer.json).toMatchObject({ error: { type: 'invalid_request_error', message: expect.any(String) } });
    expect(answer.headers['x-request-id']).toMatch(/^req_/);
  });

  test("a Host of this machine, or one the user allowed, is Relay's", async () => {
    const { port } = relay;
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      `relay.localhost:${port}`,
      `127.8.9.1:${port}`,
      'relay.tunnel.example',
    ]) {
      expect((await raw('GET /v1/models HTTP/1.1', [keyLine(), `Host: ${host}`])).status, host).toBe(200);
    }
  });

  test('two Host headers are refused', async () => {
    const answer = await post([keyLine(), `Host: 127.0.0.1:${relay.port}`, 'Host: evil.example']);
    expect([400, 403]).toContain(answer.status);
  });

  test('a request with no Host at all is an error with its envelope', async () => {
    const connection = await openRaw(relay.port);
    connection.socket.write('GET /v1/models HTTP/1.1\r\n\r\n');
    const answer = await connection.answer();
    expect([400, 403]).toContain(answer.status);
    expect(answer.json).toHaveProperty('error.message');
  });

  test('B07 a request target that names another authority is refused', async () => {
    for (const target of [
      'http://evil.example/v1/models',
      `http://evil.example:${relay.port}/v1/models`,
      'https://evil.example/',
      `http://user:pw@evil.example:${relay.port}/`,
    ]) {
      expect([400, 403], target).toContain((await raw(`GET ${target} HTTP/1.1`, [keyLine()])).status);
    }
    expect((await raw(`GET http://127.0.0.1:${relay.port}/v1/models HTTP/1.1`, [keyLine()])).status).toBe(200);
  });

  test('B09 forwarded headers are not looked at', async () => {
    const forwarded = [
      'X-Forwarded-Host: 127.0.0.1',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: https',
      'Forwarded: host=localhost',
      'X-Original-URL: /healthz',
      'X-Rewrite-URL: /healthz',
    ];
    expect((await post([keyLine(), 'Host: evil.example', ...forwarded])).status).toBe(403);
    expect(
      (await raw('GET /v1/models HTTP/1.1', [keyLine(), 'X-Forwarded-Host: evil.example', 'X-Original-URL: /healthz'])).json,
    ).toHaveProperty('data');
  });

  test('B11 without a key there is nothing to see but that it lives', async () => {
    expect(await relay.ask('/healthz', { key: null })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    for (const path of [
      '/',
      '/v1/models',
      '/v1/models/gpt-5.5',
      '/v1/chat/completions',
      '/relay/v1/accounts',
      '/metrics',
      '/admin',
      '/.env',
      '/favicon.ico',
    ]) {
      const answer = await relay.ask(path, { key: null });
      expectError(answer, 401, 'invalid_api_key');
      expect(answer.text).not.toMatch(/0\.0\.0-test|gpt-5\.5|\/tmp|node/i);
    }
  });

  test('B13 a key in the query, in a cookie or in another header is no key', async () => {
    const { key } = relay;
    const places = [
      { path: `/v1/models?key=${key}` },
      { path: `/v1/models?api_key=${key}` },
      { path: `/v1/models?access_token=${key}` },
      { path: `/v1/models?authorization=Bearer%20${key}` },
      { path: '/v1/models', headers: { cookie: `authorization=Bearer ${key}; key=${key}` } },
      { path: '/v1/models', headers: { 'api-key': key } },
      { path: '/v1/models', headers: { 'x-api-key': key } },
      { path: '/v1/models', headers: { 'proxy-authorization': `Bearer ${key}` } },
    ];
    for (const { path, headers } of places)
      expectError(await relay.ask(path, { key: null, ...(headers && { headers }) }), 401, 'invalid_api_key');
    expect(relay.log()).not.toContain(key);
  });

  test('B14 every answer says nosniff and no-store, and none is a script', async () => {
    const answers = await Promise.all([
      relay.ask('/healthz'),
      relay.ask('/v1/models'),
      relay.ask('/nowhere'),
      relay.ask('/v1/models', { key: null }),
      relay.ask('/v1/chat/completions', { body: chat('Say hi') }),
      relay.ask('/v1/chat/completions', { body: chat('Say hi', { stream: true }) }),
      relay.ask('/v1/responses', { body: responses('Say hi', { stream: true }) }),
      relay.ask('/v1/chat/completions', { body: '{' }),
      relay.ask('/v1/models?callback=alert&jsonp=alert'),
    ]);
    for (const answer of answers) {
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('cache-control')).toContain('no-store');
      expect(answer.headers.get('content-type')).toMatch(/^(application\/json|text\/event-stream)/);
      expect(answer.text).not.toContain('alert');
    }
  });

  test('B15 the listener is on loopback only', async () => {
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((address) => address !== undefined && !address.internal && address.family === 'IPv4');
    for (const address of others) {
      const refused = new Promise<string>((resolve) => {
        const socket = connect({ host: address?.address ?? '', port: relay.port });
        socket.once('connect', () => resolve('connected'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      });
      expect(await within(refused, 'a refusal')).toBe('ECONNREFUSED');
    }
    expect(relay.url).toBe(`http://127.0.0.1:${relay.port}`);
  });

  test('P07 ::1 is served like 127.0.0.1, behind the same key', async () => {
    const headers = [`Host: [::1]:${relay.port}`];
    for (const [lines, status] of [
      [[...headers, keyLine()], 200],
      [headers, 401],
      [[...headers, keyLine(), 'Origin: https://evil.example'], 403],
    ] as const) {
      const connection = await openRaw(relay.port, { host: '::1' });
      connection.socket.write(rawRequest(relay.port, 'GET /v1/models HTTP/1.1', { headers: lines }));
      expect((await connection.answer()).status).toBe(status);
    }
  });

  test('B16 an allowed origin gets exactly itself, on every kind of answer, and never a star', async () => {
    const asked = [
      relay.ask('/v1/chat/completions', { headers: { origin: MINE }, body: chat('Say hi') }),
      relay.ask('/v1/chat/completions', { headers: { origin: MINE }, body: chat('Say hi', { stream: true }) }),
      relay.ask('/v1/chat/completions', { headers: { origin: MINE }, body: '{' }),
      relay.ask('/v1/models', { headers: { origin: MINE } }),
      relay.ask('/v1/models', { headers: { origin: MINE }, key: null }),
      relay.ask('/nowhere', { headers: { origin: MINE } }),
    ];
    for (const answer of await Promise.all(asked)) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(MINE);
      expect(answer.headers.get('vary')).toBe('Origin');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('access-control-expose-headers')).toContain('x-request-id');
    }
    expect((await relay.ask('/v1/models')).headers.get('access-control-allow-origin')).toBeNull();
  });

  test("B16 an allowed origin's preflight grants what an SDK sends", async () => {
    const wanted = 'authorization,content-type,x-stainless-os,x-stainless-retry-count';
    const answer = await relay.ask('/v1/chat/completions', {
      method: 'OPTIONS',
      key: null,
      headers: { origin: MINE, 'access-control-request-method': 'POST', 'access-control-request-headers': wanted },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toBe(MINE);
    expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
    expect(answer.headers.get('access-control-allow-headers')).toBe(wanted);
  });
});
