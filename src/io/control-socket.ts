import type { IncomingMessage, ServerResponse } from 'node:http';

import { ControlError } from '../control/control.ts';
import { CommandError, RelayError } from '../core/errors.ts';
import { CredentialStoreError, StorageError } from '../core/ports.ts';
import type { Log } from '../core/ports.ts';
import type { ControlClaim } from './claim-control-socket.ts';
import { answerClaim } from './claim-control-socket.ts';

/** What the daemon does when it is asked over its control socket. */
export interface ControlHandler {
  /** Answers one method with something JSON can hold. Rejects with a ControlError where the caller is at fault. */
  call(method: string, params: unknown): Promise<unknown>;
  /** Hands every live event to the listener until the returned function is called. */
  subscribe(listener: (event: unknown) => void): () => void;
}

const MAX_REQUEST_BYTES = 1_048_576;
/** A reader this far behind, e.g. one that was suspended, is cut off; it connects again and asks for the present. */
const MAX_EVENTS_BEHIND_BYTES = 1_048_576;

/**
 * Serves the control API on a claimed socket: `POST /<method>` with JSON parameters, answered with
 * `{"ok":true,"value"}` or `{"ok":false,"error":{"code","message"}}`, and `GET /events`, one JSON event a line. The
 * socket file's mode is the only key; there is no route to it over TCP.
 */
export function serveControl(claim: ControlClaim, handler: ControlHandler, log: Pick<Log, 'error'>): void {
  answerClaim(claim, (request, response) => {
    void answer(request, response, handler).catch((error: unknown) => {
      log.error('a control request failed', { method: methodOf(request), error: error instanceof Error ? error.name : 'unknown' });
      sendJson(response, 500, refused('internal', 'Relay failed inside; its log says where.'));
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, handler: ControlHandler): Promise<void> {
  const method = methodOf(request);
  if (request.method === 'GET' && method === 'events') return sendEvents(response, handler);
  if (request.method !== 'POST') return sendJson(response, 405, refused('invalid', 'Control methods are POSTed.'));
  const body = await readBody(request);
  if (body === null) return sendJson(response, 413, refused('invalid', 'The parameters are larger than 1 MiB.'));
  const params = parse(body);
  if (params === undefined) return sendJson(response, 400, refused('invalid', 'The parameters are not JSON.'));
  try {
    sendJson(response, 200, { ok: true, value: (await handler.call(method, params)) ?? null });
  } catch (error) {
    const known = describe(error);
    if (known === null) throw error;
    sendJson(response, 200, known);
  }
}

function sendEvents(response: ServerResponse, handler: ControlHandler): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  response.flushHeaders();
  const stop = handler.subscribe((event) => {
    if (response.writableLength > MAX_EVENTS_BEHIND_BYTES) response.destroy();
    else if (!response.destroyed) response.write(`${JSON.stringify(event)}\n`);
  });
  response.on('error', () => {});
  response.once('close', stop);
}

interface Refused {
  readonly ok: false;
  readonly error: { readonly code: string; readonly message: string };
}

const refused = (code: string, message: string): Refused => ({ ok: false, error: { code, message } });

/** The errors that are written for people; anything else stays inside, since it may hold what is nobody's business. */
function describe(error: unknown): Refused | null {
  if (error instanceof ControlError) return refused(error.code, error.message);
  if (error instanceof CredentialStoreError) return refused('keychain', error.message);
  if (error instanceof StorageError) return refused('storage', error.message);
  if (error instanceof CommandError || error instanceof RelayError) return refused('invalid', error.message);
  return null;
}

function methodOf(request: IncomingMessage): string {
  return (request.url ?? '/').slice(1, 101);
}

/** Null when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.byteLength;
    if (size > MAX_REQUEST_BYTES) return null;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** No body stands for no parameters; undefined when it is not JSON. */
function parse(text: string): unknown {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify(body));
}
