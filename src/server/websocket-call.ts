import type { IncomingMessage } from 'node:http';

import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import { faultPlace } from '../core/fault-place.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, stringAt } from '../core/json.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import { SECOND_MS } from '../core/units.ts';
import { expandPrevious } from '../wire/expand-input.ts';
import type { AppDeps } from './app.ts';
import { scopeRefusal } from './scope.ts';
import { authenticate } from './client-auth.ts';
import { errorReply } from './error-reply.ts';
import type { BodyAccount } from './read-body.ts';
import { tooLarge } from './read-body.ts';
import type { RequestHead } from './relay-route.ts';
import { isCodexCaller, lowerCased, relayInto, toRelayRequest, unreadableRequest } from './relay-route.ts';
import { emptyAnswerEvents, errorEvent, eventMessage } from './websocket-frames.ts';
import type { ConnectionMemory } from './websocket-memory.ts';
import type { Outlet } from './websocket-outlet.ts';
import type { SocketReplyOptions } from './websocket-reply.ts';
import { createSocketReply } from './websocket-reply.ts';
import type { ClientMessage } from './websocket-request.ts';
import { requestHeaders } from './websocket-request.ts';

/** A `response.create` whose turn has come. */
export type CreateMessage = Extract<ClientMessage, { kind: 'create' }>;

/** The connection a call came over. */
export interface Caller {
  /** The handshake: its key and its headers stand for every message. */
  readonly incoming: IncomingMessage;
  readonly outlet: Outlet;
  readonly memory: ConnectionMemory;
}

/** One call over a WebSocket. */
export interface SocketCall extends Caller {
  readonly message: CreateMessage;
  readonly account: BodyAccount;
  /** Decided before: the call is answered with this. */
  readonly refusal: RelayError | null;
}

/**
 * Serves one `response.create` like a request over HTTP, from its key to its line in the journal. Resolves with the error
 * it was refused with before it was a request at all, else null; never rejects.
 */
export async function serveSocketCall(call: SocketCall, deps: AppDeps): Promise<RelayError | null> {
  const ended = deps.inFlight.begin();
  const id = deps.makeId('req');
  try {
    // The key is looked up anew, since it may have been revoked while the connection stood.
    const client = authenticate(call.incoming, deps.state(), deps.latest());
    await serveKnownClient(call, { id, client, endpoint: 'responses', receivedAt: deps.clock.now() }, deps);
    return null;
  } catch (error) {
    const told = error instanceof RelayError ? error : faultOf(error, id, deps);
    sayError(call.outlet, told, { streamId: call.message.streamId, headers: { 'x-request-id': id } });
    return told;
  } finally {
    ended();
  }
}

function faultOf(error: unknown, id: string, { log }: AppDeps): RelayError {
  log.error('a request ran into a fault of Relay', { id, ...faultPlace(error) });
  return new RelayError('internal_error', `Relay ran into a fault; relay logs and ${id} tell more.`);
}

async function serveKnownClient(call: SocketCall, known: Omit<RequestHead, 'headers'>, deps: AppDeps): Promise<void> {
  try {
    const refusal = scopeRefusal(known.client, 'responses') ?? call.refusal;
    if (refusal !== null) throw refusal;
    const headers = requestHeaders(lowerCased(call.incoming.headers), call.message.headers);
    await answer(call, { ...known, headers }, deps);
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    await deps.gateway.refuse(unreadableRequest(known, known.receivedAt), error);
    sayError(call.outlet, error, { streamId: call.message.streamId, headers: { 'x-request-id': known.id } });
  }
}

async function answer(call: SocketCall, head: RequestHead, deps: AppDeps): Promise<void> {
  const { message, memory, outlet } = call;
  const whole = continued(message.body, isCodexCaller(head.headers), memory);
  const remember = (responseId: string, output: readonly JsonValue[], bytes: number): void => {
    if (whole.continues === 'unknown') return;
    const items = [...whole.added, ...output.filter(canBeSentAgain)];
    memory.remember({ responseId, previousId: whole.continues, items, bytes: message.bytes + bytes });
  };
  if (!message.generate) {
    if (whole.continues === 'unknown') throw previousNotFound(message.body);
    const { model } = toRelayRequest(head, whole.body, new Uint8Array());
    const id = deps.makeId('resp');
    remember(id, [], 0);
    const createdAt = Math.floor(deps.clock.now() / SECOND_MS);
    for (const event of emptyAnswerEvents({ id, createdAt, model, body: message.body })) outlet.send(eventMessage(event, message.streamId));
    return;
  }
  const bytes = new TextEncoder().encode(JSON.stringify(whole.body));
  const maxBytes = deps.settings().server.maxBodyMb * 1_048_576;
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  call.account.take(bytes.length);
  await relayOver(call, toRelayRequest(head, whole.body, bytes), (told) => remember(told.responseId, told.output, told.bytes), deps);
}

