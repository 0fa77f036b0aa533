import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { LARGEST_COUNT, estimateTokens, readTokens, readTokensOrReason, upstreamCost } from '../../src/accounting/tokens.ts';

const counts = (input: number, cached: number, cacheWrite: number, output: number, reasoning: number) =>
  ({ input, cached, cacheWrite, output, reasoning, estimated: false });

describe('readTokens', () => {
  test.each<[string, unknown, ReturnType<typeof counts>]>([
    ['Responses', {
      input_tokens: 900, input_tokens_details: { cached_tokens: 640, cache_write_tokens: 200 },
      output_tokens: 50, output_tokens_details: { reasoning_tokens: 12 }, total_tokens: 950,
    }, counts(900, 640, 200, 50, 12)],
    ['Chat', {
      prompt_tokens: 900, prompt_tokens_details: { cached_tokens: 640, audio_tokens: 0 },
      completion_tokens: 50, completion_tokens_details: { reasoning_tokens: 12 }, total_tokens: 950,
    }, counts(900, 640, 0, 50, 12)],
    ['Chat without details', { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14 }, counts(9, 0, 0, 5, 0)],
    ['null details', {
      prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: null, completion_tokens_details: null,
    }, counts(9, 0, 0, 5, 0)],
    ['embeddings', { prompt_tokens: 8, total_tokens: 8 }, counts(8, 0, 0, 0, 0)],
    ['DeepSeek prefers hit and miss over prompt_tokens', {
      prompt_tokens: 1, prompt_cache_hit_tokens: 1000, prompt_cache_miss_tokens: 100, completion_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 3 },
    }, counts(1100, 1000, 0, 5, 3)],
    ['DeepSeek with a hit alone', { prompt_tokens: 100, prompt_cache_hit_tokens: 60, completion_tokens: 5 }, counts(100, 60, 0, 5, 0)],
    ['OpenRouter', {
      prompt_tokens: 100, completion_tokens: 5, total_tokens: 105, cost: 0.001, is_byok: false,
      prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 20 }, completion_tokens_details: { reasoning_tokens: 2 },
    }, counts(100, 40, 20, 5, 2)],
    ['Ollama over chat', { prompt_tokens: 26, completion_tokens: 298, total_tokens: 324 }, counts(26, 0, 0, 298, 0)],
    ['Ollama itself', { prompt_eval_count: 26, eval_count: 298, eval_duration: 4_709_213_000 }, counts(26, 0, 0, 298, 0)],
    ['Ollama with the whole prompt cached', { eval_count: 298 }, counts(0, 0, 0, 298, 0)],
    ['Anthropic leaves the cache out of input_tokens', {
      input_tokens: 100, cache_read_input_tokens: 800, cache_creation_input_tokens: 50, output_tokens: 20,
    }, counts(950, 800, 50, 20, 0)],
    ['Anthropic without a cache', { input_tokens: 100, output_tokens: 20 }, counts(100, 0, 0, 20, 0)],
    ['a proxy that names both means sums', {
      prompt_tokens: 950, completion_tokens: 20, cache_read_input_tokens: 800, cache_creation_input_tokens: 50,
    }, counts(950, 800, 50, 20, 0)],
    ['Moonshot', { prompt_tokens: 100, completion_tokens: 5, cached_tokens: 64 }, counts(100, 64, 0, 5, 0)],
    ['thinking counted in the total only', { prompt_tokens: 10, completion_tokens: 5, total_tokens: 40 }, counts(10, 0, 0, 30, 25)],
    ['thinking told, and outside of the output', {
      prompt_tokens: 10, completion_tokens: 5, total_tokens: 40, completion_tokens_details: { reasoning_tokens: 25 },
    }, counts(10, 0, 0, 30, 25)],
    ['a total that fits nothing is not believed', {
      prompt_tokens: 10, completion_tokens: 5, total_tokens: 99, completion_tokens_details: { reasoning_tokens: 2 },
    }, counts(10, 0, 0, 5, 2)],
    ['a total of 1e300 is not looked at', { prompt_tokens: 10, completion_tokens: 5, total_tokens: 1e300 }, counts(10, 0, 0, 5, 0)],
    ['zeros are told, so they count', { input_tokens: 0, output_tokens: 0 }, counts(0, 0, 0, 0, 0)],
    ['minus zero is zero', { input_tokens: -0, output_tokens: -0 }, counts(0, 0, 0, 0, 0)],
  ])('%s', (_, usage, expected) => {
    expect(readTokens(usage)).toEqual(expected);
  });

  test.each<[string, unknown, string, string | null]>([
    ['missing usage', undefined, 'usage_missing', null],
    ['usage null', null, 'usage_missing', null],
    ['usage that is a list', [1, 2], 'usage_malformed', null],
    ['usage that is a string', '12', 'usage_malformed', null],
    ['an empty object', {}, 'count_missing', 'input'],
    ['no output', { prompt_tokens: 5 }, 'count_missing', 'output'],
    ['a total smaller than its input', { prompt_tokens: 5, total_tokens: 4 }, 'count_missing', 'output'],
    ['a negative count', { input_tokens: -1, output_tokens: 3 }, 'count_invalid', 'input_tokens'],
    ['1e300', { input_tokens: 1, output_tokens: 1e300 }, 'count_invalid', 'output_tokens'],
    ['NaN', { prompt_tokens: Number.NaN, completion_tokens: 1 }, 'count_invalid', 'prompt_tokens'],
    ['a fraction', { prompt_tokens: 1.5, completion_tokens: 1 }, 'count_invalid', 'prompt_tokens'],
    ['a string', { prompt_tokens: '12', completion_tokens: 1 }, 'count_invalid', 'prompt_tokens'],
    ['a negative detail', {
      input_tokens: 5, output_tokens: 3, input_tokens_details: { cached_tokens: -1 },
    }, 'count_invalid', 'cached_tokens'],
    ['a cache hit of 1e300', {
      prompt_cache_hit_tokens: 1e300, prompt_cache_miss_tokens: 1, completion_tokens: 1,
    }, 'count_invalid', 'prompt_cache_hit_tokens'],
    ['halves that sum to too much', {
      prompt_cache_hit_tokens: LARGEST_COUNT, prompt_cache_miss_tokens: LARGEST_COUNT, completion_tokens: 1,
    }, 'count_invalid', 'input'],
  ])('U37 %s is unmetered, with the reason', (_, usage, reason, field) => {
    expect(readTokens(usage)).toBeNull();
    expect(readTokensOrReason(usage)).toEqual({ ok: false, reason, field });
  });

  test('U37 whatever comes, parts stay within wholes and nothing is negative or not a number', () => {
    const field = fc.oneof(fc.integer({ min: -5, max: 2_000 }), fc.constantFrom(null, Number.NaN, 1e300, 0.5, '7', true, [], {}));
    const details = fc.record({ cached_tokens: field, cache_write_tokens: field, reasoning_tokens: field }, { requiredKeys: [] });
    const usage = fc.record({
      input_tokens: field, output_tokens: field, prompt_tokens: field, completion_tokens: field, total_tokens: field, cached_tokens: field,
      input_tokens_details: fc.oneof(details, fc.constant(null)), prompt_tokens_details: details, completion_tokens_details: details,
      output_tokens_details: details, prompt_cache_hit_tokens: field, prompt_cache_miss_tokens: field, prompt_eval_count: field,
      cache_read_input_tokens: field, cache_creation_input_tokens: field,
    }, { requiredKeys: [] });
    fc.assert(fc.property(usage, (told) => {
      const tokens = readTokens(told);
      if (!tokens) return;
      const { input, cached, cacheWrite, output, reasoning } = tokens;
      for (const count of [input, cached, cacheWrite, output, reasoning]) expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
      expect(cached + cacheWrite).toBeLessThanOrEqual(input);
      expect(reasoning).toBeLessThanOrEqual(output);
    }), { numRuns: 2_000 });
  });
});

