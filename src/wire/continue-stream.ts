import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Wire } from '../core/provider-kind.ts';
import { chatErrorFrame, responsesErrorFrame } from './error-frame.ts';
import type { Passage, Passed } from './passage.ts';
import type { SseEvent } from './sse-reader.ts';
import { createSseReader } from './sse-reader.ts';
import { DONE_EVENT, writeChatEvent, writeResponsesEvent } from './sse-writer.ts';

/**
 * A client's stream whose beginning has been sent while no upstream had said anything that counts. Should the account
 * behind it fail, another one's answer goes on under the same id, so that the client sees one stream.
 */
export interface BegunStream {
  /** Takes note of whole events on their way to the client. */
  note(pieces: readonly Uint8Array[]): void;
  /** The passage of another account's answer: its own beginning is left out, its ids and numbers go on from the first. */
  goOn(passage: Passage): Passage;
  /** An error as this stream's next event. */
  errorFrame(error: ErrorBody): Uint8Array;
}

interface Told {
  /** The answer's id and time as the client has them; the model stays the upstream's word. */
  head: { readonly id: string; readonly created: number | null } | null;
  /** The Responses object as it was begun. */
  response: JsonObject | null;
  /** The next event's number. */
  sequence: number;
}

const BEGINNINGS = new Set(['response.created', 'response.queued', 'response.in_progress']);

/** A stream of which nothing has been sent. */
export function beginStream(wire: Wire): BegunStream {
  const told: Told = { head: null, response: null, sequence: 0 };
  const reader = createSseReader(({ data }) => {
    const event = parseJsonObject(data);
    if (event !== undefined) learn(told, event, wire);
  });
  const errorFrame = (error: ErrorBody): Uint8Array => {
    if (wire === 'chat') return chatErrorFrame(error);
    const frame = responsesErrorFrame(error, told.response ?? { id: told.head?.id ?? 'resp_failed', object: 'response', output: [], usage: null }, told.sequence);
    told.sequence += 1;
    return frame;
  };
  return {
    note: (pieces) => pieces.forEach((piece) => reader.push(piece)),
    goOn: (passage) => continuation(passage, told, { wire, errorFrame }),
    errorFrame,
  };
}

function learn(told: Told, event: JsonObject, wire: Wire): void {
  if (wire === 'chat') {
    const id = stringAt(event, 'id');
    if (id !== undefined) told.head ??= { id, created: numberAt(event, 'created') ?? null };
    return;
  }
  told.sequence = Math.max(told.sequence, (numberAt(event, 'sequence_number') ?? told.sequence) + 1);
  const response = objectAt(event, 'response');
  const id = stringAt(response, 'id');
  if (response === undefined || id === undefined) return;
  told.response ??= response;
  told.head ??= { id, created: numberAt(response, 'created_at') ?? null };
}

interface Continued {
  readonly wire: Wire;
  readonly errorFrame: (error: ErrorBody) => Uint8Array;
}

function continuation(passage: Passage, told: Told, { wire, errorFrame }: Continued): Passage {
  const written: Uint8Array[] = [];
  const reader = createSseReader((event) => {
    const bytes = wire === 'chat' ? chatAgain(event, told) : responsesAgain(event, told);
    if (bytes !== null) written.push(bytes);
  });
  const again = (pieces: readonly Uint8Array[]): readonly Uint8Array[] => {
    pieces.forEach((piece) => reader.push(piece));
    return written.splice(0);
  };
  const step = ({ out, last }: Passed): Passed => {
    if (told.head !== null) passage.seen.responseId = told.head.id;
    return { out: again(out), last: last === null ? null : again(last) };
  };
  return {
    seen: passage.seen,
    push: (chunk) => step(passage.push(chunk)),
    end: () => step(passage.end()),
    items: () => passage.items(),
    response() {
      const response = passage.response();
      return response === null || told.head === null ? response : { ...response, id: told.head.id };
    },
    errorFrame,
  };
}

/** A chunk under the first stream's id; null for one that only says that the assistant speaks. */
function chatAgain({ data }: SseEvent, told: Told): Uint8Array | null {
  if (data.startsWith('[DONE]')) return DONE_EVENT;
  const chunk = parseJsonObject(data);
  if (chunk === undefined) return writeChatEvent(data.replaceAll('\n', ' '));
  if (told.head === null || chunk['choices'] === undefined) return writeChatEvent(data.replaceAll('\n', ' '));
  if (onlyNamesRole(chunk)) return null;
  const { id, created } = told.head;
  return writeChatEvent(JSON.stringify({ ...chunk, id, ...(created !== null && { created }) }));
}

function onlyNamesRole(chunk: JsonObject): boolean {
  const choices = arrayAt(chunk, 'choices') ?? [];
  return choices.length > 0 && choices.every((choice) => {
    const { role, content, ...rest } = objectAt(choice, 'delta') ?? {};
    const isEmpty = Object.values(rest).every((member) => member === null || member === undefined);
    return role !== undefined && (content ?? '') === '' && isEmpty && !stringAt(choice, 'finish_reason');
  });
}

/** An event under the first stream's id and with its next number; null for the beginning, which the client has had. */
function responsesAgain({ name, data }: SseEvent, told: Told): Uint8Array | null {
  const event = parseJsonObject(data);
  const type = stringAt(event, 'type') ?? name;
  if (event === undefined || type === null) return null;
  if (told.head !== null && BEGINNINGS.has(type)) return null;
  const numbered = event['sequence_number'] === undefined ? {} : { sequence_number: told.sequence };
  if ('sequence_number' in numbered) told.sequence += 1;
  const { response } = event;
  const renamed = told.head !== null && isJsonObject(response) ? { response: { ...response, id: told.head.id } } : {};
  return writeResponsesEvent({ ...event, type, ...numbered, ...renamed });
}
