import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

import { WebSocket, WebSocketServer } from 'ws';

import { RelayError } from '../core/errors.ts';
import { drainingError } from './app.ts';
import { scopeRefusal } from './scope.ts';
import { authenticate } from './client-auth.ts';
import { checkDoor } from './door.ts';
import { errorReply } from './error-reply.ts';
import { errorEvent } from './websocket-frames.ts';
import type { Connection, ConnectionDeps } from './websocket-connection.ts';
import { openConnection } from './websocket-connection.ts';

/** The Responses WebSocket, beside the routes: what a listener asks at an `Upgrade`. */
export interface SocketDoor {
  /** Whether a request asks for a WebSocket that is served here; any other is a request like all. */
  isWanted(incoming: IncomingMessage): boolean;
  /** Takes over the connection: lets it in, or answers why not. Never throws, whatever the client does meanwhile. */
  upgrade(incoming: IncomingMessage, raw: Duplex, head: Buffer): void;
  /** Connections open now. */
  readonly open: number;
  /** Takes nothing new; connections end as soon as what runs on them is done. */
  drain(): void;
  /** Resolves when no connection is left; those that linger are broken off after a moment. */
  close(): Promise<void>;
}

/** Open connections at most. Each is small, so this only stops a runaway. */
const CONNECTIONS = 256;
/** A client that does not answer a close is not waited for. */
const CLOSE_MS = 1_000;
const LINGER_MS = 250;

const REFUSALS = {
  otherUpgrade: () => new RelayError('invalid_request_error', 'Only GET /v1/responses is upgraded, to a WebSocket; leave Upgrade out.'),
  switchedOff: () => new RelayError('websocket_unavailable', 'The Responses WebSocket is switched off (server.websocket); use HTTP.'),
  full: () => new RelayError('overloaded', `${CONNECTIONS} WebSockets are open already; close some.`, { retryAfterSeconds: 5 }),
};

/** A door with nobody inside. */
export function createSocketDoor(deps: ConnectionDeps): SocketDoor {
  const connections = new Map<WebSocket, Connection>();
  const emptied = new Set<() => void>();

  const refusalFor = (incoming: IncomingMessage): RelayError | null => {
    const entry = checkDoor(incoming, deps.port(), deps.settings().server);
    if (!entry.ok) return entry.error;
    if (!isSocketRequest(incoming)) return REFUSALS.otherUpgrade();
    try {
      const client = authenticate(incoming, deps.state(), deps.latest());
      if (!deps.settings().server.websocket) return REFUSALS.switchedOff();
      if (deps.isDraining()) return drainingError();
      if (connections.size >= CONNECTIONS) return REFUSALS.full();
      return scopeRefusal(client, 'responses');
    } catch (error) {
      return error instanceof RelayError ? error : new RelayError('internal_error', 'Relay ran into a fault.');
    }
  };
  const accept = (incoming: IncomingMessage, raw: Duplex, head: Buffer): void => {
    // Made for each, since the limit is a setting. Compression is declined: on this machine it only costs time and memory.
    const options = { noServer: true, clientTracking: false, perMessageDeflate: false, closeTimeout: CLOSE_MS, WebSocket: TellingSocket };
    const server = new WebSocketServer({ ...options, maxPayload: deps.settings().server.maxBodyMb * 1_048_576 });
    server.handleUpgrade(incoming, raw, head, (socket) => {
      // The close that follows an error ends the connection; without a listener the error would end the process.
      socket.on('error', () => {});
      connections.set(socket, openConnection({ incoming, socket, raw }, deps));
      socket.once('close', () => {
        connections.delete(socket);
        if (connections.size > 0) return;
        for (const resolve of emptied) resolve();
        emptied.clear();
      });
    });
  };

  return {
    isWanted: (incoming) => isSocketRequest(incoming) && deps.settings().server.websocket,
    upgrade(incoming, raw, head) {
      // From here on nobody else listens: a reset must not end the process.
      raw.on('error', () => raw.destroy());
      const refusal = refusalFor(incoming);
      if (refusal === null) accept(incoming, raw, head);
      else refuse(raw, refusal, deps.makeId('req'));
    },
    get open() {
      return connections.size;
    },
    drain() {
      for (const connection of connections.values()) connection.drain();
    },
    async close() {
      if (connections.size === 0) return;
      const cancel = deps.clock.after(LINGER_MS, () => {
        for (const socket of connections.keys()) socket.terminate();
      });
      await new Promise<void>((resolve) => emptied.add(resolve));
      cancel();
    },
  };
}

/** Says why, where the WebSocket itself ends a connection: without this a client would see a bare code. */
class TellingSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    const error = this.readyState === this.OPEN ? reasonFor(code) : null;
    if (error !== null) this.send(JSON.stringify(errorEvent(error.status, { ...error.body }, {})));
    super.close(code, reason);
  }
}

/** 1009 a message over the limit, 1007 text that is not UTF-8 (RFC 6455, 7.4.1). */
function reasonFor(code: number | undefined): RelayError | null {
  if (code === 1009) return new RelayError('request_too_large', 'The message is over the limit (server.maxBodyMb).');
  return code === 1007 ? new RelayError('invalid_request_error', 'The message is not valid UTF-8.') : null;
}

function isSocketRequest(incoming: IncomingMessage): boolean {
  if (incoming.method !== 'GET' || incoming.headers.upgrade?.toLowerCase() !== 'websocket') return false;
  return /^(?:\/v1)?\/responses\/?(?:\?|$)/.test(incoming.url ?? '');
}

function refuse(raw: Duplex, error: RelayError, requestId: string): void {
  const { status, headers, body } = errorReply(error);
  const all = {
    ...headers,
    'content-length': String(body.length),
    'x-request-id': requestId,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'close',
  };
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)];
  raw.end(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]), () => raw.destroy());
}
