import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createHttps } from 'node:https';
import { createSecureServer } from 'node:http2';
import type { Http2SecureServer } from 'node:http2';

import { onTestFinished } from 'vitest';

/** A test server: its origin and every socket it ever took. */
export interface FakeServer {
  readonly origin: string;
  readonly port: number;
  readonly sockets: ReadonlySet<Socket>;
}

const pem = (name: string): string => readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), 'utf8');

/** The authority that signed the test certificates. */
export const TEST_AUTHORITY = pem('authority');

async function listen(server: Server | ReturnType<typeof createTcp> | Http2SecureServer, protocol: string): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const port = portOf(server.address());
  return { origin: `${protocol}://127.0.0.1:${port}`, port, sockets };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the test server has no port');
  return address.port;
}

/** An HTTP server of the test's own. */
export function serveHttp(listener: RequestListener): Promise<FakeServer> {
  return listen(createHttp(listener), 'http');
}

/** An HTTPS server with one of the test certificates. */
export function serveHttps(
  certificate: 'valid' | 'expired' | 'other-host' | 'self-signed',
  listener: RequestListener,
): Promise<FakeServer> {
  return listen(createHttps({ key: pem('key'), cert: pem(certificate) }, listener), 'https');
}

/** An HTTP/2 server, with HTTP/1.1 beside it or not; `prepare` sees it before it listens. */
export async function serveHttp2(mode: 'only' | 'allowed', prepare: (server: Http2SecureServer) => void): Promise<FakeServer> {
  const server = createSecureServer({ key: pem('key'), cert: pem('valid'), allowHTTP1: mode === 'allowed' });
  server.on('sessionError', () => {});
  prepare(server);
  return listen(server, 'https');
}

/** A bare TCP server: what is said on the wire is the test's business. */
export function serveTcp(listener: (socket: Socket) => void): Promise<FakeServer> {
  return listen(createTcp(listener), 'http');
}

/** Reads a request's body to its end. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)));
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
