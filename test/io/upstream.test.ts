import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';

import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import type { ByteSource, TransportFailure } from '../../src/core/byte-source.ts';
import type { SendResult, UpstreamAnswer, UpstreamCall } from '../../src/core/ports.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import type { Upstream, UpstreamOptions } from '../../src/io/upstream.ts';
import { createUpstream } from '../../src/io/upstream.ts';
import { collectBytes } from '../support/collect-events.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { serveHttp, serveHttp2, serveHttps, serveTcp, TEST_AUTHORITY } from './fake-server.ts';

const TIMEOUTS = { connect: 2_000, headers: 4_000, idle: 4_000 };
const NEVER = new AbortController().signal;

function open(options: Partial<UpstreamOptions> = {}): Upstream {
  const upstream = createUpstream({ useProxyEnv: false, clock: systemClock, trust: TEST_AUTHORITY, ...options });
  onTestFinished(() => upstream.close());
  return upstream;
}

function call(url: string, over: Partial<UpstreamCall> = {}): UpstreamCall {
  return { method: 'POST', url, headers: { 'content-type': 'application/json' }, body: Buffer.from('{}'), timeouts: TIMEOUTS, ...over };
}

function answerOf(result: SendResult): UpstreamAnswer {
  if (!result.ok) throw new Error(`no answer: ${result.failure.code} ${result.failure.message}`);
  return result.answer;
}

function failureOf(result: SendResult): { readonly failure: TransportFailure; readonly phase: string } {
  if (result.ok) throw new Error(`an answer came: ${result.answer.status}`);
  return { failure: result.failure, phase: result.phase };
}

async function textOf(body: ByteSource): Promise<string> {
  const { bytes, failure } = await collectBytes(body);
  if (failure !== null) throw new Error(`cut: ${failure.code}`);
  return bytes.toString('utf8');
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('an ordinary call', () => {
  test('carries method, headers and body there, and status, headers and body back', async () => {
    const seen: Record<string, unknown>[] = [];
    const { origin } = await serveHttp((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        seen.push({
          method: request.method,
          url: request.url,
          key: request.headers.authorization,
          length: request.headers['content-length'],
          body,
        });
        response.writeHead(200, { 'X-Answer': 'yes', 'set-cookie': ['a=1', 'b=2'] }).end('hello');
      });
    });
    const result = answerOf(
      await open().send(call(`${origin}/v1/x?y=1`, { headers: { authorization: 'Bearer k' }, body: Buffer.from('{"a":1}') }), NEVER),
    );
    expect(result.status).toBe(200);
    expect(result.headers).toMatchObject({ 'x-answer': 'yes', 'set-cookie': 'a=1, b=2' });
    expect(await textOf(result.body)).toBe('hello');
    expect(seen).toEqual([{ method: 'POST', url: '/v1/x?y=1', key: 'Bearer k', length: '7', body: '{"a":1}' }]);
  });

  test('a GET has no body, and an empty answer ends', async () => {
    const { origin } = await serveHttp((request, response) =>
      response.writeHead(request.headers['content-length'] === undefined ? 204 : 500).end(),
    );
    const result = answerOf(await open().send(call(origin, { method: 'GET', body: null }), NEVER));
    expect(result.status).toBe(204);
    expect(await textOf(result.body)).toBe('');
  });

  test('a megabyte body arrives whole and the socket is used again', async () => {
    const { origin, sockets } = await serveHttp((request, response) => {
      let size = 0;
      request.on('data', (chunk: Buffer) => (size += chunk.length));
      request.on('end', () => response.end(String(size)));
    });
    const upstream = open();
    for (let round = 0; round < 3; round++) {
      const result = answerOf(await upstream.send(call(origin, { body: new Uint8Array(1_048_577) }), NEVER));
      expect(await textOf(result.body)).toBe('1048577');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(sockets.size).toBe(1);
  });

  test('many streams at once each have a socket of their own', async () => {
    const held: (() => void)[] = [];
    const { origin, sockets } = await serveHttp((_request, response) => {
      response.write('x');
      held.push(() => response.end());
    });
    const upstream = open();
    const results = await Promise.all(Array.from({ length: 40 }, () => upstream.send(call(origin), NEVER)));
    expect(sockets.size).toBe(40);
    for (const release of held) release();
    expect(await Promise.all(results.map((result) => textOf(answerOf(result).body)))).toEqual(Array.from({ length: 40 }, () => 'x'));
  });

  test('a redirect is refused, not followed', async () => {
    let calls = 0;
    const { origin } = await serveHttp((_request, response) => {
      calls++;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect(failureOf(await open().send(call(origin), NEVER))).toMatchObject({
      phase: 'headers',
      failure: { kind: 'invalid-response', code: 'redirect' },
    });
    expect(calls).toBe(1);
  });

  test('a header that could split the request is refused before anything is sent', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => response.end());
    const result = failureOf(await open().send(call(origin, { headers: { 'x-a': 'secret\r\nx-b: 1' } }), NEVER));
    expect(result).toMatchObject({ phase: 'connect', failure: { code: 'invalid_call' } });
    expect(result.failure.message).not.toContain('secret');
    expect(sockets.size).toBe(0);
  });
});

