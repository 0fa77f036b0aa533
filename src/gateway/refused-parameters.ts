import type { Failure } from '../core/failure.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';
import type { Wire } from '../core/provider-kind.ts';
import type { Clock } from '../core/ports.ts';
import { DAY_MS } from '../core/units.ts';
import type { PreparedRequest } from '../wire/prepared-request.ts';
import { createRecentMap } from './recent-map.ts';

/** Where a parameter was refused. */
export interface RefusedAt {
  readonly provider: string;
  readonly wire: Wire;
  readonly model: string;
}

/** Parameters an upstream refused by name and a request can do without: the next one is sent without them. */
export interface RefusedParameters {
  learn(at: RefusedAt, parameter: string): void;
  /** Paths as the upstream named them: `temperature`, `reasoning.effort`. */
  of(at: RefusedAt): readonly string[];
}

/** A vendor that starts to take a parameter is noticed after a day. */
const BOUNDS = { count: 512, bytes: Number.MAX_SAFE_INTEGER, idleMs: DAY_MS };
const MOST_PARAMETERS = 16;

/** Nothing refused yet. */
export function createRefusedParameters(clock: Clock): RefusedParameters {
  const places = createRecentMap<{ readonly at: number; readonly parameters: readonly string[] }>(clock, BOUNDS);
  const known = (at: RefusedAt): readonly string[] => {
    const place = places.get(keyOf(at));
    return place === undefined || clock.now() - place.at >= DAY_MS ? [] : place.parameters;
  };
  return {
    learn(at, parameter) {
      const others = known(at).filter((other) => other !== parameter);
      places.set(keyOf(at), { at: clock.now(), parameters: [...others, parameter].slice(-MOST_PARAMETERS) });
    },
    of: known,
  };
}

/**
 * What a request can lose and still be answered as it was meant: hints, limits, labels. Not what it asks (input, tools,
 * formats) nor where its answer goes (store, stream).
 */
const DISPENSABLE = new Set([
  'temperature', 'top_p', 'top_k', 'min_p', 'seed', 'presence_penalty', 'frequency_penalty', 'repetition_penalty', 'logit_bias',
  'max_output_tokens', 'max_completion_tokens', 'max_tokens', 'max_tool_calls', 'truncation', 'context_management',
  'reasoning', 'reasoning.effort', 'reasoning.summary', 'reasoning.generate_summary', 'reasoning.context', 'reasoning_effort', 'thinking',
  'verbosity', 'text.verbosity', 'parallel_tool_calls', 'service_tier', 'prediction', 'user', 'safety_identifier', 'metadata',
  'client_metadata', 'moderation', 'access_programs', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options',
  'stop', 'stream_options', 'stream_options.include_usage', 'stream_options.include_obfuscation', 'stream_options.reasoning_summary_delivery',
]);

/** Told in other words instead of left out, where the upstream asks for that (OpenAI's reasoning models, 2026-11). */
const OTHER_WORDS: Readonly<Record<string, string>> = { max_tokens: 'max_completion_tokens', max_completion_tokens: 'max_tokens' };

/** What the client called it, where translation gave it another name. */
const CLIENT_WORDS: Readonly<Record<string, readonly string[]>> = {
  max_output_tokens: ['max_completion_tokens', 'max_tokens'],
  max_tokens: ['max_output_tokens', 'max_completion_tokens'],
  max_completion_tokens: ['max_output_tokens', 'max_tokens'],
  reasoning: ['reasoning_effort', 'thinking', 'enable_thinking'],
  'reasoning.effort': ['reasoning_effort', 'thinking', 'enable_thinking'],
  reasoning_effort: ['reasoning.effort'],
  'text.verbosity': ['verbosity'],
  verbosity: ['text.verbosity'],
};

/** The parameter a refusal names, if it was sent and the request can do without it; else null. */
export function dispensableParameter(failure: Failure, sent: JsonObject): string | null {
  const { kind, code, param } = failure;
  if (kind !== 'invalid-request' || code !== 'unsupported_parameter' || param === null || !DISPENSABLE.has(param)) return null;
  return valueAt(sent, param) === undefined ? null : param;
}

/** A prepared request without these parameters; the same one when it has none of them. What the client asked for itself is noted. */
export function withoutParameters(prepared: PreparedRequest, parameters: readonly string[], asked: JsonObject): PreparedRequest {
  const present = parameters.filter((parameter) => valueAt(prepared.body, parameter) !== undefined);
  if (present.length === 0) return prepared;
  const cut = prepared.answer.clientWire !== 'responses' && present.includes('stop') ? stopsOf(prepared.body['stop']) : null;
  const dropped = present.filter((parameter) => parameter !== 'stop' || cut === null).flatMap((parameter) => inOtherWords(parameter, parameters) === null ? (clientWord(parameter, asked) ?? []) : []);
  return {
    ...prepared,
    body: present.reduce((body, parameter) => without(body, parameter, inOtherWords(parameter, parameters)), prepared.body),
    changed: true,
    // Stop sequences are honoured all the same: the answer is cut at them on its way back.
    ...(cut !== null && { answer: { ...prepared.answer, stop: [...prepared.answer.stop, ...cut] } }),
    dropped: [...new Set([...prepared.dropped, ...dropped])].toSorted(),
  };
}

function stopsOf(stop: JsonValue | undefined): readonly string[] {
  return (Array.isArray(stop) ? stop : [stop]).filter((sequence) => typeof sequence === 'string');
}

/** Another name for it that has not been refused as well. */
function inOtherWords(parameter: string, refused: readonly string[]): string | null {
  const other = OTHER_WORDS[parameter];
  return other === undefined || refused.includes(other) ? null : other;
}

function without(body: JsonObject, parameter: string, other: string | null): JsonObject {
  const [name = '', inner] = parameter.split('.');
  const { [name]: value, ...rest } = body;
  if (inner === undefined) return other === null ? rest : { [other]: value, ...rest };
  if (!isJsonObject(value)) return body;
  const { [inner]: _refused, ...left } = value;
  return Object.keys(left).length === 0 ? rest : { ...body, [name]: left };
}

function clientWord(parameter: string, asked: JsonObject): string | undefined {
  const isAsked = (word: string): boolean => (valueAt(asked, word) ?? null) !== null;
  return isAsked(parameter) ? parameter : CLIENT_WORDS[parameter]?.find(isAsked);
}

function valueAt(body: JsonObject, parameter: string): unknown {
  const [name = '', inner] = parameter.split('.');
  const value = body[name];
  if (inner === undefined) return value;
  return isJsonObject(value) ? value[inner] : undefined;
}

function keyOf({ provider, wire, model }: RefusedAt): string {
  return JSON.stringify([provider, wire, model]);
}