type OnAnswer = SocketReplyOptions['onAnswer'];

function relayOver({ message, outlet }: SocketCall, request: RelayRequest, onAnswer: OnAnswer, deps: AppDeps): Promise<void> {
  const { cut } = deps.inFlight;
  const reply = createSocketReply({ outlet, streamId: message.streamId, isCodex: request.isCodex, onAnswer });
  return relayInto(reply, request, { gateway: deps.gateway, clock: deps.clock, cut });
}

/** A body with all that was said before, as far as this connection knows it. */
interface Continued {
  readonly body: JsonObject;
  /** The answer it continues; `unknown` where that was not given here and Relay's store or the upstream may know it. */
  readonly continues: string | 'unknown' | null;
  /** The body's own input. */
  readonly added: readonly JsonValue[];
}

/**
 * Writes the remembered conversation out in front of the new input. Codex gets back exactly the items it sent and saw, as
 * it would have sent them itself over HTTP; the items of others lose ids that nobody stored.
 */
function continued(body: JsonObject, isCodex: boolean, memory: ConnectionMemory): Continued {
  const previous = stringAt(body, 'previous_response_id');
  const added = ownItems(body);
  if (previous === undefined) return { body, continues: null, added };
  const history = memory.recall(previous);
  if (history === undefined) return { body, continues: 'unknown', added };
  const { previous_response_id: _, ...rest } = body;
  const memoryOf = { storedResponse: () => ({ input: history, output: [] }) };
  return { body: isCodex ? { ...rest, input: [...history, ...added] } : expandPrevious(body, memoryOf), continues: previous, added };
}

function ownItems(body: JsonObject): readonly JsonValue[] {
  const text = stringAt(body, 'input');
  if (text === undefined) return arrayAt(body, 'input') ?? [];
  return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text }] }];
}

/** Reasoning that is neither sealed nor told stands for an item in a store, and nothing was stored. */
function canBeSentAgain(item: JsonValue): boolean {
  if (stringAt(item, 'type') !== 'reasoning') return true;
  return stringAt(item, 'encrypted_content') !== undefined || (arrayAt(item, 'content') ?? []).length > 0;
}

function previousNotFound(body: JsonObject): RelayError {
  const id = stringAt(body, 'previous_response_id') ?? '';
  const message = `Previous response with id '${id.slice(0, 80)}' not found.`;
  return new RelayError('previous_response_not_found', message, { param: 'previous_response_id' });
}

/** Where an error belongs, and what it comes with. */
interface ErrorPlace {
  readonly streamId?: string | null;
  readonly headers?: Headers;
}

/** Tells an error where no answer has begun. */
export function sayError(outlet: Outlet, error: RelayError, { streamId = null, headers = {} }: ErrorPlace = {}): void {
  const { status, headers: own } = errorReply(error);
  outlet.send(eventMessage(errorEvent(status, { ...error.body }, { ...headers, ...own }), streamId));
}

/** Refuses and journals a message that was no request, as a body over HTTP would be that is none. */
export async function refuseMessage(caller: Caller, error: RelayError, streamId: string | null, deps: AppDeps): Promise<void> {
  const id = deps.makeId('req');
  const client = knownClient(caller, deps);
  if (client !== null) await deps.gateway.refuse(unreadableRequest({ id, client, endpoint: 'responses' }, deps.clock.now()), error);
  sayError(caller.outlet, error, { streamId, headers: { 'x-request-id': id } });
}

function knownClient({ incoming }: Caller, { state, latest }: AppDeps): Client | null {
  try {
    return authenticate(incoming, state(), latest());
  } catch {
    return null;
  }
}
