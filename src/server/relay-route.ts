import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { ClientWire } from '../core/provider-kind.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import type { Gateway, RelayedAnswer } from '../gateway/relayed-answer.ts';
import { openCallSignal } from './call-signal.ts';
import { carry } from './carry.ts';
import { errorReply } from './error-reply.ts';
import { inStreamError } from './in-stream-error.ts';
import { messagesErrorReply } from './messages-reply.ts';
import { toMessagesRequest } from './messages-request.ts';
import type { BodyMemory, Exchange } from './read-body.ts';
import { readJsonBody } from './read-body.ts';
import type { Reply } from './reply.ts';
import { STREAM_HEADERS } from './reply.ts';
import type { Waiting } from './waiting.ts';
import { startWaiting } from './waiting.ts';

export interface RelayRouteDeps {
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly memory: BodyMemory;
  readonly maxBodyBytes: () => number;
  /** Aborted with a RelayError when what still runs must end. */
  readonly cut: AbortSignal;
}

/** A client's call at the door of a relay route. */
export interface IncomingCall {
  readonly id: string;
  readonly client: Client;
  readonly endpoint: RelayRequest['endpoint'];
  readonly exchange: Exchange;
  readonly reply: Reply;
  /** Decided at the door: the call is journaled and answered with this, its body unread. */
  readonly refusal: RelayError | null;
}

/**
 * Serves one call: reads its body, has it relayed, and carries the answer. Every outcome, also a refusal, is journaled
 * and answered here; the promise never rejects for the client's or an upstream's doing.
 */
export async function serveRelayCall(call: IncomingCall, deps: RelayRouteDeps): Promise<void> {
  let hasLeft = false;
  call.reply.onGone(() => (hasLeft = true));
  const receivedAt = deps.clock.now();
  let request: RelayRequest;
  try {
    if (call.refusal !== null) throw call.refusal;
    const { json, bytes } = await readJsonBody(call.exchange, deps.maxBodyBytes(), deps.memory);
    request = toRelayRequest({ ...call, headers: lowerCased(call.exchange.incoming.headers), receivedAt }, json, bytes);
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    const unread = unreadableRequest(call, receivedAt);
    if (hasLeft || isBrokenOff(call.exchange)) return deps.gateway.abandon(unread);
    await deps.gateway.refuse(unread, error);
    await sendError(call.reply, error, idHeaders(unread), unread.clientWire);
    return;
  }
  await relayInto(call.reply, request, deps);
}

/** What relaying needs once the body is read. */
export type RelayIntoDeps = Pick<RelayRouteDeps, 'gateway' | 'clock' | 'cut'>;

/** Has a request relayed and carries its answer, or its error, into the reply; nothing is owed to the request afterwards. */
export async function relayInto(reply: Reply, request: RelayRequest, deps: RelayIntoDeps): Promise<void> {
  const { signal, release } = openCallSignal(reply, deps.cut);
  try {
    await relayUntil(signal, reply, request, deps);
  } finally {
    release();
  }
}

async function relayUntil(signal: AbortSignal, reply: Reply, request: RelayRequest, deps: RelayIntoDeps): Promise<void> {
  const idHeader = idHeaders(request);
  const sendEarly = (bytes: Uint8Array): void => {
    reply.begin(200, { ...STREAM_HEADERS, ...idHeader });
    reply.write(bytes);
  };
  const waiting: Waiting = request.stream
    ? startWaiting({
      clock: deps.clock,
      isCodex: request.isCodex,
      clientWire: request.clientWire,
      send: sendEarly,
    })
    : { saw: () => {}, sign: () => null, stop: () => {} };
  reply.signOfLife(() => waiting.sign());
  const result = await deps.gateway.relay(request, signal, (piece) => {
    waiting.saw(piece);
    sendEarly(piece);
  });
  if (!result.ok) {
    waiting.stop();
    if (reply.begun) await reply.destroy([result.frame ?? inStreamError(request.clientWire, result.error.body)]);
    else await sendError(reply, result.error, { ...result.headers, ...idHeader }, request.clientWire);
    return;
  }
  if (request.stream) {
    reply.begin(200, { ...STREAM_HEADERS, ...result.answer.headers, ...idHeader });
    await carry(result.answer, { reply, waiting, cut: deps.cut });
    return;
  }
  await sendWhole(result.answer, reply, idHeader);
}

async function sendWhole(answer: RelayedAnswer, reply: Reply, idHeader: Headers): Promise<void> {
  if (reply.closed) {
    await answer.settle({ kind: 'client-gone' });
    return;
  }
  answer.firstOutput();
  await answer.settle({ kind: 'served' });
  const body = Buffer.concat([...answer.held, ...(answer.last ?? [])]);
  reply.begin(200, { 'content-type': 'application/json', 'content-length': String(body.length), ...answer.headers, ...idHeader });
  await reply.end([body]);
}

