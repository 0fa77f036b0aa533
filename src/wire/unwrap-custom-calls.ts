import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Passage, Passed } from './passage.ts';
import { NOTHING_PASSED } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import type { SseEvent } from './sse-reader.ts';
import { createSseReader } from './sse-reader.ts';
import { toBytes, writeChatEvent } from './sse-writer.ts';
import { bodyOfFailure, brokenAnswer, noteFailure } from './stream-failure.ts';
import { unwrapCustomInput } from './stream-to-responses-calls.ts';
import type { DeclaredName } from './tool-names.ts';
import type { BodyTeller } from './whole-passage.ts';
import { isWrappedCall } from './wrap-custom-tools.ts';

/** A call of a wrapped tool that is under way: its text waits for its end, since only the whole of it can be unwrapped. */
interface OpenCall {
  text: string;
  /** Its input was told. */
  isTold: boolean;
}

/** A passage that is shown calls of wrapped tools as the free-form calls they stand for; all else about it is its own. */
export function withUnwrappedEvents(inner: Passage, plan: AnswerPlan): Passage {
  const written: Uint8Array[] = [];
  const takeEvent = createCallUnwrapper(plan);
  let isOver = false;
  let isEnding = false;
  const reader = createSseReader((event) => {
    // Half an event at the end of a broken body says nothing.
    if (isEnding && parseJsonObject(event.data) === undefined && event.data !== '[DONE]') return;
    written.push(...rewritten(event, takeEvent));
  });
  const overflow = (): Passed => {
    const failure = brokenAnswer('The upstream sent an event that is too large.');
    noteFailure(inner.seen, failure);
    return { out: [], last: [inner.errorFrame(bodyOfFailure(failure))] };
  };
  const step = (read: () => void, finish: () => Passed): Passed => {
    if (isOver) return NOTHING_PASSED;
    read();
    const steps = written.splice(0).map((piece) => inner.push(piece));
    const end = steps.some(({ last }) => last !== null) ? NOTHING_PASSED : reader.overflowed ? overflow() : finish();
    const out = [...steps, end].flatMap((passed) => passed.out);
    const last = [...steps, end].find((passed) => passed.last !== null)?.last ?? null;
    isOver = last !== null;
    return { out, last };
  };
  return {
    seen: inner.seen,
    push: (chunk) => step(() => reader.push(chunk), () => NOTHING_PASSED),
    end: () => step(() => {
      isEnding = true;
      reader.end();
    }, () => inner.end()),
    items: () => inner.items(),
    response: () => inner.response(),
    errorFrame: (error) => inner.errorFrame(error),
  };
}

/** A whole answer shown as if the upstream had known the free-form tools. */
export function withUnwrappedBody(inner: BodyTeller, plan: AnswerPlan): BodyTeller {
  return {
    ...inner,
    tell(body) {
      const told = unwrappedResponse(body, plan);
      return inner.tell(told, toBytes(JSON.stringify(told)));
    },
  };
}

function rewritten({ name, data }: SseEvent, takeEvent: (event: JsonObject) => readonly JsonObject[]): readonly Uint8Array[] {
  const event = parseJsonObject(data);
  if (event === undefined) return [writeChatEvent(data.replaceAll('\n', ' '))];
  const type = stringAt(event, 'type') ?? name;
  const events = takeEvent(type === null ? event : { ...event, type });
  return events.map((told) => toBytes(`${typeof told['type'] === 'string' ? `event: ${told['type']}\n` : ''}data: ${JSON.stringify(told)}\n\n`));
}

/** Gives the events to be told for each; all of them are numbered anew, since some come from none and some become none. */
function createCallUnwrapper(plan: AnswerPlan): (event: JsonObject) => readonly JsonObject[] {
  const wrapped = plan.wrappedTools ?? [];
  const open = new Map<string, OpenCall>();
  let number: number | null = null;
  const renumbered = (event: JsonObject): JsonObject => {
    const own = numberAt(event, 'sequence_number');
    if (own === undefined) return event;
    number = number === null ? own : number + 1;
    return { ...event, sequence_number: number };
  };
  return (event) => unwrappedEvents(event, { plan, wrapped, open }).map(renumbered);
}

