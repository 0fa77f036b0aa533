import type { JsonObject } from '../core/json.ts';
import { numberAt, objectAt } from '../core/json.ts';
import { estimateOutputTokens } from './messages-count.ts';

/** What stands in for a usage that was never told: an answer cut at a stop sequence ends before it. */
export interface CountedSize {
  readonly inputTokens: number;
  readonly outputCharacters: number;
}

/**
 * A Responses `usage` in Messages terms: what was read from a cache or written to one is no part of `input_tokens`
 * there. Counted from `size` where the upstream told none.
 */
export function usageToMessages(usage: JsonObject | null, size: CountedSize): JsonObject {
  if (usage === null) return messagesUsage(size.inputTokens, estimateOutputTokens(size.outputCharacters), 0, 0);
  const details = objectAt(usage, 'input_tokens_details');
  const input = count(usage, 'input_tokens');
  // One token at least stays outside: clients take 0 for "not told" and go on with what the start of the message said.
  const most = Math.max(0, input - 1);
  const read = Math.min(most, count(details, 'cached_tokens'));
  const written = Math.min(most - read, count(details, 'cache_write_tokens'));
  return messagesUsage(input - read - written, count(usage, 'output_tokens'), read, written);
}

function messagesUsage(input: number, output: number, read: number, written: number): JsonObject {
  return { input_tokens: input, cache_creation_input_tokens: written, cache_read_input_tokens: read, output_tokens: output };
}

function count(value: JsonObject | undefined, key: string): number {
  return Math.min(Math.max(0, Math.trunc(numberAt(value, key) ?? 0)), Number.MAX_SAFE_INTEGER);
}