describe('what keeps a call from being made', () => {
  test('U21 a refused connection', async () => {
    expect(failureOf(await open().send(call('http://127.0.0.1:1'), NEVER))).toMatchObject({
      phase: 'connect',
      failure: { kind: 'unreachable', code: 'connect_refused' },
    });
  });

  test('U21 a name that does not exist', async () => {
    expect(failureOf(await open().send(call('http://relay-x.invalid/'), NEVER))).toMatchObject({
      phase: 'connect',
      failure: { kind: 'unreachable', code: 'dns' },
    });
  });

  test('U22 a connection nobody takes ends at the connect timeout, also for calls that wait behind the first', async () => {
    const port = await listenWithoutAccepting();
    const upstream = open();
    const started = performance.now();
    const timeouts = { connect: 300, headers: 60_000, idle: 60_000 };
    const results = await Promise.all([1, 2, 3].map(() => upstream.send(call(`https://127.0.0.1:${port}`, { timeouts }), NEVER)));
    expect(performance.now() - started).toBeLessThan(1_500);
    for (const result of results)
      expect(failureOf(result)).toMatchObject({ phase: 'connect', failure: { kind: 'unreachable', code: 'connect_timeout' } });
  });

  test.each([
    ['expired', 'CERT_HAS_EXPIRED'],
    ['other-host', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ] as const)(
    'U40 a certificate that is %s is named, also with verification switched off in the environment',
    async (certificate, code) => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      let calls = 0;
      const { origin } = await serveHttps(certificate, (_request, response) => {
        calls++;
        response.end();
      });
      const { failure, phase } = failureOf(await open().send(call(origin), NEVER));
      expect({ phase, kind: failure.kind, code: failure.code }).toEqual({
        phase: 'connect',
        kind: 'certificate-invalid',
        code: 'certificate',
      });
      expect(failure.message).toContain(code);
      expect(calls).toBe(0);
    },
  );

  test('a valid certificate of a trusted authority is taken', async () => {
    const { origin } = await serveHttps('valid', (_request, response) => response.end('ok'));
    expect(await textOf(answerOf(await open().send(call(origin), NEVER)).body)).toBe('ok');
  });

  test('a server that is no TLS server fails the handshake', async () => {
    const { port } = await serveTcp((socket) => socket.end('SSH-2.0-x\r\n'));
    const { failure, phase } = failureOf(await open().send(call(`https://127.0.0.1:${port}`), NEVER));
    expect({ phase, kind: failure.kind, code: failure.code }).toEqual({ phase: 'connect', kind: 'unreachable', code: 'tls_handshake' });
  });
});

