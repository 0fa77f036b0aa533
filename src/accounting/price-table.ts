import type { JsonObject } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';
import type { EpochMs } from '../core/units.ts';

/** A broad price table that was fetched: checked rows in the form of `@pydantic/genai-prices`, and when that was. */
export interface PriceTable {
  readonly fetchedAt: EpochMs;
  /** The address it came from. */
  readonly source: string;
  readonly vendors: readonly TableVendor[];
}

/** One vendor's list, as far as prices in tokens need it. */
export interface TableVendor {
  readonly id: string;
  readonly name: string;
  readonly api_pattern: string;
  readonly pricing_urls?: string[];
  readonly fallback_model_providers?: string[];
  readonly models: TableModel[];
}

export interface TableModel {
  readonly id: string;
  readonly match: TableMatch;
  readonly prices: TablePrices | TableDatedPrices[];
}

/** How a model is told by its name. */
export type TableMatch =
  | { or: TableMatch[] } | { and: TableMatch[] }
  | { equals: string } | { starts_with: string } | { ends_with: string } | { contains: string } | { regex: string };

/** Dollars per million tokens; in steps where a size of input changes them. */
export type TablePrices = Record<string, number | { base: number; tiers: { start: number; price: number }[] }>;

export interface TableDatedPrices {
  readonly constraint?: { type: 'start_date'; start_date: string } | { type: 'time_of_date'; start_time: string; end_time: string };
  readonly prices: TablePrices;
}

/** A row that could not be read. */
export interface SkippedRow {
  /** `vendor` or `vendor/model`. */
  readonly row: string;
  readonly reason: string;
}

/** What was read of a price list: its good rows, and one entry for each bad one. */
export interface ReadVendors {
  readonly vendors: readonly TableVendor[];
  readonly models: number;
  readonly skipped: readonly SkippedRow[];
}

/** A list this short, or with this share of bad rows, is something else or of another version: the last good one stays. */
const LEAST_MODELS = 20;
const MOST_SKIPPED_SHARE = 0.2;

/**
 * Reads a price list as genai-prices publishes it. A bad row is one bad row: it is left out and named. Throws an Error that
 * says why when the whole is no such list, so that the last good one stays.
 */
export function readVendors(value: unknown): ReadVendors {
  if (!Array.isArray(value)) throw new Error('it is no list of vendors');
  const skipped: SkippedRow[] = [];
  const vendors = value.flatMap((entry: unknown, index) => readVendor(entry, index, skipped) ?? []);
  const models = vendors.reduce((sum, vendor) => sum + vendor.models.length, 0);
  if (models < LEAST_MODELS) throw new Error(`it has ${models} models that can be read; it is of another version`);
  if (skipped.length > (models + skipped.length) * MOST_SKIPPED_SHARE) {
    throw new Error(`${skipped.length} of its rows cannot be read (${skipped[0]?.row}: ${skipped[0]?.reason}); it is of another version`);
  }
  return { vendors, models, skipped };
}

/** Reads a stored table back. Throws an Error when it is none. */
export function parsePriceTable(value: unknown): PriceTable {
  if (!isJsonObject(value) || value['version'] !== 1) throw new Error('it is of another version');
  const { fetchedAt, source, vendors } = value;
  if (typeof fetchedAt !== 'number' || typeof source !== 'string') throw new Error('it does not say where it is from');
  return { fetchedAt, source, vendors: readVendors(vendors).vendors };
}

