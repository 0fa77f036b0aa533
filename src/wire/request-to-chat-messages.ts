import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { signedBy } from './chat-dialect.ts';
import { hostedArguments, hostedToolOfItem } from './hosted-tools.ts';
import { summaryIn } from './compaction.ts';
import { openReasoning } from './reasoning-envelope.ts';
import { refuseRequest, refuseValue, requireObject, requireString } from './refuse-request.ts';
import { assistantText, chatContent, toolAnswer } from './request-to-chat-content.ts';
import { pairOutputs } from './tool-outputs.ts';
import type { ToolOutputs } from './tool-outputs.ts';
import type { Translation } from './translation.ts';

/** What a call is answered with when its output never came: chat upstreams refuse a call without an answer. */
const INTERRUPTED = 'The tool call was interrupted before it gave an output.';

/** A message an assistant is still adding to, and the reasoning that came before it. */
interface Turn {
  text: string | null;
  calls: JsonObject[];
  callPositions: number[];
  /** Sealed: told by a chat upstream itself, so it may be told so again. */
  reasoning: { readonly text: string; readonly isSealed: boolean }[];
  details: JsonValue[];
  readonly signatures: Map<string, string>;
}

interface Conversation {
  readonly translation: Translation;
  readonly items: readonly JsonValue[];
  readonly outputs: ToolOutputs;
  readonly messages: JsonObject[];
  turn: Turn;
}

/**
 * Responses input items as chat messages. Calls that stand together become one assistant message, and every output is
 * drawn up to right behind it: chat upstreams allow nothing in between.
 */
export function itemsToMessages(items: readonly JsonValue[], translation: Translation): JsonObject[] {
  const conversation: Conversation = { translation, items, outputs: pairOutputs(items), messages: [], turn: emptyTurn() };
  for (const [position, value] of items.entries()) {
    const at = `input[${position}]`;
    if (typeof value === 'string') refuseValue(at, 'an input item must be an object.');
    addItem(conversation, requireObject(value, at), position, at);
  }
  endTurn(conversation);
  return conversation.messages;
}

function emptyTurn(): Turn {
  return { text: null, calls: [], callPositions: [], reasoning: [], details: [], signatures: new Map() };
}

function addItem(conversation: Conversation, item: JsonObject, position: number, at: string): void {
  const type = stringAt(item, 'type') ?? 'message';
  const hosted = hostedToolOfItem(type);
  if (type.endsWith('_call_output') && (hosted || type === 'function_call_output' || type === 'custom_tool_call_output')) {
    addOutput(conversation, position, at);
    return;
  }
  if (hosted || type === 'function_call' || type === 'custom_tool_call') {
    addCall(conversation, item, position, at);
    return;
  }
  switch (type) {
    case 'message':
      addMessage(conversation, item, at);
      return;
    case 'reasoning':
      addReasoning(conversation, item);
      return;
    case 'compaction':
    case 'compaction_summary':
      addCompaction(conversation, item, at);
      return;
    // The rest has been read already (additional_tools, configuration_update), asked for something in an earlier request
    // (compaction_trigger), or says nothing a chat history can repeat (web searches and other calls an upstream ran itself).
  }
}

function addMessage(conversation: Conversation, item: JsonObject, at: string): void {
  const role = requireString(item['role'], `${at}.role`);
  if (role === 'assistant') {
    if (conversation.turn.text !== null || conversation.turn.calls.length > 0) endTurn(conversation);
    conversation.turn.text = assistantText(item['content']);
    return;
  }
  if (role !== 'user' && role !== 'system' && role !== 'developer') refuseValue(`${at}.role`, `'${role.slice(0, 40)}' is not a role.`);
  endTurn(conversation);
  const content = chatContent(item['content'], `${at}.content`, conversation.translation);
  conversation.messages.push({ role: role === 'developer' ? 'system' : role, content });
}

/** An upstream's own ciphertext is nothing another can read; our envelope and the summary are. */
function addReasoning({ turn }: Conversation, item: JsonObject): void {
  const envelope = openReasoning(stringAt(item, 'encrypted_content'));
  const parts = [...(arrayAt(item, 'summary') ?? []), ...(arrayAt(item, 'content') ?? [])];
  const told = parts.map((part) => stringAt(part, 'text') ?? '').filter((text) => text !== '').join('\n\n');
  const sealed = envelope?.reasoningContent ?? null;
  const text = sealed ?? told;
  if (text !== '') turn.reasoning.push({ text, isSealed: sealed !== null });
  turn.details.push(...(envelope?.reasoningDetails ?? []));
  for (const [callId, signature] of Object.entries(envelope?.thoughtSignatures ?? {})) turn.signatures.set(callId, signature);
}

