import type { IncomingMessage } from 'node:http';

import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

import type { JsonObject } from '../../src/core/json.ts';
import { parseJsonObject, stringAt } from '../../src/core/json.ts';
import type { ServedRelay } from './serve-in-process.ts';
import { waitFor, within } from './wait-for.ts';

/** What Codex 0.169 says of itself in its handshake (observed 2026-11). */
export const CODEX_HANDSHAKE: Readonly<Record<string, string>> = {
  originator: 'codex_exec',
  'user-agent': 'codex_exec/0.169.0 (Debian 12.0.0; x86_64) unknown (codex_exec; 0.169.0)',
  'openai-beta': 'responses_websockets=2026-02-06',
  'x-codex-beta-features': 'remote_compaction_v2',
  'x-codex-turn-metadata': '{"request_kind":"prewarm"}',
  'x-client-request-id': 'thread-1',
  'session-id': 'thread-1',
  'thread-id': 'thread-1',
  'x-codex-window-id': 'thread-1:0',
};

/** How a WebSocket is opened. */
export interface Handshake {
  readonly path?: string;
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of the Responses WebSocket that keeps everything it is told. */
export interface SocketClient {
  readonly socket: WebSocket;
  /** Every message so far, oldest first. */
  readonly messages: readonly JsonObject[];
  /** Null until the connection has ended. */
  readonly closed: { readonly code: number; readonly reason: string } | null;
  send(message: JsonObject | string | Uint8Array): void;
  /** Resolves with the messages that came since it was called, up to and with the first one that ends an answer. */
  answer(message?: JsonObject): Promise<readonly JsonObject[]>;
  /** Resolves with the first message of this type that came so far or comes. */
  first(type: string): Promise<JsonObject>;
  ended(): Promise<{ readonly code: number; readonly reason: string }>;
}

/** An answer to a handshake that is no WebSocket. */
export interface RefusedHandshake {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly json: JsonObject | undefined;
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error', 'response.steer.failed']);

/** Opens a WebSocket to Relay; ended when the test is over. Rejects where the handshake is refused. */
export async function openSocket(relay: Pick<ServedRelay, 'url' | 'key'>, handshake: Handshake = {}): Promise<SocketClient> {
  const socket = connect(relay, handshake);
  const messages: JsonObject[] = [];
  let closed: SocketClient['closed'] = null;
  socket.on('message', (data: Buffer, isBinary) => {
    const message = isBinary ? undefined : parseJsonObject(data.toString('utf8'));
    messages.push(message ?? { type: 'unreadable', text: data.toString('utf8') });
  });
  socket.on('close', (code, reason) => {
    closed = { code, reason: reason.toString('utf8') };
  });
  onTestFinished(() => socket.terminate());
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  await within(opened, 'the handshake');
  socket.on('error', () => {});
  const client: SocketClient = {
    socket,
    messages,
    get closed() {
      return closed;
    },
    send: (message) => socket.send(message instanceof Uint8Array || typeof message === 'string' ? message : JSON.stringify(message)),
    async answer(message) {
      const from = messages.length;
      if (message !== undefined) client.send(message);
      const end = await waitFor(() => {
        const place = messages.findIndex((told, index) => index >= from && TERMINAL.has(stringAt(told, 'type') ?? ''));
        return place === -1 ? undefined : place + 1;
      }, 'the end of an answer');
      return messages.slice(from, end);
    },
    first: (type) => waitFor(() => messages.find((message) => message['type'] === type), `a message of type ${type}`),
    ended: () => waitFor(() => closed, 'the end of the connection'),
  };
  return client;
}

/** Tries to open one and resolves with the refusal. */
export function refusedSocket(relay: Pick<ServedRelay, 'url' | 'key'>, handshake: Handshake = {}): Promise<RefusedHandshake> {
  const socket = connect(relay, handshake);
  onTestFinished(() => socket.terminate());
  socket.on('error', () => {});
  return within(new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error('the handshake was not refused')));
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, json: parseJsonObject(text) }));
    });
  }), 'the refusal of a handshake');
}

function connect({ url, key }: Pick<ServedRelay, 'url' | 'key'>, { path = '/v1/responses', key: own, headers }: Handshake): WebSocket {
  const presented = own === undefined ? key : own;
  const authorization = presented === null ? {} : { authorization: `Bearer ${presented}` };
  return new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers: { ...authorization, ...headers } });
}

/** The types of messages, in order. */
export function typesOf(messages: readonly JsonObject[]): readonly string[] {
  return messages.map((message) => stringAt(message, 'type') ?? '');
}
