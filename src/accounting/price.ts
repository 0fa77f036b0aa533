import type { Config } from '../core/config.ts';
import type { ProviderKind } from '../core/provider-kind.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import { findBroadPrice } from './broad-prices.ts';
import { divideHalfUp } from './decimal.ts';
import { isDeepSeekPeak } from './deepseek-hours.ts';
import type { PriceRow, PriceTier, Vendor } from './prices.ts';
import { PRICE_ROWS, rowInForce } from './prices.ts';
import type { Rates } from './rates.ts';
import { ratesFromUsd, scaleRates, scaleSides } from './rates.ts';

/** USD per million tokens by model, as `pricing` in `config.json` has it. */
export type PriceOverrides = Config['pricing'];

/** Which price is asked for. */
export interface PriceQuery {
  readonly kind: ProviderKind;
  /** The model as sent or as it ran; a date at its end and the case do not matter. */
  readonly model: string;
  /** `service_tier` as served; null and unknown ones cost the standard price. */
  readonly tier: string | null;
  /** When the request ended: prices change with the date, DeepSeek's with the hour. */
  readonly at: EpochMs;
  readonly overrides: PriceOverrides;
  /** Address of a `compatible` provider, by which its vendor is known. */
  readonly baseUrl: string | null;
}

/** One request to be priced. */
export interface PricedRequest extends PriceQuery {
  /** null: unmetered, so nothing is known of its list price. */
  readonly tokens: TokenCounts | null;
  /** As the adapter says: calls on a subscription and at a local server cost nothing. */
  readonly billing: 'subscription' | 'api' | 'local';
  /** What the upstream itself says it charged; null when it said nothing. */
  readonly upstreamCost: NanoUsd | null;
}

/** A price as it applies to one request, and where it is from: what `relay prices` shows. */
export interface PriceInForce {
  /** As the journal keeps it, e.g. `relay:openai/gpt-6-sol@2026-10-01+priority+long`. */
  readonly label: string;
  readonly origin: 'config' | 'relay' | 'genai-prices' | 'local';
  /** The model the price is listed under. */
  readonly model: string;
  readonly rates: Rates;
  /** What bent the standard price: a tier, `long` context, `peak` hours. */
  readonly conditions: readonly string[];
  /** The page or file it is from. */
  readonly source: string;
  /** In force since; null: since the model's first day, or not told. */
  readonly effectiveFrom: EpochMs | null;
  /** The UTC date the source was read, YYYY-MM-DD; null for the user's own. */
  readonly readOn: string | null;
}

const VENDORS: Readonly<Partial<Record<ProviderKind, Vendor>>> = {
  chatgpt: 'openai', openai: 'openai', azure: 'openai', deepseek: 'deepseek', gemini: 'google', mock: 'mock',
};
const LOCAL: readonly ProviderKind[] = ['ollama', 'lmstudio', 'llamacpp', 'vllm'];
/** Tiers by the names they go by; others (`auto`, `default`, `scale`) cost the standard price. */
const TIERS: ReadonlyMap<string, PriceTier> = new Map([
  ['priority', 'priority'], ['fast', 'priority'], ['ultrafast', 'ultrafast'], ['flex', 'flex'],
]);
/** The words for "nothing is paid by the token at this machine". */
const LOCAL_LABEL = 'local';

/**
 * What a request costs. `list` is the list price of its tokens; `charged` is 0 on a subscription or a local server, the
 * upstream's own figure where it told one, else the list price. Summed exactly and rounded half up once, to 1e-9 USD.
 * A model without a known price has `price: null` and costs 0: unpriced, not free.
 */
export function priceRequest(request: PricedRequest): Cost {
  const { tokens, billing, upstreamCost } = request;
  const price = tokens && priceRow(request, tokens.input);
  const told = billing === 'api' ? upstreamCost : null;
  if (!tokens || !price) return { list: told ?? 0, charged: told ?? 0, price: told === null ? null : `upstream:${request.kind}` };
  const list = sumTokens(tokens, price.rates);
  return { list, charged: billing === 'api' ? (told ?? list) : 0, price: price.label };
}

/**
 * The price in force for a request with this much input: the user's own first, then Relay's dated table, then the broad
 * one. Null when none knows the model.
 */
export function priceRow(query: PriceQuery, inputTokens: number): PriceInForce | null {
  return overriddenPrice(query) ?? ownPrice(query, inputTokens) ?? localPrice(query) ?? broadPrice(query, inputTokens);
}

/** Relay's own rows in force at a moment, at standard tier and size, with the user's own prices in front. */
export function listPrices(at: EpochMs, overrides: PriceOverrides): readonly PriceInForce[] {
  const own = Object.keys(overrides).flatMap((model) => overridePrice(model, overrides) ?? []);
  const inForce = PRICE_ROWS.filter((row) => rowInForce(row.vendor, row.model, at) === row);
  return [...own, ...inForce.map((row) => applyRow(row, { tier: null, at }, 0))];
}

