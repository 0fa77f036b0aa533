import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, stringAt } from '../core/json.ts';
import { blocksOf, blockToParts, resultOutput } from './messages-content.ts';
import { openThought } from './messages-thinking.ts';
import { refuseRequest, refuseValue, requireArray, requireObject, requireString } from './refuse-request.ts';
import type { RequestNotes } from './request-notes.ts';

/** Claude Code's first system block names its build, and earlier ones each request: no prompt cache survives that (2.1, 2026). */
const BILLING_BLOCK = /^x-anthropic-billing-header:/;

/** Calls and results of tools that Anthropic's API runs itself. */
const RUN_BY_API = /^(?:server_tool_use|mcp_tool_use|[a-z_]+_tool_result)$/;

interface Conversation {
  readonly notes: RequestNotes;
  readonly items: JsonObject[];
  readonly calls: Set<string>;
}

/** The system prompt as one item in front of the conversation; none where it says nothing. */
export function systemItems(system: JsonValue | undefined, notes: RequestNotes): JsonObject[] {
  const parts = blocksOf(system, 'system')
    .filter((block) => !BILLING_BLOCK.test(stringAt(block, 'text') ?? ''))
    .flatMap((block, index) => blockToParts(block, `system[${index}]`, notes));
  return parts.length === 0 ? [] : [{ type: 'message', role: 'system', content: parts }];
}

/** A Messages conversation as Responses input items, in order and in place. Refuses what no item can say. */
export function messagesToItems(messages: readonly JsonValue[], notes: RequestNotes): JsonObject[] {
  const conversation: Conversation = { notes, items: [], calls: new Set() };
  for (const [index, value] of messages.entries()) {
    const at = `messages[${index}]`;
    addMessage(conversation, requireObject(value, at), at);
  }
  // An upstream begins a new message where the client had begun one for it.
  if (stringAt(messages.at(-1), 'role') === 'assistant') notes.drop('messages:prefill', `messages[${messages.length - 1}].role`);
  return conversation.items;
}

/** The messages of a body; refuses a body without any. */
export function messagesIn(body: JsonObject): readonly JsonValue[] {
  const messages = requireArray(body['messages'], 'messages');
  if (messages.length === 0) refuseRequest('messages', 'messages: at least one message is required.');
  return messages;
}

function addMessage(conversation: Conversation, message: JsonObject, at: string): void {
  const role = requireString(message['role'], `${at}.role`);
  const blocks = blocksOf(message['content'], `${at}.content`);
  switch (role) {
    case 'assistant':
      addAssistant(conversation, blocks, at);
      return;
    case 'user':
    // Claude Code tells changes of its surroundings in the middle (2.1.330, observed 2026-11).
    case 'system':
      addSpeaker(conversation, role, blocks, at);
      return;
    default:
      refuseValue(`${at}.role`, 'it must be "user", "assistant" or "system".');
  }
}

function addSpeaker({ notes, items, calls }: Conversation, role: 'user' | 'system', blocks: readonly JsonObject[], at: string): void {
  let parts: JsonObject[] = [];
  const flush = (): void => {
    if (parts.length > 0) items.push({ type: 'message', role, content: parts });
    parts = [];
  };
  for (const [index, block] of blocks.entries()) {
    const where = `${at}.content[${index}]`;
    if (block['type'] !== 'tool_result') {
      parts.push(...blockToParts(block, where, notes));
      continue;
    }
    flush();
    const id = requireString(block['tool_use_id'], `${where}.tool_use_id`);
    if (!calls.has(id)) {
      const said = `unexpected tool_use_id '${id.slice(0, 80)}': no tool_use block before it has this id.`;
      refuseRequest(`${where}.tool_use_id`, `${where}: ${said}`);
    }
    items.push({ type: 'function_call_output', call_id: notes.callId(id), output: resultOutput(block, where, notes) });
  }
  flush();
}

function addAssistant({ notes, items, calls }: Conversation, blocks: readonly JsonObject[], at: string): void {
  let parts: JsonObject[] = [];
  const flush = (): void => {
    if (parts.length > 0) items.push({ type: 'message', role: 'assistant', content: parts });
    parts = [];
  };
  for (const [index, block] of blocks.entries()) {
    const where = `${at}.content[${index}]`;
    if (block['type'] === 'text') {
      const text = stringAt(block, 'text') ?? '';
      if (text !== '') parts.push({ type: 'output_text', text });
      continue;
    }
    const item = assistantItem(block, where, notes);
    if (item === undefined) continue;
    flush();
    if (item['type'] === 'function_call') calls.add(requireString(block['id'], `${where}.id`));
    items.push(item);
  }
  flush();
}

/** What stands beside an assistant's words. Calls that an API ran by itself say nothing that another could repeat. */
function assistantItem(block: JsonObject, at: string, notes: RequestNotes): JsonObject | undefined {
  const type = stringAt(block, 'type') ?? '';
  switch (type) {
    case 'thinking':
      return openThought(stringAt(block, 'signature'), stringAt(block, 'thinking') ?? '');
    case 'redacted_thinking':
      return openThought(stringAt(block, 'data'), '');
    case 'tool_use': {
      const { input } = block;
      return {
        type: 'function_call',
        call_id: notes.callId(requireString(block['id'], `${at}.id`)),
        name: notes.names.sent(requireString(block['name'], `${at}.name`)),
        arguments: typeof input === 'string' ? input : JSON.stringify(isJsonObject(input) ? input : {}),
      };
    }
    default:
      if (!RUN_BY_API.test(type)) notes.drop(`content:${type.slice(0, 64)}`, `${at}.type`);
      return undefined;
  }
}
