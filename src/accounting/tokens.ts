import type { JsonObject } from '../core/json.ts';
import { isJsonObject, objectAt } from '../core/json.ts';
import type { TokenCounts } from '../core/record.ts';
import type { NanoUsd } from '../core/units.ts';
import { scaleDecimal } from './decimal.ts';

/** No single request has a billion tokens: a larger count is a fault of the upstream's, and is not believed. */
export const LARGEST_COUNT = 1_000_000_000;
/** No single request costs a million dollars; a larger cost is not believed. */
const LARGEST_COST_USD = 1_000_000;
/** Bytes of a JSON request, and characters of an answer, that make about one token in English prose and code. */
const PER_TOKEN = 4;

/** Token counts, or why there are none: a machine word and the field at fault. */
export type TokenReading =
  | { readonly ok: true; readonly tokens: TokenCounts }
  | { readonly ok: false; readonly reason: UnmeteredReason; readonly field: string | null };

/** Why an answer is unmetered. */
export type UnmeteredReason = 'usage_missing' | 'usage_malformed' | 'count_missing' | 'count_invalid';

/**
 * Token counts from an upstream's usage object in any of the shapes met so far: Responses, Chat Completions (OpenAI,
 * Azure, OpenRouter, Gemini's compatible endpoint), DeepSeek's hit and miss, Moonshot's flat `cached_tokens`, Ollama's
 * `prompt_eval_count`, Anthropic Messages. Null when it cannot be trusted: unmetered, never 0.
 */
export function readTokens(usage: unknown): TokenCounts | null {
  const reading = readTokensOrReason(usage);
  return reading.ok ? reading.tokens : null;
}

/** {@link readTokens}, with the reason where it gives null. */
export function readTokensOrReason(usage: unknown): TokenReading {
  if (usage === null || usage === undefined) return { ok: false, reason: 'usage_missing', field: null };
  if (!isJsonObject(usage)) return { ok: false, reason: 'usage_malformed', field: null };
  const fault: Fault = { field: null };
  const parts = readParts(usage, fault);
  if (fault.field !== null) return { ok: false, reason: 'count_invalid', field: fault.field };
  if (parts.input === undefined) return { ok: false, reason: 'count_missing', field: 'input' };
  if (parts.output === undefined) return { ok: false, reason: 'count_missing', field: 'output' };
  if (parts.input > LARGEST_COUNT) return { ok: false, reason: 'count_invalid', field: 'input' };
  return { ok: true, tokens: fitTogether(parts.input, parts.output, parts) };
}

/**
 * Token counts from what passed, for answers whose upstream never said: about four bytes, or four characters, a token.
 * Marked `estimated`.
 */
export function estimateTokens(passed: { readonly inputBytes: number; readonly outputCharacters: number }): TokenCounts {
  const [input, output] = [tokensIn(passed.inputBytes), tokensIn(passed.outputCharacters)];
  return { input, cached: 0, cacheWrite: 0, output, reasoning: 0, estimated: true };
}

function tokensIn(size: number): number {
  return Math.min(Math.ceil(Math.max(size, 0) / PER_TOKEN), LARGEST_COUNT);
}

/**
 * What the upstream says the request cost, in 1e-9 USD: OpenRouter's `cost` (openrouter.ai usage accounting, 2026-11),
 * in credits of one dollar. With a key of one's own at the vendor (`is_byok`) that is OpenRouter's fee, and the vendor's
 * own bill, `cost_details.upstream_inference_cost`, comes on top. Null when it says nothing that can be believed.
 */
export function upstreamCost(usage: unknown): NanoUsd | null {
  if (!isJsonObject(usage)) return null;
  const cost = readUsd(usage.cost);
  if (cost === null || usage.is_byok !== true) return cost;
  return cost + (readUsd(objectAt(usage, 'cost_details')?.upstream_inference_cost) ?? 0);
}

function readUsd(value: unknown): NanoUsd | null {
  return typeof value === 'number' && value <= LARGEST_COST_USD ? scaleDecimal(value, 9) : null;
}

/** The counts as found, not yet made to fit each other. */
interface Parts {
  readonly input: number | undefined;
  readonly cached: number;
  readonly cacheWrite: number;
  readonly output: number | undefined;
  readonly reasoning: number;
}

interface Fault {
  field: string | null;
}

function readParts(usage: JsonObject, fault: Fault): Parts {
  if ('prompt_eval_count' in usage || 'eval_count' in usage) return readOllama(usage, fault);
  if ('prompt_cache_hit_tokens' in usage && 'prompt_cache_miss_tokens' in usage) return readDeepSeek(usage, fault);
  if (isAnthropic(usage)) return readAnthropic(usage, fault);
  return readOpenAi(usage, fault);
}

