import { afterEach, describe, expect, test } from 'vitest';

import { useBroadTable } from '../../src/accounting/broad-prices.ts';
import { parsePriceTable, readVendors } from '../../src/accounting/price-table.ts';
import type { PriceInForce } from '../../src/accounting/price.ts';
import { priceRow } from '../../src/accounting/price.ts';

const FETCHED = Date.parse('2026-12-03T10:00:00Z');
const filler = Array.from({ length: 40 }, (_, index) => ({ id: `filler-${index}`, match: { equals: `filler-${index}` }, prices: { input_mtok: 1, output_mtok: 2 } }));
const vendor = (models: readonly object[], change: object = {}): object => ({
  id: 'openai', name: 'OpenAI', api_pattern: 'https://api\\.openai\\.com', pricing_urls: ['https://prices.example'], models: [...filler, ...models], ...change,
});
const model = (change: object): object => ({ id: 'new', match: { equals: 'new' }, prices: { input_mtok: 1, output_mtok: 2 }, ...change });

describe('a price list', () => {
  test.each<[string, object]>([
    ['plain prices', model({})],
    ['prices in steps', model({ prices: { input_mtok: { base: 1, tiers: [{ start: 200_000, price: 2 }] }, output_mtok: 4 } })],
    ['prices from a date on', model({ prices: [{ prices: { input_mtok: 1 } }, { constraint: { type: 'start_date', start_date: '2026-12-01' }, prices: { input_mtok: 2 } }] })],
    ['prices by the hour', model({ prices: [{ prices: { input_mtok: 1 } }, { constraint: { type: 'time_of_date', start_time: '01:00:00Z', end_time: '04:00:00Z' }, prices: { input_mtok: 2 } }] })],
    ['names by any rule', model({ match: { or: [{ starts_with: 'a' }, { and: [{ contains: 'b' }, { ends_with: 'c' }] }, { regex: '^d-\\d+$' }] } })],
    ['other measures beside tokens', model({ prices: { input_mtok: 1, web_searches_kcount: 10 } })],
  ])('takes %s', (_name, entry) => {
    expect(readVendors([vendor([entry])])).toMatchObject({ models: 41, skipped: [] });
  });

  test.each<[string, unknown, string]>([
    ['no id', model({ id: '' }), 'openai/41'],
    ['a price that is a text', model({ prices: { input_mtok: '1' } }), 'openai/new'],
    ['a negative price', model({ prices: { input_mtok: -1 } }), 'openai/new'],
    ['a price beyond belief', model({ prices: { input_mtok: 1e9 } }), 'openai/new'],
    ['no prices', model({ prices: null }), 'openai/new'],
    ['an empty list of prices', model({ prices: [] }), 'openai/new'],
    ['steps without a price', model({ prices: { input_mtok: { base: 1, tiers: [{ start: 5 }] } } }), 'openai/new'],
    ['a date that is none', model({ prices: [{ constraint: { type: 'start_date', start_date: 'soon' }, prices: { input_mtok: 1 } }] }), 'openai/new'],
    ['an hour that is none', model({ prices: [{ constraint: { type: 'time_of_date', start_time: '25:00:00Z', end_time: '04:00:00Z' }, prices: { input_mtok: 1 } }] }), 'openai/new'],
    ['an unknown rule for its name', model({ match: { sounds_like: 'x' } }), 'openai/new'],
    ['a pattern that does not compile', model({ match: { regex: '(' } }), 'openai/new'],
    ['a pattern that could take forever', model({ match: { regex: '^(a+)+$' } }), 'openai/new'],
    ['rules in rules without end', model({ match: { or: [{ or: [{ or: [{ or: [{ or: [{ equals: 'x' }] }] }] }] }] } }), 'openai/new'],
    ['something that is no row', 7, 'openai/41'],
  ])('leaves a row with %s out, and names it', (_name, entry, row) => {
    expect(readVendors([vendor([entry as object])])).toMatchObject({ models: 40, skipped: [{ row, reason: expect.stringMatching(/./) }] });
  });

  test.each<[string, object, string]>([
    ['an address pattern that could take forever', vendor([], { id: 'other', api_pattern: '(x*)*y' }), 'other'],
    ['no models', { id: 'other', name: 'Other', api_pattern: 'x' }, 'other'],
    ['no id', { name: 'Other', api_pattern: 'x', models: [] }, 'vendor 2'],
  ])('leaves a vendor with %s out, and names it', (_name, entry, row) => {
    expect(readVendors([vendor([]), entry])).toMatchObject({ models: 40, skipped: [{ row }] });
  });

  test.each<[string, unknown]>([
    ['no list', { vendors: [] }], ['a text', '<html>'], ['empty', []], ['a few rows', [vendor([], { models: filler.slice(0, 3) })]],
    ['mostly rows of another version', [vendor(Array.from({ length: 60 }, (_, index) => ({ id: `m${index}`, match: { like: 'x' }, prices: {} })))]],
  ])('that is %s is refused as a whole', (_name, value) => {
    expect(() => readVendors(value)).toThrow(/./);
  });

  test('is read back from its file as it was', () => {
    const table = { version: 1, fetchedAt: FETCHED, source: 'https://prices.example', vendors: readVendors([vendor([model({})])]).vendors };
    expect(parsePriceTable(JSON.parse(JSON.stringify(table)))).toEqual({ fetchedAt: FETCHED, source: 'https://prices.example', vendors: table.vendors });
    expect(() => parsePriceTable({ ...table, version: 2 })).toThrow('another version');
  });
});