interface Unwrapping {
  readonly plan: AnswerPlan;
  readonly wrapped: readonly DeclaredName[];
  readonly open: Map<string, OpenCall>;
}

function unwrappedEvents(event: JsonObject, { plan, wrapped, open }: Unwrapping): readonly JsonObject[] {
  const response = objectAt(event, 'response');
  if (response) return [{ ...event, response: unwrappedResponse(response, plan) }];
  const key = keyOf(event);
  const call = open.get(key);
  switch (event['type']) {
    case 'response.output_item.added': {
      const item = objectAt(event, 'item');
      if (!item || !isWrappedCall(item, wrapped)) return [event];
      open.set(key, { text: '', isTold: false });
      const { arguments: _, ...head } = item;
      return [{ ...event, item: { ...head, ...customId(item), type: 'custom_tool_call', input: '' } }];
    }
    case 'response.function_call_arguments.delta':
      if (!call) return [event];
      call.text += stringAt(event, 'delta') ?? '';
      return [];
    case 'response.function_call_arguments.done':
      return call ? inputEvents(event, call, stringAt(event, 'arguments') ?? call.text) : [event];
    case 'response.output_item.done': {
      const item = objectAt(event, 'item');
      if (!item || !isWrappedCall(item, wrapped)) return [event];
      open.delete(key);
      const text = stringAt(item, 'arguments') ?? call?.text ?? '';
      const place = { item_id: item['id'] ?? null, output_index: event['output_index'] ?? null, sequence_number: event['sequence_number'] };
      const before = call && !call.isTold ? inputEvents(defined(place), call, text) : [];
      return [...before, { ...event, item: unwrappedItem({ ...item, arguments: text }, wrapped) }];
    }
    default:
      return [event];
  }
}

/** What the call says, in one piece and then as a whole. */
function inputEvents(event: JsonObject, call: OpenCall, text: string): readonly JsonObject[] {
  const input = unwrapCustomInput(text);
  call.isTold = true;
  const { arguments: _, name: __, item_id: id, ...rest } = event;
  const at = { ...rest, ...(typeof id === 'string' && { item_id: customIdOf(id) }) };
  return [
    ...(input === '' ? [] : [{ ...at, type: 'response.custom_tool_call_input.delta', delta: input }]),
    { ...at, type: 'response.custom_tool_call_input.done', input },
  ];
}

/** By its place in the output, which all events of an item share; else by the item's id. */
function keyOf(event: JsonObject): string {
  const place = numberAt(event, 'output_index');
  return place === undefined ? stringAt(event, 'item_id') ?? stringAt(objectAt(event, 'item'), 'id') ?? '' : String(place);
}

/** The response with its calls, and what it repeats of the request, in the client's own words. */
function unwrappedResponse(response: JsonObject, { wrappedTools = [], echo }: AnswerPlan): JsonObject {
  const output = arrayAt(response, 'output');
  const repeated = ['tools', 'tool_choice'].filter((name) => response[name] !== undefined && echo[name] !== undefined);
  return {
    ...response,
    ...(output && { output: output.map((item) => unwrappedItem(item, wrappedTools)) }),
    ...Object.fromEntries(repeated.map((name) => [name, echo[name] ?? null])),
  };
}

function unwrappedItem(item: JsonValue, wrapped: readonly DeclaredName[]): JsonValue {
  if (!isJsonObject(item) || !isWrappedCall(item, wrapped)) return item;
  const { arguments: text, ...rest } = item;
  return { ...rest, ...customId(item), type: 'custom_tool_call', input: unwrapCustomInput(typeof text === 'string' ? text : '') };
}

function customId(item: JsonObject): JsonObject {
  const id = stringAt(item, 'id');
  return id === undefined ? {} : { id: customIdOf(id) };
}

/** Upstreams that check ids refuse a free-form call under a function call's (Responses API, 2026). */
function customIdOf(id: string): string {
  return id.startsWith('fc_') ? `ctc_${id.slice('fc_'.length)}` : id;
}

function defined(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined && entry[1] !== null));
}