describe('answers that do not come whole', () => {
  test('U23 a reset before the headers is a cut after the request was sent', async () => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(failureOf(await open().send(call(origin), NEVER))).toMatchObject({ phase: 'headers', failure: { kind: 'cut', code: 'reset' } });
  });

  test('an end before the headers is a cut', async () => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => socket.end()));
    expect(failureOf(await open().send(call(origin), NEVER))).toMatchObject({ failure: { kind: 'cut', code: 'eof' } });
  });

  test('U24 a reset after the headers reaches the sink', async () => {
    const { origin } = await serveTcp((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', () => socket.resetAndDestroy());
      }),
    );
    const result = await open().send(call(origin), NEVER);
    if (!result.ok) return void expect(result.failure).toMatchObject({ kind: 'cut', code: 'reset' });
    expect((await collectBytes(result.answer.body)).failure).toMatchObject({ kind: 'cut' });
  });

  test('U26 silence before the headers ends at the headers timeout and closes the socket', async () => {
    const { origin, sockets } = await serveTcp((socket) => void socket.resume());
    const timeouts = { connect: 2_000, headers: 150, idle: 10_000 };
    expect(failureOf(await open().send(call(origin, { timeouts }), NEVER))).toMatchObject({
      phase: 'headers',
      failure: { kind: 'timed-out', code: 'headers_timeout' },
    });
    await waitFor(() => [...sockets].every((socket) => socket.destroyed || socket.readableEnded), 'the socket to close', 1_000);
  });

  test('U27 silence in the middle ends at the idle timeout and closes the socket', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('data: 1\n\n'));
    const timeouts = { connect: 2_000, headers: 2_000, idle: 200 };
    const { body } = answerOf(await open().send(call(origin, { timeouts }), NEVER));
    const { bytes, failure } = await collectBytes(body);
    expect(bytes.toString()).toBe('data: 1\n\n');
    expect(failure).toMatchObject({ kind: 'timed-out', code: 'idle_timeout' });
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
  });

  test('U28 a slow drip outlives the idle timeout', async () => {
    const { origin } = await serveHttp((_request, response) => {
      let left = 12;
      const timer = setInterval(() => {
        response.write('.');
        if (--left > 0) return;
        clearInterval(timer);
        response.end();
      }, 50);
    });
    const timeouts = { connect: 2_000, headers: 2_000, idle: 300 };
    expect(await textOf(answerOf(await open().send(call(origin, { timeouts }), NEVER)).body)).toBe('............');
  });

  test.each([
    ['a chunked body', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['a counted body', 'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello'],
  ])('U29 %s that stops short is a cut, never an end', async (_what, bytes) => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => socket.end(bytes)));
    const { body } = answerOf(await open().send(call(origin), NEVER));
    const collected = await collectBytes(body);
    expect(collected.bytes.toString()).toBe('hello');
    expect(collected.failure).toMatchObject({ kind: 'cut', code: 'eof' });
  });

  test.each([
    ['100 KB of headers', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`, 'headers_too_large'],
    ['a NUL in a header', 'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n', 'invalid_http'],
    ['an unasked 100', 'HTTP/1.1 100 Continue\r\n\r\n', 'invalid_http'],
    ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'invalid_http'],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'invalid_http'],
  ])('U42 %s is an invalid response', async (_what, bytes, code) => {
    const { origin } = await serveTcp((socket) => socket.once('data', () => void socket.write(bytes)));
    expect(failureOf(await open().send(call(origin), NEVER)).failure).toMatchObject({ kind: 'invalid-response', code });
  });

  test('U42 early hints are passed over', async () => {
    const { origin } = await serveTcp((socket) =>
      socket.once(
        'data',
        () => void socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
      ),
    );
    const result = answerOf(await open().send(call(origin), NEVER));
    expect(result.headers).not.toHaveProperty('link');
    expect(await textOf(result.body)).toBe('ok');
  });

  test('U48 an answer that comes before the upload is over is delivered, and the upload stops', async () => {
    let received = 0;
    const { origin } = await serveHttp((request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        request.pause();
      });
      response.writeHead(413, { 'content-type': 'application/json' }).end('{"error":{"message":"too large"}}');
    });
    const result = answerOf(await open().send(call(origin, { body: new Uint8Array(20 * 1_048_576) }), NEVER));
    expect(result.status).toBe(413);
    expect(await textOf(result.body)).toContain('too large');
    expect(received).toBeLessThan(5 * 1_048_576);
  });

  test('U48 an upload that does not move ends at the headers timeout', async () => {
    const { origin } = await serveTcp((socket) => void socket.pause());
    const timeouts = { connect: 2_000, headers: 300, idle: 10_000 };
    const result = failureOf(await open().send(call(origin, { body: new Uint8Array(20 * 1_048_576), timeouts }), NEVER));
    expect(result).toMatchObject({ phase: 'request', failure: { kind: 'timed-out', code: 'headers_timeout' } });
  });
});

describe('HTTP/2', () => {
  test('a server that speaks both is spoken to in HTTP/1.1', async () => {
    const versions: string[] = [];
    const { origin } = await serveHttp2('allowed', (server) =>
      server.on('request', (request, response) => {
        versions.push(request.httpVersion);
        response.end('ok');
      }),
    );
    expect(await textOf(answerOf(await open().send(call(origin), NEVER)).body)).toBe('ok');
    expect(versions).toEqual(['1.1']);
  });

  test('U39 one that speaks nothing else cannot be reached, and took nothing', async () => {
    let streams = 0;
    const { origin } = await serveHttp2('only', (server) => server.on('stream', () => streams++));
    const { failure, phase } = failureOf(await open().send(call(origin), NEVER));
    expect({ phase, kind: failure.kind, code: failure.code }).toEqual({ phase: 'connect', kind: 'unreachable', code: 'tls_handshake' });
    expect(streams).toBe(0);
  });
});

describe('leaving', () => {
  test('an abort before the headers closes the socket within a second', async () => {
    const { origin, sockets } = await serveTcp((socket) => void socket.resume());
    const abort = new AbortController();
    const pending = open().send(call(origin), abort.signal);
    await waitFor(() => sockets.size === 1);
    abort.abort();
    expect(failureOf(await pending).failure).toMatchObject({ kind: 'client-gone', code: 'aborted' });
    await waitFor(() => [...sockets].every((socket) => socket.destroyed || socket.readableEnded), 'the socket to close', 1_000);
  });

  test('an abort in the middle tells the sink and closes the socket within a second', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('a'));
    const abort = new AbortController();
    const { body } = answerOf(await open().send(call(origin), abort.signal));
    const collecting = collectBytes(body);
    abort.abort();
    expect((await collecting).failure).toMatchObject({ kind: 'client-gone' });
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
  });

  test('destroy frees the socket and says nothing more', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('a'));
    const { body } = answerOf(await open().send(call(origin), NEVER));
    const heard: string[] = [];
    body.start({ onBytes: () => heard.push('bytes'), onEnd: () => heard.push('end'), onFailure: () => heard.push('failure') });
    await waitFor(() => heard.length > 0);
    body.destroy();
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
    expect(heard).toEqual(['bytes']);
  });

  test('release lets the body end, and the next call takes the same socket', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => {
      response.write('the last word');
      setImmediate(() => response.end());
    });
    const upstream = open();
    for (let round = 0; round < 3; round++) {
      const { body } = answerOf(await upstream.send(call(origin), NEVER));
      const heard: string[] = [];
      body.start({
        onBytes(chunk) {
          heard.push(Buffer.from(chunk).toString());
          body.release();
        },
        onEnd: () => heard.push('end'),
        onFailure: () => heard.push('failure'),
      });
      await waitFor(() => heard.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(heard).toEqual(['the last word']);
    }
    expect(sockets.size).toBe(1);
  });

  test('a released body that does not end gives its socket up after a moment', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('the last word'));
    const clock = fakeClock();
    const { body } = answerOf(await open({ clock }).send(call(origin), NEVER));
    body.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect([...sockets].every((socket) => socket.destroyed)).toBe(false);
    clock.advance(2_000);
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
    expect(clock.pending).toBe(0);
  });

  test('a released body that talks on gives its socket up', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('x'.repeat(200_000)));
    const { body } = answerOf(await open().send(call(origin), NEVER));
    body.release();
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
  });

  test('a released body can still be cancelled', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => void response.write('the last word'));
    const abort = new AbortController();
    const { body } = answerOf(await open().send(call(origin), abort.signal));
    body.release();
    abort.abort();
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the socket to close', 1_000);
  });

  test('an abort while the connection is being made leaves nothing behind', async () => {
    const port = await listenWithoutAccepting();
    const abort = new AbortController();
    const pending = open().send(call(`http://127.0.0.1:${port}`), abort.signal);
    abort.abort();
    expect(failureOf(await within(pending, 'the aborted call', 500)).failure.kind).toBe('client-gone');
  });

  test('a signal that outlives its calls keeps none of their listeners', async () => {
    const { origin } = await serveHttp((_request, response) => response.end('x'));
    const upstream = open();
    const signal = new AbortController().signal;
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    for (let round = 0; round < 5; round++) await textOf(answerOf(await upstream.send(call(origin), signal)).body);
    expect(added).toHaveBeenCalledTimes(5);
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(5);
  });

  test('reset drops idle sockets, lets a running stream finish, and the next call connects anew', async () => {
    const release: (() => void)[] = [];
    const { origin, sockets } = await serveHttp((request, response) => {
      response.write('a');
      if (request.url === '/held') release.push(() => response.end('b'));
      else response.end();
    });
    const upstream = open();
    const held = answerOf(await upstream.send(call(`${origin}/held`), NEVER));
    await textOf(answerOf(await upstream.send(call(origin), NEVER)).body);
    upstream.reset();
    await waitFor(() => [...sockets].filter((socket) => socket.destroyed).length === 1, 'the idle socket to close', 1_000);
    await textOf(answerOf(await upstream.send(call(origin), NEVER)).body);
    expect(sockets.size).toBe(3);
    release[0]?.();
    expect(await textOf(held.body)).toBe('ab');
  });
});

