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
  /** Takes the bytes, or throws `overloaded`. */
  take(bytes: number): void;
  give(bytes: number): void;
}

/** A {@link BodyMemory} of `limitBytes`. */
export function createBodyMemory(limitBytes: () => number): BodyMemory {
  let held = 0;
  return {
    take(bytes) {
      if (held + bytes > limitBytes()) {
        throw new RelayError('overloaded', 'Too many large requests are running; try again in a moment.', { retryAfterSeconds: 1 });
      }
      held += bytes;
    },
    give(bytes) {
      held -= bytes;
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
  const encoded = await readBytes(exchange, maxBytes, memory);
  const bytes = await decode(encoded, exchange.incoming.headers['content-encoding'], maxBytes);
  return { bytes, json: parseBody(bytes) };
}

function requireJson(incoming: IncomingMessage): void {
  const type = incoming.headers['content-type'] ?? '';
  const [media = '', ...parameters] = type.toLowerCase().split(';').map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length).replace(/"/g, '');
  const isUtf8 = charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
  if (media === 'application/json' && isUtf8) return;
  throw new RelayError('unsupported_media_type', 'Content-Type must be application/json in UTF-8.');
}

/** Collects the body as it came. The client is told to go on (`100 Continue`) only here, after its key was good. */
async function readBytes({ incoming, outgoing }: Exchange, maxBytes: number, memory: BodyMemory): Promise<Buffer> {
  const announced = Number(incoming.headers['content-length'] ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  if (incoming.headers.expect?.toLowerCase() === '100-continue') outgoing.writeContinue();
  let length = 0;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      memory.take(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    memory.give(sum(chunks));
    if (error instanceof RelayError) throw error;
    throw new RelayError('invalid_request_error', 'The request body broke off.');
  }
  outgoing.once('close', () => memory.give(length));
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

async function decode(bytes: Buffer, encoding: string | undefined, maxBytes: number): Promise<Uint8Array> {
  const coding = (encoding ?? 'identity').trim().toLowerCase();
  if (coding === 'identity' || coding === '') return bytes;
  const decoder = DECODERS[coding];
  if (decoder === undefined) {
    throw new RelayError('unsupported_media_type', `Content-Encoding "${coding.slice(0, 40).replace(/[^\x20-\x7e]/g, '?')}" is not supported; use one of gzip, deflate, br, zstd.`);
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

function tooLarge(maxBytes: number): RelayError {
  return new RelayError('request_too_large', `The request body is over ${Math.floor(maxBytes / 1_048_576)} MiB (server.maxBodyMb).`);
}

function sum(chunks: readonly Buffer[]): number {
  return chunks.reduce((total, chunk) => total + chunk.length, 0);
}