function readVendor(entry: unknown, index: number, skipped: SkippedRow[]): TableVendor | null {
  const id = isJsonObject(entry) && typeof entry['id'] === 'string' && entry['id'] !== '' ? entry['id'] : null;
  const skip = (reason: string): null => {
    skipped.push({ row: id ?? `vendor ${index + 1}`, reason });
    return null;
  };
  if (!isJsonObject(entry) || id === null) return skip('it has no id');
  const { name, api_pattern: pattern, models, pricing_urls: urls, fallback_model_providers: fallbacks } = entry;
  if (typeof name !== 'string') return skip('it has no name');
  if (typeof pattern !== 'string' || !isSafePattern(pattern)) return skip('its address pattern cannot be used');
  if (!Array.isArray(models)) return skip('it has no models');
  return {
    id, name, api_pattern: pattern,
    ...(isTexts(urls) && { pricing_urls: urls }),
    ...(isTexts(fallbacks) && { fallback_model_providers: fallbacks }),
    models: models.flatMap((model: unknown, place) => readModel(model, `${id}/${place + 1}`, id, skipped) ?? []),
  };
}

function readModel(entry: unknown, nameless: string, vendor: string, skipped: SkippedRow[]): TableModel | null {
  const id = isJsonObject(entry) && typeof entry['id'] === 'string' && entry['id'] !== '' ? entry['id'] : null;
  const reason = !isJsonObject(entry) || id === null ? 'it has no id' : faultOf(entry);
  if (!isJsonObject(entry) || id === null || reason !== null) {
    skipped.push({ row: id === null ? nameless : `${vendor}/${id}`, reason: reason ?? 'it has no id' });
    return null;
  }
  const { match, prices } = entry;
  if (!isMatch(match) || !isPrices(prices)) return null;
  return { id, match, prices };
}

function faultOf({ match, prices }: JsonObject): string | null {
  if (!isMatch(match)) return 'what names it goes by cannot be read';
  return isPrices(prices) ? null : 'its prices cannot be read';
}

function isMatch(value: unknown, depth = 0): value is TableMatch {
  if (!isJsonObject(value) || depth > 4) return false;
  const entries = Object.entries(value);
  const [kind, told] = entries[0] ?? [];
  if (entries.length !== 1 || kind === undefined) return false;
  if (kind === 'or' || kind === 'and') return Array.isArray(told) && told.length > 0 && told.every((each: unknown) => isMatch(each, depth + 1));
  if (kind === 'regex') return typeof told === 'string' && isSafePattern(told);
  return ['equals', 'starts_with', 'ends_with', 'contains'].includes(kind) && typeof told === 'string' && told !== '';
}

/**
 * A pattern that compiles and cannot take forever: a repeated group may try its pieces in endlessly many ways, so none is
 * taken from the network.
 */
function isSafePattern(pattern: string): boolean {
  if (pattern.length > 300 || /\)[*+{]/.test(pattern)) return false;
  try {
    return new RegExp(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}

function isPrices(value: unknown): value is TableModel['prices'] {
  return Array.isArray(value) ? value.length > 0 && value.every(isDatedPrices) : isPriceSet(value);
}

function isDatedPrices(value: unknown): value is TableDatedPrices {
  if (!isJsonObject(value) || !isPriceSet(value['prices'])) return false;
  const { constraint } = value;
  if (constraint === undefined) return true;
  if (!isJsonObject(constraint)) return false;
  if (constraint['type'] === 'start_date' || constraint['type'] === undefined && 'start_date' in constraint) return isDay(constraint['start_date']);
  return isTimeOfDay(constraint['start_time']) && isTimeOfDay(constraint['end_time']);
}

/** Other measures than tokens (searches, seconds) are let through: nothing here reads them. */
function isPriceSet(value: unknown): value is TablePrices {
  return isJsonObject(value) && Object.values(value).every((price) => isPrice(price) || isStepped(price));
}

function isPrice(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= 1e6;
}

function isStepped(value: unknown): boolean {
  if (!isJsonObject(value) || !isPrice(value['base']) || !Array.isArray(value['tiers'])) return false;
  return value['tiers'].every((tier: unknown) => isJsonObject(tier) && Number.isSafeInteger(tier['start']) && Number(tier['start']) >= 0 && isPrice(tier['price']));
}

function isDay(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) && !Number.isNaN(Date.parse(`${value}T00:00:00Z`));
}

function isTimeOfDay(value: unknown): boolean {
  return typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