const beginAnswer: RequestListener = (_request, response) => void response.write('a'.repeat(1_000));

describe('storms', () => {
  test.each(['http', 'https'] as const)('A10 four hundred calls aborted at random over %s leave no socket behind', async (protocol) => {
    const { origin, sockets } = protocol === 'http' ? await serveHttp(beginAnswer) : await serveHttps('valid', beginAnswer);
    const upstream = open();
    const random = seededRandom(7);
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, async () => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(), random.next() * 400);
        const result = await upstream.send(call(origin), abort.signal);
        return result.ok ? (await collectBytes(result.answer.body)).failure?.kind : result.failure.kind;
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(['client-gone']));
    await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'every socket to close');
    answerOf(await upstream.send(call(origin), NEVER)).body.destroy();
  });

  test('a socket the server closed while it was idle costs the next call nothing', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => response.end('x'));
    const upstream = open();
    for (let round = 0; round < 5; round++) {
      expect(await textOf(answerOf(await upstream.send(call(origin), NEVER)).body)).toBe('x');
      for (const socket of sockets) socket.end();
      await waitFor(() => [...sockets].every((socket) => socket.destroyed), 'the idle socket to close');
    }
    expect(sockets.size).toBe(5);
  });

  test('closing ends what is in flight with a failure, and no call hangs', async () => {
    const { origin } = await serveHttp((request, response) => void (request.url === '/stream' && response.write('a')));
    const upstream = open();
    const silent = upstream.send(call(`${origin}/silent`), NEVER);
    const { body } = answerOf(await upstream.send(call(`${origin}/stream`), NEVER));
    const collecting = collectBytes(body);
    await within(upstream.close(), 'the close', 2_000);
    expect((await collecting).failure?.kind).toBe('cut');
    expect(failureOf(await silent).failure.kind).toBe('cut');
  });
});

