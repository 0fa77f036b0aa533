import type { JsonObject } from '../core/json.ts';
import { isJsonObject, numberAt, objectAt } from '../core/json.ts';

/** A Responses `usage` in Chat Completions terms; null when there is none. A missing total is the sum. */
export function usageToChat(usage: unknown): JsonObject | null {
  if (!isJsonObject(usage)) return null;
  const input = objectAt(usage, 'input_tokens_details');
  const output = objectAt(usage, 'output_tokens_details');
  const prompt = count(usage, 'input_tokens');
  const completion = count(usage, 'output_tokens');
  const cacheWrite = numberAt(input, 'cache_write_tokens');
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: numberAt(usage, 'total_tokens') ?? prompt + completion,
    prompt_tokens_details: {
      cached_tokens: count(input, 'cached_tokens'),
      ...(cacheWrite !== undefined && { cache_write_tokens: cacheWrite }),
    },
    completion_tokens_details: { reasoning_tokens: count(output, 'reasoning_tokens') },
  };
}

/**
 * A Chat Completions `usage` in Responses terms. Always an object with integer details, zeros where nothing was told:
 * Codex fails the whole turn without them (0.169, observed 2026-11).
 */
export function usageToResponses(usage: unknown): JsonObject {
  const given = isJsonObject(usage) ? usage : {};
  const input = count(given, 'prompt_tokens');
  const output = count(given, 'completion_tokens');
  const details = objectAt(given, 'prompt_tokens_details');
  const cacheWrite = numberAt(details, 'cache_write_tokens');
  return {
    input_tokens: input,
    input_tokens_details: {
      // DeepSeek tells its cache hits in a member of its own (api-docs.deepseek.com, 2026-11).
      cached_tokens: count(details, 'cached_tokens') || count(given, 'prompt_cache_hit_tokens'),
      ...(cacheWrite !== undefined && { cache_write_tokens: whole(cacheWrite) }),
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: count(objectAt(given, 'completion_tokens_details'), 'reasoning_tokens') },
    total_tokens: whole(numberAt(given, 'total_tokens') ?? input + output),
  };
}

function count(value: JsonObject | undefined, key: string): number {
  return whole(numberAt(value, key) ?? 0);
}

/** A count a client's integer parser takes: upstreams have sent negatives and fractions. */
function whole(value: number): number {
  return Math.min(Math.max(0, Math.trunc(value)), Number.MAX_SAFE_INTEGER);
}
