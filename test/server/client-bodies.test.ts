import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { Answer, Call, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, responses, serveInProcess, SIGN_IN_MODEL } from '../support/serve-in-process.ts';
import { within } from '../support/wait-for.ts';

const JSON_TYPE = 'Content-Type: application/json';

describe('what a client can send wrong', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ until: 'suite' });
  });
  afterAll(() => relay.stop());

  const keyLine = (): string => `Authorization: Bearer ${relay.key}`;
  const post = (path: string, headers: readonly string[], body: string): string =>
    rawRequest(relay.port, `POST ${path} HTTP/1.1`, { headers, body });
  const ask = (body: Call['body'], call: Call = {}): Promise<Answer> =>
    relay.ask('/v1/chat/completions', { ...(body !== undefined && { body }), ...call });
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
      ['one character short', (key) => `Bearer ${key.slice(0, -1)}`],
      ['one character more', (key) => `Bearer ${key}x`],
      ['another case', (key) => `Bearer ${key.toUpperCase()}`],
      ['without its prefix', (key) => `Bearer ${key.replace('sk-relay-', '')}`],
      ['Basic', (key) => `Basic ${Buffer.from(`x:${key}`).toString('base64')}`],
      ['the bare key', (key) => key],
      ['Token', (key) => `Token ${key}`],
      ['two keys in one header', (key) => `Bearer ${key}, Bearer ${key}`],
      ['a space inside', (key) => `Bearer ${key.slice(0, 20)} ${key.slice(20)}`],
      ['an empty token', () => 'Bearer '],
      ['a tab for the space', (key) => `Bearer\t${key}`],
      ['quoted', (key) => `Bearer "${key}"`],
    ];
    test.each(nearMisses)('C03 near miss: %s', async (_what, value) => {
      expectError(await ask(chat('Say hi'), { key: null, headers: { authorization: value(relay.key) } }), 401, 'invalid_api_key');
    });

    test('C03 the scheme is told by any case, as HTTP says', async () => {
      expect((await ask(chat('Say hi'), { key: null, headers: { authorization: `bearer ${relay.key}` } })).status).toBe(200);
    });

    test('C05 two Authorization headers are refused, also with the good one among them', async () => {
      for (const pair of [
        [keyLine(), 'Authorization: Bearer sk-relay-other'],
        ['Authorization: Bearer sk-relay-other', keyLine()],
      ]) {
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
      '',
      ' ',
      '{',
      '}',
      '{"model":',
      '[]',
      '[{}]',
      'null',
      'true',
      '1',
      '"text"',
      '{"model":"gpt-5.5",}',
      "{'model':'gpt-5.5'}",
      'model=gpt-5.5',
      '\u0000',
      '{} {}',
      'NaN',
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
      ['none', null],
      ['text/plain', 'text/plain'],
      ['a form', 'application/x-www-form-urlencoded'],
      ['multipart', 'multipart/form-data; boundary=x'],
      ['another charset', 'application/json; charset=utf-16'],
      ['latin1', 'application/json;charset=iso-8859-1'],
      ['json-ish', 'application/jsonp'],
      ['empty', ''],
      ['xml', 'application/xml'],
      ['two types', 'application/json, text/plain'],
    ];
    test.each(types)('C14 a body that is not said to be JSON is 415: %s', async (_what, type) => {
      const before = relay.sent().length;
      const raw = await openRaw(relay.port);
      raw.socket.write(
        post('/v1/chat/completions', [keyLine(), ...(type === null ? [] : [`Content-Type: ${type}`])], JSON.stringify(chat('Say hi'))),
      );
      const answer = await raw.answer();
      expect(answer).toMatchObject({ status: 415, json: { error: { code: 'unsupported_media_type', type: 'invalid_request_error' } } });
      expect(await relay.line(answer.headers['x-request-id'] ?? null)).toMatchObject({ outcome: 'refused', status: 415 });
      expect(relay.sent()).toHaveLength(before);
    });

    test.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])(
      'C14 JSON is JSON however it is written: %s',
      async (type) => {
        expect((await ask(chat('Say hi'), { headers: { 'content-type': type } })).status).toBe(200);
      },
    );

    test('C14 an encoding nobody knows is 415, and names those that are', async () => {
      const answer = await ask(chat('Say hi'), { headers: { 'content-encoding': 'compress' } });
      expect(expectError(answer, 415, 'unsupported_media_type')).toContain('zstd');
    });

    const encodings: readonly (readonly [string, Buffer])[] = [
      [
        'an invalid byte',
        Buffer.concat([
          Buffer.from('{"model":"gpt-5.5","messages":[{"role":"user","content":"'),
          Buffer.from([0xff, 0xfe]),
          Buffer.from('"}]}'),
        ]),
      ],
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
      raw.socket.write(
        rawRequest(relay.port, 'POST /v1/responses HTTP/1.1', { headers: [keyLine(), JSON_TYPE, `Content-Length: ${40 * 1_048_576}`] }),
      );
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
      const answer = await ask(
        `{"model":"${SIGN_IN_MODEL}","messages":[{"role":"user","content":"Say hi"}],"metadata":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
      );
      expect([200, 400]).toContain(answer.status);
      await expectServed();
    });
  });
});
