import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { WebSocket } from 'ws';

import { RelayError } from '../core/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { AppDeps } from './app.ts';
import { drainingError } from './app.ts';
import type { BodyAccount } from './read-body.ts';
import type { Caller } from './websocket-call.ts';
import { refuseMessage, sayError, serveSocketCall } from './websocket-call.ts';
import { eventMessage, steerRefusal } from './websocket-frames.ts';
import { createLanes } from './websocket-lanes.ts';
import type { ConversationMemory } from './websocket-memory.ts';
import { createOutlet } from './websocket-outlet.ts';
import type { ClientMessage } from './websocket-request.ts';
import { readClientMessage } from './websocket-request.ts';

/** A connection lasts this long, as at OpenAI (2026-11); what runs then is finished. */
const LIFETIME_MS = 60 * MINUTE_MS;
/** Keeps what stands between client and Relay from taking a quiet connection for a dead one. */
const PING_MS = 30 * SECOND_MS;
/** A client that answered none of this many pings, with whatever, has gone. Counted, since a machine that slept heard nobody. */
const PINGS = 20;

export interface ConnectionDeps extends AppDeps {
  readonly turns: ConversationMemory;
}

/** What a connection is made of: the handshake, the socket, and what it runs over. */
export interface Accepted {
  readonly incoming: IncomingMessage;
  readonly socket: WebSocket;
  readonly raw: Duplex;
}

/** One open WebSocket. */
export interface Connection {
  /** Takes nothing new, and ends when what runs is done. */
  drain(): void;
}

/** Serves the Responses WebSocket of one client until either side ends it. */
export function openConnection({ incoming, socket, raw }: Accepted, deps: ConnectionDeps): Connection {
  const caller: Caller = { incoming, outlet: createOutlet(socket, raw), memory: deps.turns.open() };
  let ending: { readonly code: number; readonly reason: string; readonly refusal: RelayError } | null = null;
  const endIfDone = (): void => {
    if (ending !== null && lanes.pending === 0) socket.close(ending.code, ending.reason);
  };
  const lanes = createLanes(endIfDone);
  /** What runs is finished; what still waits gets the refusal. The first reason to end is the one that is told. */
  const endAfterwards = (code: number, reason: string, refusal: RelayError): void => {
    ending ??= { code, reason, refusal };
    endIfDone();
  };

  const receive = (message: ClientMessage, account: BodyAccount): void => {
    if (message.kind === 'steer') caller.outlet.send(eventMessage(steerRefusal(message.input, message.responseId), null));
    if (message.kind !== 'create') return account.close();
    lanes.run(message.streamId, async () => {
      const refusal = ending?.refusal ?? switchedOff(deps);
      const refused = await serveSocketCall({ ...caller, message, account, refusal }, deps);
      account.close();
      if (refused?.code === 'invalid_api_key') endAfterwards(1008, 'the client key is not valid any more', refused);
      if (refusal?.code === 'websocket_unavailable') endAfterwards(1001, 'the WebSocket was switched off', refusal);
    });
  };

  const bodies = watchBodies({ socket, raw }, deps, (error) => {
    sayError(caller.outlet, error);
    socket.close(1013, 'too much is being sent');
  });
  socket.on('message', (data, isBinary) => {
    const account = bodies.take();
    let message: ClientMessage | null = null;
    try {
      if (isBinary || !Buffer.isBuffer(data)) throw new RelayError('invalid_request_error', 'Messages must be text; this one is binary.');
      message = readClientMessage(data);
      receive(message, account);
    } catch (error) {
      account.close();
      const refusal = error instanceof RelayError ? error : new RelayError('internal_error', 'Relay ran into a fault.');
      void refuseMessage(caller, refusal, message?.kind === 'create' ? message.streamId : null, deps).finally(() => {
        if (isBinary) socket.close(1003, 'messages must be text');
      });
    }
  });
  const cancelLifetime = deps.clock.after(LIFETIME_MS, () => {
    const error = lifetimeError();
    if (lanes.pending === 0) sayError(caller.outlet, error);
    endAfterwards(1000, 'the connection has lasted 60 minutes', error);
  });
  const cancelPings = keepAwake({ socket, raw }, deps);
  socket.once('close', () => {
    cancelLifetime();
    cancelPings();
    bodies.close();
    caller.memory.close();
  });
  return { drain: () => endAfterwards(1001, 'Relay is shutting down', drainingError()) };
}

function switchedOff({ settings }: AppDeps): RelayError | null {
  if (settings().server.websocket) return null;
  return new RelayError('websocket_unavailable', 'The Responses WebSocket has been switched off; use HTTP.');
}

function lifetimeError(): RelayError {
  const message = 'Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.';
  return new RelayError('websocket_connection_limit_reached', message);
}

/** The bytes of messages that are still coming in: they count like those of any request. */
interface ArrivingBodies {
  /** The account of the message that is complete now; its reader closes it. */
  take(): BodyAccount;
  close(): void;
}

type Connected = Pick<Accepted, 'socket' | 'raw'>;

function watchBodies({ socket, raw }: Connected, { memory }: AppDeps, onTooMuch: (error: RelayError) => void): ArrivingBodies {
  let account = memory.open();
  raw.on('data', (chunk: Uint8Array) => {
    try {
      if (socket.readyState === socket.OPEN) account.take(chunk.length);
    } catch (error) {
      account.close();
      if (error instanceof RelayError) onTooMuch(error);
    }
  });
  return {
    take() {
      const complete = account;
      account = memory.open();
      return complete;
    },
    close: () => account.close(),
  };
}

/** Pings now and then, and breaks the connection off when nothing was heard for long. The returned function stops it. */
function keepAwake({ socket, raw }: Connected, { clock }: AppDeps): () => void {
  let unanswered = 0;
  let cancel = (): void => {};
  raw.on('data', () => {
    unanswered = 0;
  });
  const watch = (): void => {
    cancel = clock.after(PING_MS, () => {
      if (unanswered >= PINGS) return socket.terminate();
      unanswered += 1;
      if (socket.readyState === socket.OPEN) socket.ping();
      watch();
    });
  };
  watch();
  return () => cancel();
}
