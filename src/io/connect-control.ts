import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';

import type { Control, ControlResult } from '../control/control.ts';
import { ControlError } from '../control/control.ts';
import type { ControlMethod, ControlParams } from '../core/control-messages.ts';
import { isJsonObject, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';

/** The running daemon, as a command reaches it. */
export interface ControlConnection extends Control {
  /** Hands over live events until closed; `onEnd` when the daemon goes away or cut a reader that was too slow. */
  events(listener: { onEvent(event: JsonObject): void; onEnd(): void }): () => void;
}

export interface ConnectOptions {
  readonly clock: Pick<Clock, 'after'>;
  /** How long one call may take; a keychain may be asking a person meanwhile. */
  readonly timeoutMs: number;
}

const MAX_ANSWER_BYTES = 64 * 1_048_576;
const MAX_EVENT_CHARACTERS = 1_048_576;
const STARTING_MS = 10_000;
const LOOK_AGAIN_MS = 50;
const CODES: readonly ControlError['code'][] = ['not_found', 'exists', 'invalid', 'keychain', 'terms', 'not_running', 'storage'];

/**
 * Reaches the daemon behind a control socket; null when none answers there. One that is still starting is waited for,
 * at most 10 s. Calls reject with a ControlError, `not_running` when the daemon goes away meanwhile.
 */
export async function connectControl(path: string, options: ConnectOptions): Promise<ControlConnection | null> {
  for (let waitedMs = 0; ; waitedMs += LOOK_AGAIN_MS) {
    const greeting = await post(path, { method: 'ping', params: {} }, options).catch((error: unknown) => {
      if (error instanceof ControlError && error.code === 'not_running') return null;
      throw error;
    });
    if (greeting === null) return null;
    if (errorCodeOf(greeting) !== 'starting') break;
    if (waitedMs >= STARTING_MS) throw new ControlError('not_running', 'Relay has been starting for 10 s and does not answer yet.');
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  return {
    async call<M extends ControlMethod>(method: M, params: ControlParams<M>): Promise<ControlResult<M>> {
      const value = valueOf(await post(path, { method, params }, options));
      // The other end is this same program: what it answers to a method is what ControlResult says.
      return value as ControlResult<M>;
    },
    events: (listener) => readEvents(path, listener),
  };
}

function valueOf(answer: JsonObject): unknown {
  if (answer['ok'] === true) return answer['value'] ?? null;
  const message = stringAt(objectAt(answer, 'error'), 'message') ?? 'Relay answered with something that cannot be read.';
  const code = CODES.find((known) => known === errorCodeOf(answer)) ?? 'invalid';
  throw new ControlError(code, message);
}

const errorCodeOf = (answer: JsonObject): string | undefined => stringAt(objectAt(answer, 'error'), 'code');

const gone = (): ControlError => new ControlError('not_running', 'Relay is not running. Start it: relay start.');

function post(
  path: string,
  message: { readonly method: string; readonly params: unknown },
  { clock, timeoutMs }: ConnectOptions,
): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath: path,
      method: 'POST',
      path: `/${message.method}`,
      headers: { 'content-type': 'application/json', host: 'relay' },
      agent: false,
    });
    const cancel = clock.after(timeoutMs, () => {
      reject(new ControlError('not_running', `Relay did not answer within ${Math.round(timeoutMs / 1_000)} s. See: relay doctor.`));
      call.destroy();
    });
    call.once('error', () => {
      cancel();
      reject(gone());
    });
    call.once('response', (response) => {
      readAnswer(response).then(resolve, reject).finally(cancel);
    });
    call.end(JSON.stringify(message.params));
  });
}

async function readAnswer(response: IncomingMessage): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      size += bytes.byteLength;
      if (size > MAX_ANSWER_BYTES) throw new ControlError('invalid', 'The answer is too large. Ask for less.');
      chunks.push(bytes);
    }
  } catch (error) {
    throw error instanceof ControlError ? error : gone();
  }
  const answer = parseJsonObject(Buffer.concat(chunks).toString('utf8'));
  if (answer === undefined) throw new ControlError('invalid', 'Something that is not Relay answers on the control socket.');
  return answer;
}

function readEvents(path: string, listener: { onEvent(event: JsonObject): void; onEnd(): void }): () => void {
  const call = request({ socketPath: path, method: 'GET', path: '/events', headers: { host: 'relay' }, agent: false });
  const decoder = new TextDecoder();
  let rest = '';
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    call.destroy();
    listener.onEnd();
  };
  call.once('error', end);
  call.once('close', end);
  call.once('response', (response) => {
    response.on('error', end);
    response.on('data', (chunk: Buffer) => {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_EVENT_CHARACTERS) return end();
      for (const line of lines) {
        const event = parseJsonObject(line);
        if (event !== undefined && isJsonObject(event) && !over) listener.onEvent(event);
      }
    });
    response.once('end', end);
  });
  call.end();
  return () => {
    over = true;
    call.destroy();
  };
}
