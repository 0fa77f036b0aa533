import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';

import type { JsonObject } from '../core/json.ts';
import { parseJsonObject } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import type { Gate } from './steps.ts';

/** One call as the mock saw it, still growing while it is answered. */
export interface MockRecord {
  readonly at: EpochMs;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** The account that was meant; null when nobody could tell. */
  readonly account: string | null;
  /** The decoded body, and the object in it. Empty until it has been read. */
  readonly text: string;
  readonly body: JsonObject | undefined;
  readonly status: number | null;
  /** `aborted`: the caller left before the end. `broken`: the mock broke it off, as told. */
  readonly state: 'open' | 'completed' | 'aborted' | 'broken';
  readonly endedAt: EpochMs | null;
}

/** One call in progress: what came, the way back, and how to wait without outliving the caller. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly record: MockRecord;
  /** True once the caller has gone. */
  readonly gone: boolean;
  note(change: Partial<MockRecord>): void;
  /** Resolves after `ms` of the mock's clock, or when the caller leaves. */
  pause(ms: number): Promise<void>;
  /** Resolves when the gate opens or the caller leaves; without a gate, when the caller leaves. */
  stand(gate?: Gate): Promise<void>;
  /** Resolves when what was written so far has been handed to the system. */
  flushed(): Promise<void>;
}

/** Begins an exchange and keeps its record true until the connection's end. */
export function openExchange(request: IncomingMessage, response: ServerResponse, clock: Clock): Exchange {
  const url = new URL(request.url ?? '/', 'http://mock');
  const headers = flat(request.headers);
  let record: MockRecord = {
    at: clock.now(), method: request.method ?? 'GET', path: url.pathname, query: Object.fromEntries(url.searchParams), headers,
    account: null, text: '', body: undefined, status: null, state: 'open', endedAt: null,
  };
  const left = Promise.withResolvers<void>();
  let gone = false;
  const note = (change: Partial<MockRecord>): void => {
    record = Object.assign(record, change);
  };
  response.on('error', () => {});
  request.on('error', () => {});
  response.on('close', () => {
    gone = true;
    left.resolve();
    if (record.state === 'open') note({ state: response.writableFinished ? 'completed' : 'aborted' });
    note({ endedAt: clock.now() });
  });
  return {
    request, response, url, headers, clock, record,
    get gone() {
      return gone;
    },
    note,
    async pause(ms) {
      if (ms <= 0 || gone) return;
      const passed = Promise.withResolvers<void>();
      const cancel = clock.after(ms, passed.resolve);
      await Promise.race([passed.promise, left.promise]);
      cancel();
    },
    stand: (gate) => (gate === undefined ? left.promise : Promise.race([gate.opened, left.promise])),
    async flushed() {
      // Node gathers the writes of one turn; only after it they have reached the socket.
      await new Promise((resolve) => setImmediate(resolve));
      const { socket } = response;
      if (socket === null || socket.destroyed) return;
      await Promise.race([new Promise<void>((resolve) => socket.write('', () => resolve())), left.promise]);
    },
  };
}

function flat(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}

/** Reads and decodes the body into the record. False when its encoding is unknown or broken, or the caller left. */
export async function readBody({ request, headers, note }: Exchange): Promise<boolean> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk)));
    const text = decode(Buffer.concat(chunks), headers['content-encoding']).toString('utf8');
    note({ text, body: parseJsonObject(text) });
    return true;
  } catch {
    return false;
  }
}

function decode(bytes: Buffer, encoding: string | undefined): Buffer {
  switch (encoding) {
    case undefined:
    case 'identity':
      return bytes;
    case 'zstd':
      return zstdDecompressSync(bytes);
    case 'gzip':
      return gunzipSync(bytes);
    case 'deflate':
      return inflateSync(bytes);
    case 'br':
      return brotliDecompressSync(bytes);
    default:
      throw new Error(`unknown content-encoding ${encoding}`);
  }
}