/** Exact sum of 1e-12 USD, rounded half up once. Parts of the input are never counted twice. */
function sumTokens(tokens: TokenCounts, rates: Rates): NanoUsd {
  const uncached = tokens.input - tokens.cached - tokens.cacheWrite;
  const pico = BigInt(uncached) * BigInt(rates.input) + BigInt(tokens.cached) * BigInt(rates.cached)
    + BigInt(tokens.cacheWrite) * BigInt(rates.cacheWrite) + BigInt(tokens.output) * BigInt(rates.output);
  return Number(divideHalfUp(pico, 1_000n));
}

/** A user's own prices, read once for each settings object; the settings are never changed in place. */
interface OwnPrices {
  readonly exact: ReadonlyMap<string, PriceInForce>;
  readonly lowerCased: ReadonlyMap<string, PriceInForce>;
}

const ownPrices = new WeakMap<PriceOverrides, OwnPrices>();

function overriddenPrice({ model, overrides }: PriceQuery): PriceInForce | null {
  const { exact, lowerCased } = ownPricesOf(overrides);
  if (exact.size === 0) return null;
  const known = exact.get(model);
  if (known !== undefined) return known;
  const wanted = spellings(model);
  for (const [name, price] of lowerCased) if (wanted.includes(name)) return price;
  return null;
}

function ownPricesOf(overrides: PriceOverrides): OwnPrices {
  const known = ownPrices.get(overrides);
  if (known !== undefined) return known;
  const exact = new Map<string, PriceInForce>();
  const lowerCased = new Map<string, PriceInForce>();
  for (const name of Object.keys(overrides)) {
    const price = overridePrice(name, overrides);
    if (price === null) continue;
    exact.set(name, price);
    if (!lowerCased.has(name.toLowerCase())) lowerCased.set(name.toLowerCase(), price);
  }
  const made: OwnPrices = { exact, lowerCased };
  ownPrices.set(overrides, made);
  return made;
}

function overridePrice(model: string, overrides: PriceOverrides): PriceInForce | null {
  const price = overrides[model];
  const rates = price && ratesFromUsd(price);
  if (!rates) return null;
  return {
    label: `config:${model}`, origin: 'config', model, rates, conditions: [], source: 'config.json', effectiveFrom: null, readOn: null,
  };
}

function ownPrice(query: PriceQuery, inputTokens: number): PriceInForce | null {
  const vendor = VENDORS[query.kind];
  if (!vendor) return null;
  for (const name of spellings(query.model)) {
    const row = rowInForce(vendor, name, query.at);
    if (row) return applyRow(row, query, inputTokens);
  }
  return null;
}

/** The row's price under a request's conditions: first the tier, then the hour, then the size. */
function applyRow(row: PriceRow, query: Pick<PriceQuery, 'tier' | 'at'>, inputTokens: number): PriceInForce {
  const tier = TIERS.get(query.tier?.toLowerCase() ?? '');
  const tierRates = tier && row.tiers[tier];
  const isPeak = row.peak !== null && isDeepSeekPeak(query.at, row.peak);
  const isLong = row.longContextAbove !== null && inputTokens > row.longContextAbove;
  const base = scaleRates(tierRates ?? row.standard, isPeak ? 200 : 100);
  const conditions = [...(tier && tierRates ? [tier] : []), ...(isPeak ? ['peak'] : []), ...(isLong ? ['long'] : [])];
  const date = row.effectiveFrom === null ? row.readOn : new Date(row.effectiveFrom).toISOString().slice(0, 10);
  return {
    label: [`relay:${row.vendor}/${row.model}@${date}`, ...conditions].join('+'),
    origin: 'relay', model: row.model, rates: isLong ? scaleSides(base, { input: 200, output: 150 }) : base,
    conditions, source: row.source, effectiveFrom: row.effectiveFrom, readOn: row.readOn,
  };
}

function localPrice({ kind, model }: PriceQuery): PriceInForce | null {
  if (!LOCAL.includes(kind)) return null;
  return {
    label: LOCAL_LABEL, origin: 'local', model, rates: { input: 0, cached: 0, cacheWrite: 0, output: 0 },
    conditions: [], source: 'this machine', effectiveFrom: null, readOn: null,
  };
}

function broadPrice({ kind, model, at, baseUrl }: PriceQuery, inputTokens: number): PriceInForce | null {
  const name = kind === 'openrouter' ? model : bare(model);
  const found = findBroadPrice({ kind, model: name, at, inputTokens, baseUrl });
  if (!found) return null;
  const conditions = found.longContext ? ['long'] : [];
  return {
    label: [`genai-prices@${found.edition.version}:${found.vendor}/${found.model}@${found.edition.readOn}`, ...conditions].join('+'),
    origin: 'genai-prices', model: found.model, rates: found.rates, conditions, source: found.source, effectiveFrom: null,
    readOn: found.edition.readOn,
  };
}

/** The names a model may be listed under: as asked, without its vendor's prefix, without a date or build at its end. */
function spellings(model: string): readonly string[] {
  const whole = model.trim().toLowerCase();
  const name = bare(whole);
  return [...new Set([whole, name, name.replace(/-20\d{2}-?\d{2}-?\d{2}$/, ''), name.replace(/-\d{4}$/, '')])];
}

/** Gemini lists `models/…`; some clients write `openai/…`. */
function bare(model: string): string {
  return model.trim().replace(/^(models|openai|deepseek|google)\//i, '');
}
