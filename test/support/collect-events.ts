import { createParser } from 'eventsource-parser';

import type { ByteSource, TransportFailure } from '../../src/core/byte-source.ts';
import { isJsonObject, parseJsonObject } from '../../src/core/json.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { DEADLINE_MS, within } from './wait-for.ts';

/** One server-sent event as it stood on the wire. `json` is undefined where the data is no JSON object. */
export interface CollectedEvent {
  readonly event: string | null;
  readonly data: string;
  readonly json: JsonObject | undefined;
}

/** Parses a whole stream of server-sent events. Comments are left out; see {@link commentsIn}. */
export function eventsIn(text: string): readonly CollectedEvent[] {
  const events: CollectedEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ event: event ?? null, data, json: parseJsonObject(data) }),
  });
  parser.feed(text);
  return events;
}

/** The comments of a stream of server-sent events, without their colon. */
export function commentsIn(text: string): readonly string[] {
  const comments: string[] = [];
  createParser({ onEvent: () => undefined, onComment: (comment) => comments.push(comment.trim()) }).feed(text);
  return comments;
}

/** Reads a response to its end and parses its events. Rejects when the connection breaks or the deadline passes. */
export async function collectEvents(response: Response, deadlineMs: number = DEADLINE_MS): Promise<readonly CollectedEvent[]> {
  return eventsIn(await within(response.text(), 'the stream', deadlineMs));
}

/** The `type` of each event of a Responses stream; `[DONE]` and the like stand as their data. */
export function typesOf(events: readonly CollectedEvent[]): readonly string[] {
  return events.map(({ json, data }) => (typeof json?.['type'] === 'string' ? json['type'] : data));
}

/** The text a stream carried, of either wire: output text deltas, or the content of chat chunks. */
export function textOf(events: readonly CollectedEvent[]): string {
  return events.map(({ json }) => (json === undefined ? '' : textOfEvent(json))).join('');
}

function textOfEvent(json: JsonObject): string {
  if (json['type'] === 'response.output_text.delta') return typeof json['delta'] === 'string' ? json['delta'] : '';
  const choices = Array.isArray(json['choices']) ? json['choices'] : [];
  return choices
    .map((choice) => (isJsonObject(choice) && isJsonObject(choice['delta']) ? choice['delta']['content'] : undefined))
    .filter((content) => typeof content === 'string')
    .join('');
}

/** What came of a body read until its end, a break or the deadline: never rejects for a break. */
export interface CollectedBody {
  readonly text: string;
  readonly broken: boolean;
}

/** Reads a response to its end or to its break, so that a test can look at what came before the break. */
export async function collectBody(response: Response, deadlineMs: number = DEADLINE_MS): Promise<CollectedBody> {
  const decoder = new TextDecoder();
  let text = '';
  const read = async (): Promise<CollectedBody> => {
    try {
      for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
      return { text, broken: false };
    } catch {
      return { text, broken: true };
    }
  };
  return within(read(), 'the body', deadlineMs);
}

/** Drinks a {@link ByteSource} to its end. */
export async function collectBytes(
  source: ByteSource,
  deadlineMs: number = DEADLINE_MS,
): Promise<{ readonly bytes: Buffer; readonly failure: TransportFailure | null }> {
  const chunks: Uint8Array[] = [];
  const ended = new Promise<TransportFailure | null>((resolve) => {
    source.start({
      onBytes: (chunk) => chunks.push(chunk),
      onEnd: () => resolve(null),
      onFailure: resolve,
    });
  });
  const failure = await within(ended, 'the byte source', deadlineMs);
  return { bytes: Buffer.concat(chunks), failure };
}