describe('back-pressure', () => {
  test.each(['http', 'https'] as const)('a sink that pauses bounds what the upstream can send over %s', async (protocol) => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const total = 40 * 1_048_576;
    let written = 0;
    const pump = (target: NodeJS.WritableStream): void => {
      const more = (): void => {
        while (written < total) {
          written += chunk.length;
          if (!target.write(chunk)) return void target.once('drain', more);
        }
        target.end();
      };
      more();
    };
    const listener: RequestListener = (_request, response) => pump(response);
    const { origin } = protocol === 'http' ? await serveHttp(listener) : await serveHttps('valid', listener);
    const { body } = answerOf(await open().send(call(origin), NEVER));
    let received = 0;
    let paused = false;
    const ended = new Promise<void>((resolve, reject) => {
      body.start({
        onBytes: (bytes) => {
          received += bytes.length;
          if (!paused && received > 1_048_576) {
            paused = true;
            body.pause();
          }
        },
        onEnd: resolve,
        onFailure: (failure) => reject(new Error(failure.code)),
      });
    });
    await waitFor(() => paused, 'the sink to pause');
    const stalled = await settled(() => written);
    expect(stalled).toBeLessThan(20 * 1_048_576);
    expect(received).toBeLessThan(3 * 1_048_576);
    body.resume();
    await within(ended, 'the whole body', 15_000);
    expect(received).toBe(total);
  });

  test('nothing flows before a sink is there, and a second sink takes over in mid-stream', async () => {
    const { origin } = await serveHttp((_request, response) => {
      response.write('one ');
      setTimeout(() => response.end('two'), 100);
    });
    const { body } = answerOf(await open().send(call(origin), NEVER));
    const first: string[] = [];
    await new Promise<void>((resolve) => {
      body.start({
        onBytes: (bytes) => {
          first.push(Buffer.from(bytes).toString());
          resolve();
        },
        onEnd: () => first.push('end'),
        onFailure: () => first.push('failure'),
      });
    });
    expect(await textOf(body)).toBe('two');
    expect(first).toEqual(['one ']);
  });

  test('what the upstream says while the sink is paused is not lost, even when it hangs up', async () => {
    const { origin, sockets } = await serveHttp((_request, response) => {
      response.writeHead(200, { connection: 'close' }).end('all of it');
    });
    const { body } = answerOf(await open().send(call(origin), NEVER));
    await waitFor(() => [...sockets].every((socket) => socket.writableEnded), 'the server to hang up');
    expect(await textOf(body)).toBe('all of it');
  });
});

