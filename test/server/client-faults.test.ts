import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { createGate, ok } from '../../src/mock/steps.ts';
import { heldBufferBytes } from '../support/collect-garbage.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { Answer, Call, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const JSON_TYPE = 'Content-Type: application/json';

describe('what a client can do wrong', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ until: 'suite' });
  });
  afterAll(() => relay.stop());

  const keyLine = (): string => `Authorization: Bearer ${relay.key}`;
  const post = (path: string, headers: readonly string[], body: string): string => rawRequest(relay.port, `POST ${path} HTTP/1.1`, { headers, body });
  const ask = (body: Call['body'], call: Call = {}): Promise<Answer> => relay.ask('/v1/chat/completions', { ...(body !== undefined && { body }), ...call });
  const expectServed = async (): Promise<void> => {
    const answer = await ask(chat('Say still alive'));
    expect(answer.status, answer.text).toBe(200);
  };
  /** A refusal of an authenticated call: its line, and no call upstream. */
  const expectRefusal = async (answer: Answer, before: number): Promise<void> => {
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: answer.status, attempts: [], tokens: null });
    expect(relay.sent()).toHaveLength(before);
  };

  describe('keys', () => {
    test('C01 a request without a key gets 401, and is not journaled', async () => {
      const lines = (await relay.journal()).length;
      const message = expectError(await ask(chat('Say hi'), { key: null }), 401, 'invalid_api_key');
      expect(message).toContain('relay clients add');
      expect((await relay.journal()).length).toBe(lines);
    });

    test('C02 a wrong key gets 401 and is not echoed', async () => {
      const wrong = `sk-relay-${'x'.repeat(43)}`;
      const answer = await ask(chat('Say hi'), { key: wrong });
      expectError(answer, 401, 'invalid_api_key');
      expect(answer.text).not.toContain(wrong.slice(0, 20));
      expect(relay.log()).not.toContain(wrong.slice(0, 20));
    });

    test('C02 a wrong key before a large upload gets to see its 401', async () => {
      const answer = await ask(chat('x'.repeat(8_000_000)), { key: 'sk-relay-no' });
      expectError(answer, 401, 'invalid_api_key');
    });

    const nearMisses: readonly (readonly [string, (key: string) => string])[] = [
      ['one character short', (key) => `Bearer ${key.slice(0, -1)}`], ['one character more', (key) => `Bearer ${key}x`],
      ['another case', (key) => `Bearer ${key.toUpperCase()}`], ['without its prefix', (key) => `Bearer ${key.replace('sk-relay-', '')}`],
      ['Basic', (key) => `Basic ${Buffer.from(`x:${key}`).toString('base64')}`], ['the bare key', (key) => key], ['Token', (key) => `Token ${key}`],
      ['two keys in one header', (key) => `Bearer ${key}, Bearer ${key}`], ['a space inside', (key) => `Bearer ${key.slice(0, 20)} ${key.slice(20)}`],
      ['an empty token', () => 'Bearer '], ['a tab for the space', (key) => `Bearer\t${key}`], ['quoted', (key) => `Bearer "${key}"`],
    ];
    test.each(nearMisses)('C03 near miss: %s', async (_what, value) => {
      expectError(await ask(chat('Say hi'), { key: null, headers: { authorization: value(relay.key) } }), 401, 'invalid_api_key');
    });

    test('C03 the scheme is told by any case, as HTTP says', async () => {
      expect((await ask(chat('Say hi'), { key: null, headers: { authorization: `bearer ${relay.key}` } })).status).toBe(200);
    });

    test('C05 two Authorization headers are refused, also with the good one among them', async () => {
      for (const pair of [[keyLine(), 'Authorization: Bearer sk-relay-other'], ['Authorization: Bearer sk-relay-other', keyLine()]]) {
        const raw = await openRaw(relay.port);
        raw.socket.write(post('/v1/chat/completions', [...pair, JSON_TYPE], JSON.stringify(chat('Say hi'))));
        expect(await raw.answer()).toMatchObject({ status: 401, json: { error: { code: 'invalid_api_key' } } });
      }
    });

    test('C06 fifty bad keys do not lock the good one out', async () => {
      const bad = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(chat('Say hi'), { key: `sk-relay-bad-${index}` })));
      expect(new Set(bad.map(({ status }) => status))).toEqual(new Set([401]));
      await expectServed();
    });
  });

  describe('bodies', () => {
    const malformed = [
      '', ' ', '{', '}', '{"model":', '[]', '[{}]', 'null', 'true', '1', '"text"', '{"model":"gpt-5.5",}', "{'model':'gpt-5.5'}", 'model=gpt-5.5', '\u0000', '{} {}', 'NaN',
      '<?xml version="1.0"?>',
    ];
    test.each(malformed)('C10 a malformed body is a 400 that is journaled: %j', async (text) => {
      const before = relay.sent().length;
      const answer = await ask(text);
      expectError(answer, 400, 'invalid_request_error');
      await expectRefusal(answer, before);
    });

    test('C11 an unknown model is 404 before anything leaves', async () => {
      const before = relay.sent().length;
      const answer = await ask(chat('Say hi', { model: 'gpt-none' }));
      expect(expectError(answer, 404, 'model_not_found')).toContain('relay models');
      expect(answer.error).toMatchObject({ type: 'invalid_request_error', param: 'model' });
      await expectRefusal(answer, before);
    });

    const types: readonly (readonly [string, string | null])[] = [
      ['none', null], ['text/plain', 'text/plain'], ['a form', 'application/x-www-form-urlencoded'], ['multipart', 'multipart/form-data; boundary=x'],
      ['another charset', 'application/json; charset=utf-16'], ['latin1', 'application/json;charset=iso-8859-1'], ['json-ish', 'application/jsonp'],
      ['empty', ''], ['xml', 'application/xml'], ['two types', 'application/json, text/plain'],
    ];
    test.each(types)('C14 a body that is not said to be JSON is 415: %s', async (_what, type) => {
      const before = relay.sent().length;
      const raw = await openRaw(relay.port);
      raw.socket.write(post('/v1/chat/completions', [keyLine(), ...(type === null ? [] : [`Content-Type: ${type}`])], JSON.stringify(chat('Say hi'))));
      const answer = await raw.answer();
      expect(answer).toMatchObject({ status: 415, json: { error: { code: 'unsupported_media_type', type: 'invalid_request_error' } } });
      expect(await relay.line(answer.headers['x-request-id'] ?? null)).toMatchObject({ outcome: 'refused', status: 415 });
      expect(relay.sent()).toHaveLength(before);
    });

    test.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])('C14 JSON is JSON however it is written: %s', async (type) => {
      expect((await ask(chat('Say hi'), { headers: { 'content-type': type } })).status).toBe(200);
    });

    test('C14 an encoding nobody knows is 415, and names those that are', async () => {
      const answer = await ask(chat('Say hi'), { headers: { 'content-encoding': 'compress' } });
      expect(expectError(answer, 415, 'unsupported_media_type')).toContain('zstd');
    });

    const encodings: readonly (readonly [string, Buffer])[] = [
      ['an invalid byte', Buffer.concat([Buffer.from('{"model":"gpt-5.5","messages":[{"role":"user","content":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}]}')])],
      ['a cut character', Buffer.from(JSON.stringify(chat('ü'))).subarray(0, -6)],
      ['an overlong slash', Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])],
      ['UTF-16', Buffer.from(JSON.stringify(chat('Say hi')), 'utf16le')],
      ['UTF-16 with its mark', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(JSON.stringify(chat('Say hi')), 'utf16le')])],
    ];
    test.each(encodings)('C15 bytes that are not UTF-8 are 400: %s', async (_what, bytes) => {
      expectError(await ask(new Uint8Array(bytes), { headers: { 'content-type': 'application/json' } }), 400, 'invalid_request_error');
    });

    test('C17 an endless chunked body is 413 at its limit, and not kept', async () => {
      const raw = await openRaw(relay.port);
      const before = process.memoryUsage().rss;
      let peak = before;
      raw.socket.write(post('/v1/chat/completions', [keyLine(), JSON_TYPE, 'Transfer-Encoding: chunked'], ''));
      const piece = `100000\r\n${'x'.repeat(1_048_576)}\r\n`;
      for (let sent = 0; sent < 100 && raw.received() === '' && !raw.socket.destroyed; sent += 1) {
        await within(new Promise((resolve) => raw.socket.write(piece, resolve)), 'a chunk to leave');
        peak = Math.max(peak, process.memoryUsage().rss);
      }
      const answer = await raw.answer();
      expect(answer).toMatchObject({ status: 413, json: { error: { code: 'request_too_large' } } });
      expect(await relay.line(answer.headers['x-request-id'] ?? null)).toMatchObject({ outcome: 'refused', status: 413 });
      raw.socket.destroy();
      await relay.idle();
      // The client's own pieces are in this process as well.
      expect(peak - before).toBeLessThan(160 * 1_048_576);
      await expectServed();
    });

    test('C17 a body announced too large is 413 before it is read', async () => {
      const raw = await openRaw(relay.port);
      raw.socket.write(rawRequest(relay.port, 'POST /v1/responses HTTP/1.1', { headers: [keyLine(), JSON_TYPE, `Content-Length: ${40 * 1_048_576}`] }));
      expect(await raw.answer()).toMatchObject({ status: 413, json: { error: { code: 'request_too_large' } } });
    });

    const hostile: readonly (readonly [string, string, JsonObject, string])[] = [
      ['model: number', '/v1/chat/completions', chat('x', { model: 1 }), 'model'],
      ['model: array', '/v1/chat/completions', chat('x', { model: [] }), 'model'],
      ['model: object', '/v1/chat/completions', chat('x', { model: {} }), 'model'],
      ['model: null', '/v1/chat/completions', chat('x', { model: null }), 'model'],
      ['model: empty', '/v1/chat/completions', chat('x', { model: '' }), 'model'],
      ['model: very long', '/v1/chat/completions', chat('x', { model: 'm'.repeat(10_000) }), 'model'],
      ['model: true', '/v1/responses', responses('x', { model: true }), 'model'],
      ['messages: string', '/v1/chat/completions', chat('x', { messages: 'hi' }), 'messages'],
      ['messages: object', '/v1/chat/completions', chat('x', { messages: {} }), 'messages'],
      ['messages: empty', '/v1/chat/completions', chat('x', { messages: [] }), 'messages'],
      ['messages: absent', '/v1/chat/completions', { model: SIGN_IN_MODEL }, 'messages'],
      ['messages: numbers', '/v1/chat/completions', chat('x', { messages: [1, 2] }), 'messages'],
      ['messages: null inside', '/v1/chat/completions', chat('x', { messages: [null] }), 'messages'],
      ['content: number', '/v1/chat/completions', chat('x', { messages: [{ role: 'user', content: 7 }] }), 'content'],
      ['role: number', '/v1/chat/completions', chat('x', { messages: [{ role: 7, content: 'x' }] }), 'role'],
      ['stream: string', '/v1/chat/completions', chat('x', { stream: 'yes' }), 'stream'],
      ['stream: number', '/v1/responses', responses('x', { stream: 1 }), 'stream'],
      ['input: number', '/v1/responses', responses('x', { input: 1 }), 'input'],
      ['input: object', '/v1/responses', responses('x', { input: {} }), 'input'],
      ['input: true', '/v1/responses', responses('x', { input: true }), 'input'],
      ['tools: string', '/v1/chat/completions', chat('x', { tools: 'all' }), 'tools'],
      ['tools: numbers', '/v1/responses', responses('x', { tools: [1] }), 'tools'],
    ];
    test.each(hostile)('C21 hostile types are a 4xx that names the field: %s', async (_what, path, body, field) => {
      const answer = await relay.ask(path, { body });
      expect(answer.status, answer.text).toBeGreaterThanOrEqual(400);
      expect(answer.status, answer.text).toBeLessThan(500);
      expect(JSON.stringify(answer.error)).toContain(field);
      await relay.line(answer.id);
    });

    test('C21 names of object members that JavaScript knows are nothing special', async () => {
      const body = `{"model":"${SIGN_IN_MODEL}","messages":[{"role":"user","content":"Say hi"}],"__proto__":{"stream":true},"constructor":{"prototype":{"x":1}}}`;
      const answer = await ask(body);
      expect(answer.status, answer.text).toBe(200);
      expect(answer.headers.get('content-type')).toContain('application/json');
      expect(({} as { x?: number }).x).toBeUndefined();
    });

    test('C21 nesting past any sense is refused or served, and nothing falls over', async () => {
      const answer = await ask(`{"model":"${SIGN_IN_MODEL}","messages":[{"role":"user","content":"Say hi"}],"metadata":${'['.repeat(50_000)}${']'.repeat(50_000)}}`);
      expect([200, 400]).toContain(answer.status);
      await expectServed();
    });
  });

  describe('HTTP itself', () => {
    test('C30 a header of 64 KiB is 431', async () => {
      const raw = await openRaw(relay.port);
      raw.socket.write(rawRequest(relay.port, 'GET /v1/models HTTP/1.1', { headers: [keyLine(), `X-Long: ${'x'.repeat(65_536)}`] }));
      expect(await raw.answer()).toMatchObject({ status: 431, json: { error: { type: 'invalid_request_error' } } });
      await raw.closed();
    });

    test.each([300, 5_000])('C30 %d headers are 431, none of them silently left out', async (count) => {
      const raw = await openRaw(relay.port);
      const many = Array.from({ length: count }, (_, index) => `a${index.toString(36)}:b`);
      raw.socket.write(rawRequest(relay.port, 'GET /v1/models HTTP/1.1', { headers: [...many, keyLine(), 'Origin: https://evil.example'] }));
      expect(await raw.answer()).toMatchObject({ status: 431, json: { error: { type: 'invalid_request_error' } } });
    });

    test('C31 a URL of 64 KiB is 414 or 431', async () => {
      const raw = await openRaw(relay.port);
      raw.socket.write(rawRequest(relay.port, `GET /v1/models?x=${'y'.repeat(65_536)} HTTP/1.1`, { headers: [keyLine()] }));
      expect([414, 431]).toContain((await raw.answer()).status);
    });

    test('C38 twenty pipelined requests are answered in their order', async () => {
      const raw = await openRaw(relay.port);
      const bodies = Array.from({ length: 20 }, (_, index) => post('/v1/chat/completions', [keyLine(), JSON_TYPE], JSON.stringify(chat(`Say number ${index}.`))));
      raw.socket.write(bodies.join(''));
      const answers = await raw.answers(20, 15_000);
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      expect(answers.map(({ body }) => /Say number (\d+)/.exec(body)?.[1])).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
    });

    const verbs: readonly (readonly [string, string, readonly number[]])[] = [
      ['TRACE', '/v1/models', [404, 405, 501]], ['CONNECT', 'evil.example:443', [405, 501]], ['BREW', '/v1/models', [400, 404, 405, 501]],
      ['PUT', '/v1/chat/completions', [404, 405]], ['PATCH', '/v1/responses', [404, 405]], ['DELETE', '/v1/chat/completions', [404, 405]],
      ['HEAD', '/v1/chat/completions', [404, 405]], ['OPTIONS', '/v1/chat/completions', [404, 405]], ['OPTIONS', '*', [400, 404, 405]],
      ['PROPFIND', '/v1/models', [404, 405]],
    ];
    test.each(verbs)('C39 %s %s is refused and echoes nothing', async (verb, target, statuses) => {
      const raw = await openRaw(relay.port);
      raw.socket.write(rawRequest(relay.port, `${verb} ${target} HTTP/1.1`, { headers: [keyLine(), 'X-Canary: do-not-echo', 'Connection: close'] }));
      await raw.closed();
      const [status] = /^HTTP\/1\.1 (\d{3})/.exec(raw.received())?.slice(1) ?? [];
      expect(statuses, raw.received()).toContain(Number(status));
      expect(raw.received()).not.toContain('do-not-echo');
      expect(raw.received()).not.toContain(relay.key);
    });

    test('C39 a method override is not looked at', async () => {
      const answer = await relay.ask('/v1/models', { headers: { 'x-http-method-override': 'DELETE', 'x-method-override': 'POST' } });
      expect(answer.status).toBe(200);
      expectError(await relay.ask('/v1/chat/completions', { headers: { 'x-http-method-override': 'POST' } }), 404, 'unknown_url');
    });

    test('C39 HEAD of the models is their GET without a body', async () => {
      const answer = await relay.ask('/v1/models', { method: 'HEAD' });
      expect({ status: answer.status, text: answer.text }).toEqual({ status: 200, text: '' });
    });

    test('C41 an upload that waits for leave hears a final 401 first', async () => {
      const raw = await openRaw(relay.port);
      raw.socket.write(rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: ['Authorization: Bearer sk-relay-bad', JSON_TYPE, 'Content-Length: 100', 'Expect: 100-continue'] }));
      expect(await raw.answer()).toMatchObject({ status: 401, json: { error: { code: 'invalid_api_key' } } });
      expect(raw.received()).not.toContain('100 Continue');
    });

    test('C41 with a good key it gets its leave, and is served', async () => {
      const raw = await openRaw(relay.port);
      const body = JSON.stringify(chat('Say continued'));
      raw.socket.write(rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [keyLine(), JSON_TYPE, `Content-Length: ${body.length}`, 'Expect: 100-continue'] }));
      expect(await raw.answer()).toMatchObject({ status: 100 });
      raw.socket.write(body);
      expect(await raw.answer(2)).toMatchObject({ status: 200 });
    });

    test('C42 three hundred idle connections keep nobody waiting', async () => {
      const idle = await Promise.all(Array.from({ length: 300 }, () => openRaw(relay.port)));
      for (const { socket } of idle.slice(0, 100)) socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: 127');
      await within(expectServed(), 'an answer', 2_000);
    });

    test('C43 a hundred uploads that are reset halfway leave nothing behind', async () => {
      const lines = (await relay.journal()).length;
      const raws = await Promise.all(Array.from({ length: 100 }, () => openRaw(relay.port)));
      for (const { socket } of raws) socket.write(rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [keyLine(), JSON_TYPE, 'Content-Length: 100000'] }) + '{"model":');
      await waitFor(() => relay.daemon.held().calls === 100, 'a hundred uploads');
      for (const { socket } of raws) socket.resetAndDestroy();
      await relay.idle();
      const journaled = (await relay.journal()).slice(lines);
      expect(journaled.map(({ outcome, status }) => `${outcome} ${status}`)).toEqual(Array.from({ length: 100 }, () => 'client_closed 499'));
      await expectServed();
    });

    test('C44 a hundred requests at once are all served', async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(chat(`Say parallel ${index}.`))));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
      expect(answers.every(({ text }, index) => text.includes(`Say parallel ${index}.`))).toBe(true);
    });

    test.each([['whole', false], ['streamed', true]] as const)('C45 a client that closes its sending side gets its answer, %s', async (_what, stream) => {
      const gate = createGate();
      relay.upstream.script('a', [ok({ gate })]);
      const raw = await openRaw(relay.port, { allowHalfOpen: true });
      raw.socket.end(post('/v1/chat/completions', [keyLine(), JSON_TYPE], JSON.stringify(chat('Say half-closed', { stream }))));
      await waitFor(() => relay.sent('a').at(-1)?.state === 'open' && raw.received() !== '', 'the call upstream');
      gate.release();
      await raw.closed();
      const answer = (await raw.answers(3)).at(-1);
      expect(answer?.status).toBe(200);
      expect(answer?.body).toContain('half-closed');
    });

    test('C48 an x-request-id of the client\'s is not taken over', async () => {
      const answer = await relay.ask('/v1/models', { headers: { 'x-request-id': 'req_evil"><script>' } });
      expect(answer.id).toMatch(/^req_[0-9a-f]{24}$/);
    });

    test('C55 the same Idempotency-Key twice is two requests with two lines', async () => {
      const [one, two] = await Promise.all([1, 2].map(() => ask(chat('Say twice'), { headers: { 'idempotency-key': 'same', 'x-client-request-id': 'same' } })));
      expect(one?.id).not.toBe(two?.id);
      expect((await Promise.all([relay.line(one?.id ?? null), relay.line(two?.id ?? null)])).map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
    });
  });

  describe('clients that leave', () => {
    const hanging = { at: { afterDeltas: 2 }, how: 'hang' } as const;

    test('C50 a stream that is left is cancelled upstream, and what was delivered is counted', async () => {
      relay.upstream.script('a', [ok({ text: 'one two three four', break: hanging })]);
      const leave = new AbortController();
      const response = await relay.call('/v1/responses', { body: responses('Say leaving', { stream: true }), signal: leave.signal });
      const reader = response.body?.getReader();
      let text = '';
      while (!text.includes('output_text.delta')) text += new TextDecoder().decode((await within(reader?.read() ?? Promise.reject(new Error('no body')), 'a piece')).value);
      leave.abort();
      await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the upstream call to be cancelled', 1_000);
      const line = await relay.line(response.headers.get('x-request-id'));
      expect(line).toMatchObject({ outcome: 'client_closed', status: 499, attempts: [{ error: 'client_closed', phase: 'committed' }], tokens: { estimated: true } });
      expect(line.tokens?.output).toBeGreaterThan(0);
      await relay.idle();
    });

    test('C50 a client that leaves before the answer began is noticed just so', async () => {
      relay.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
      const leave = new AbortController();
      const asked = relay.call('/v1/chat/completions', { body: chat('Say never'), signal: leave.signal }).catch(() => 'left');
      await waitFor(() => relay.sent('a').at(-1)?.state === 'open', 'the call upstream');
      leave.abort();
      expect(await asked).toBe('left');
      await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the upstream call to be cancelled', 1_000);
      await relay.idle();
      expect((await relay.journal()).at(-1)).toMatchObject({ outcome: 'client_closed', status: 499, tokens: null, attempts: [{ error: 'client_closed' }] });
      expect(await relay.account('a')).toMatchObject({ state: 'ready', lastError: null });
    });
  });
});