describe('a fetched table', () => {
  afterEach(() => useBroadTable(null));

  const priceOf = (name: string, change: Partial<Parameters<typeof priceRow>[0]> = {}, tokens = 0): PriceInForce | null =>
    priceRow({ kind: 'openai', model: name, tier: null, at: FETCHED, overrides: {}, baseUrl: null, ...change }, tokens);
  const use = (models: readonly object[], change: object = {}): void =>
    useBroadTable({ fetchedAt: FETCHED, source: 'https://prices.example', vendors: readVendors([vendor(models, change)]).vendors });

  test('prices models that neither Relay\'s own table nor the shipped one has, and says from when it is', () => {
    expect(priceOf('new')).toBeNull();
    use([model({ prices: { input_mtok: 3, cache_read_mtok: 0.3, output_mtok: 9 } })]);
    expect(priceOf('new')).toMatchObject({
      origin: 'genai-prices', label: 'genai-prices@2026-12-03:openai/new@2026-12-03', readOn: '2026-12-03', source: 'https://prices.example',
      rates: { input: 3_000_000, cached: 300_000, output: 9_000_000 },
    });
    useBroadTable(null);
    expect(priceOf('new')).toBeNull();
  });

  test('goes behind the user\'s own prices and Relay\'s own table', () => {
    use([model({ id: 'gpt-6-luna', match: { equals: 'gpt-6-luna' }, prices: { input_mtok: 77, output_mtok: 77 } })]);
    expect(priceOf('gpt-6-luna')).toMatchObject({ origin: 'relay' });
    expect(priceOf('new', { overrides: { new: { input: 1, output: 1 } } })).toMatchObject({ origin: 'config' });
  });

  test('leaves what it does not know to the shipped one', () => {
    const shipped = priceOf('gpt-4o');
    expect(shipped?.origin).toBe('genai-prices');
    use([]);
    expect(priceOf('gpt-4o')).toEqual(shipped);
  });

  test('is asked by the address where a provider is known by that alone', () => {
    use([model({})], { id: 'somewhere', api_pattern: 'https://llm\\.example' });
    expect(priceOf('new', { kind: 'compatible', baseUrl: 'https://llm.example/v1' })?.rates.input).toBe(1_000_000);
    expect(priceOf('new', { kind: 'compatible', baseUrl: 'https://elsewhere.example' })).toBeNull();
  });

  test('follows dates and steps of its rows', () => {
    use([model({ prices: [
      { prices: { input_mtok: { base: 1, tiers: [{ start: 100, price: 2 }] }, output_mtok: 1 } },
      { constraint: { start_date: '2026-12-10', type: 'start_date' }, prices: { input_mtok: 5, output_mtok: 5 } },
    ] })]);
    expect(priceOf('new', {}, 100)?.rates.input).toBe(1_000_000);
    expect(priceOf('new', {}, 101)).toMatchObject({ rates: { input: 2_000_000 }, conditions: ['long'] });
    expect(priceOf('new', { at: Date.parse('2026-12-10T00:00:00Z') })?.rates.input).toBe(5_000_000);
  });
});
