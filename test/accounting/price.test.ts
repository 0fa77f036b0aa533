import { readFileSync } from 'node:fs';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BROAD_PRICES } from '../../src/accounting/broad-prices.ts';
import { isDeepSeekPeak } from '../../src/accounting/deepseek-hours.ts';
import type { PriceQuery, PricedRequest } from '../../src/accounting/price.ts';
import { listPrices, priceRequest, priceRow } from '../../src/accounting/price.ts';
import { PRICE_ROWS, rowInForce } from '../../src/accounting/prices.ts';
import { LARGEST_COUNT } from '../../src/accounting/tokens.ts';
import { PROVIDER_KINDS } from '../../src/core/provider-kind.ts';

const AT = Date.parse('2026-10-15T12:00:00Z');
const query = (change: Partial<PriceQuery>): PriceQuery => ({
  kind: 'openai', model: 'gpt-6-sol', tier: null, at: AT, overrides: {}, baseUrl: null, ...change,
});
const request = (change: Partial<PricedRequest>): PricedRequest => ({
  ...query({}), tokens: { input: 1_000, cached: 0, cacheWrite: 0, output: 100, reasoning: 0, estimated: false },
  billing: 'api', upstreamCost: null, ...change,
});

describe('the price table', () => {
  test('names its source and the day it was read in every row', () => {
    for (const row of PRICE_ROWS) {
      expect(row.readOn).toMatch(/^2026-\d{2}-\d{2}$/);
      expect(row.source.startsWith('https://') || row.vendor === 'mock').toBe(true);
    }
  });

  test('holds whole, positive prices only, also where a tier or a size bends them', () => {
    for (const { vendor, model, effectiveFrom, standard, tiers } of PRICE_ROWS) {
      for (const rates of [standard, ...Object.values(tiers)]) {
        for (const rate of Object.values(rates)) expect(Number.isSafeInteger(rate) && rate > 0).toBe(true);
        expect([rates.output * 150 % 100, model, vendor, effectiveFrom]).toEqual([0, model, vendor, effectiveFrom]);
        expect(rates.cached).toBeLessThanOrEqual(rates.input);
        expect(rates.output).toBeGreaterThan(rates.input);
      }
    }
  });

  test('keeps the rows of a model in the order of time, the first without a date', () => {
    for (const { vendor, model } of PRICE_ROWS) {
      const dates = PRICE_ROWS.filter((row) => row.vendor === vendor && row.model === model).map(({ effectiveFrom }) => effectiveFrom);
      expect(dates[0]).toBeNull();
      expect(dates.slice(1)).toEqual(dates.slice(1).toSorted((a, b) => Number(a) - Number(b)));
      expect(new Set(dates).size).toBe(dates.length);
    }
  });

  test('has no alias that is a model, nor two models of one alias', () => {
    const owners = new Map<string, string>();
    for (const { vendor, model, aliases } of PRICE_ROWS) {
      for (const alias of aliases) {
        expect(PRICE_ROWS.some((row) => row.model === alias)).toBe(false);
        expect(owners.get(alias) ?? model).toBe(model);
        owners.set(alias, model);
        expect(rowInForce(vendor, alias, AT)?.model).toBe(model);
      }
    }
  });

  test('agrees with the broad table where both know a model and it has one price', () => {
    const models = ['gpt-6-astra', 'gpt-6-sol', 'gpt-6-luna', 'gpt-5.5', 'gpt-5.4', 'gpt-5.4-mini', 'gpt-5.2', 'gpt-5', 'o3', 'o4-mini'];
    for (const model of models) {
      const own = priceRow(query({ model }), 1_000);
      const broad = priceRow(query({ kind: 'compatible', baseUrl: 'https://api.openai.com/v1', model }), 1_000);
      expect([model, own?.origin, broad?.origin]).toEqual([model, 'relay', 'genai-prices']);
      const { input, cached, output } = own?.rates ?? {};
      expect(broad?.rates).toMatchObject({ input, cached, output });
    }
  });
});

