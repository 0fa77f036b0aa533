import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import { refuseParameter, refuseValue, requireString } from './refuse-request.ts';
import type { Translation } from './translation.ts';

/** Spelled and meant alike on both wires. */
const SAME = ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'user', 'safety_identifier'];

/** Only OpenAI's own chat endpoint knows them. */
const OPENAI_ONLY = ['service_tier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options'];

/** Left out without a word: said by another member, or without effect on the answer. */
const SILENT = [
  'model', 'input', 'instructions', 'previous_response_id', 'stream', 'stream_options', 'tools', 'tool_choice',
  'parallel_tool_calls', 'store', 'include', 'reasoning', 'text', 'max_output_tokens', 'top_logprobs', 'client_metadata',
  'prompt_cache_key',
];

const REFUSED: Readonly<Record<string, string>> = {
  background: 'The upstream that serves this model answers in the foreground only.',
  conversation: 'Send the conversation as input, or previous_response_id.',
  prompt: 'Stored prompts are not reachable here; send their text as instructions.',
};

/** A Responses body's parameters in chat terms. What has no chat counterpart is dropped and noted. */
export function parametersToChat(body: JsonObject, translation: Translation): JsonObject {
  const { notes, target } = translation;
  const onOpenAi = target.dialect === 'openai';
  const made: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null || isWithoutEffect(name, value)) continue;
    if (Object.hasOwn(REFUSED, name)) refuseParameter(name, REFUSED[name] ?? '');
    if (SAME.includes(name) || (onOpenAi && OPENAI_ONLY.includes(name))) made[name] = value;
    else if (!SILENT.includes(name)) notes.drop(name);
  }
  const limit = body['max_output_tokens'];
  const effort = stringAt(body['reasoning'], 'effort');
  return {
    ...made,
    ...(typeof limit === 'number' && { [onOpenAi ? 'max_completion_tokens' : 'max_tokens']: limit }),
    ...(effort !== undefined && { reasoning_effort: effort }),
    ...textToChat(body, translation),
    ...logprobs(body),
    ...(translation.upstreamStream && { stream: true, stream_options: { include_usage: true } }),
  };
}

function isWithoutEffect(name: string, value: JsonValue): boolean {
  if (name === 'background') return value === false;
  if (name === 'truncation') return value === 'disabled';
  if (name === 'service_tier') return value === 'auto' || value === 'default';
  return name === 'metadata' && isJsonObject(value) && Object.keys(value).length === 0;
}

function textToChat(body: JsonObject, { target, notes }: Translation): JsonObject {
  const text = objectAt(body, 'text');
  const verbosity = stringAt(text, 'verbosity');
  if (verbosity !== undefined && target.dialect !== 'openai') notes.drop('text.verbosity');
  return {
    ...responseFormat(objectAt(text, 'format')),
    ...(verbosity !== undefined && target.dialect === 'openai' && { verbosity }),
  };
}

/** The flat format as chat nests it; plain text is what comes anyway. */
function responseFormat(format: JsonObject | undefined): JsonObject {
  if (!format) return {};
  const type = requireString(format['type'], 'text.format.type');
  if (type === 'text') return {};
  if (type === 'json_object') return { response_format: { type } };
  if (type !== 'json_schema') refuseValue('text.format.type', 'it must be "text", "json_object" or "json_schema".');
  const members = Object.entries(format).filter(([name, value]) => name !== 'type' && value !== null);
  return { response_format: { type, json_schema: Object.fromEntries(members) } };
}

function logprobs(body: JsonObject): JsonObject {
  const isAsked = (arrayAt(body, 'include') ?? []).includes('message.output_text.logprobs');
  const top = numberAt(body, 'top_logprobs') ?? 0;
  if (!isAsked && top <= 0) return {};
  return { logprobs: true, ...(top > 0 && { top_logprobs: top }) };
}
