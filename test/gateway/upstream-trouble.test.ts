import { createServer } from 'node:net';

import { describe, expect, test } from 'vitest';

import { challenge, failed, wrongType } from '../../src/mock/steps.ts';
import { serveHttps } from '../io/fake-server.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, serveTimed, TWO_CHAT_KEYS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

let said = 0;
/** A conversation of its own each time, so that no earlier one decides where it goes. */
const say = (relay: ServedRelay, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  relay.ask('/v1/chat/completions', { body: chat(`Say ${(said += 1)}`, change) });
const sayToKey = (relay: ServedRelay, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  say(relay, { model: KEY_MODEL, ...change });

describe('upstreams in trouble', () => {
  test.each([500, 502, 503, 504, 529, 408])('U18 U19 %d once: the next account serves, and nobody is set aside', async (status) => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [failed(status)]);
    const answer = await say(relay);
    expect(answer.status, answer.text).toBe(200);
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'ok',
      attempts: [
        { account: 'a', status, phase: 'headers' },
        { account: 'b', status: 200 },
      ],
    });
    expect(await relay.account('a')).toMatchObject({ state: 'ready', lastError: { status } });
  });

  test('U18 one account alone is asked again after a moment', async () => {
    const relay = await serveTimed({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
    relay.upstream.script('a', [failed(500)]);
    const asked = say(relay);
    await waitFor(() => relay.sent().length === 1 && relay.sent()[0]?.state === 'completed', 'the refusal');
    await waitFor(async () => {
      relay.clock.advance(50);
      return relay.sent().length === 2;
    }, 'the second try');
    expect((await asked).status).toBe(200);
  });

  test('U19 a third failure within a minute sets the account aside, never the last one', async () => {
    const relay = await serveTimed();
    for (let time = 0; time < 3; time += 1) {
      relay.upstream.script('a', [failed(500)]);
      expect((await say(relay)).status).toBe(200);
      relay.clock.advance(11_000);
    }
    expect(await relay.account('a')).toMatchObject({ state: 'open' });
    expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
    const alone = await serveTimed({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
    for (let time = 0; time < 4; time += 1) {
      alone.upstream.script('a', [failed(500), failed(500)]);
      const asked = say(alone);
      await waitFor(async () => {
        alone.clock.advance(100);
        return alone.daemon.held().calls === 0 && alone.sent().length === (time + 1) * 2;
      }, 'both tries');
      expect((await asked).status).toBe(502);
      alone.clock.advance(11_000);
    }
    expect((await alone.account('a')).state).toBe('ready');
  });

  test('U19 where all fail the client gets 502, in the envelope', async () => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b']) relay.upstream.script(name, [failed(500)]);
    const answer = await say(relay);
    expectError(answer, 502, 'upstream_error');
    expect(answer.error?.['type']).toBe('server_error');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', attempts: [{ account: 'a' }, { account: 'b' }] });
  });

  test('U19 an overloaded upstream is 503 overloaded with its own wait', async () => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b'])
      relay.upstream.script(name, [{ ...failed(503, 'server_is_overloaded'), headers: { 'retry-after': '20' } }]);
    const answer = await say(relay);
    expectError(answer, 503, 'overloaded');
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(20);
  });

  test('U21 a closed port and a name that is none move on; where all are such it is 502', async () => {
    const closed = await closedPort();
    const dead = {
      name: 'dead',
      kind: 'api-key',
      provider: 'chatty',
      apiKey: 'sk-dead',
      baseUrl: `http://127.0.0.1:${closed}/v1`,
    } as const;
    const nameless = {
      name: 'nameless',
      kind: 'api-key',
      provider: 'chatty',
      apiKey: 'sk-nameless',
      baseUrl: 'https://relay-x.invalid/v1',
    } as const;
    const relay = await serveInProcess({ accounts: [dead, nameless, ...TWO_CHAT_KEYS] });
    const answer = await sayToKey(relay);
    expect(answer.status, answer.text).toBe(200);
    const { attempts } = await relay.line(answer.id);
    expect(attempts.map(({ account }) => account)).toEqual(['dead', 'nameless', 'a']);
    expect(attempts.slice(0, 2)).toMatchObject([
      { error: 'connect_refused', status: null, phase: 'connect' },
      { error: 'dns', status: null, phase: 'connect' },
    ]);
    const key = await relay.client('unlucky', { accounts: ['dead', 'nameless'] });
    const failure = await within(relay.ask('/v1/chat/completions', { key, body: chat('Say none', { model: KEY_MODEL }) }), '502', 6_000);
    expectError(failure, 502, 'upstream_error');
  });

  test.each(['expired', 'self-signed', 'other-host'] as const)(
    'U40 a certificate that is %s is 502, named, and not asked again',
    async (certificate) => {
      let calls = 0;
      const { origin } = await serveHttps(certificate, (_request, response) => {
        calls += 1;
        response.end();
      });
      const relay = await serveInProcess({
        accounts: [{ name: 'tls', kind: 'api-key', provider: 'chatty', apiKey: 'sk-tls', baseUrl: `${origin}/v1` }, ...TWO_CHAT_KEYS],
      });
      const answer = await sayToKey(relay);
      expect(expectError(answer, 502, 'upstream_error')).toMatch(/certificate/i);
      expect(calls).toBe(0);
      expect((await relay.line(answer.id)).attempts).toMatchObject([{ account: 'tls', error: 'certificate' }]);
      expect(relay.sent()).toHaveLength(0);
    },
  );

  test.each([
    'HTTP/1.1 200 OK\r\nx-long: ' + 'y'.repeat(100_000) + '\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx-nul: a\u0000b\r\ncontent-type: text/event-stream\r\n\r\n',
    'not HTTP at all\r\n\r\n',
  ])('U42 an answer that is no answer is 502: %j', async (bytes) => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b']) relay.upstream.script(name, [{ do: 'socket', bytes, next: 'end' }]);
    const answer = await say(relay);
    expectError(answer, 502, 'upstream_invalid_response');
    expect(answer.text.length).toBeLessThan(2_000);
  });

  test('U42 interim answers are passed over', async () => {
    const relay = await serveInProcess();
    const stream =
      'data: {"type":"response.created","response":{"id":"r"}}\n\ndata: {"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"after all"}\n\n' +
      'data: {"type":"response.completed","response":{"id":"r","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n';
    relay.upstream.script('a', [
      {
        do: 'socket',
        next: 'end',
        bytes: `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n${stream}`,
      },
    ]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say hints', { stream: true }) });
    expect(answer.text).toContain('after all');
    expect((await relay.line(answer.id)).outcome).toBe('ok');
  });

  test('U48 an upstream that answers while Relay still uploads is read, and the upload stopped', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [{ ...failed(413, 'request_too_large', 'Too large for us.'), early: true }]);
    const answer = await sayToKey(relay, { messages: [{ role: 'user', content: 'x'.repeat(20_000_000) }] });
    expectError(answer, 413, 'request_too_large');
    expect(relay.sent()).toHaveLength(1);
    expect((await sayToKey(relay)).status).toBe(200);
  });
});

describe('pages instead of answers', () => {
  test.each([
    ['a page with 200', wrongType()],
    ['a page with 403', challenge(403)],
    ['a page with 503', challenge(503)],
    ['a page with 200 from Cloudflare', challenge(200)],
    ['no type at all', wrongType('', '{}')],
    ['plain text', wrongType('text/plain', 'ok')],
  ] as const)('U34 %s moves on once', async (_what, step) => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [step]);
    const answer = await say(relay);
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect((await relay.account('a')).state).not.toBe('needs-login');
  });

  test.each([
    ['with 200', wrongType(), 'upstream_invalid_response'],
    ['with 403', challenge(), 'upstream_error'],
  ] as const)('U34 pages everywhere, %s, are 502 and never reach the client', async (_what, step, code) => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b']) relay.upstream.script(name, [step]);
    const answer = await say(relay);
    expectError(answer, 502, code);
    expect(answer.text).not.toMatch(/<html|<body/i);
    expect(answer.headers.get('content-type')).toContain('application/json');
  });
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