/** True when the client closed its connection inside its upload. */
function isBrokenOff({ incoming }: Exchange): boolean {
  return !incoming.complete && incoming.destroyed;
}

/** The request's id, also under the name that Anthropic's SDKs read. */
function idHeaders({ id, clientWire }: Pick<RelayRequest, 'id' | 'clientWire'>): Headers {
  return { 'x-request-id': id, ...(clientWire === 'messages' && { 'request-id': id }) };
}

/** Answers with an error, in the client's own envelope, where nothing has begun. */
export async function sendError(reply: Reply, error: RelayError, headers: Headers, wire: ClientWire = 'responses'): Promise<void> {
  const { status, headers: errorHeaders, body } = wire === 'messages' ? messagesErrorReply(error, headers['x-request-id']) : errorReply(error);
  reply.begin(status, { ...headers, ...errorHeaders, 'content-length': String(body.length) });
  await reply.end([body]);
}

/** What a request comes with beside its body. */
export type RequestHead = Pick<RelayRequest, 'id' | 'client' | 'endpoint' | 'headers' | 'receivedAt'>;

/** A body as a request to relay. Throws what is wrong with it as a RelayError that names the parameter. */
export function toRelayRequest(head: RequestHead, body: JsonObject, bytes: Uint8Array): RelayRequest {
  const { model, stream } = body;
  if (model === undefined || model === null) {
    throw new RelayError('missing_required_parameter', 'Missing required parameter: "model". relay models lists what is served.', { param: 'model' });
  }
  if (typeof model !== 'string' || model === '' || model.length > 256) {
    throw new RelayError('invalid_request_error', '"model" must be a non-empty string of at most 256 characters.', { param: 'model' });
  }
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean') {
    throw new RelayError('invalid_request_error', '"stream" must be true or false.', { param: 'stream' });
  }
  const { id, client, endpoint, headers, receivedAt } = head;
  if (endpoint === 'messages') return toMessagesRequest({ ...head, model, stream: stream === true, bytes }, body);
  const clientWire = endpoint === 'chat' ? 'chat' : 'responses';
  const bodyWire = endpoint === 'chat' && isResponsesBody(body) ? 'responses' : clientWire;
  checkInput(body, bodyWire);
  return {
    id, client, endpoint, clientWire, bodyWire, stream: stream === true && endpoint !== 'compact', model, body, bytes,
    headers, isCodex: clientWire === 'responses' && isCodexCaller(headers), receivedAt,
  };
}

/** Cursor posts a Responses body to the chat path, and wants chat chunks back (observed 2026-11). */
function isResponsesBody(body: JsonObject): boolean {
  const hasMessages = Array.isArray(body['messages']) && body['messages'].length > 0;
  return !hasMessages && (body['input'] !== undefined || body['instructions'] !== undefined);
}

function checkInput(body: JsonObject, wire: RelayRequest['bodyWire']): void {
  if (wire === 'chat') {
    const { messages } = body;
    if (messages === undefined) throw new RelayError('missing_required_parameter', 'Missing required parameter: "messages".', { param: 'messages' });
    if (!Array.isArray(messages) || messages.length === 0) {
      throw new RelayError('invalid_request_error', '"messages" must be an array with at least one message.', { param: 'messages' });
    }
    return;
  }
  const { input } = body;
  if (input !== undefined && input !== null && typeof input !== 'string' && !Array.isArray(input)) {
    throw new RelayError('invalid_request_error', '"input" must be a string or an array of items.', { param: 'input' });
  }
}

/** Codex names itself in `originator`: `codex_cli_rs`, `codex-tui`, `codex_exec`, `Codex Desktop`, … */
export function isCodexCaller(headers: Headers): boolean {
  return /^codex[ _-]/i.test(headers['originator'] ?? '') || /^codex[ _-][^/]*\//i.test(headers['user-agent'] ?? '');
}

/** Node's headers with repeats joined. */
export function lowerCased(headers: NodeJS.Dict<string | string[]>): Headers {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

/** What is known of a call whose body could not be read: enough for its line in the journal. */
export function unreadableRequest({ id, client, endpoint }: Pick<RequestHead, 'id' | 'client' | 'endpoint'>, receivedAt: number): RelayRequest {
  const wire = endpoint === 'chat' ? 'chat' : 'responses';
  return {
    id, client, endpoint, clientWire: endpoint === 'messages' ? 'messages' : wire, bodyWire: wire, stream: false, model: '', body: {},
    bytes: new Uint8Array(), headers: {}, isCodex: false, receivedAt,
  };
}
