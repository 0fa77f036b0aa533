import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import { servedEffort } from './reasoning-effort.ts';
import { refuseMissing, refuseType, refuseValue, requireString } from './refuse-request.ts';
import type { Translation } from './translation.ts';

/** The least the Responses API takes for `max_output_tokens` (OpenAPI 2.3.0, 2026-08). */
const LEAST_OUTPUT_TOKENS = 16;

/** Spelled and meant alike on both wires. */
const SAME = [
  'temperature', 'top_p', 'user', 'safety_identifier', 'metadata', 'prompt_cache_key', 'prompt_cache_retention',
  'prompt_cache_options', 'moderation',
];

/** Read by another step, or by the way back. */
const READ_ELSEWHERE = [
  'model', 'messages', 'input', 'instructions', 'stream', 'stream_options', 'tools', 'tool_choice', 'parallel_tool_calls', 'functions',
  'function_call', 'web_search_options', 'reasoning_effort', 'reasoning', 'thinking', 'enable_thinking', 'verbosity', 'text',
  'response_format', 'stop', 'store', 'n', 'modalities', 'audio', 'logprobs', 'top_logprobs', 'max_tokens', 'max_completion_tokens',
  'service_tier', 'include',
];

/** A chat body's parameters in Responses terms. Unknown ones are dropped and noted: the upstream refuses what it does not know. */
export function parametersToResponses(body: JsonObject, translation: Translation): JsonObject {
  const { notes, target } = translation;
  refuseUnanswerable(body);
  notes.stop = stopSequences(body['stop']);
  const made: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null || READ_ELSEWHERE.includes(name)) continue;
    if (SAME.includes(name)) made[name] = value;
    else notes.drop(name);
  }
  const reasoning = reasoningOf(body, translation);
  const tier = stringAt(body, 'service_tier');
  const text = textOf(body);
  return {
    ...made,
    ...outputLimit(body, translation),
    ...(tier !== undefined && { service_tier: tier === 'fast' ? 'priority' : tier }),
    ...(reasoning && { reasoning }),
    ...(text && { text }),
    ...storeOf(body, translation),
    ...included(body, translation),
    ...(target.dialect !== 'codex' && translation.upstreamStream && streamOptions(body)),
  };
}

/** What would make the answer wrong rather than less fine. */
function refuseUnanswerable(body: JsonObject): void {
  const choices = numberAt(body, 'n');
  if (choices !== undefined && choices !== 1) refuseValue('n', 'one choice is made for a request; send n requests instead.');
  const modalities = arrayAt(body, 'modalities') ?? [];
  if (modalities.some((modality) => modality !== 'text')) refuseValue('modalities', 'the upstream that serves this model answers in text.');
  if (isJsonObject(body['audio'])) refuseValue('audio', 'the upstream that serves this model answers in text.');
}

/** The Responses API has no stop sequences: the answer is cut at them on its way back. */
function stopSequences(stop: JsonValue | undefined): readonly string[] {
  if (stop === undefined || stop === null) return [];
  if (typeof stop === 'string') return stop === '' ? [] : [stop];
  if (!Array.isArray(stop)) refuseType('stop', 'a string or an array of strings');
  return stop.map((sequence, index) => requireString(sequence, `stop[${index}]`));
}

function outputLimit(body: JsonObject, { target, notes }: Translation): JsonObject {
  const names = ['max_completion_tokens', 'max_tokens'].filter((name) => body[name] !== undefined && body[name] !== null);
  if (target.dialect === 'codex') for (const name of names) notes.drop(name);
  const [name] = names;
  if (name === undefined || target.dialect === 'codex') return {};
  const asked = numberAt(body, name);
  if (asked === undefined) refuseType(name, 'a number');
  const sent = Math.max(asked, LEAST_OUTPUT_TOKENS);
  notes.adjust(name, asked, sent);
  return { max_output_tokens: sent };
}

