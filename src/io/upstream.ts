import { Readable } from 'node:stream';

import { Agent, EnvHttpProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';

import type { TransportFailure } from '../core/byte-source.ts';
import { isLoopbackHost } from '../core/config.ts';
import type { Clock, Send, SendResult, UpstreamCall } from '../core/ports.ts';
import type { Headers } from '../core/relay-request.ts';
import type { ResponseBody } from './response-body.ts';
import { createResponseBody } from './response-body.ts';
import { describeTransportError } from './transport-failure.ts';

/** Bytes of response headers Relay takes; the ChatGPT backend sends about 6 KiB, observed 2026-11. */
const MAX_HEADER_BYTES = 64 * 1024;
/** A request body is written in pieces of this size, each after the last has left. */
const PIECE_BYTES = 64 * 1024;
/** An idle socket is kept this long: long enough for an agent's next turn, shorter than a NAT forgets. */
const KEEP_ALIVE_MS = 30_000;
/** Distinct connect timeouts that may stand at a time; settings change them, not calls. */
const MAX_POOLS = 4;

export interface UpstreamOptions {
  /** Obey HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Loopback addresses are never sent through a proxy. */
  readonly useProxyEnv: boolean;
  readonly clock: Pick<Clock, 'after'>;
  /** PEM certificates to trust instead of the built-in ones, for an upstream with its own authority. */
  readonly trust?: string;
}

/** The way out: one call, once. Neither a retry nor a redirect happens below it. */
export interface Upstream {
  readonly send: Send;
  /** Forgets pooled sockets, after sleep or a change of network; calls in flight go on. */
  reset(): void;
  /** Ends every connection, also of calls in flight. */
  close(): Promise<void>;
}

/**
 * Opens the way to upstreams over undici's dispatch: each HTTP/1.1 stream has a socket of its own, HTTP/2 is spoken
 * where the server prefers it. Certificates are always verified, whatever NODE_TLS_REJECT_UNAUTHORIZED says.
 */
export function createUpstream(options: UpstreamOptions): Upstream {
  const pools = new Map<string, Dispatcher>();
  const retiring = new Set<Dispatcher>();

  const retire = (pool: Dispatcher): void => {
    retiring.add(pool);
    void pool.close().catch(() => {}).then(() => retiring.delete(pool));
  };
  const reset = (): void => {
    for (const pool of pools.values()) retire(pool);
    pools.clear();
  };
  const poolFor = (url: URL, connectMs: number): Dispatcher => {
    const proxied = options.useProxyEnv && !isLoopbackHost(url.hostname);
    const key = `${proxied ? 'proxied' : 'direct'} ${connectMs}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    if (pools.size >= MAX_POOLS) reset();
    const made = openPool(connectMs, proxied, options.trust);
    pools.set(key, made);
    return made;
  };

  return {
    send(call, signal) {
      if (signal.aborted) return Promise.resolve({ ok: false, failure: GONE, phase: 'connect' });
      if (!URL.canParse(call.url)) return Promise.resolve({ ok: false, failure: NO_ADDRESS, phase: 'connect' });
      const url = new URL(call.url);
      return new Promise((resolve) => exchange({ call, url, pool: poolFor(url, call.timeouts.connect), clock: options.clock, signal, resolve }));
    },
    reset,
    async close() {
      const all = [...pools.values(), ...retiring];
      pools.clear();
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}

function openPool(connectMs: number, proxied: boolean, trust: string | undefined): Dispatcher {
  const tls = { rejectUnauthorized: true, ...(trust !== undefined && { ca: trust }) };
  const settings = {
    connections: null,
    pipelining: 1,
    allowH2: true,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connectTimeout: connectMs,
    // Node gives an address 250 ms before it tries the next one: too short for a slow link with a dead IPv6.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
  };
  if (proxied) return new EnvHttpProxyAgent({ ...settings, connect: tls, requestTls: tls, proxyTls: { rejectUnauthorized: true } });
  return new Agent({ ...settings, connect: tls });
}

interface Exchange {
  readonly call: UpstreamCall;
  readonly url: URL;
  readonly pool: Dispatcher;
  readonly clock: Pick<Clock, 'after'>;
  readonly signal: AbortSignal;
  readonly resolve: (result: SendResult) => void;
}

const GONE: TransportFailure = { kind: 'client-gone', code: 'aborted', message: 'The call was cancelled.' };
const NO_ADDRESS: TransportFailure = { kind: 'unreachable', code: 'invalid_call', message: 'The upstream address is not a URL.' };

function exchange({ call, url, pool, clock, signal, resolve }: Exchange): void {
  let phase: 'connect' | 'request' | 'headers' = 'connect';
  let controller: Dispatcher.DispatchController | null = null;
  let body: ResponseBody | null = null;
  let over = false;

  const stopListening = (): void => {
    signal.removeEventListener('abort', abort);
    connectDeadline();
    headersDeadline();
  };
  const fail = (failure: TransportFailure): void => {
    if (over) return;
    over = true;
    stopListening();
    resolve({ ok: false, failure, phase });
  };
  const drop = (): void => controller?.abort(new Error('dropped'));
  const abort = (): void => {
    if (body === null) fail(GONE);
    else body.cut(GONE);
    drop();
  };
  // Counted per call: undici's own connect timeout begins again for each call that waits behind a first handshake.
  const connectDeadline = clock.after(call.timeouts.connect, () => {
    if (phase !== 'connect') return;
    fail(describeTransportError({ code: 'UND_ERR_CONNECT_TIMEOUT' }, 'connect', url.host));
  });
  let headersDeadline = (): void => {};
  signal.addEventListener('abort', abort, { once: true });

  const answer = (control: Dispatcher.DispatchController, status: number, headers: Headers): void => {
    over = true;
    connectDeadline();
    headersDeadline();
    control.pause();
    body = createResponseBody(
      { pause: () => control.pause(), resume: () => control.resume(), abort: drop },
      () => signal.removeEventListener('abort', abort),
    );
    resolve({ ok: true, answer: { status, headers, body } });
  };

  pool.dispatch(dispatchOptions(call, url), {
    onRequestStart(control) {
      if (over) return control.abort(new Error('dropped'));
      controller = control;
      phase = 'request';
      connectDeadline();
    },
    onRequestSent() {
      if (over) return;
      phase = 'headers';
      headersDeadline = clock.after(call.timeouts.headers, () => {
        fail(describeTransportError({ code: 'UND_ERR_HEADERS_TIMEOUT' }, 'headers', url.host));
        drop();
      });
    },
    onResponseStart(control, status, headers) {
      // An interim answer (103 Early Hints) says nothing that is passed on.
      if (status < 200 || over) return;
      if (isRedirect(status)) {
        fail({ kind: 'invalid-response', code: 'redirect', message: `${url.host} answered with a redirect (${status}), and redirects are not followed.` });
        return control.abort(new Error('dropped'));
      }
      answer(control, status, plainHeaders(headers));
    },
    onResponseData: (_control, chunk) => body?.receive(chunk),
    onResponseEnd: () => body?.finish(),
    onResponseError(_control, error) {
      if (body === null) fail(describeTransportError(error, phase, url.host));
      else body.fail(describeTransportError(error, 'body', url.host));
    },
  });
}

function dispatchOptions(call: UpstreamCall, url: URL): Dispatcher.DispatchOptions & { readonly origin: string } {
  const { body, timeouts } = call;
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: call.method,
    headers: body === null ? call.headers : { ...call.headers, 'content-length': String(body.byteLength) },
    // undici would repeat a whole buffer by itself after a GOAWAY; pieces it cannot, and every attempt is Relay's to count.
    ...(body !== null && body.byteLength > 0 && { body: pieces(body) }),
    // From the last byte sent the deadline above counts; this one cuts an upload that does not move.
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.idle,
  };
}

/** The body in pieces, so that a slow upload is seen to move and an early answer stops it. */
function pieces(body: Uint8Array): Readable {
  let from = 0;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      if (from >= body.byteLength) return void this.push(null);
      const piece = body.subarray(from, from + PIECE_BYTES);
      from += piece.byteLength;
      this.push(piece);
    },
  });
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function plainHeaders(headers: NodeJS.Dict<string | string[]>): Headers {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
  }
  return plain;
}