describe('proxies', () => {
  test('P16 a proxy in the environment is not looked at unless the settings say so', async () => {
    const canary = await serveHttp((_request, response) => response.end('canary'));
    vi.stubEnv('HTTP_PROXY', canary.origin);
    vi.stubEnv('http_proxy', canary.origin);
    const result = failureOf(await open().send(call('http://relay-x.invalid/'), NEVER));
    expect(result.failure.code).toBe('dns');
    expect(canary.sockets.size).toBe(0);
  });

  test('P16 with useProxyEnv a far address goes through it and a loopback one never does', async () => {
    const canary = await serveHttp((request, response) => response.end(`canary ${request.url}`));
    const { origin } = await serveHttp((_request, response) => response.end('direct'));
    vi.stubEnv('HTTP_PROXY', canary.origin);
    vi.stubEnv('http_proxy', canary.origin);
    const upstream = open({ useProxyEnv: true });
    expect(await textOf(answerOf(await upstream.send(call('http://relay-x.invalid/v1'), NEVER)).body)).toBe(
      'canary http://relay-x.invalid/v1',
    );
    expect(await textOf(answerOf(await upstream.send(call(origin), NEVER)).body)).toBe('direct');
  });

  test('a proxy that refuses the tunnel makes the upstream unreachable', async () => {
    const proxy = await serveTcp((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n')),
    );
    vi.stubEnv('HTTPS_PROXY', proxy.origin);
    vi.stubEnv('https_proxy', proxy.origin);
    const result = failureOf(await open({ useProxyEnv: true }).send(call('https://relay-x.invalid/'), NEVER));
    expect(result).toMatchObject({ phase: 'connect', failure: { kind: 'unreachable', code: 'proxy_failed' } });
  });
});

/** Waits until a number stops changing and returns it. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let quiet = 0;
  await waitFor(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    quiet = read() === last ? quiet + 1 : 0;
    last = read();
    return quiet >= 10;
  }, 'the writer to stall');
  return last;
}

/** A listener whose accept queue is full: the kernel lets further connection attempts hang. Linux only, as are its tests' bounds. */
async function listenWithoutAccepting(): Promise<number> {
  const script = `const s=require('net').createServer();s.listen({port:0,host:'127.0.0.1',backlog:1},()=>{
    require('fs').writeSync(1,String(s.address().port)+'\\n');Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)})`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line).trim());
  const fillers = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  onTestFinished(() => fillers.forEach((filler) => filler.destroy()));
  await waitFor(() => fillers.filter((filler) => !filler.connecting).length >= 2, 'the accept queue to fill');
  return port;
}
