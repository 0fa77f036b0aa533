import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createGate, ok } from '../../src/mock/steps.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { Answer, Call, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, serveInProcess } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const JSON_TYPE = 'Content-Type: application/json';

describe('what a client can do to HTTP', () => {
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
    const bodies = Array.from({ length: 20 }, (_, index) =>
      post('/v1/chat/completions', [keyLine(), JSON_TYPE], JSON.stringify(chat(`Say number ${index}.`))),
    );
    raw.socket.write(bodies.join(''));
    const answers = await raw.answers(20, 15_000);
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(answers.map(({ body }) => /Say number (\d+)/.exec(body)?.[1])).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });

  const verbs: readonly (readonly [string, string, readonly number[]])[] = [
    ['TRACE', '/v1/models', [404, 405, 501]],
    ['CONNECT', 'evil.example:443', [405, 501]],
    ['BREW', '/v1/models', [400, 404, 405, 501]],
    ['PUT', '/v1/chat/completions', [404, 405]],
    ['PATCH', '/v1/responses', [404, 405]],
    ['DELETE', '/v1/chat/completions', [404, 405]],
    ['HEAD', '/v1/chat/completions', [404, 405]],
    ['OPTIONS', '/v1/chat/completions', [404, 405]],
    ['OPTIONS', '*', [400, 404, 405]],
    ['PROPFIND', '/v1/models', [404, 405]],
  ];
  test.each(verbs)('C39 %s %s is refused and echoes nothing', async (verb, target, statuses) => {
    const raw = await openRaw(relay.port);
    raw.socket.write(
      rawRequest(relay.port, `${verb} ${target} HTTP/1.1`, { headers: [keyLine(), 'X-Canary: do-not-echo', 'Connection: close'] }),
    );
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
    raw.socket.write(
      rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', {
        headers: ['Authorization: Bearer sk-relay-bad', JSON_TYPE, 'Content-Length: 100', 'Expect: 100-continue'],
      }),
    );
    expect(await raw.answer()).toMatchObject({ status: 401, json: { error: { code: 'invalid_api_key' } } });
    expect(raw.received()).not.toContain('100 Continue');
  });

  test('C41 with a good key it gets its leave, and is served', async () => {
    const raw = await openRaw(relay.port);
    const body = JSON.stringify(chat('Say continued'));
    raw.socket.write(
      rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', {
        headers: [keyLine(), JSON_TYPE, `Content-Length: ${body.length}`, 'Expect: 100-continue'],
      }),
    );
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
    for (const { socket } of raws)
      socket.write(
        rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [keyLine(), JSON_TYPE, 'Content-Length: 100000'] }) +
          '{"model":',
      );
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

  test.each([
    ['whole', false],
    ['streamed', true],
  ] as const)('C45 a client that closes its sending side gets its answer, %s', async (_what, stream) => {
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

  test("C48 an x-request-id of the client's is not taken over", async () => {
    const answer = await relay.ask('/v1/models', { headers: { 'x-request-id': 'req_evil"><script>' } });
    expect(answer.id).toMatch(/^req_[0-9a-f]{24}$/);
  });

  test('C55 the same Idempotency-Key twice is two requests with two lines', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(() => ask(chat('Say twice'), { headers: { 'idempotency-key': 'same', 'x-client-request-id': 'same' } })),
    );
    expect(one?.id).not.toBe(two?.id);
    expect((await Promise.all([relay.line(one?.id ?? null), relay.line(two?.id ?? null)])).map(({ outcome }) => outcome)).toEqual([
      'ok',
      'ok',
    ]);
  });
});
