import type { Provider } from '@pydantic/genai-prices';
import { calcPrice } from '@pydantic/genai-prices';

import type { ProviderKind } from '../core/provider-kind.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { PriceTable } from './price-table.ts';
import type { Rates } from './rates.ts';
import { ratesFromUsd } from './rates.ts';

/** The release of `@pydantic/genai-prices` that is shipped, and its day. */
export const BROAD_PRICES: BroadEdition = { version: '0.1.8', readOn: '2026-09-23' };

/** Which edition of the broad table a price is from: a release, or the day it was fetched. */
export interface BroadEdition {
  readonly version: string;
  /** The UTC date it stood for, YYYY-MM-DD. */
  readonly readOn: string;
}

interface Edition extends BroadEdition {
  /** null: the one that is shipped. */
  readonly vendors: readonly Provider[] | null;
}

/** The edition in force in this process: reference data, which only {@link useBroadTable} exchanges. */
let edition: Edition = { ...BROAD_PRICES, vendors: null };

/** From now on prices come from this table; null goes back to the shipped one. What it does not know is still looked up there. */
export function useBroadTable(table: PriceTable | null): void {
  const day = table === null ? '' : new Date(table.fetchedAt).toISOString().slice(0, 10);
  edition = table === null ? { ...BROAD_PRICES, vendors: null } : { version: day, readOn: day, vendors: [...table.vendors] };
  answers.clear();
}

/** A price from the broad table. */
export interface BroadPrice {
  readonly vendor: string;
  /** The model the table matched, which may be another spelling than asked for. */
  readonly model: string;
  readonly rates: Rates;
  /** The input size steps of the rates were read at a size above the first of them. */
  readonly longContext: boolean;
  readonly source: string;
  readonly edition: BroadEdition;
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
 * The list price of a model our own table does not have, from the table in force: a fetched one, else the data shipped with
 * `@pydantic/genai-prices`. Nothing is fetched here. Null when it does not know the model either, and for a `compatible` provider at an address it does not know:
 * a price of someone else's model of the same name would be a guess.
 */
export function findBroadPrice(query: BroadPriceQuery): BroadPrice | null {
  const where = vendorOf(query);
  if (!where) return null;
  const answer = lookUp(query, where);
  if (!answer) return null;
  const { found, from } = answer;
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
    source: found.provider.pricing_urls?.[0] ?? 'https://github.com/pydantic/genai-prices', edition: from,
  };
}

type Price = NonNullable<ReturnType<typeof calcPrice>>['model_price'][string];

type TableVendor = { readonly providerId: string } | { readonly providerApiUrl: string };

function vendorOf(query: BroadPriceQuery): TableVendor | null {
  const providerId = TABLE_NAMES[query.kind];
  if (providerId !== undefined) return { providerId };
  return query.kind === 'compatible' && query.baseUrl !== null ? { providerApiUrl: query.baseUrl } : null;
}

/** A row, and the edition it stands in. */
type Found = { readonly found: NonNullable<ReturnType<typeof calcPrice>>; readonly from: BroadEdition } | null;

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

function search(query: BroadPriceQuery, where: TableVendor): Found {
  const { version, readOn, vendors } = edition;
  const vendor = vendors && findVendor(vendors, where);
  const fetched = vendor && calculate(query, { provider: vendor });
  if (fetched) return { found: fetched, from: { version, readOn } };
  const shipped = calculate(query, where);
  return shipped && { found: shipped, from: BROAD_PRICES };
}

function findVendor(vendors: readonly Provider[], where: TableVendor): Provider | null {
  const found = 'providerId' in where
    ? vendors.find(({ id }) => id === where.providerId)
    : vendors.find(({ api_pattern: pattern }) => new RegExp(`^(?:${pattern})`).test(where.providerApiUrl));
  return found ?? null;
}

/** The table throws on entries it cannot price in tokens; for us those are simply unknown. */
function calculate(query: BroadPriceQuery, where: TableVendor | { readonly provider: Provider }): ReturnType<typeof calcPrice> {
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
