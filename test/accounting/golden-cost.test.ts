import { readFileSync, readdirSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import type { PriceOverrides } from '../../src/accounting/price.ts';
import { priceRequest } from '../../src/accounting/price.ts';
import { readTokens, upstreamCost } from '../../src/accounting/tokens.ts';
import type { ProviderKind } from '../../src/core/provider-kind.ts';
import type { Cost, TokenCounts } from '../../src/core/record.ts';

/** One published case: an upstream's usage, what it comes to, and how that is reckoned. */
interface CostVector {
  readonly name: string;
  readonly request: {
    readonly kind: ProviderKind;
    readonly model: string;
    readonly tier: string | null;
    readonly at: string;
    readonly billing: 'subscription' | 'api' | 'local';
    readonly overrides?: PriceOverrides;
    readonly baseUrl?: string;
  };
  readonly usage: unknown;
  readonly tokens: Omit<TokenCounts, 'estimated'> | null;
  /** `<tokens> <sort> x <1e-12 USD> = <product>` for each sort of token, then `sum <S> / 1000 = <1e-9 USD>`. */
  readonly arithmetic: readonly string[];
  readonly cost: Cost;
}

const FOLDER = new URL('../fixtures/cost/', import.meta.url);
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const vectorsOf = (file: string): CostVector[] => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'));

describe.each(files)('%s', (file) => {
  test.each(vectorsOf(file).map((vector) => [vector.name, vector] as const))('%s', (_, { request, usage, tokens, cost }) => {
    const read = readTokens(usage);
    expect(read).toEqual(tokens && { ...tokens, estimated: false });
    const { overrides = {}, baseUrl = null, at, ...rest } = request;
    const priced = priceRequest({ ...rest, at: Date.parse(at), overrides, baseUrl, tokens: read, upstreamCost: upstreamCost(usage) });
    expect(priced).toEqual(cost);
  });

  test('its arithmetic is right', () => {
    for (const { arithmetic, cost, tokens } of vectorsOf(file)) {
      const last = /^sum (\d+) \/ 1000 = (\d+)$/.exec(arithmetic.at(-1) ?? '');
      if (!last || !tokens) continue;
      const terms = arithmetic.slice(0, -1).map((line) => /^(\d+) [a-z ]+ x (\d+) = (\d+)$/.exec(line)?.slice(1).map(BigInt) ?? []);
      for (const [count, rate, product] of terms) expect((count ?? 0n) * (rate ?? 0n)).toBe(product);
      expect(terms.reduce((sum, [count]) => sum + Number(count), 0)).toBe(tokens.input + tokens.output);
      const sum = terms.reduce((total, [, , product]) => total + (product ?? 0n), 0n);
      expect(String(sum)).toBe(last[1]);
      expect((2n * sum + 1_000n) / 2_000n).toBe(BigInt(last[2] ?? ''));
      expect(cost.list).toBe(Number(last[2]));
    }
  });
});

test('there are at least forty reckoned cases', () => {
  const reckoned = files.flatMap(vectorsOf).filter(({ arithmetic }) => arithmetic.at(-1)?.startsWith('sum '));
  expect(reckoned.length).toBeGreaterThanOrEqual(40);
  expect(new Set(files.flatMap(vectorsOf).map(({ name }) => name)).size).toBe(files.flatMap(vectorsOf).length);
});
