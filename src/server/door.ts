import type { IncomingMessage } from 'node:http';

import type { Config } from '../core/config.ts';
import { isLoopbackHost } from '../core/config.ts';
import { RelayError } from '../core/errors.ts';
import type { Headers } from '../core/relay-request.ts';

/** What a page of an allowed origin may read beside the body. */
const EXPOSED = [
  'x-request-id', 'retry-after', 'x-should-retry', 'x-relay-provider', 'x-relay-account', 'x-relay-model', 'x-relay-attempts', 'x-relay-dropped',
].join(', ');
/** Far more than any client sends. */
const MAX_HEADERS = 200;

/** What a request may be let in with: headers its answer must carry for an allowed browser origin. */
export type DoorResult = { readonly ok: true; readonly headers: Headers } | { readonly ok: false; readonly error: RelayError };

/**
 * Keeps web pages and other hosts out: `Host` must be a loopback name with our port (which defeats DNS rebinding) or
 * one the user allowed, an `Origin` must be ours or allowed, and the request target must not name another authority.
 * Forwarded headers are never looked at.
 */
export function checkDoor(incoming: IncomingMessage, port: number, server: Config['server']): DoorResult {
  if (incoming.rawHeaders.length / 2 > MAX_HEADERS) {
    return { ok: false, error: new RelayError('invalid_request_error', `The request has over ${MAX_HEADERS} headers.`, { status: 431 }) };
  }
  const host = incoming.headers.host ?? '';
  if (countHeader(incoming, 'host') > 1 || !isOurHost(host, port, server.allowedHosts)) {
    return refuse('forbidden_host', `Host "${printable(host)}" is not Relay's. Use localhost:${port}, or add the host to server.allowedHosts.`);
  }
  const target = incoming.url ?? '/';
  if (!target.startsWith('/') && target !== '*' && !isOurTarget(target, port, server.allowedHosts)) {
    return refuse('forbidden_host', 'The request target names another host.');
  }
  const origin = incoming.headers.origin;
  if (origin === undefined || isOwnOrigin(origin, port)) return { ok: true, headers: {} };
  if (!server.allowedOrigins.includes(origin)) {
    return refuse('forbidden_origin', `Origin "${printable(origin)}" may not call Relay. Add it to server.allowedOrigins if it is yours.`);
  }
  return { ok: true, headers: { 'access-control-allow-origin': origin, vary: 'Origin', 'access-control-expose-headers': EXPOSED } };
}

/** How often a header stands in the request: node joins or drops repeats before anyone can see them. */
export function countHeader(incoming: IncomingMessage, name: string): number {
  let count = 0;
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const raw = incoming.rawHeaders[index];
    if (raw?.length === name.length && raw.toLowerCase() === name) count += 1;
  }
  return count;
}

function isOurHost(host: string, port: number, allowed: readonly string[]): boolean {
  const lower = host.toLowerCase();
  if (allowed.some((entry) => entry.toLowerCase() === lower)) return true;
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::(\d{1,5}))?$/.exec(lower);
  if (!parts?.[1]) return false;
  return isLoopbackHost(parts[1]) && Number(parts[2] ?? 80) === port;
}

function isOurTarget(target: string, port: number, allowed: readonly string[]): boolean {
  return URL.canParse(target) && isOurHost(new URL(target).host, port, allowed);
}

function isOwnOrigin(origin: string, port: number): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  return url.protocol === 'http:' && isLoopbackHost(url.hostname) && Number(url.port || 80) === port;
}

function refuse(code: 'forbidden_host' | 'forbidden_origin', message: string): DoorResult {
  return { ok: false, error: new RelayError(code, message) };
}

/** A header's value as it may stand in a message: bounded, without control characters. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