describe('the price in force', () => {
  test("is the user's own before Relay's, and Relay's before the broad one", () => {
    const overrides = { 'gpt-6-sol': { input: 7, output: 8 } };
    expect(priceRow(query({ overrides }), 0)).toMatchObject({ origin: 'config', rates: { input: 7_000_000, cached: 7_000_000 } });
    const source = 'https://developers.openai.com/api/docs/pricing';
    expect(priceRow(query({}), 0)).toMatchObject({ origin: 'relay', readOn: '2026-10-01', source });
    expect(priceRow(query({ model: 'gpt-4o' }), 0)).toMatchObject({ origin: 'genai-prices', model: 'gpt-4o', readOn: BROAD_PRICES.readOn });
    expect(priceRow(query({ model: 'gpt-99' }), 0)).toBeNull();
  });

  test.each([
    ['gpt-6-sol-2026-09-01', 'gpt-6-sol'], ['GPT-6-Sol', 'gpt-6-sol'], [' gpt-6-sol ', 'gpt-6-sol'], ['openai/gpt-6-sol', 'gpt-6-sol'],
    ['gpt-5.6', 'gpt-5.6-sol'], ['gpt-5.6-2026-06-01', 'gpt-5.6-sol'], ['gpt-5.1-codex-max', 'gpt-5.1'], ['gpt-5-codex', 'gpt-5'],
  ])('of %s is that of %s', (model, listed) => {
    expect(priceRow(query({ model }), 0)).toMatchObject({ model: listed, origin: 'relay' });
  });

  test.each(['gpt-6-sol-pro', 'gpt-6-solar', 'gpt-6', 'my-gpt-6-sol', ''])('is not guessed for %j from another name', (model) => {
    expect(priceRow(query({ model }), 0)?.model).not.toBe('gpt-6-sol');
  });

  test.each(['deepseek-v4-pro-0813', 'DeepSeek-V4-Pro', 'deepseek/deepseek-v4-pro'])('of %s is that of deepseek-v4-pro', (model) => {
    expect(priceRow(query({ kind: 'deepseek', model }), 0)?.model).toBe('deepseek-v4-pro');
  });

  test('of a dated model follows a price the user set for its plain name', () => {
    const overrides = { 'GPT-6-sol': { input: 1, output: 1 } };
    expect(priceRow(query({ model: 'gpt-6-sol-2026-09-01', overrides }), 0)?.label).toBe('config:GPT-6-sol');
  });

  test('new settings have their own prices at once, and the old ones keep theirs', () => {
    const before = { 'gpt-6-sol': { input: 7, output: 8 } };
    const after = { 'gpt-6-sol': { input: 9, output: 8 } };
    const inputs = [before, after, before, {}].map((overrides) => priceRow(query({ overrides }), 0)?.rates.input);
    expect(inputs.slice(0, 3)).toEqual([7_000_000, 9_000_000, 7_000_000]);
    expect(priceRow(query({ overrides: {} }), 0)?.origin).toBe('relay');
  });

  test('the broad table gives the same answer asked once or often, and its own for each model, vendor and hour', () => {
    const asked: readonly PriceQuery[] = [
      query({ model: 'gpt-4o' }), query({ model: 'gpt-4o-mini' }), query({ kind: 'compatible', model: 'gpt-4o', baseUrl: 'http://127.0.0.1:1/v1' }),
      query({ kind: 'compatible', model: 'gpt-4o', baseUrl: 'https://api.openai.com/v1' }), query({ kind: 'openrouter', model: 'gpt-4o' }), query({ model: 'gpt-4o', at: AT - 3_600_000 }),
    ];
    const first = asked.map((one) => priceRow(one, 0));
    expect(asked.toReversed().map((one) => priceRow(one, 0)).toReversed()).toEqual(first);
    expect(first[0]?.origin).toBe('genai-prices');
    expect(first[1]?.rates).not.toEqual(first[0]?.rates);
    expect(first[2]).toBeNull();
  });

  test('is never taken from a member every object has', () => {
    for (const model of ['constructor', 'toString', '__proto__']) expect(priceRow(query({ model, tier: model }), 0)).toBeNull();
    expect(priceRow(query({ tier: 'constructor' }), 0)?.conditions).toEqual([]);
  });

  test('for a compatible provider is found by its address', () => {
    const model = 'gpt-4o';
    expect(priceRow(query({ kind: 'compatible', model, baseUrl: 'https://api.openai.com/v1' }), 0)?.origin).toBe('genai-prices');
    expect(priceRow(query({ kind: 'compatible', model, baseUrl: 'http://127.0.0.1:9000/v1' }), 0)).toBeNull();
    expect(priceRow(query({ kind: 'compatible', model, baseUrl: null }), 0)).toBeNull();
  });

  test('names what bent it', () => {
    expect(priceRow(query({ tier: 'priority' }), 300_000)?.conditions).toEqual(['priority', 'long']);
    const atPeak = query({ kind: 'deepseek', model: 'deepseek-flash', at: Date.parse('2026-10-15T02:00:00Z') });
    expect(priceRow(atPeak, 0)?.conditions).toEqual(['peak']);
  });

  test('the broad table is the release its label says', () => {
    const manifest = new URL('../../node_modules/@pydantic/genai-prices/package.json', import.meta.url);
    expect(JSON.parse(readFileSync(manifest, 'utf8'))).toMatchObject({ version: BROAD_PRICES.version });
  });
});