describe('estimateTokens', () => {
  test('four bytes or characters make a token, rounded up, and the result says it is an estimate', () => {
    expect(estimateTokens({ inputBytes: 4_001, outputCharacters: 8 }))
      .toEqual({ input: 1_001, cached: 0, cacheWrite: 0, output: 2, reasoning: 0, estimated: true });
  });

  test('nothing passed is nothing', () => {
    expect(estimateTokens({ inputBytes: 0, outputCharacters: -3 })).toMatchObject({ input: 0, output: 0 });
  });
});

describe('upstreamCost', () => {
  test.each<[string, unknown, number | null]>([
    ['credits are dollars', { cost: 0.00014 }, 140_000],
    ['free is told too', { cost: 0 }, 0],
    ["one's own key adds the vendor's bill", { cost: 0.00005, is_byok: true, cost_details: { upstream_inference_cost: 0.001 } }, 1_050_000],
    ['without, OpenRouter pays the vendor', { cost: 0.001, is_byok: false, cost_details: { upstream_inference_cost: 0.001 } }, 1_000_000],
    ['a null bill adds nothing', { cost: 0.001, is_byok: true, cost_details: { upstream_inference_cost: null } }, 1_000_000],
    ['no cost', { prompt_tokens: 5 }, null],
    ['no usage', null, null],
    ['a string', { cost: '0.1' }, null],
    ['negative', { cost: -1 }, null],
    ['NaN', { cost: Number.NaN }, null],
    ['1e300', { cost: 1e300 }, null],
  ])('%s', (_, usage, cost) => {
    expect(upstreamCost(usage)).toBe(cost);
  });
});