/** Ollama's own API; `prompt_eval_count` is absent when the whole prompt was cached (ollama/docs/api.md, 2026-11). */
function readOllama(usage: JsonObject, fault: Fault): Parts {
  const output = countAt(usage, 'eval_count', fault);
  return { input: countAt(usage, 'prompt_eval_count', fault) ?? 0, cached: 0, cacheWrite: 0, output: output ?? 0, reasoning: 0 };
}

/** DeepSeek splits the prompt in two and both halves are billed apart (api-docs.deepseek.com, 2026-11). */
function readDeepSeek(usage: JsonObject, fault: Fault): Parts {
  const openAi = readOpenAi(usage, fault);
  const hit = countAt(usage, 'prompt_cache_hit_tokens', fault);
  const miss = countAt(usage, 'prompt_cache_miss_tokens', fault);
  if (hit === undefined || miss === undefined) return openAi;
  return { ...openAi, input: hit + miss, cached: hit };
}

/** Anthropic names its cache counts beside `input_tokens`; proxies that say `prompt_tokens` mean OpenAI's sums. */
function isAnthropic(usage: JsonObject): boolean {
  if ('prompt_tokens' in usage || objectAt(usage, 'input_tokens_details')) return false;
  return 'cache_read_input_tokens' in usage || 'cache_creation_input_tokens' in usage;
}

/** In Messages `input_tokens` leaves out what was read from and written to the cache (docs.anthropic.com, 2026-11). */
function readAnthropic(usage: JsonObject, fault: Fault): Parts {
  const uncached = countAt(usage, 'input_tokens', fault);
  const cached = countAt(usage, 'cache_read_input_tokens', fault) ?? 0;
  const cacheWrite = countAt(usage, 'cache_creation_input_tokens', fault) ?? 0;
  return {
    input: uncached === undefined ? undefined : uncached + cached + cacheWrite,
    cached, cacheWrite, output: countAt(usage, 'output_tokens', fault), reasoning: 0,
  };
}

function readOpenAi(usage: JsonObject, fault: Fault): Parts {
  const inputDetails = objectAt(usage, 'input_tokens_details') ?? objectAt(usage, 'prompt_tokens_details');
  const outputDetails = objectAt(usage, 'output_tokens_details') ?? objectAt(usage, 'completion_tokens_details');
  const input = countAt(usage, 'input_tokens', fault) ?? countAt(usage, 'prompt_tokens', fault);
  const output = countAt(usage, 'output_tokens', fault) ?? countAt(usage, 'completion_tokens', fault);
  const reasoning = countAt(outputDetails, 'reasoning_tokens', fault);
  const cached = countAt(inputDetails, 'cached_tokens', fault) ?? countAt(usage, 'cached_tokens', fault)
    ?? countAt(usage, 'prompt_cache_hit_tokens', fault) ?? countAt(usage, 'cache_read_input_tokens', fault) ?? 0;
  const cacheWrite = countAt(inputDetails, 'cache_write_tokens', fault) ?? countAt(usage, 'cache_creation_input_tokens', fault) ?? 0;
  const total = isCount(usage.total_tokens) ? usage.total_tokens : undefined;
  return { input, cached, cacheWrite, ...readOutput({ input, output, reasoning, total }) };
}

/**
 * Thinking is part of the output, but some (Gemini's compatible endpoint, xAI; seen 2026-11) leave it out of
 * `completion_tokens` and count it in the total only: what the total holds beyond both is thinking. Where only a total
 * is told, as for embeddings, the output is the rest.
 */
function readOutput(told: {
  readonly input: number | undefined;
  readonly output: number | undefined;
  readonly reasoning: number | undefined;
  readonly total: number | undefined;
}): Pick<Parts, 'output' | 'reasoning'> {
  const { input, output, reasoning, total } = told;
  if (input === undefined || total === undefined) return { output, reasoning: reasoning ?? 0 };
  if (output === undefined) return { output: total >= input ? total - input : undefined, reasoning: reasoning ?? 0 };
  const beyond = total - input - output;
  if (beyond > 0 && (reasoning === undefined || reasoning === beyond)) return { output: output + beyond, reasoning: beyond };
  return { output, reasoning: reasoning ?? 0 };
}

/** Makes the parts fit the wholes, so that no token is ever billed twice. */
function fitTogether(input: number, output: number, parts: Parts): TokenCounts {
  const cached = Math.min(parts.cached, input);
  return {
    input, cached, cacheWrite: Math.min(parts.cacheWrite, input - cached), output, reasoning: Math.min(parts.reasoning, output),
    estimated: false,
  };
}

/** The count behind a key. Absent and null are undefined; anything else that is no count is noted as the fault. */
function countAt(from: JsonObject | undefined, key: string, fault: Fault): number | undefined {
  const value = from?.[key];
  if (value === undefined || value === null) return undefined;
  if (isCount(value)) return value + 0;
  fault.field ??= key;
  return undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_COUNT;
}