function addCall(conversation: Conversation, item: JsonObject, position: number, at: string): void {
  const { notes } = conversation.translation;
  const id = stringAt(item, 'call_id') ?? stringAt(item, 'id') ?? requireString(item['call_id'], `${at}.call_id`);
  const hosted = hostedToolOfItem(stringAt(item, 'type'));
  const declared = hosted ?? requireString(item['name'], `${at}.name`);
  const name = notes.names.sent(declared, hosted ? null : (stringAt(item, 'namespace') ?? null));
  // Two calls of one id cannot stand in one message: nobody could tell their answers apart.
  if (conversation.turn.calls.some((earlier) => earlier['id'] === id)) endTurn(conversation);
  const { turn } = conversation;
  const kind = notes.customTools.get(name);
  const isWrapped = item['type'] === 'function_call' && kind === 'wrapped';
  const given = callArguments(item);
  turn.calls.push(item['type'] === 'custom_tool_call' && kind === 'nested'
    ? { id, type: 'custom', custom: { name, input: stringAt(item, 'input') ?? '' } }
    : { id, type: 'function', function: { name, arguments: isWrapped ? wrappedAgain(given) : given } });
  turn.callPositions.push(position);
}

function callArguments(item: JsonObject): string {
  const hosted = hostedToolOfItem(stringAt(item, 'type'));
  if (hosted) return hostedArguments(hosted, item);
  if (item['type'] === 'custom_tool_call') return JSON.stringify({ input: stringAt(item, 'input') ?? '' });
  const given = item['arguments'];
  if (typeof given === 'string') return given === '' ? '{}' : given;
  return JSON.stringify(given ?? {});
}

/** A free-form call that its client keeps in a function's envelope (Cursor): raw text, as it was told it. */
function wrappedAgain(text: string): string {
  return typeof parseJsonObject(text)?.['input'] === 'string' ? text : JSON.stringify({ input: text === '{}' ? '' : text });
}

/** An output whose call stands before it has been drawn up to it; any other answers nothing. */
function addOutput(conversation: Conversation, position: number, at: string): void {
  endTurn(conversation);
  if (conversation.outputs.hasCall(position)) return;
  const id = stringAt(conversation.items[position], 'call_id') ?? '';
  refuseRequest(`${at}.call_id`, `No tool call found for the output with call_id '${id.slice(0, 80)}'.`);
}

/** A summary Relay made is told as the system; another upstream's ciphertext is lost, and that is noted. */
function addCompaction(conversation: Conversation, item: JsonObject, at: string): void {
  endTurn(conversation);
  const summary = summaryIn(item);
  if (summary !== undefined) conversation.messages.push({ role: 'system', content: summary });
  else conversation.translation.notes.drop('input:compaction', `${at}.type`);
}

/** Writes the assistant's message, then the answers to its calls in their order, then the images these brought. */
function endTurn(conversation: Conversation): void {
  const { turn, messages, outputs, items, translation } = conversation;
  conversation.turn = emptyTurn();
  if (turn.text === null && turn.calls.length === 0) return;
  messages.push(assistantMessage(turn, translation));
  const images: JsonObject[] = [];
  for (const [index, call] of turn.calls.entries()) {
    const position = outputs.outputOf(turn.callPositions[index] ?? -1);
    const output = position === undefined ? undefined : items[position];
    const answer = isJsonObject(output) ? toolAnswer(output['output'], `input[${position}].output`, translation) : undefined;
    messages.push({ role: 'tool', tool_call_id: call['id'], content: answer?.text ?? INTERRUPTED });
    images.push(...(answer?.images ?? []));
  }
  if (images.length > 0) messages.push({ role: 'user', content: images });
}

function assistantMessage(turn: Turn, { target }: Translation): JsonObject {
  const hasCalls = turn.calls.length > 0;
  const calls = target.dialect === 'gemini' ? turn.calls.map((call) => signedCall(call, turn.signatures)) : turn.calls;
  return {
    role: 'assistant',
    content: hasCalls && turn.text === '' ? null : turn.text,
    ...reasoningMembers(turn, target.dialect),
    ...(hasCalls && { tool_calls: calls }),
  };
}

function signedCall(call: JsonObject, signatures: ReadonlyMap<string, string>): JsonObject {
  const signature = signatures.get(stringAt(call, 'id') ?? '');
  return signature === undefined ? call : { ...call, ...signedBy(signature) };
}

/**
 * DeepSeek wants all reasoning back, others what a chat upstream said itself; OpenAI and Gemini refuse members they do
 * not know.
 */
function reasoningMembers(turn: Turn, dialect: Translation['target']['dialect']): JsonObject {
  if (dialect !== 'deepseek' && dialect !== 'chat-generic') return {};
  const told = turn.reasoning.filter(({ isSealed }) => isSealed || dialect === 'deepseek').map(({ text }) => text);
  return {
    ...(told.length > 0 && { reasoning_content: told.join('\n\n') }),
    ...(turn.details.length > 0 && dialect === 'chat-generic' && { reasoning_details: turn.details }),
  };
}

/** The effort and format that the newest `configuration_update` item asks for. */
export function configurationOf(items: readonly JsonValue[]): JsonObject {
  const configuration: JsonObject = {};
  for (const item of items) {
    if (stringAt(item, 'type') !== 'configuration_update') continue;
    const reasoning = objectAt(item, 'reasoning');
    const text = objectAt(item, 'text');
    if (reasoning) configuration['reasoning'] = { ...objectAt(configuration, 'reasoning'), ...reasoning };
    if (text) configuration['text'] = { ...objectAt(configuration, 'text'), ...text };
  }
  return configuration;
}
