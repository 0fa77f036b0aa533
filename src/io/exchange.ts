import { Readable } from 'node:stream';

import type { Dispatcher } from 'undici';

import type { TransportFailure } from '../core/byte-source.ts';
import type { Clock, SendResult, UpstreamCall } from '../core/ports.ts';
import type { Headers } from '../core/relay-request.ts';
import type { ResponseBody } from './response-body.ts';
import { createResponseBody } from './response-body.ts';
import { describeTransportError } from './transport-failure.ts';

/** A request body is written in pieces of this size, each after the last has left. */
const PIECE_BYTES = 64 * 1024;

/** The failure of a call whose signal was aborted. */
export const CALL_CANCELLED: TransportFailure = { kind: 'client-gone', code: 'aborted', message: 'The call was cancelled.' };

/** A call that is under way. */
export interface RunningCall {
  /** Unless something comes within `ms`, the call has died unseen and fails as cut. */
  expectSign(ms: number): void;
}

export interface ExchangeInput {
  readonly call: UpstreamCall;
  readonly url: URL;
  readonly pool: Dispatcher;
  readonly clock: Pick<Clock, 'after'>;
  readonly signal: AbortSignal;
  /** The calls under way: this one is among them from its beginning to its end. */
  readonly running: Set<RunningCall>;
}

/** Makes one call through a pool and resolves at its headers, or with what kept them from coming. Never rejects. */
export function exchange(input: ExchangeInput): Promise<SendResult> {
  return new Promise((resolve) => {
    const handler = new Exchange(input, resolve);
    input.pool.dispatch(dispatchOptions(input.call, input.url), handler);
  });
}

type Controller = Dispatcher.DispatchController;

/** The state of one call, driven by undici. `settled` once the caller has its answer or failure. */
class Exchange implements Dispatcher.DispatchHandler, RunningCall {
  readonly #input: ExchangeInput;
  readonly #resolve: (result: SendResult) => void;
  readonly #cancelConnectDeadline: () => void;
  #cancelHeadersDeadline: (() => void) | null = null;
  #phase: 'connect' | 'request' | 'headers' = 'connect';
  #controller: Controller | null = null;
  #body: ResponseBody | null = null;
  #settled = false;
  /** Pieces of the answer so far, its head included. */
  #signs = 0;

  constructor(input: ExchangeInput, resolve: (result: SendResult) => void) {
    this.#input = input;
    input.running.add(this);
    this.#resolve = resolve;
    // Counted per call: undici's own connect timeout begins again for each call that waits behind a first handshake.
    this.#cancelConnectDeadline = input.clock.after(input.call.timeouts.connect, () => this.#connectTooSlow());
    input.signal.addEventListener('abort', this.#abort, { once: true });
  }

  onRequestStart(controller: Controller): void {
    if (this.#settled) return controller.abort(new Error('dropped'));
    this.#controller = controller;
    this.#phase = 'request';
    this.#cancelConnectDeadline();
  }

  onRequestSent(): void {
    if (this.#settled) return;
    this.#phase = 'headers';
    this.#cancelHeadersDeadline = this.#input.clock.after(this.#input.call.timeouts.headers, () => {
      this.#fail(this.#describe({ code: 'UND_ERR_HEADERS_TIMEOUT' }));
      this.#drop();
    });
  }

  onResponseStart(controller: Controller, status: number, headers: NodeJS.Dict<string | string[]>): void {
    // An interim answer (103 Early Hints) says nothing that is passed on.
    if (status < 200 || this.#settled) return;
    if (isRedirect(status)) {
      const message = `${this.#input.url.host} answered with a redirect (${status}), and redirects are not followed.`;
      this.#fail({ kind: 'invalid-response', code: 'redirect', message });
      return this.#drop();
    }
    this.#settled = true;
    this.#signs += 1;
    this.#cancelHeadersDeadline?.();
    controller.pause();
    this.#body = createResponseBody({ pause: () => controller.pause(), resume: () => controller.resume(), abort: () => this.#drop(), after: (ms, callback) => this.#input.clock.after(ms, callback) }, () => this.#leave());
    this.#resolve({ ok: true, answer: { status, headers: plainHeaders(headers), body: this.#body } });
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#signs += 1;
    this.#body?.receive(chunk);
  }

  onResponseEnd(): void {
    this.#body?.finish();
  }

  onResponseError(_controller: Controller, error: Error): void {
    if (this.#body === null) this.#fail(this.#describe(error));
    else this.#body.fail(describeTransportError(error, 'body', this.#input.url.host));
  }

  readonly #abort = (): void => {
    if (this.#body === null) this.#fail(CALL_CANCELLED);
    else this.#body.cut(CALL_CANCELLED);
    this.#drop();
  };

  expectSign(ms: number): void {
    const before = this.#signs;
    this.#input.clock.after(ms, () => {
      if (this.#signs !== before || !this.#input.running.has(this) || this.#body?.isFlowing === false) return;
      const failure: TransportFailure = { kind: 'cut', code: 'dead_connection', message: `${this.#input.url.host} did not go on with its answer after a break.` };
      if (this.#body === null) this.#fail(failure);
      else this.#body.cut(failure);
      this.#drop();
    });
  }

  #connectTooSlow(): void {
    if (this.#phase === 'connect') this.#fail(this.#describe({ code: 'UND_ERR_CONNECT_TIMEOUT' }));
  }

  #fail(failure: TransportFailure): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelConnectDeadline();
    this.#cancelHeadersDeadline?.();
    this.#leave();
    this.#resolve({ ok: false, failure, phase: this.#phase });
  }

  #leave(): void {
    this.#input.signal.removeEventListener('abort', this.#abort);
    this.#input.running.delete(this);
  }

  #describe(error: unknown): TransportFailure {
    return describeTransportError(error, this.#phase, this.#input.url.host);
  }

  #drop(): void {
    this.#controller?.abort(new Error('dropped'));
  }
}

function dispatchOptions(call: UpstreamCall, url: URL): Dispatcher.DispatchOptions & { readonly origin: string } {
  const { body, timeouts } = call;
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: call.method,
    headers: body === null ? call.headers : { ...call.headers, 'content-length': String(body.byteLength) },
    // One that is a single piece anyway goes out with the headers in one write.
    ...(body !== null && body.byteLength > 0 && { body: body.byteLength <= PIECE_BYTES ? body : pieces(body) }),
    // From the last byte sent the deadline above counts; this one cuts an upload that does not move.
    headersTimeout: timeouts.headers,
    bodyTimeout: timeouts.idle,
  };
}

/** The body in pieces, so that a slow upload is seen to move and an early answer stops it. */
function pieces(body: Uint8Array): Readable {
  let from = 0;
  const readable = new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      if (from >= body.byteLength) return void this.push(null);
      const piece = body.subarray(from, from + PIECE_BYTES);
      from += piece.byteLength;
      this.push(piece);
    },
  });
  // undici may destroy the body of a call that was given up before it began, when it no longer listens for its error.
  return readable.on('error', () => {});
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