test('C53 slow readers hold their upstreams back', async () => {
  const relay = await serveInProcess({ config: { routing: { accountConcurrency: 300 } }, accounts: [{ name: 'a', kind: 'api-key', provider: 'chatty' }] });
  const key = await relay.client('many', { concurrency: 300 });
  const piece = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: KEY_MODEL, choices: [{ index: 0, delta: { content: 'x'.repeat(65_000) }, finish_reason: null }] })}\n\n`;
  const stop = 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"relay-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  // More than the sockets' own buffers between the upstream and the client can take in.
  const frames = [...Array.from({ length: 800 }, () => piece), stop];
  const SLOW = 30;
  relay.upstream.script('a', Array.from({ length: SLOW + 2 }, () => ok({ frames })));
  const body = JSON.stringify(chat('Say much', { model: KEY_MODEL, stream: true }));
  const before = await heldBufferBytes();
  const slow = await Promise.all(Array.from({ length: SLOW }, () => openRaw(relay.port)));
  for (const { socket } of slow) {
    socket.pause();
    socket.write(rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [`Authorization: Bearer ${key}`, JSON_TYPE], body }));
  }
  await waitFor(() => relay.sent('a').filter(({ status }) => status === 200).length === SLOW, 'the slow streams', 10_000);
  // While two others read fifty megabytes each to the end, nobody pulls for the slow ones.
  for (let round = 0; round < 2; round += 1) {
    const fast = await relay.call('/v1/chat/completions', { key, body });
    let length = 0;
    for await (const chunk of fast.body ?? []) length += chunk.length;
    expect(length).toBeGreaterThan(50_000_000);
  }
  expect(relay.sent('a').map(({ state }) => state).sort().join()).toBe([...Array.from({ length: 2 }, () => 'completed'), ...Array.from({ length: SLOW }, () => 'open')].join());
  expect(await heldBufferBytes() - before).toBeLessThan(SLOW * 1_048_576);
  for (const { socket } of slow) socket.destroy();
  await relay.idle();
}, 40_000);

test('C56 nothing cuts a whole answer that takes nine minutes', async () => {
  const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
  const gate = createGate();
  relay.upstream.script('a', [ok({ gate })]);
  const asked = relay.ask('/v1/chat/completions', { body: chat('Say patience', { model: KEY_MODEL }) });
  await waitFor(() => relay.sent('a').at(0)?.state === 'open', 'the call upstream');
  for (let minute = 0; minute < 9; minute += 1) relay.clock.advance(60_000);
  gate.release();
  const answer = await asked;
  expect(answer.status, answer.text).toBe(200);
  expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok', ms: { total: 540_000 } });
});

describe('C57 the memory of bodies under way is bounded', () => {
  const gated = async (bodies: readonly Call[]): Promise<{ relay: ServedRelay; answers: readonly Answer[] }> => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 4 } } });
    const gate = createGate();
    for (const name of ['a', 'b']) relay.upstream.script(name, Array.from({ length: 12 }, () => ok({ gate })));
    let done = 0;
    const asked = bodies.map(async (body) => {
      const answer = await relay.ask('/v1/chat/completions', body);
      done += 1;
      return answer;
    });
    await waitFor(() => done + relay.sent().filter(({ state }) => state === 'open').length === bodies.length, 'all to be taken or refused', 15_000);
    expect(relay.daemon.held().bodyBytes).toBeLessThanOrEqual(4 * 1_048_576);
    gate.release();
    return { relay, answers: await Promise.all(asked) };
  };

  test('what does not fit is 503 overloaded, and the rest is served', async () => {
    const { relay, answers } = await gated(Array.from({ length: 12 }, () => ({ body: chat('x'.repeat(1_000_000)) })));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused).toHaveLength(8);
    for (const answer of refused) {
      expectError(answer, 503, 'overloaded');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    await relay.idle();
  });

  test('a body counts by its decoded size', async () => {
    const { gzipSync } = await import('node:zlib');
    const packed = new Uint8Array(gzipSync(JSON.stringify(chat('x'.repeat(1_500_000)))));
    const { answers } = await gated(Array.from({ length: 6 }, () => ({ body: packed, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 503)).toHaveLength(4);
  });

  test('a client that leaves the moment its body is there takes no memory with it', async () => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 1 } } });
    const body = JSON.stringify(chat('x'.repeat(100_000)));
    for (let round = 0; round < 40; round += 1) {
      const raw = await openRaw(relay.port);
      await within(new Promise((resolve) => raw.socket.write(rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [`Authorization: Bearer ${relay.key}`, JSON_TYPE], body }), resolve)), 'the body to leave');
      raw.socket.resetAndDestroy();
    }
    await relay.idle();
    expect(relay.daemon.held().bodyBytes).toBe(0);
    expect((await relay.ask('/v1/chat/completions', { body: chat('x'.repeat(100_000)) })).status).toBe(200);
  });
});
