import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

import { signInPage } from './sign-in-page.ts';

/** A listener on loopback that the browser is sent back to. */
export interface SignInListener {
  readonly port: number;
  /** Resolves with the first answer that was meant for this sign-in. */
  readonly answered: Promise<SignInAnswer>;
  /** Shows the waiting browser how it went. */
  finish(title: string, text: string): void;
  close(): void;
}

/** What a callback's query says: a code, or the reason there is none. Null when it is not for this sign-in. */
export type SignInAnswer =
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'error'; readonly error: string; readonly description: string };

export type ReadCallback = (query: URLSearchParams) => SignInAnswer | null;

const CALLBACK_PATH = '/auth/callback';
const MAX_URL_LENGTH = 8_192;

/**
 * Listens on the first free port, on 127.0.0.1 and, where there is one, ::1, since browsers may take either for
 * `localhost`. Takes one answer: callbacks with another state are refused and change nothing, later ones are told
 * it is over. Null when every port is in use.
 */
export async function listenForSignIn(ports: readonly number[], read: ReadCallback): Promise<SignInListener | null> {
  for (const port of ports) {
    const servers = await bindLoopback(port);
    if (servers !== null) return startListener(servers, read);
  }
  return null;
}

interface Bound {
  readonly servers: readonly Server[];
  readonly port: number;
}

async function bindLoopback(wanted: number): Promise<Bound | null> {
  const first = createServer();
  if ((await bind(first, '127.0.0.1', wanted)) !== 'bound') return null;
  const address = first.address();
  const port = typeof address === 'object' && address !== null ? address.port : wanted;
  const second = createServer();
  const outcome = await bind(second, '::1', port);
  if (outcome === 'bound') return { servers: [first, second], port };
  if (outcome === 'no-such-address') return { servers: [first], port };
  first.close();
  return null;
}

function bind(server: Server, host: string, port: number): Promise<'bound' | 'in-use' | 'no-such-address'> {
  return new Promise((resolve) => {
    server.once('error', (error) => {
      const code = 'code' in error ? error.code : '';
      resolve(code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' ? 'no-such-address' : 'in-use');
    });
    server.listen({ host, port, exclusive: true }, () => resolve('bound'));
  });
}

function startListener({ servers, port }: Bound, read: ReadCallback): SignInListener {
  const hosts = new Set([`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]);
  let waiting: ServerResponse | null = null;
  let taken = false;
  const { promise: answered, resolve: tell } = Promise.withResolvers<SignInAnswer>();

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    const refusal = whyRefused(request, hosts);
    if (refusal !== null) return sendPage(response, refusal, 'Not here', 'Relay is waiting for a sign-in, and this is not it.');
    if (taken) return sendPage(response, 410, 'Already used', 'This sign-in is over. Start another one in the terminal.');
    const answer = read(new URL(request.url ?? '/', 'http://localhost').searchParams);
    if (answer === null)
      return sendPage(response, 400, 'Not this sign-in', 'The answer does not belong to the sign-in Relay is waiting for.');
    taken = true;
    waiting = response;
    tell(answer);
  };
  for (const server of servers) server.on('request', onRequest);

  return {
    port,
    answered,
    finish(title, text) {
      if (waiting !== null) sendPage(waiting, 200, title, text);
      waiting = null;
    },
    close() {
      for (const server of servers) {
        server.close();
        server.closeIdleConnections();
      }
    },
  };
}

/** The status that turns a request away: another path, method, Host (DNS rebinding) or Origin (another page's script). */
function whyRefused(request: IncomingMessage, hosts: ReadonlySet<string>): number | null {
  const { method, url, headers } = request;
  if (!hosts.has((headers.host ?? '').toLowerCase())) return 403;
  if (headers.origin !== undefined && !hosts.has(headers.origin.replace(/^http:\/\//, '').toLowerCase())) return 403;
  if (method !== 'GET') return 405;
  if (url === undefined || url.length > MAX_URL_LENGTH) return 414;
  if (!url.startsWith('/') || url.startsWith('//') || url.split('?')[0] !== CALLBACK_PATH) return 404;
  return null;
}

function sendPage(response: ServerResponse, status: number, title: string, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(signInPage(title, text));
}
