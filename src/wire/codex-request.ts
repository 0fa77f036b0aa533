import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import { leadingText, refuseForeignFile } from './request-to-responses-content.ts';
import { refuseContent, refuseMissing, refuseParameter, refuseType } from './refuse-request.ts';
import type { Translation } from './translation.ts';

/** Every member the ChatGPT backend takes over HTTP (observed 2026-11); it answers 400 to any other. */
const TAKEN = [
  'reasoning', 'text', 'client_metadata', 'access_programs', 'tools', 'tool_choice', 'parallel_tool_calls',
];
/** Taken too, but said anew below. */
const SAID_ANEW = [
  'model', 'instructions', 'input', 'previous_response_id', 'store', 'stream', 'include', 'prompt_cache_key', 'service_tier',
];
/** Left out without a word, since the answer is the same: what this dialect does anyway. */
const WITHOUT_EFFECT: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  stream_options: () => true,
  truncation: (value) => value === 'disabled',
  background: (value) => value === false,
  top_logprobs: (value) => value === 0,
  metadata: (value) => isJsonObject(value) && Object.keys(value).length === 0,
};
/** Their loss would make the answer wrong. */
const REFUSED: Readonly<Record<string, string>> = {
  background: 'The ChatGPT backend answers in the foreground only.',
  conversation: 'Send the conversation as input, or previous_response_id.',
  prompt: 'Stored prompts are not reachable with a ChatGPT sign-in; send their text as instructions.',
};

/**
 * A Responses body that is not Codex's own, as the ChatGPT backend takes it (observed 2026-11): a list as input,
 * instructions always there, nothing stored, always a stream, no `system` role, no parameter it does not know.
 */
export function toCodexDialect(body: JsonObject, translation: Translation): JsonObject {
  const made = keepTaken(body, translation);
  const input = codexInput(body['input'], translation);
  const include = (arrayAt(body, 'include') ?? []).filter((entry) => entry !== 'reasoning.encrypted_content');
  return {
    ...made,
    ...serviceTier(body, translation),
    model: translation.target.model,
    instructions: stringAt(body, 'instructions') ?? '',
    input,
    store: false,
    stream: true,
    include: [...include, 'reasoning.encrypted_content'],
    prompt_cache_key: stringAt(body, 'prompt_cache_key') ?? conversationKey(body, input, translation),
  };
}

function keepTaken(body: JsonObject, { notes }: Translation): JsonObject {
  if (body['store'] === true) notes.drop('store');
  const made: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null || SAID_ANEW.includes(name)) continue;
    if (Object.hasOwn(WITHOUT_EFFECT, name) && WITHOUT_EFFECT[name]?.(value) === true) continue;
    if (Object.hasOwn(REFUSED, name)) refuseParameter(name, REFUSED[name] ?? '');
    if (TAKEN.includes(name)) made[name] = value;
    else notes.drop(name);
  }
  const tools = arrayAt(made, 'tools');
  if (!tools) return made;
  if (tools.length > 0) {
    const choice = made['tool_choice'];
    return { ...made, tools: tools.map(codexTool), ...(isJsonObject(choice) && { tool_choice: codexTool(choice) }) };
  }
  // An empty list is refused where the model has tools of its own, so it is left out with all that hangs on it.
  const { tools: _, tool_choice: __, parallel_tool_calls: ___, ...rest } = made;
  return rest;
}

/** The input as the ChatGPT backend takes it: a list, without `system`. Refuses an empty one. */
export function codexInput(input: JsonValue | undefined, translation: Translation): JsonValue[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }];
  if (input === undefined || input === null) refuseMissing('input');
  if (!Array.isArray(input)) refuseType('input', 'a string or an array of items');
  if (input.length === 0) refuseMissing('input');
  return input.map((item, index) => codexItem(item, `input[${index}]`, translation));
}

function codexItem(item: JsonValue, at: string, translation: Translation): JsonValue {
  if (!isJsonObject(item)) return item;
  const renamed = item['role'] === 'system' ? { ...item, role: 'developer' } : item;
  const content = arrayAt(renamed, 'content');
  if (!content) return renamed;
  return { ...renamed, content: content.map((part, index) => codexPart(part, `${at}.content[${index}]`, translation)) };
}

function codexPart(part: JsonValue, at: string, translation: Translation): JsonValue {
  if (!isJsonObject(part)) return part;
  if (part['type'] === 'input_audio') refuseContent(at, 'input_audio');
  refuseForeignFile(part, at, translation);
  if (part['prompt_cache_breakpoint'] === undefined) return part;
  const { prompt_cache_breakpoint: breakpoint, ...rest } = part;
  if (breakpoint !== null) translation.notes.drop('prompt_cache_breakpoint', `${at}.prompt_cache_breakpoint`);
  return rest;
}

/** Only `priority` is taken; `auto` and `default` ask for what comes anyway. */
function serviceTier(body: JsonObject, { notes }: Translation): JsonObject {
  const tier = stringAt(body, 'service_tier');
  if (tier === undefined || tier === 'auto' || tier === 'default') return {};
  if (tier === 'priority' || tier === 'fast') return { service_tier: 'priority' };
  notes.drop('service_tier');
  return {};
}

/** A tool, or a choice of one, under the name this backend has for it. */
function codexTool(tool: JsonValue): JsonValue {
  const type = stringAt(tool, 'type');
  if (!isJsonObject(tool) || type === undefined) return tool;
  if (type.startsWith('web_search_preview')) return { ...tool, type: 'web_search' };
  if (tool['strict'] !== null) return tool;
  const { strict: _, ...rest } = tool;
  return rest;
}

/** A cache key that stays with the conversation: its instructions and its first words. */
function conversationKey(body: JsonObject, input: readonly JsonValue[], { memory }: Translation): string {
  const roles = ['developer', 'user'];
  const openings = roles.map((role) => leadingText(input.find((item) => stringAt(item, 'role') === role) ?? null));
  const digest = memory.digest(JSON.stringify(['prompt cache key', stringAt(body, 'instructions') ?? '', ...openings]));
  return `relay-${digest.slice(0, 32)}`;
}
