import { calcPrice } from '@pydantic/genai-prices';

import type { ProviderKind } from '../core/provider-kind.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { Rates } from './rates.ts';
import { ratesFromUsd } from './rates.ts';

/** The release of `@pydantic/genai-prices` that is read, and its day. */
export const BROAD_PRICES = { version: '0.1.8', readOn: '2026-09-23' } as const;

/** A price from the broad table. */
export interface BroadPrice {
  readonly vendor: string;
  /** The model the table matched, which may be another spelling than asked for. */
  readonly model: string;
  readonly rates: Rates;
  /** The input size steps of the rates were read at a size above the first of them. */
  readonly longContext: boolean;
  readonly source: string;
}

/** What to look up. `baseUrl` finds the vendor of a `compatible` provider. */
export interface BroadPriceQuery {
  readonly kind: ProviderKind;
  readonly model: string;
  readonly at: EpochMs;
  readonly inputTokens: number;
  readonly baseUrl: string | null;
}

const TABLE_NAMES: Readonly<Partial<Record<ProviderKind, string>>> = {
  chatgpt: 'openai', openai: 'openai', azure: 'azure', deepseek: 'deepseek', gemini: 'google', openrouter: 'openrouter',
};

/**
 * The list price of a model our own table does not have, from the data shipped with `@pydantic/genai-prices`; nothing is
 * fetched. Null when it does not know the model either, and for a `compatible` provider at an address it does not know:
 * a price of someone else's model of the same name would be a guess.
 */
export function findBroadPrice(query: BroadPriceQuery): BroadPrice | null {
  const where = vendorOf(query);
  if (!where) return null;
  const found = lookUp(query, where);
  if (!found) return null;
  const { model_price: price } = found;
  const at = (value: Price): number | undefined => priceAt(value, query.inputTokens);
  const input = at(price.input_mtok);
  if (input === undefined) return null;
  const rates = ratesFromUsd({
    input, cached: at(price.cache_read_mtok), cacheWrite: at(price.cache_write_mtok), output: at(price.output_mtok) ?? 0,
  });
  if (!rates) return null;
  return {
    vendor: found.provider.id, model: found.model.id, rates,
    longContext: isStepped(price.input_mtok) && priceAt(price.input_mtok, 0) !== input,
    source: found.provider.pricing_urls?.[0] ?? 'https://github.com/pydantic/genai-prices',
  };
}

type Price = NonNullable<ReturnType<typeof calcPrice>>['model_price'][string];

type TableVendor = { readonly providerId: string } | { readonly providerApiUrl: string };

function vendorOf(query: BroadPriceQuery): TableVendor | null {
  const providerId = TABLE_NAMES[query.kind];
  if (providerId !== undefined) return { providerId };
  return query.kind === 'compatible' && query.baseUrl !== null ? { providerApiUrl: query.baseUrl } : null;
}

type Found = ReturnType<typeof calcPrice>;

/** What the table said of each model within one minute: it searches for tens of microseconds, and every candidate of every request asks. */
const answers = new Map<string, Found>();
const MOST_ANSWERS = 512;
let answersOf = -1;

/** Prices change with the hour at the finest, so one of the same minute holds. */
function lookUp(query: BroadPriceQuery, where: TableVendor): Found {
  const minute = Math.floor(query.at / MINUTE_MS);
  if (minute !== answersOf || answers.size >= MOST_ANSWERS) answers.clear();
  answersOf = minute;
  const key = `${query.kind} ${query.kind === 'compatible' ? query.baseUrl : ''} ${query.model}`;
  const known = answers.get(key);
  if (known !== undefined) return known;
  const found = search(query, where);
  answers.set(key, found);
  return found;
}

/** The table throws on entries it cannot price in tokens; for us those are simply unknown. */
function search(query: BroadPriceQuery, where: TableVendor): Found {
  try {
    return calcPrice({ input_tokens: 0 }, query.model, { ...where, timestamp: new Date(query.at) });
  } catch {
    return null;
  }
}

function isStepped(price: Price): price is Exclude<Price, number | undefined> {
  return typeof price === 'object';
}

/** Dollars per million at this much input. A step, like OpenAI's long context, holds for the whole request. */
function priceAt(price: Price, inputTokens: number): number | undefined {
  if (!isStepped(price)) return price;
  return price.tiers.reduce((now, tier) => (inputTokens > tier.start ? tier.price : now), price.base);
}
