import type { Config } from '../core/config.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import { priceRequest } from '../accounting/price.ts';
import { estimateTokens, readTokens, upstreamCost } from '../accounting/tokens.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import type { Metered } from './ticket.ts';

/**
 * Tokens and cost of an ended request: as the upstream told them; counted from what passed where a broken or cancelled
 * answer never came to tell; null for a completed answer without usage, which is unmetered and not free.
 */
export function meterRequest({ seen, account, model, at, served, inputBytes }: Metered, config: Config): { readonly tokens: TokenCounts | null; readonly cost: Cost } {
  const adapter = adapterFor(account.kind);
  const settings = config.providers[account.provider];
  const told = seen.usage === null ? null : readTokens(seen.usage);
  const delivered = seen.outputCharacters > 0;
  const tokens = told ?? (!served && delivered ? estimateTokens({ inputBytes, outputCharacters: seen.outputCharacters }) : null);
  const cost = priceRequest({
    kind: account.kind,
    model: seen.model ?? model,
    tier: seen.tier,
    at,
    overrides: config.pricing,
    baseUrl: endpointOf(adapter, account, settings)?.baseUrl ?? null,
    tokens,
    billing: adapter.billing,
    upstreamCost: seen.usage === null ? null : upstreamCost(seen.usage),
  });
  return { tokens, cost };
}
