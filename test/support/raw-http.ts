import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { onTestFinished } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { parseJsonObject } from '../../src/core/json.ts';
import { waitFor, within } from './wait-for.ts';

/** One HTTP answer as it stood on the socket. Interim ones (1xx) count as answers. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly json: JsonObject | undefined;
  /** False while more of it may come. */
  readonly complete: boolean;
}

/** A socket that says whatever a test wants. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything received so far. */
  received(): string;
  /** Waits for so many complete answers. */
  answers(count: number, deadlineMs?: number): Promise<readonly RawAnswer[]>;
  /** The last of so many. */
  answer(count?: number): Promise<RawAnswer>;
  /** Resolves when the other side has closed or reset it. */
  closed(deadlineMs?: number): Promise<void>;
}

/** Connects; the socket is destroyed when the test is over. `allowHalfOpen`: its own side stays open when the other one ends. */
export async function openRaw(
  port: number,
  { host = '127.0.0.1', allowHalfOpen = false }: { readonly host?: string; readonly allowHalfOpen?: boolean } = {},
): Promise<RawConnection> {
  const socket = connect({ port, host, allowHalfOpen });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  const over = new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', () => resolve());
  });
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await within(opened, 'the connection');
  const answers: RawConnection['answers'] = (count, deadlineMs) =>
    waitFor(
      () => {
        const found = parseAnswers(text);
        return found.length >= count && found.slice(0, count).every(({ complete }) => complete) ? found.slice(0, count) : null;
      },
      `${count} answers in ${JSON.stringify(text.slice(0, 300))}`,
      deadlineMs,
    );
  return {
    socket,
    received: () => text,
    answers,
    async answer(count = 1) {
      const found = (await answers(count)).at(-1);
      if (found === undefined) throw new Error('no answer');
      return found;
    },
    closed: (deadlineMs) => within(over, 'the end of the connection', deadlineMs),
  };
}

/** A request's bytes: start line, host, the headers given, and a body with its length unless a header says otherwise. */
export function rawRequest(
  port: number,
  startLine: string,
  { headers = [], body = '' }: { readonly headers?: readonly string[]; readonly body?: string } = {},
): string {
  const names = headers.map((line) => line.split(':')[0]?.toLowerCase());
  const all = [
    startLine,
    ...(names.includes('host') ? [] : [`Host: 127.0.0.1:${port}`]),
    ...headers,
    ...(body === '' || names.includes('content-length') || names.includes('transfer-encoding')
      ? []
      : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  return `${all.join('\r\n')}\r\n\r\n${body}`;
}

/** Takes a socket's text apart into answers, by length or chunks; one without either goes to the end. */
export function parseAnswers(text: string): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
    const [startLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(startLine)?.[1] ?? 0);
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const tail = rest.slice(end + 4);
    const taken = takeBody(tail, status, headers);
    answers.push({ status, headers, body: taken.body, json: parseJsonObject(taken.body), complete: taken.complete });
    rest = tail.slice(taken.length);
  }
  return answers;
}

interface Taken {
  readonly body: string;
  readonly length: number;
  readonly complete: boolean;
}

function takeBody(tail: string, status: number, headers: Readonly<Record<string, string>>): Taken {
  if (status < 200 || status === 204 || status === 304) return { body: '', length: 0, complete: true };
  if (headers['transfer-encoding'] === 'chunked') return takeChunks(tail);
  const length = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
  const body = tail.slice(0, Math.min(length, tail.length));
  return { body, length: body.length, complete: body.length === length || !Number.isFinite(length) };
}

function takeChunks(tail: string): Taken {
  let body = '';
  let at = 0;
  for (;;) {
    const lineEnd = tail.indexOf('\r\n', at);
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(tail.slice(at, lineEnd), 16);
    if (!Number.isFinite(size) || tail.length < lineEnd + 2 + size + 2)
      return { body: body + tail.slice(lineEnd + 2), length: tail.length, complete: false };
    if (size === 0) return { body, length: lineEnd + 4, complete: true };
    body += tail.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
