import type { EpochMs } from '../core/units.ts';
import type { PeakDays } from './deepseek-hours.ts';
import type { Rates, UsdPerMillion } from './rates.ts';
import { ratesFromUsd, scaleRates } from './rates.ts';

/** Whose price list a row is from. */
export type Vendor = 'openai' | 'deepseek' | 'google' | 'mock';
/** A processing tier with a price of its own. */
export type PriceTier = 'priority' | 'ultrafast' | 'flex';

/** The list price of one model from one day on. */
export interface PriceRow {
  readonly vendor: Vendor;
  readonly model: string;
  /** Other names the vendor bills as this model. */
  readonly aliases: readonly string[];
  /** In force from here until the model's next row; null: from the model's first day. */
  readonly effectiveFrom: EpochMs | null;
  readonly source: string;
  /** The UTC date the source was read, YYYY-MM-DD. */
  readonly readOn: string;
  readonly standard: Rates;
  readonly tiers: Readonly<Partial<Record<PriceTier, Rates>>>;
  /** Above this much input the whole request costs twice for input (cache included) and 1.5 times for output. */
  readonly longContextAbove: number | null;
  /** Days on which `standard` doubles in DeepSeek's peak hours. */
  readonly peak: PeakDays | null;
}

/** A vendor's price page, and the day it was read. */
interface Page {
  readonly vendor: Vendor;
  readonly source: string;
  readonly readOn: string;
}

const OPENAI_PAGE: Page = { vendor: 'openai', source: 'https://developers.openai.com/api/docs/pricing', readOn: '2026-10-01' };
const DEEPSEEK_PAGE: Page = { vendor: 'deepseek', source: 'https://api-docs.deepseek.com/quick_start/pricing', readOn: '2026-11-21' };
const GEMINI_PAGE: Page = { vendor: 'google', source: 'https://ai.google.dev/gemini-api/docs/pricing', readOn: '2026-09-23' };
const MOCK_PAGE: Page = { vendor: 'mock', source: "Relay's own mock provider: invented", readOn: '2026-11-21' };
const OPENAI_CHANGELOG = 'https://developers.openai.com/api/docs/changelog';
/** OpenAI's long-context rule since GPT-5.4 (read 2026-10-01): above, not at, this many input tokens. */
const LONG = 272_000;

/** What a row says beside the standard price. Percent of the standard price, or a price of its own. */
interface Terms {
  readonly aliases?: readonly string[];
  readonly from?: string;
  readonly source?: string;
  readonly priority?: number | UsdPerMillion;
  readonly ultrafast?: number | UsdPerMillion;
  readonly flex?: number | UsdPerMillion;
  readonly longContextAbove?: number;
  readonly peak?: PeakDays;
}

function makeRow({ vendor, source, readOn }: Page, model: string, price: UsdPerMillion, terms: Terms): PriceRow {
  const standard = mustRates(model, price);
  const tier = (name: PriceTier): Partial<Record<PriceTier, Rates>> => {
    const told = terms[name];
    if (told === undefined) return {};
    return { [name]: typeof told === 'number' ? scaleRates(standard, told) : mustRates(model, told) };
  };
  return {
    vendor, model, aliases: terms.aliases ?? [], effectiveFrom: terms.from === undefined ? null : Date.parse(terms.from),
    source: terms.source ?? source, readOn,
    standard, tiers: { ...tier('priority'), ...tier('ultrafast'), ...tier('flex') },
    longContextAbove: terms.longContextAbove ?? null, peak: terms.peak ?? null,
  };
}

function mustRates(model: string, price: UsdPerMillion): Rates {
  const rates = ratesFromUsd(price);
  if (!rates) throw new RangeError(`price row of ${model}: not a price`);
  return rates;
}

