import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { CommandError, EXIT } from '../core/errors.ts';

/** Relay's listeners: the same handler on both loopback addresses. */
export interface Listeners {
  readonly port: number;
  /** Stops accepting, and resolves when every connection has ended. */
  close(): Promise<void>;
  /** Breaks what is still open. */
  destroy(): void;
}

/** A client must send its headers within this; its body may take `requestTimeout`. Answers are never cut by a clock. */
const LIMITS = { headersTimeout: 30_000, requestTimeout: 300_000, keepAliveTimeout: 75_000, maxHeaderSize: 32_768 };
const MAX_HEADERS = 200;

/**
 * Listens on 127.0.0.1 and, where the machine has it, on ::1, on the same port; 0 takes any. Never on another address.
 * Throws a CommandError (75) when the port is in use.
 */
export async function listenOnLoopback(handler: RequestListener, port: number): Promise<Listeners> {
  const first = createLimitedServer(handler);
  await listen(first, '127.0.0.1', port);
  const bound = (first.address() as AddressInfo).port;
  const second = createLimitedServer(handler);
  const servers = (await listenIfThere(second, '::1', bound, first)) ? [first, second] : [first];
  return {
    port: bound,
    async close() {
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      })));
    },
    destroy() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

function createLimitedServer(handler: RequestListener): Server {
  const server = createServer({ ...LIMITS, noDelay: true }, handler);
  server.maxHeadersCount = MAX_HEADERS;
  // `100 Continue` is said by whoever reads the body, after the key was good.
  server.on('checkContinue', handler);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
    const body = JSON.stringify({ error: { message: 'The request is not valid HTTP.', type: 'invalid_request_error', param: null, code: 'invalid_request_error' } });
    socket.end(`HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  });
  return server;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, port));
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

function listenError(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new CommandError(EXIT.inUse, `port ${port} is in use by another program (find it with: lsof -i :${port}); choose another with --port N or relay config set server.port N`);
  }
  if (error.code === 'EACCES') return new CommandError(EXIT.inUse, `port ${port} may not be opened by this user; choose one above 1023`);
  return error;
}
