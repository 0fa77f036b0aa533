import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import { compactionBySummary, summaryBody } from './compaction.ts';
import { reasoningFieldFor } from './client-compat.ts';
import { expandPrevious, inputItems } from './expand-input.ts';
import { takesLegacyFunctions } from './legacy-functions.ts';
import { prepareMessages } from './messages-target.ts';
import type { AnswerPlan, ClientCall, PreparedRequest, RequestMemory, Target } from './prepared-request.ts';
import { responsesToChat } from './request-to-chat.ts';
import { declaredResponsesNames } from './request-to-chat-tools.ts';
import { chatToResponses } from './request-to-responses.ts';
import { declaredChatNames, usesLegacyFunctions } from './request-to-responses-tools.ts';
import { RequestNotes } from './request-notes.ts';
import { chatToChat, responsesToResponses } from './same-wire-request.ts';
import { ToolNames } from './tool-names.ts';
import type { Translation } from './translation.ts';
import { withWrappedTools } from './wrap-custom-tools.ts';

/** What a Responses object repeats of its request (Open Responses, 2026-04). */
const ECHOED = [
  'instructions', 'tools', 'tool_choice', 'parallel_tool_calls', 'temperature', 'top_p', 'presence_penalty', 'frequency_penalty',
  'top_logprobs', 'max_output_tokens', 'max_tool_calls', 'metadata', 'previous_response_id', 'reasoning', 'text', 'truncation', 'user',
  'safety_identifier', 'prompt_cache_key', 'service_tier', 'store', 'background',
];

/**
 * Brings a client's body into the terms of one upstream, and plans how its answer comes back. The body itself is never
 * changed; what could not be honoured is named in `dropped`, or in strict mode refused.
 * Throws a {@link RelayError} of status 400 that names the parameter, and nothing else.
 */
export function prepareRequest(call: ClientCall, target: Target, memory: RequestMemory): PreparedRequest {
  if (call.messages !== undefined) return prepareMessages(call, call.messages, target, memory, prepareCall);
  const compaction = compactionBySummary(call, target);
  if (compaction === undefined) return prepareCall(call, target, memory);
  const prepared = prepareCall({ ...call, endpoint: 'responses', body: summaryBody(call.body, memory) }, target, memory);
  return { ...prepared, changed: true, answer: { ...prepared.answer, compaction, echo: echoOf(call.body) } };
}

function prepareCall(call: ClientCall, target: Target, memory: RequestMemory): PreparedRequest {
  const upstreamStream = call.endpoint !== 'compact' && (call.stream || target.streamOnly);
  const items = translatedItems(call, target, memory);
  const reserved = items ? declaredResponsesNames(call.body, items.list) : declaredChatNames(call.body);
  const notes = new RequestNotes(target.strict, new ToolNames(reserved), (text) => memory.digest(text));
  const translation: Translation = { target, memory, notes, clientWire: call.clientWire, upstreamStream };
  const told = items ? responsesToChat(items.body, items.list, translation) : preparedBody(call, translation);
  const body = target.wire === 'responses' && target.customTools === 'wrapped' ? withWrappedTools(told, notes) : told;
  if (call.bodyWire === 'responses' && target.wire === 'responses' && call.clientWire === 'chat') noteFlatTools(call.body, notes);
  if (call.clientWire === 'chat') preferKind(notes, target);
  return { body, changed: body !== call.body, dropped: notes.dropped(), answer: answerPlan(call, translation) };
}

/** The history a translation to chat starts from; undefined for every other way. */
function translatedItems(
  { bodyWire, body }: ClientCall, target: Target, memory: RequestMemory,
): { readonly body: JsonObject; readonly list: readonly JsonValue[] } | undefined {
  if (bodyWire !== 'responses' || target.wire !== 'chat') return undefined;
  const whole = expandPrevious(body, memory);
  return { body: whole, list: inputItems(whole) };
}

function preparedBody(call: ClientCall, translation: Translation): JsonObject {
  if (call.bodyWire === 'responses') return responsesToResponses(call, translation);
  return translation.target.wire === 'chat' ? chatToChat(call.body, translation) : chatToResponses(call.body, translation);
}

/** Cursor posts a Responses body and reads chat: its free-form tools come back in a function's envelope. */
function noteFlatTools(body: JsonObject, notes: RequestNotes): void {
  for (const tool of arrayAt(body, 'tools') ?? []) {
    const name = stringAt(tool, 'name');
    if (stringAt(tool, 'type') === 'custom' && name !== undefined) notes.customTools.set(name, 'flat');
  }
}

/** The client's settings outrank the shape it declared its free-form tools in. */
function preferKind({ customTools }: RequestNotes, { compat }: Target): void {
  const wanted = compat?.customTools;
  if (wanted === undefined) return;
  for (const [name, kind] of customTools) {
    const isWrapped = kind === 'wrapped' || kind === 'wrapped-nested';
    if (wanted === 'custom') customTools.set(name, isWrapped ? 'wrapped-nested' : 'nested');
    else customTools.set(name, isWrapped ? 'wrapped' : 'flat');
  }
}

function answerPlan(call: ClientCall, { target, notes, upstreamStream }: Translation): AnswerPlan {
  const { body, clientWire } = call;
  return {
    clientWire,
    upstreamWire: target.wire,
    dialect: target.dialect,
    clientStream: call.stream,
    upstreamStream,
    native: call.isCodex && clientWire === 'responses' && target.dialect === 'codex',
    includeUsage: clientWire === 'chat' && objectAt(body, 'stream_options')?.['include_usage'] === true,
    legacyFunctions: clientWire === 'chat' && call.bodyWire === 'chat' && usesLegacyFunctions(body) && !takesLegacyFunctions(target),
    toolNames: notes.names.changed(),
    customTools: Object.fromEntries(notes.customTools),
    hostedTools: Object.fromEntries(notes.hostedTools),
    ...(notes.wrappedTools.length > 0 && { wrappedTools: notes.wrappedTools }),
    callIds: Object.fromEntries(notes.callIds),
    stop: notes.stop,
    ...(clientWire === 'chat' && target.compat?.reasoningField !== undefined && { reasoningField: reasoningFieldFor(target.compat, body) }),
    echo: clientWire === 'responses' ? echoOf(body) : {},
  };
}

function echoOf(body: JsonObject): JsonObject {
  return Object.fromEntries(ECHOED.flatMap((name) => {
    const value = body[name];
    return value === undefined || value === null ? [] : [[name, value]];
  }));
}
