import { useBroadTable } from '../accounting/broad-prices.ts';
import type { PriceInForce } from '../accounting/price.ts';
import { listPrices, priceRow } from '../accounting/price.ts';
import type { Config } from '../core/config.ts';
import type { Clock, Log, Send } from '../core/ports.ts';
import type { State } from '../core/state.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { PriceView } from '../core/views.ts';
import type { ControlReads } from '../control/create-control.ts';
import { fetchPrices, PRICES_URL } from '../io/fetch-prices.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import { readPriceTable, writePriceTable } from '../storage/price-file.ts';
import { servedModels } from './control-reads.ts';

/** What prices are told from. */
export interface PriceReadsDeps {
  readonly home: string;
  readonly state: () => State;
  readonly settings: () => Config;
  readonly send: Send;
  readonly clock: Clock;
}

/** Puts the table that was fetched last in force, if there is one. */
export async function restorePrices(home: string, log: Log): Promise<void> {
  useBroadTable(await readPriceTable(home, log));
}

/** What a control tells of prices. */
export function priceReads(deps: PriceReadsDeps): Pick<ControlReads, 'prices.list' | 'prices.update'> {
  return {
    'prices.list': () => Promise.resolve(priceViews(deps.state(), deps.settings(), deps.clock.now())),
    async 'prices.update'({ from }) {
      const { table, models, skipped } = await fetchPrices(from ?? PRICES_URL, { ...deps, signal: AbortSignal.timeout(MINUTE_MS) });
      await writePriceTable(deps.home, table);
      useBroadTable(table);
      return { source: table.source, fetchedAt: table.fetchedAt, models, skipped };
    },
  };
}

/** The price of every model that is served, then the rows of Relay's own table that nobody serves now. */
export function priceViews(state: State, config: Config, at: number): readonly PriceView[] {
  const views = new Map<string, PriceView>();
  for (const { model, accounts } of servedModels(state, config)) {
    for (const { name } of accounts) {
      const account = state.accounts.find((known) => known.name === name);
      if (account === undefined) continue;
      const baseUrl = endpointOf(adapterFor(account.kind), account, config.providers[account.provider])?.baseUrl ?? null;
      const price = priceRow({ kind: account.kind, model: model.id, tier: null, at, overrides: config.pricing, baseUrl }, 0);
      const key = `${model.id} ${price?.label ?? account.kind}`;
      const known = views.get(key);
      views.set(key, known ? { ...known, servedBy: [...known.servedBy, name] } : toView({ model: model.id, vendor: account.kind, servedBy: [name] }, price));
    }
  }
  const labels = new Set([...views.values()].map(({ label }) => label));
  const rest = listPrices(at, config.pricing).filter(({ label }) => !labels.has(label));
  return [...views.values(), ...rest.map((price) => toView({ model: price.model, vendor: price.origin, servedBy: [] }, price))];
}

function toView(row: Pick<PriceView, 'model' | 'vendor' | 'servedBy'>, price: PriceInForce | null): PriceView {
  if (price === null) return { ...row, origin: null, label: null, usdPerMillion: null, conditions: [], source: null, effectiveFrom: null, readOn: null };
  const { origin, label, rates, conditions, source, effectiveFrom, readOn } = price;
  const vendor = /^(?:relay|genai-prices@[^:]+):([^/]+)\//.exec(label)?.[1] ?? row.vendor;
  const usdPerMillion = {
    input: rates.input / 1e6, cached: rates.cached / 1e6, cacheWrite: rates.cacheWrite / 1e6, output: rates.output / 1e6,
  };
  return { ...row, vendor, origin, label, usdPerMillion, conditions, source, effectiveFrom, readOn };
}