/** Dollars per million: input, cached, output; a fourth number is the cache write, which costs what input does without it. */
const usd = (input: number, cached: number, output: number, cacheWrite?: number): UsdPerMillion => ({ input, cached, output, cacheWrite });
const openai = (model: string, price: UsdPerMillion, terms: Terms): PriceRow => makeRow(OPENAI_PAGE, model, price, terms);
const deepseek = (model: string, price: UsdPerMillion, terms: Terms): PriceRow => makeRow(DEEPSEEK_PAGE, model, price, terms);
const gemini = (model: string, price: UsdPerMillion, terms: Terms): PriceRow => makeRow(GEMINI_PAGE, model, price, terms);
const mock = (model: string, price: UsdPerMillion): PriceRow => makeRow(MOCK_PAGE, model, price, {});

/** Terms of GPT-5.6 and the GPT-6 family: fast at twice the price, flex at half, long context, cache writes at 1.25 x input. */
const GPT6: Terms = { priority: 200, flex: 50, longContextAbove: LONG };
/** The cuts of 2026-07-30 (terra, luna) and 2026-08-21 (sol), from OpenAI's changelog. */
const before = (terms: Terms): Terms => ({ ...terms, source: OPENAI_CHANGELOG });
const MIDSUMMER = '2026-07-30T00:00:00Z';
const LATE_SUMMER = '2026-08-21T00:00:00Z';

const OPENAI: readonly PriceRow[] = [
  openai('gpt-6-astra', usd(10, 1, 50, 12.5), { ...GPT6, ultrafast: usd(60, 6, 300, 75) }),
  openai('gpt-6.1-sol', usd(2, 0.1, 10, 2.5), GPT6),
  openai('gpt-6-sol', usd(2, 0.2, 10, 2.5), GPT6),
  openai('gpt-6-luna', usd(0.1, 0.01, 0.5, 0.125), GPT6),
  openai('gpt-5.6-sol', usd(5, 0.5, 30, 6.25), before({ ...GPT6, aliases: ['gpt-5.6'] })),
  openai('gpt-5.6-sol', usd(4, 0.4, 20, 5), { ...GPT6, aliases: ['gpt-5.6'], from: LATE_SUMMER }),
  openai('gpt-5.6-terra', usd(2.5, 0.25, 15, 3.125), before(GPT6)),
  openai('gpt-5.6-terra', usd(2, 0.2, 12, 2.5), { ...GPT6, from: MIDSUMMER }),
  openai('gpt-5.6-luna', usd(1, 0.1, 6, 1.25), before(GPT6)),
  openai('gpt-5.6-luna', usd(0.2, 0.02, 1.2, 0.25), { ...GPT6, from: MIDSUMMER }),
  openai('gpt-5.5', usd(5, 0.5, 30), {
    priority: 250, flex: 50, longContextAbove: LONG, aliases: ['gpt-5.5-codex', 'gpt-5.5-chat-latest'],
  }),
  openai('gpt-5.5-pro', { input: 30, output: 180 }, { flex: 50, longContextAbove: LONG }),
  openai('gpt-5.4', usd(2.5, 0.25, 15), { priority: 200, flex: 50, longContextAbove: LONG }),
  openai('gpt-5.4-mini', usd(0.75, 0.075, 4.5), { priority: 200, flex: 50 }),
  openai('gpt-5.4-nano', usd(0.2, 0.02, 1.25), { flex: 50 }),
  openai('gpt-5.3-codex', usd(1.75, 0.175, 14), { priority: 200 }),
  openai('gpt-5.2', usd(1.75, 0.175, 14), { priority: 200, aliases: ['gpt-5.2-codex', 'gpt-5.2-chat-latest'] }),
  openai('gpt-5.1', usd(1.25, 0.125, 10), {
    priority: 200, flex: 50, aliases: ['gpt-5.1-codex', 'gpt-5.1-codex-max', 'gpt-5.1-chat-latest'],
  }),
  openai('gpt-5', usd(1.25, 0.125, 10), { priority: 200, flex: 50, aliases: ['gpt-5-codex', 'gpt-5-chat-latest'] }),
  openai('gpt-5-mini', usd(0.25, 0.025, 2), { priority: 180, flex: 50 }),
  openai('gpt-5-nano', usd(0.05, 0.005, 0.4), { flex: 50 }),
  openai('o3', usd(2, 0.5, 8), { source: 'https://models.dev (openai/o3)' }),
  openai('o4-mini', usd(1.1, 0.275, 4.4), { source: 'https://models.dev (openai/o4-mini)' }),
];

