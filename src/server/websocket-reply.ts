import { isUtf8 } from 'node:buffer';

import type { JsonObject } from '../core/json.ts';
import { objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';
import { createItemCollector } from '../wire/fold-items.ts';
import type { FrameFields } from '../wire/splice-framer.ts';
import { createFramer, readFields } from '../wire/splice-framer.ts';
import { typeOf } from '../wire/splice-responses.ts';
import { MAX_EVENT_SIZE } from '../wire/sse-reader.ts';
import type { Reply } from './reply.ts';
import { errorEvent, eventMessage, headerEvents } from './websocket-frames.ts';
import type { Outlet } from './websocket-outlet.ts';

/** An answer that was told to its end. */
export interface ToldAnswer {
  readonly responseId: string;
  readonly output: readonly JsonObject[];
  /** The output's size as JSON text. */
  readonly bytes: number;
}

export interface SocketReplyOptions {
  readonly outlet: Outlet;
  readonly streamId: string | null;
  /** Codex reads what HTTP tells in headers from events of its own; nobody else is sent them. */
  readonly isCodex: boolean;
  /** Called before the last event goes out, so that what follows it can already be continued. */
  readonly onAnswer: (answer: ToldAnswer) => void;
}

/** Keeps Codex patient and is no part of an answer. */
const KEEPALIVE = 'codex.keepalive';

/**
 * One answer on a WebSocket: the events of a stream, each as one text message. An error has a status of its own here, so
 * it stays one until the first event of the answer went out; and since messages have ends, a failure after that needs no
 * broken connection.
 */
export function createSocketReply({ outlet, streamId, isCodex, onAnswer }: SocketReplyOptions): Reply {
  const collector = createItemCollector();
  const leaveCalls: (() => void)[] = [];
  let outputBytes = 0;
  let told = 0;
  let over = false;
  let refusal: { readonly status: number; readonly headers: Headers } | null = null;
  let hasHeaders = false;
  let flows = true;

  const tell = (fields: FrameFields): void => {
    const type = typeOf(fields);
    const data = fields.bytes.subarray(fields.dataStart, fields.dataEnd);
    if (type === 'response.output_item.done') {
      const event = parseJsonObject(new TextDecoder().decode(data));
      if (event) collector.take(event);
      outputBytes += data.length;
    }
    if (type === 'response.completed' || type === 'response.incomplete') finish(data);
    if (type !== KEEPALIVE) told += 1;
    flows = outlet.send(laneOf(wellFormed(data), streamId)) && flows;
  };
  const finish = (data: Uint8Array): void => {
    const event = parseJsonObject(new TextDecoder().decode(data));
    const responseId = stringAt(objectAt(event, 'response'), 'id');
    if (event === undefined || responseId === undefined) return;
    collector.take(event);
    onAnswer({ responseId, output: collector.items(), bytes: outputBytes });
  };
  const framer = createFramer((frame) => {
    const fields = readFields(frame);
    if (fields !== undefined) tell(fields);
  }, MAX_EVENT_SIZE);
  const writeAll = (chunks: readonly Uint8Array[]): void => outlet.together(() => chunks.forEach((chunk) => framer.push(chunk)));
  const isClosed = (): boolean => over || !outlet.isOpen;
  const close = (): Promise<void> => {
    over = true;
    for (const leave of leaveCalls) leave();
    return outlet.flushed();
  };

  return {
    get begun() {
      return told > 0;
    },
    get closed() {
      return isClosed();
    },
    begin(status, headers) {
      if (isClosed()) return;
      if (status >= 400) {
        refusal = { status, headers };
        return;
      }
      // A keepalive begins the answer too, with nothing to tell yet.
      if (!isCodex || hasHeaders || !Object.keys(headers).some((name) => name.startsWith('x-relay-'))) return;
      hasHeaders = true;
      for (const event of headerEvents(headers)) outlet.send(eventMessage(event, streamId));
    },
    // A client that stops sending has closed its half of the socket, which ends it.
    signOfLife() {},
    write(chunk) {
      if (isClosed()) return true;
      flows = true;
      writeAll([chunk]);
      return flows;
    },
    onDrain: (callback) => outlet.onDrain(callback),
    end(chunks) {
      if (isClosed()) return Promise.resolve();
      if (refusal === null) writeAll(chunks);
      else outlet.send(eventMessage(errorEvent(refusal.status, errorIn(chunks), refusal.headers), streamId));
      return close();
    },
    async destroy(chunks) {
      if (isClosed()) return;
      const before = told;
      writeAll(chunks);
      if (told === before) outlet.fail();
      await close();
    },
    onGone(callback) {
      leaveCalls.push(outlet.onGone(callback));
    },
  };
}

/** The inside of an error's envelope. */
function errorIn(chunks: readonly Uint8Array[]): JsonObject {
  const envelope = parseJsonObject(Buffer.concat(chunks).toString('utf8'));
  return objectAt(envelope, 'error') ?? { type: 'server_error', code: 'internal_error', message: 'Relay ran into a fault.', param: null };
}

/** A text message that is not UTF-8 ends the connection at the other side: what an upstream got wrong is replaced. */
function wellFormed(data: Uint8Array): Uint8Array {
  return isUtf8(data) ? data : Buffer.from(new TextDecoder().decode(data));
}

const CLOSING_BRACE = 125;

/** The event under its lane, without reading it: the member goes in before its last brace. */
function laneOf(data: Uint8Array, streamId: string | null): Uint8Array {
  if (streamId === null) return data;
  const end = data.lastIndexOf(CLOSING_BRACE);
  if (end === -1) return data;
  return Buffer.concat([data.subarray(0, end), Buffer.from(`,"stream_id":${JSON.stringify(streamId)}}`)]);
}
