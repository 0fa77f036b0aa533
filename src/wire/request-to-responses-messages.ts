import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { isRelayReasoning } from './reasoning-envelope.ts';
import {
  refuseContent, refuseMissing, refuseRequest, refuseType, refuseValue, requireArray, requireObject, requireString,
} from './refuse-request.ts';
import { inputParts, outputParts, toolOutput } from './request-to-responses-content.ts';
import type { Translation } from './translation.ts';

type CallKind = 'function' | 'custom';

/** What the messages so far leave open: calls by the client's id, and the nameless calls of the 2023 dialect. */
interface Conversation {
  readonly translation: Translation;
  readonly items: JsonObject[];
  readonly calls: Map<string, CallKind>;
  /** Calls of `function_call` that wait for their `function` message, oldest first. */
  readonly legacyCalls: { readonly name: string; readonly callId: string }[];
  readonly replayed: Set<JsonValue>;
  legacyCount: number;
}

/** A chat history as Responses input items, in order and in place. Refuses what no item can say. */
export function messagesToItems(messages: readonly JsonValue[], translation: Translation): JsonObject[] {
  const conversation: Conversation = {
    translation, items: [], calls: new Map(), legacyCalls: [], replayed: new Set(), legacyCount: 0,
  };
  for (const [index, value] of messages.entries()) {
    const at = `messages[${index}]`;
    const message = requireObject(value, at);
    noteName(message, at, translation);
    addMessage(conversation, message, at);
  }
  return conversation.items;
}

/** `function` and `tool` messages carry the function's name; elsewhere it is the speaker's, which no item can say. */
function noteName(message: JsonObject, at: string, { notes }: Translation): void {
  const { role, name } = message;
  if (role === 'function' || role === 'tool' || name === undefined || name === null) return;
  notes.drop('messages[].name', `${at}.name`);
}

function addMessage(conversation: Conversation, message: JsonObject, at: string): void {
  const role = requireString(message['role'], `${at}.role`);
  switch (role) {
    case 'system':
    case 'developer':
    case 'user':
      conversation.items.push({
        type: 'message', role: roleFor(role, conversation.translation),
        content: inputParts(message['content'], `${at}.content`, conversation.translation),
      });
      return;
    case 'assistant':
      addAssistant(conversation, message, at);
      return;
    case 'tool':
      addToolOutput(conversation, message, at);
      return;
    case 'function':
      addLegacyOutput(conversation, message, at);
      return;
    default:
      refuseValue(`${at}.role`, `'${role.slice(0, 40)}' is not a role.`);
  }
}

/** The ChatGPT backend refuses `system` in its input ("System messages are not allowed", observed 2026-11). */
function roleFor(role: string, { target }: Translation): string {
  return role === 'system' && target.dialect === 'codex' ? 'developer' : role;
}

function addAssistant(conversation: Conversation, message: JsonObject, at: string): void {
  if (isJsonObject(message['audio'])) refuseContent(`${at}.audio`, 'audio');
  const calls = message['tool_calls'] === undefined || message['tool_calls'] === null
    ? [] : requireArray(message['tool_calls'], `${at}.tool_calls`);
  const legacyCall = objectAt(message, 'function_call');
  const content = outputParts(message, at);
  if (content.length > 0) conversation.items.push({ type: 'message', role: 'assistant', content });
  const saidNothing = content.length === 0 && calls.length === 0 && !legacyCall;
  if (saidNothing && typeof message['content'] === 'string') {
    conversation.items.push({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: '' }] });
  }
  for (const [index, call] of calls.entries()) {
    const where = `${at}.tool_calls[${index}]`;
    addCall(conversation, requireObject(call, where), where);
  }
  if (legacyCall) addLegacyCall(conversation, legacyCall, at);
}

function addCall(conversation: Conversation, call: JsonObject, at: string): void {
  const { notes } = conversation.translation;
  const id = requireString(call['id'], `${at}.id`);
  const custom = objectAt(call, 'custom');
  const envelope = custom ?? objectAt(call, 'function');
  if (!envelope) refuseMissing(`${at}.function`);
  const declared = requireString(envelope['name'], custom ? `${at}.custom.name` : `${at}.function.name`);
  const name = notes.names.sent(declared);
  replayReasoning(conversation, id);
  // Cursor gets custom calls in a function's envelope and replays them so: the declaration tells which they are.
  if (custom || notes.customTools.has(name)) {
    const input = custom ? custom['input'] : envelope['arguments'];
    conversation.calls.set(id, 'custom');
    conversation.items.push({ type: 'custom_tool_call', call_id: notes.callId(id), name, input: asText(input, '') });
    return;
  }
  conversation.calls.set(id, 'function');
  conversation.items.push({ type: 'function_call', call_id: notes.callId(id), name, arguments: asText(envelope['arguments'], '{}') });
}

/** Reasoning that stood before this call, kept for a client whose wire has no place for it. Each item goes in once. */
function replayReasoning({ translation, items, replayed }: Conversation, callId: string): void {
  for (const item of translation.memory.reasoningFor(callId) ?? []) {
    const identity = stringAt(item, 'id') ?? item;
    if (!isJsonObject(item) || replayed.has(identity) || isRelayReasoning(stringAt(item, 'encrypted_content') ?? '')) continue;
    replayed.add(identity);
    items.push(item);
  }
}

function asText(value: JsonValue | undefined, empty: string): string {
  if (value === undefined || value === null || value === '') return empty;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function addToolOutput({ translation, items, calls }: Conversation, message: JsonObject, at: string): void {
  const id = requireString(message['tool_call_id'] ?? message['toolCallId'] ?? message['call_id'], `${at}.tool_call_id`);
  const kind = calls.get(id);
  if (kind === undefined) {
    refuseRequest(`${at}.tool_call_id`, `'${at}.tool_call_id' answers no tool call: no message before it has a call '${id.slice(0, 80)}'.`);
  }
  items.push({
    type: kind === 'custom' ? 'custom_tool_call_output' : 'function_call_output',
    call_id: translation.notes.callId(id),
    output: toolOutput(message['content'], `${at}.content`, translation),
  });
}

/** The 2023 dialect has no ids: its calls and answers pair by name and order. */
function addLegacyCall(conversation: Conversation, call: JsonObject, at: string): void {
  const name = requireString(call['name'], `${at}.function_call.name`);
  const callId = `call_legacy_${conversation.legacyCount}`;
  conversation.legacyCount += 1;
  conversation.legacyCalls.push({ name, callId });
  conversation.items.push({
    type: 'function_call', call_id: callId, name: conversation.translation.notes.names.sent(name),
    arguments: asText(call['arguments'], '{}'),
  });
}

function addLegacyOutput({ translation, items, legacyCalls }: Conversation, message: JsonObject, at: string): void {
  const name = stringAt(message, 'name');
  const position = legacyCalls.findIndex((call) => name === undefined || call.name === name);
  const [call] = position < 0 ? [] : legacyCalls.splice(position, 1);
  if (!call) refuseRequest(`${at}.name`, `'${at}' answers no function call: no assistant message before it called it.`);
  items.push({ type: 'function_call_output', call_id: call.callId, output: toolOutput(message['content'], `${at}.content`, translation) });
}

/** The messages of a chat body; refuses a body without any. */
export function messagesOf(body: JsonObject): readonly JsonValue[] {
  const messages = requireArray(body['messages'], 'messages');
  if (messages.length === 0) refuseType('messages', 'at least one message');
  return messages;
}
