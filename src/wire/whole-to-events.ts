import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import { chatErrorFrame, responsesErrorFrame } from './error-frame.ts';
import type { PassageDeps } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { DONE_EVENT, writeChatEvent, writeResponsesEvent } from './sse-writer.ts';
import { bodyOfFailure } from './stream-failure.ts';
import type { BodyTeller } from './whole-passage.ts';
import { createSameBody } from './whole-passage.ts';
import { newResponse } from './whole-response.ts';

/** Tells a whole completion to a chat client that streams. */
export function createCompletionToChunks(plan: AnswerPlan): BodyTeller {
  const same = createSameBody('chat');
  return {
    seen: same.seen,
    tell(body, bytes) {
      same.tell(body, bytes);
      if (same.seen.failure) return { out: [], last: [chatErrorFrame(bodyOfFailure(same.seen.failure))] };
      const { choices, usage, ...head } = body;
      const shared = { ...head, object: 'chat.completion.chunk' };
      const given = (Array.isArray(choices) ? choices : []).filter(isJsonObject);
      const write = (part: JsonObject): Uint8Array => writeChatEvent(JSON.stringify({ ...shared, ...part }));
      const finishes = given.map((choice) => ({ index: indexOf(choice), delta: {}, finish_reason: choice.finish_reason ?? 'stop' }));
      return {
        out: given.map((choice) => write({ choices: [deltaOf(choice)] })),
        last: [
          write({ choices: finishes }),
          ...(plan.includeUsage && usage ? [write({ choices: [], usage })] : []),
          DONE_EVENT,
        ],
      };
    },
    items: same.items,
    response: same.response,
    errorFrame: chatErrorFrame,
  };
}

function deltaOf(choice: JsonObject): JsonObject {
  const message = objectAt(choice, 'message') ?? {};
  const calls = (arrayAt(message, 'tool_calls') ?? []).map((call, index) => (isJsonObject(call) ? { index, ...call } : call));
  const delta = { ...message, ...(calls.length > 0 && { tool_calls: calls }) };
  return { index: indexOf(choice), delta, ...(choice.logprobs !== undefined && { logprobs: choice.logprobs }), finish_reason: null };
}

function indexOf(choice: JsonObject): number {
  return numberAt(choice, 'index') ?? 0;
}

/** Tells a whole response to a Responses client that streams. */
export function createResponseToEvents(plan: AnswerPlan, deps: PassageDeps): BodyTeller {
  const same = createSameBody('responses');
  let sequence = 0;
  let known: JsonObject | null = null;
  const write = (type: string, fields: JsonObject): Uint8Array => {
    sequence += 1;
    return writeResponsesEvent({ type, sequence_number: sequence - 1, ...fields });
  };
  const response = (): JsonObject => {
    const facts = { id: deps.makeId('resp_'), createdAt: deps.nowSeconds(), model: deps.model, tier: null };
    known ??= newResponse(facts, plan.echo);
    return known;
  };
  const errorFrame: BodyTeller['errorFrame'] = (error) => responsesErrorFrame(error, response(), sequence);
  return {
    seen: same.seen,
    tell(body, bytes) {
      same.tell(body, bytes);
      known = body;
      if (same.seen.failure) return { out: [], last: [errorFrame(bodyOfFailure(same.seen.failure))] };
      const begun = { ...body, status: 'in_progress', output: [], usage: null };
      const output = (arrayAt(body, 'output') ?? []).filter(isJsonObject);
      const out = [
        write('response.created', { response: begun }),
        write('response.in_progress', { response: begun }),
        ...output.flatMap((item, index) => eventsOfItem(item, index).map(([type, fields]) => write(type, fields))),
      ];
      return { out, last: [write(`response.${same.seen.terminal ?? 'completed'}`, { response: body })] };
    },
    items: same.items,
    response: same.response,
    errorFrame,
  };
}

type NamedFields = readonly [type: string, fields: JsonObject];

function eventsOfItem(item: JsonObject, outputIndex: number): readonly NamedFields[] {
  const at = { item_id: item.id ?? '', output_index: outputIndex };
  const inside = insideOf(item, at);
  const empty: JsonObject = {
    ...(item.type === 'message' && { content: [] }),
    ...(item.type === 'function_call' && { arguments: '' }),
    ...(item.type === 'custom_tool_call' && { input: '' }),
    ...(item.status !== undefined && { status: 'in_progress' }),
  };
  return [
    ['response.output_item.added', { output_index: outputIndex, item: { ...item, ...empty } }],
    ...inside,
    ['response.output_item.done', { output_index: outputIndex, item }],
  ];
}

function insideOf(item: JsonObject, at: JsonObject): readonly NamedFields[] {
  switch (item.type) {
    case 'message':
      return (arrayAt(item, 'content') ?? []).flatMap((part, index) => eventsOfPart(part, { ...at, content_index: index }));
    case 'function_call': {
      const text = stringAt(item, 'arguments') ?? '';
      const name = 'response.function_call_arguments';
      return [[`${name}.delta`, { ...at, delta: text }], [`${name}.done`, { ...at, arguments: text }]];
    }
    case 'custom_tool_call': {
      const text = stringAt(item, 'input') ?? '';
      const name = 'response.custom_tool_call_input';
      return [[`${name}.delta`, { ...at, delta: text }], [`${name}.done`, { ...at, input: text }]];
    }
    default:
      return [];
  }
}

function eventsOfPart(part: JsonValue, at: JsonObject): readonly NamedFields[] {
  if (!isJsonObject(part)) return [];
  const refusal = stringAt(part, 'refusal');
  const text = refusal ?? stringAt(part, 'text') ?? '';
  const name = refusal === undefined ? 'output_text' : 'refusal';
  const empty = refusal === undefined ? { ...part, text: '', annotations: [] } : { ...part, refusal: '' };
  const whole = refusal === undefined ? { text, logprobs: part.logprobs ?? [] } : { refusal };
  const logprobs = refusal === undefined ? { logprobs: part.logprobs ?? [] } : {};
  return [
    ['response.content_part.added', { ...at, part: empty }],
    [`response.${name}.delta`, { ...at, delta: text, ...logprobs }],
    [`response.${name}.done`, { ...at, ...whole }],
    ['response.content_part.done', { ...at, part }],
  ];
}