/** The effort asked for in any client's spelling; the standard one wins. */
function reasoningOf(body: JsonObject, { target, notes }: Translation): JsonObject | undefined {
  const asked = stringAt(body, 'reasoning_effort') ?? foreignEffort(body);
  const summary = stringAt(body['reasoning'], 'summary') ?? (target.dialect === 'codex' ? 'auto' : undefined);
  const effort = asked === undefined ? undefined : servedEffort(asked, target.efforts, target.dialect);
  if (asked !== undefined && effort !== undefined && asked !== 'ultra') notes.adjust('reasoning_effort', asked, effort);
  if (effort === undefined && summary === undefined) return undefined;
  return { ...(effort !== undefined && { effort }), ...(summary !== undefined && { summary }) };
}

/** `reasoning: {effort | enabled}` (OpenRouter), `thinking: {type}` (DeepSeek, Anthropic), `enable_thinking` (Qwen). */
function foreignEffort(body: JsonObject): string | undefined {
  const reasoning = objectAt(body, 'reasoning');
  const effort = stringAt(reasoning, 'effort');
  if (effort !== undefined) return effort;
  const thinking = stringAt(body['thinking'], 'type');
  const enabled = reasoning?.['enabled'] ?? (thinking === undefined ? body['enable_thinking'] : thinking !== 'disabled');
  if (enabled === true) return 'medium';
  return enabled === false ? 'none' : undefined;
}

function textOf(body: JsonObject): JsonObject | undefined {
  const given = objectAt(body, 'text');
  const verbosity = stringAt(body, 'verbosity') ?? stringAt(given, 'verbosity');
  const format = formatOf(body['response_format']) ?? objectAt(given, 'format');
  if (verbosity === undefined && !format) return undefined;
  return { ...(format && { format }), ...(verbosity !== undefined && { verbosity }) };
}

function formatOf(responseFormat: JsonValue | undefined): JsonObject | undefined {
  if (responseFormat === undefined || responseFormat === null) return undefined;
  const type = requireString(isJsonObject(responseFormat) ? responseFormat['type'] : responseFormat, 'response_format.type');
  switch (type) {
    case 'text':
    case 'json_object':
      return { type };
    case 'json_schema': {
      const schema = objectAt(responseFormat, 'json_schema');
      if (!schema) refuseMissing('response_format.json_schema');
      return { type, ...withoutNulls(schema) };
    }
    default:
      refuseValue('response_format.type', 'it must be "text", "json_object" or "json_schema".');
  }
}

function withoutNulls(members: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
}

/** Chat keeps nothing unless told to, Responses keeps all unless told not to: the chat client's silence means no. */
function storeOf(body: JsonObject, { target, notes }: Translation): JsonObject {
  const store = body['store'] === true;
  if (store && target.dialect === 'codex') notes.drop('store');
  return { store: store && target.dialect !== 'codex' };
}

/** What has to be asked for by name: reasoning that can be replayed where nothing is stored, and log probabilities. */
function included(body: JsonObject, { target, notes }: Translation): JsonObject {
  const onCodex = target.dialect === 'codex';
  const include = (arrayAt(body, 'include') ?? []).filter((entry) => typeof entry === 'string');
  const reasons = target.efforts.length > 0 || (stringAt(body, 'reasoning_effort') ?? 'none') !== 'none';
  if (onCodex || (target.dialect === 'openai' && body['store'] !== true && reasons)) include.push('reasoning.encrypted_content');
  const topLogprobs = numberAt(body, 'top_logprobs');
  if (onCodex && body['logprobs'] === true) notes.drop('logprobs');
  if (onCodex && topLogprobs) notes.drop('top_logprobs');
  const wantsLogprobs = !onCodex && body['logprobs'] === true;
  if (wantsLogprobs) include.push('message.output_text.logprobs');
  return {
    ...(include.length > 0 && { include: [...new Set(include)] }),
    ...(wantsLogprobs && topLogprobs !== undefined && { top_logprobs: topLogprobs }),
  };
}

/** The usage chunk is Relay's own doing; obfuscation is the upstream's. */
function streamOptions(body: JsonObject): JsonObject {
  const obfuscation = objectAt(body, 'stream_options')?.['include_obfuscation'];
  return typeof obfuscation === 'boolean' ? { stream_options: { include_obfuscation: obfuscation } } : {};
}
