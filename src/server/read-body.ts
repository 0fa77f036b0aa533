import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';

import { RelayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';

/** A body after decoding, parsed once. `bytes` is what was parsed. */
export interface ParsedBody {
  readonly bytes: Uint8Array;
  readonly json: JsonObject;
}

/** How much body memory all running requests may hold together, so that a burst cannot exhaust the machine. */
export interface BodyMemory {
  /** Opens one request's account; everything in it is given back when its exchange is over, or at `close` where there is none. */
  open(outgoing?: ServerResponse): BodyAccount;
  /** Bytes held now. */
  readonly held: number;
}

/** One request's part of a {@link BodyMemory}. */
export interface BodyAccount {
  /** Takes bytes, or throws `overloaded`. */
  take(bytes: number): void;
  /** Gives everything back. */
  close(): void;
}

/** A {@link BodyMemory} of `limitBytes`. */
export function createBodyMemory(limitBytes: () => number): BodyMemory {
  let held = 0;
  return {
    get held() {
      return held;
    },
    open(outgoing) {
      let own = 0;
      let isOpen = outgoing?.closed !== true;
      const close = (): void => {
        isOpen = false;
        held -= own;
        own = 0;
      };
      outgoing?.once('close', close);
      return {
        take(bytes) {
          if (!isOpen) return;
          if (held + bytes > limitBytes()) {
            throw new RelayError('overloaded', 'Too many large requests are running (limits.inflightBodyMb); try again in a moment.', {
              retryAfterSeconds: 1,
            });
          }
          held += bytes;
          own += bytes;
        },
        close,
      };
    },
  };
}

const DECODERS: Readonly<Record<string, (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/** The exchange a body is read from. */
export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

/**
 * Reads, decodes and parses a JSON body of at most `maxBytes` after decoding. Throws `unsupported_media_type`,
 * `request_too_large` or `invalid_request_error`; what is left of a refused upload is not read.
 */
export async function readJsonBody(exchange: Exchange, maxBytes: number, memory: BodyMemory): Promise<ParsedBody> {
  requireJson(exchange.incoming);
  const account = memory.open(exchange.outgoing);
  try {
    const encoded = await readBytes(exchange, maxBytes, account);
    const bytes = await decode(encoded, exchange.incoming.headers['content-encoding'], maxBytes);
    if (bytes !== encoded) account.take(bytes.length);
    return { bytes, json: parseBody(bytes) };
  } catch (error) {
    account.close();
    throw error;
  }
}

function requireJson(incoming: IncomingMessage): void {
  const type = incoming.headers['content-type'] ?? '';
  const [media = '', ...parameters] = type.toLowerCase().split(';').map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length).replace(/"/g, '');
  const isUtf8 = charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
  if (media === 'application/json' && isUtf8) return;
  throw new RelayError('unsupported_media_type', 'Content-Type must be application/json in UTF-8.');
}

/**
 * Collects the body as it came. The client is told to go on (`100 Continue`) only here, after its key was good. By events,
 * not by an iterator: leaving one early destroys the socket, and with it the answer that says why.
 */
function readBytes({ incoming, outgoing }: Exchange, maxBytes: number, account: BodyAccount): Promise<Buffer> {
  const announced = Number(incoming.headers['content-length'] ?? 0);
  if (announced > maxBytes) return Promise.reject(tooLarge(maxBytes));
  if (incoming.headers.expect?.toLowerCase() === '100-continue') outgoing.writeContinue();
  return new Promise((resolve, reject) => {
    let length = 0;
    let chunks: Buffer[] = [];
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      try {
        if (length > maxBytes) throw tooLarge(maxBytes);
        account.take(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const fail = (error: unknown): void => {
      incoming.off('data', onData);
      chunks = [];
      reject(error);
    };
    incoming.on('data', onData);
    incoming.once('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    const brokenOff = (): void => {
      if (!incoming.readableEnded) fail(new RelayError('invalid_request_error', 'The request body broke off.'));
    };
    incoming.once('error', brokenOff);
    incoming.once('close', brokenOff);
  });
}

async function decode(bytes: Buffer, encoding: string | undefined, maxBytes: number): Promise<Uint8Array> {
  const coding = (encoding ?? 'identity').trim().toLowerCase();
  if (coding === 'identity' || coding === '') return bytes;
  const decoder = DECODERS[coding];
  if (decoder === undefined) {
    const shown = coding.slice(0, 40).replace(/[^\x20-\x7e]/g, '?');
    throw new RelayError('unsupported_media_type', `Content-Encoding "${shown}" is not supported; use one of gzip, deflate, br, zstd.`);
  }
  try {
    return await decoder(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new RelayError('invalid_request_error', `The request body is not valid ${coding}.`);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

function parseBody(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) throw new RelayError('invalid_request_error', 'The request body is empty; send a JSON object.');
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new RelayError('invalid_request_error', 'The request body is not valid UTF-8.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RelayError('invalid_request_error', 'The request body is not valid JSON.');
  }
  if (!isJsonObject(value)) throw new RelayError('invalid_request_error', 'The request body must be a JSON object.');
  return value;
}

/** The refusal of a body over the limit. */
export function tooLarge(maxBytes: number): RelayError {
  return new RelayError('request_too_large', `The request body is over ${Math.floor(maxBytes / 1_048_576)} MiB (server.maxBodyMb).`);
}