/** DeepSeek's rows hold the off-peak price; peak doubles it. The first repricing took effect at midnight in Beijing. */
const PEAK_BEGINS = '2026-08-16T16:00:00Z';
const WEEKENDS_FREE = '2026-08-22T16:00:00Z';
/** `deepseek-v4-flash` has been served and billed as V4.1 Flash since that model's release. */
const V41_FLASH = '2026-09-09T16:00:00Z';
const V4_FLASH = ['deepseek-chat', 'deepseek-reasoner', 'deepseek-v4-flash-vision-exp'];

const DEEPSEEK: readonly PriceRow[] = [
  deepseek('deepseek-v4-pro', usd(0.435, 0.003625, 0.87), {}),
  deepseek('deepseek-v4-pro', usd(0.66, 0.022, 1.98), { from: PEAK_BEGINS, peak: 'every-day' }),
  deepseek('deepseek-v4-pro', usd(0.66, 0.022, 1.98), { from: WEEKENDS_FREE, peak: 'working-days' }),
  deepseek('deepseek-flash', usd(0.15, 0.003, 0.6), { peak: 'working-days' }),
  deepseek('deepseek-v4-flash', usd(0.14, 0.0028, 0.28), { aliases: V4_FLASH }),
  deepseek('deepseek-v4-flash', usd(0.22, 0.007, 0.66), { from: PEAK_BEGINS, peak: 'every-day', aliases: V4_FLASH }),
  deepseek('deepseek-v4-flash', usd(0.22, 0.007, 0.66), { from: WEEKENDS_FREE, peak: 'working-days', aliases: V4_FLASH }),
  deepseek('deepseek-v4-flash', usd(0.15, 0.003, 0.6), { from: V41_FLASH, peak: 'working-days', aliases: V4_FLASH }),
];

/** Introductory prices of the Flash models end with 2026. */
const NEW_YEAR = '2027-01-01T00:00:00Z';
const flash = (model: string, terms: Terms): readonly PriceRow[] => [
  gemini(model, usd(0.75, 0.075, 3.75), terms),
  gemini(model, usd(1.5, 0.15, 7.5), { ...terms, from: NEW_YEAR }),
];
const GEMINI: readonly PriceRow[] = [
  ...flash('gemini-3.8-flash', { priority: 180, flex: 50 }),
  ...flash('gemini-3.7-flash', { priority: 180, flex: 50 }),
  ...flash('gemini-3.6-flash', { flex: 50 }),
  gemini('gemini-3.1-pro-preview', usd(2, 0.2, 12), { longContextAbove: 200_000 }),
];

const MOCK: readonly PriceRow[] = [mock('relay-mini', usd(0.1, 0.01, 0.5, 0.125)), mock('relay-large', usd(2, 0.2, 10, 2.5))];

/**
 * Relay's own price table: list prices in US dollars with the day they came into force. Rows of one model stand in the
 * order of time. OpenAI's are cross-checked against models.dev (2026-10-04).
 */
export const PRICE_ROWS: readonly PriceRow[] = [...OPENAI, ...DEEPSEEK, ...GEMINI, ...MOCK];

/** The row in force at a moment for exactly this model or alias of it; null when the table has none. */
export function rowInForce(vendor: Vendor, model: string, at: EpochMs): PriceRow | null {
  const rows = PRICE_ROWS.filter((row) => row.vendor === vendor && (row.model === model || row.aliases.includes(model)));
  return rows.findLast(({ effectiveFrom }) => effectiveFrom === null || effectiveFrom <= at) ?? null;
}
