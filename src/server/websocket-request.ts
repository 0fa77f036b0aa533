import { RelayError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';

/** What a client's message asks for. */
export type ClientMessage =
  | {
      readonly kind: 'create';
      /** The body an HTTP request would have had, with `previous_response_id` still in it. */
      readonly body: JsonObject;
      /** False where the client only wants its input remembered, for a request to come. */
      readonly generate: boolean;
      /** The lane that answers are ordered in and named by; null for the connection's own. */
      readonly streamId: string | null;
      /** Headers that travel inside the body, since a message has none of its own. */
      readonly headers: Headers;
      readonly bytes: number;
    }
  /** Nothing is to be done and nothing to be said: Codex tells what it has read. */
  | { readonly kind: 'notice' }
  | { readonly kind: 'steer'; readonly input: JsonValue; readonly responseId: string };

const LONGEST_STREAM_ID = 256;

/**
 * Reads one text message of the Responses WebSocket (OpenAI's WebSocket mode and Codex 0.169, observed 2026-11). Throws a
 * RelayError that says what is wrong with it.
 */
export function readClientMessage(bytes: Uint8Array): ClientMessage {
  const message = parseJsonObject(new TextDecoder().decode(bytes));
  if (message === undefined) throw new RelayError('invalid_request_error', 'Each message must be a JSON object.');
  const type = stringAt(message, 'type');
  switch (type) {
    case 'response.create':
      return readCreate(message, bytes.length);
    case 'response.processed':
      return { kind: 'notice' };
    case 'response.steer':
      return { kind: 'steer', input: message['input'] ?? null, responseId: stringAt(message, 'previous_response_id') ?? '' };
    default:
      throw unknownType(type ?? '');
  }
}

function unknownType(type: string): RelayError {
  return new RelayError('invalid_request_error', `Unknown message type "${printable(type)}"; send "response.create".`, { param: 'type' });
}

function readCreate(message: JsonObject, bytes: number): ClientMessage {
  const { type: _type, stream: _always, background, generate, stream_id: streamId, client_metadata: metadata, ...rest } = message;
  if (background === true) {
    throw new RelayError('unsupported_parameter', '"background" is not supported on the WebSocket.', { param: 'background' });
  }
  if (generate !== undefined && generate !== null && typeof generate !== 'boolean') {
    throw new RelayError('invalid_request_error', '"generate" must be true or false.', { param: 'generate' });
  }
  const previous = rest['previous_response_id'];
  if (previous !== undefined && previous !== null && typeof previous !== 'string') {
    throw new RelayError('invalid_request_error', '"previous_response_id" must be a string.', { param: 'previous_response_id' });
  }
  const kept = withoutTransport(metadata);
  return {
    kind: 'create',
    body: { ...rest, ...(kept !== undefined && { client_metadata: kept }), stream: true },
    generate: generate !== false,
    streamId: readStreamId(streamId),
    headers: metadataHeaders(objectAt(message, 'client_metadata') ?? {}),
    bytes,
  };
}

function readStreamId(value: JsonValue | undefined): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && value !== '' && value.length <= LONGEST_STREAM_ID) return value;
  const message = `"stream_id" must be a non-empty string of at most ${LONGEST_STREAM_ID} characters.`;
  throw new RelayError('invalid_stream_id', message, { param: 'stream_id' });
}

/** A header inside `client_metadata`: `ws_request_header_x_openai_internal_codex_responses_lite` (Codex 0.169, observed 2026-11). */
const HEADER_KEY = /^ws_request_header_(x_[a-z0-9_]+)$/;
/** Keys that stand for the header of their own name. */
const NAMED_KEY = /^x-(?:codex|openai)-[a-z0-9-]+$/;
/** Said on this transport only: an HTTP body has none of it. */
const TRANSPORT_KEY = /^(?:ws_request_header_.*|x-codex-turn-state|x-codex-ws-stream-request-start-ms)$/;
/** In the body on either transport, and never a header of a request. */
const BODY_KEY = new Set(['x-codex-installation-id', 'x-codex-ws-stream-request-start-ms']);
/** Ids Codex tells twice over HTTP; on a connection that outlives a thread the body's are the newer. */
const THREAD_KEYS: Readonly<Record<string, readonly string[]>> = {
  session_id: ['session-id'],
  thread_id: ['thread-id', 'x-client-request-id'],
};

function metadataHeaders(metadata: JsonObject): Headers {
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string' || value === '' || !/^[\t\u0020-\u007e]*$/.test(value)) continue;
    const hidden = HEADER_KEY.exec(key)?.[1];
    if (hidden !== undefined) headers[hidden.replaceAll('_', '-')] = value;
    else if (NAMED_KEY.test(key) && !BODY_KEY.has(key)) headers[key] = value;
    else if (Object.hasOwn(THREAD_KEYS, key)) for (const name of THREAD_KEYS[key] ?? []) headers[name] = value;
  }
  return headers;
}

/** `client_metadata` as an HTTP body would have it; undefined where nothing is left of it. */
function withoutTransport(metadata: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(metadata)) return metadata;
  const kept = Object.entries(metadata).filter(([key]) => !TRANSPORT_KEY.test(key));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** Headers of the handshake alone, and of the turn it was made in: a later turn has its own or none. */
const HANDSHAKE_ONLY = /^(?:connection|upgrade|sec-websocket-.*|x-codex-turn-state|x-codex-turn-metadata)$/;
const BETA_OF_TRANSPORT = /^responses_websockets=/;

/**
 * A request's headers as the HTTP route would have had them: those of the handshake without the handshake's own, and those
 * the message brought. Ids of a thread replace only ids: a client that sent none gets none.
 */
export function requestHeaders(handshake: Headers, brought: Headers): Headers {
  const kept = Object.entries(handshake).filter(([name]) => !HANDSHAKE_ONLY.test(name) && name !== 'openai-beta');
  const named = (handshake['openai-beta'] ?? '').split(',').map((beta) => beta.trim());
  const betas = named.filter((beta) => beta !== '' && !BETA_OF_TRANSPORT.test(beta));
  const added = Object.entries(brought).filter(([name]) => NAMED_KEY.test(name) || handshake[name] !== undefined);
  return { ...Object.fromEntries(kept), ...(betas.length > 0 && { 'openai-beta': betas.join(', ') }), ...Object.fromEntries(added) };
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80);
}
