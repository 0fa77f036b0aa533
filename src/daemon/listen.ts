import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { CommandError, EXIT } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { SocketDoor } from '../server/websocket.ts';
import { describePortHolder } from './port-holder.ts';

/** Relay's listeners: the same handler on both loopback addresses. */
export interface Listeners {
  readonly port: number;
  /** Stops accepting, and resolves when every connection has ended; what lingers is broken off after a moment. */
  close(): Promise<void>;
  /** Breaks what is still open. */
  destroy(): void;
}

/** A client must send its headers within this; its body may take `requestTimeout`. Answers are never cut by a clock. */
const LIMITS = {
  headersTimeout: 30_000, requestTimeout: 300_000, keepAliveTimeout: 75_000, maxHeaderSize: 32_768, requireHostHeader: false,
};
/** What Node's parser found wrong, as HTTP says it; all else is a bad request. */
const STATUS_OF: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large', ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};
/** A connection that has said nothing, or half a request, is not waited for at the end. */
const LINGER_MS = 250;

/** What a connection may ask for: requests, and the WebSocket beside them. */
export interface Doors {
  readonly handler: RequestListener;
  readonly sockets: SocketDoor;
}

/**
 * Listens on 127.0.0.1 and, where the machine has it, on ::1, on the same port; 0 takes any. Never on another address.
 * Throws a CommandError (75) when the port is in use.
 */
export async function listenOnLoopback(doors: Doors, port: number, clock: Clock): Promise<Listeners> {
  const first = createLimitedServer(doors);
  await listen(first, '127.0.0.1', port);
  const bound = (first.address() as AddressInfo).port;
  const second = createLimitedServer(doors);
  const servers = (await listenIfThere(second, '::1', bound, first)) ? [first, second] : [first];
  const destroy = (): void => {
    for (const server of servers) server.closeAllConnections();
  };
  return {
    port: bound,
    async close() {
      const cancel = clock.after(LINGER_MS, destroy);
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      })));
      cancel();
    },
    destroy,
  };
}

/** Node 22.21 asks before it upgrades; one that does not ask hands every `Upgrade` to the door. */
type UpgradingOptions = ServerOptions & { readonly shouldUpgradeCallback: SocketDoor['isWanted'] };

function createLimitedServer({ handler, sockets }: Doors): Server {
  const options: UpgradingOptions = { ...LIMITS, noDelay: true, shouldUpgradeCallback: sockets.isWanted };
  const server = createServer(options, handler);
  server.on('upgrade', sockets.upgrade);
  // Node would leave out the headers past a count without a word; the door counts them and refuses.
  server.maxHeadersCount = 0;
  // A client may close its sending side and wait for the answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  // `100 Continue` is said by whoever reads the body, after the key was good.
  server.on('checkContinue', handler);
  // Each request that waits in a pipeline listens for its connection's end.
  server.on('connection', (socket) => socket.setMaxListeners(0));
  server.on('connect', (_request, socket) => socket.end(bareReply('405 Method Not Allowed', 'method_not_allowed', 'Relay is no proxy.')));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    socket.end(bareReply(STATUS_OF[error.code ?? ''] ?? '400 Bad Request', 'invalid_request_error', 'The request is not valid HTTP.'));
  });
  return server;
}

/** An error for a connection that has no request to answer. */
function bareReply(status: string, code: string, message: string): string {
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } });
  const headers = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  return `HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => void listenError(error, host, port).then(reject);
    server.once('error', onError);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** Machines without IPv6 are served on IPv4 alone; a port that somebody else holds on ::1 is an error like any other. */
async function listenIfThere(server: Server, host: string, port: number, first: Server): Promise<boolean> {
  try {
    await listen(server, host, port);
    return true;
  } catch (error) {
    if (error instanceof CommandError) {
      first.close();
      throw error;
    }
    return false;
  }
}

async function listenError(error: NodeJS.ErrnoException, host: string, port: number): Promise<Error> {
  if (error.code === 'EADDRINUSE') {
    const holder = await describePortHolder(host, port);
    const remedy = 'choose another with --port N or relay config set server.port N';
    return new CommandError(EXIT.inUse, `port ${port} is in use by ${holder}; ${remedy}`);
  }
  if (error.code === 'EACCES') return new CommandError(EXIT.inUse, `port ${port} may not be opened by this user; choose one above 1023`);
  return error;
}
