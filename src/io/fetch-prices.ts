import type { PriceTable, SkippedRow } from '../accounting/price-table.ts';
import { readVendors } from '../accounting/price-table.ts';
import { ControlError } from '../control/control.ts';
import { isLoopbackHost } from '../core/config.ts';
import type { Clock, Send } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import { sendWhole } from './read-answer.ts';

/** The list that `@pydantic/genai-prices` names as its newest (0.1.8, read 2026-11-21): prices by vendor and model, MIT. */
export const PRICES_URL = 'https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/new_data/v2/data.json';

/** A fetched table, and what of it could not be read. */
export interface FetchedPrices {
  readonly table: PriceTable;
  readonly models: number;
  readonly skipped: readonly SkippedRow[];
}

const LIMIT_BYTES = 8 << 20;
const TIMEOUTS = { connect: 5 * SECOND_MS, headers: 20 * SECOND_MS, idle: 20 * SECOND_MS };

/**
 * Fetches a price list, once. Nothing of Relay's is sent along. Rejects with a ControlError that says what is in the way:
 * no network, another status, or a document that is no price list.
 */
export async function fetchPrices(from: string, { send, clock, signal }: { readonly send: Send; readonly clock: Pick<Clock, 'now'>; readonly signal: AbortSignal }): Promise<FetchedPrices> {
  const url = URL.canParse(from) ? new URL(from) : null;
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname)))) {
    throw new ControlError('invalid', `"${from}" is no https address to fetch prices from`);
  }
  const result = await sendWhole(send, { method: 'GET', url: url.href, headers: { accept: 'application/json', 'user-agent': 'relay' }, body: null, timeouts: TIMEOUTS }, {
    limitBytes: LIMIT_BYTES, signal,
  });
  if (!result.ok) {
    throw new ControlError('invalid', `No prices could be fetched from ${url.host}: ${result.failure.message} (${result.failure.code}). The prices known so far stay in force.`);
  }
  const { status, body } = result.answer;
  if (status !== 200) throw new ControlError('invalid', `${url.host} answered with ${status} instead of prices. The prices known so far stay in force.`);
  try {
    const { vendors, models, skipped } = readVendors(JSON.parse(body));
    return { table: { fetchedAt: clock.now(), source: url.href, vendors }, models, skipped };
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is no JSON' : error instanceof Error ? error.message : 'unknown';
    throw new ControlError('invalid', `What ${url.host} sent is no price list: ${reason}. The prices known so far stay in force.`);
  }
}
