import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { deepseekEffort, servedEffort } from './reasoning-effort.ts';
import { openReasoning } from './reasoning-envelope.ts';
import type { Translation } from './translation.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/** OpenAI's own names that Google's page on its compatible endpoint does not list: a strict reader refuses what it does not know. */
const UNKNOWN_TO_GEMINI = [
  'store', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options', 'safety_identifier', 'service_tier', 'verbosity',
  'metadata', 'prediction', 'logit_bias', 'moderation',
];
/** Dropped without a word: no answer differs by them. */
const HINTS = ['prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options'];
/** Google's word for a call whose signature is lost (its guide to thought signatures, 2026). */
const NO_SIGNATURE = 'skip_thought_signature_validator';

/**
 * A chat body as the target's dialect takes it; the very same body where nothing has to change. Only what a vendor is
 * known to refuse is touched.
 */
export function toChatDialect(body: JsonObject, translation: Translation): JsonObject {
  const { dialect } = translation.target;
  if (dialect === 'openai' || dialect === 'codex') return withServedEffort(body, translation);
  const messages = arrayAt(body, 'messages');
  const known = messages ? withMembers(body, { messages: changeable(knownRoles(messages, translation), messages) }) : body;
  if (dialect === 'deepseek') return toDeepseek(withServedEffort(known, translation), translation);
  if (dialect === 'gemini') return toGemini(withServedEffort(known, translation), translation);
  return withServedEffort(known, translation);
}

function knownRoles(messages: readonly JsonValue[], { target }: Translation): readonly JsonValue[] {
  const known = mapUnlessSame(messages, withSystemRole);
  return target.systemFirst === true ? withSystemFirst(known) : known;
}

/** One system message at the beginning, with the words of all of them in their order. */
function withSystemFirst(messages: readonly JsonValue[]): readonly JsonValue[] {
  const isSystem = (message: JsonValue): boolean => stringAt(message, 'role') === 'system';
  const systems = messages.filter(isSystem);
  if (systems.length === 0 || (systems.length === 1 && systems[0] === messages[0])) return messages;
  const content = systems.map(systemText).filter((text) => text !== '').join('\n\n');
  return [{ role: 'system', content }, ...messages.filter((message) => !isSystem(message))];
}

function systemText(message: JsonValue): string {
  const content = isJsonObject(message) ? message['content'] : undefined;
  if (typeof content === 'string') return content;
  return Array.isArray(content) ? content.map((part) => stringAt(part, 'text') ?? '').join('') : '';
}

/** A list the types may write to again; `same` when nothing was changed. */
function changeable(list: readonly JsonValue[], same: JsonValue[]): JsonValue[] {
  return list === same ? same : [...list];
}

/** DeepSeek, Ollama and most local templates do not know `developer`. */
function withSystemRole(message: JsonValue): JsonValue {
  return isJsonObject(message) && message['role'] === 'developer' ? { ...message, role: 'system' } : message;
}

function withServedEffort(body: JsonObject, { target, notes }: Translation): JsonObject {
  const asked = stringAt(body, 'reasoning_effort');
  if (asked === undefined) return body;
  const served = servedEffort(asked, target.efforts, target.dialect);
  if (asked !== 'ultra') notes.adjust('reasoning_effort', asked, served);
  return withMembers(body, { reasoning_effort: served });
}

function toDeepseek(body: JsonObject, { target, notes }: Translation): JsonObject {
  const asked = stringAt(body, 'reasoning_effort');
  const effort = asked === undefined || target.efforts.length > 0 ? asked : deepseekEffort(asked);
  const isSwitchedOff = asked === 'none' || stringAt(body['thinking'], 'type') === 'disabled';
  const limit = body['max_tokens'] ?? body['max_completion_tokens'];
  const messages = arrayAt(body, 'messages');
  const choice = body['tool_choice'];
  const isForced = isJsonObject(choice) || choice === 'required';
  const isThinking = !isSwitchedOff && (asked !== undefined || stringAt(body['thinking'], 'type') === 'enabled');
  if (isForced && isThinking) notes.adjust('tool_choice', typeof choice === 'string' ? choice : 'named', 'auto');
  return withMembers(body, {
    reasoning_effort: asked === 'none' ? undefined : effort,
    thinking: asked === 'none' ? { type: 'disabled' } : body['thinking'],
    max_tokens: limit,
    max_completion_tokens: undefined,
    ...(messages && !isSwitchedOff && { messages: changeable(mapUnlessSame(messages, withReasoningContent), messages) }),
    tool_choice: isForced && isThinking ? 'auto' : choice,
  });
}

/** "The reasoning_content in the thinking mode must be passed back" (2026): on every tool-call turn, empty if lost. */
function withReasoningContent(message: JsonValue): JsonValue {
  if (!isJsonObject(message) || (arrayAt(message, 'tool_calls') ?? []).length === 0) return message;
  if (typeof message['reasoning_content'] === 'string') return message;
  const { reasoning, ...rest } = message;
  return { ...rest, reasoning_content: typeof reasoning === 'string' ? reasoning : '' };
}

function toGemini(body: JsonObject, translation: Translation): JsonObject {
  const messages = arrayAt(body, 'messages');
  const refused = UNKNOWN_TO_GEMINI.filter((name) => body[name] !== undefined);
  for (const name of refused) {
    const value = body[name];
    if (value !== null && !HINTS.includes(name) && !(name === 'store' && value === false)) translation.notes.drop(name);
  }
  return withMembers(body, {
    ...Object.fromEntries(refused.map((name) => [name, undefined])),
    ...(messages && { messages: changeable(mapUnlessSame(messages, (message) => withSignature(message, translation)), messages) }),
  });
}

/** Of parallel calls only the first carries a signature. */
function withSignature(message: JsonValue, { memory }: Translation): JsonValue {
  if (!isJsonObject(message)) return message;
  const calls = arrayAt(message, 'tool_calls') ?? [];
  const [first] = calls;
  if (!isJsonObject(first) || calls.some((call) => signatureOf(call) !== undefined)) return message;
  const signature = rememberedSignature(stringAt(first, 'id'), memory) ?? NO_SIGNATURE;
  return { ...message, tool_calls: [{ ...first, ...signedBy(signature) }, ...calls.slice(1)] };
}

function signatureOf(call: JsonValue): string | undefined {
  return stringAt(objectAt(objectAt(call, 'extra_content'), 'google'), 'thought_signature');
}

function rememberedSignature(callId: string | undefined, memory: Translation['memory']): string | undefined {
  if (callId === undefined) return undefined;
  for (const item of memory.reasoningFor(callId) ?? []) {
    const signatures = openReasoning(stringAt(item, 'encrypted_content'))?.thoughtSignatures ?? {};
    if (Object.hasOwn(signatures, callId)) return signatures[callId];
  }
  return undefined;
}

/** The member of a tool call that carries Gemini's signature. */
export function signedBy(signature: string): JsonObject {
  return { extra_content: { google: { thought_signature: signature } } };
}