describe('the list of prices', () => {
  test("has one row for each model, the user's own in front", () => {
    const list = listPrices(AT, { mine: { input: 1, output: 2 } });
    expect(list[0]).toMatchObject({ origin: 'config', model: 'mine' });
    expect(list.length).toBe(1 + new Set(PRICE_ROWS.map(({ vendor, model }) => `${vendor}/${model}`)).size);
  });

  test('follows the date', () => {
    const [before, after] = ['2026-08-01', '2026-09-01']
      .map((day) => listPrices(Date.parse(day), {}).find(({ model }) => model === 'gpt-5.6-sol'));
    expect([before?.rates.input, after?.rates.input]).toEqual([5_000_000, 4_000_000]);
  });
});

describe('a cost', () => {
  test('of an unmetered answer is unknown, unless the upstream told one', () => {
    expect(priceRequest(request({ tokens: null }))).toEqual({ list: 0, charged: 0, price: null });
    expect(priceRequest(request({ tokens: null, upstreamCost: 5 }))).toEqual({ list: 5, charged: 5, price: 'upstream:openai' });
  });

  test('told by an upstream does not make a subscription cost money', () => {
    const cost = priceRequest(request({ kind: 'chatgpt', billing: 'subscription', upstreamCost: 5 }));
    expect(cost).toMatchObject({ list: 3_000_000, charged: 0 });
  });

  test('is a whole, safe number for every provider and any believable count', () => {
    const count = fc.integer({ min: 0, max: LARGEST_COUNT });
    const named = fc.record({
      kind: fc.constantFrom(...PROVIDER_KINDS), tier: fc.constantFrom(null, 'priority', 'ultrafast', 'flex', 'x'),
      model: fc.constantFrom('gpt-6-astra', 'o1-pro', 'deepseek-v4-pro', 'gemini-3.8-flash', 'openai/gpt-6-sol', 'relay-large', 'nobody'),
    });
    fc.assert(fc.property(named, count, count, (names, input, output) => {
      const tokens = { input, cached: Math.floor(input / 2), cacheWrite: Math.floor(input / 4), output, reasoning: 0, estimated: false };
      const { list, charged } = priceRequest(request({ ...names, tokens }));
      expect(Number.isSafeInteger(list) && list >= 0 && charged === list).toBe(true);
    }), { numRuns: 500 });
  });

  test('grows with every token and never by a cached one more than by a fresh one', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 200_000 }), fc.nat(), fc.integer({ min: 0, max: 100_000 }), (input, part, output) => {
      const cached = part % (input + 1);
      const tokens = { input, cached: 0, cacheWrite: 0, output, reasoning: 0, estimated: false };
      const fresh = priceRequest(request({ tokens })).list;
      expect(priceRequest(request({ tokens: { ...tokens, cached } })).list).toBeLessThanOrEqual(fresh);
      expect(priceRequest(request({ tokens: { ...tokens, output: output + 1 } })).list).toBeGreaterThan(fresh);
    }));
  });
});

describe("DeepSeek's peak", () => {
  test.each<[string, boolean, boolean]>([
    ['2026-10-14T00:59:59Z', false, false], ['2026-10-14T01:00:00Z', true, true], ['2026-10-14T03:59:59Z', true, true],
    ['2026-10-14T04:00:00Z', false, false], ['2026-10-14T06:00:00Z', true, true], ['2026-10-14T10:00:00Z', false, false],
    ['2026-10-17T02:00:00Z', true, false], ['2026-10-18T08:00:00Z', true, false], ['2026-10-19T08:00:00Z', true, true],
    ['2026-10-05T08:00:00Z', true, false],
  ])('at %s: every day %s, on working days %s', (at, everyDay, workingDays) => {
    expect([isDeepSeekPeak(Date.parse(at), 'every-day'), isDeepSeekPeak(Date.parse(at), 'working-days')]).toEqual([everyDay, workingDays]);
  });
});
