import type { Config } from '../core/config.ts';
import type { Account } from '../core/account.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import { priceRequest } from '../accounting/price.ts';
import { estimateTokens, readTokensOrReason, upstreamCost } from '../accounting/tokens.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import type { Metered, MeterReading } from './ticket.ts';

/**
 * Tokens and cost of an ended request: as the upstream told them; counted from what passed where a broken or cancelled
 * answer never came to tell; null for a completed answer without usage, which is unmetered and not free.
 */
export function meterRequest({ seen, account, model, at, served, inputBytes }: Metered, config: Config): MeterReading {
  const told = readTokensOrReason(seen.usage);
  // An upstream that has begun to answer has read the whole input, also where no output came any more.
  const counted = !served && seen.events > 0 ? estimateTokens({ inputBytes, outputCharacters: seen.outputCharacters }) : null;
  const tokens = told.ok ? told.tokens : counted;
  const cost = priceTokens({ account, model: seen.model ?? model, tier: seen.tier, at, tokens, upstreamCost: upstreamCost(seen.usage) }, config);
  if (told.ok || !served) return { tokens, cost };
  return { tokens, cost, unmetered: told.field === null ? told.reason : `${told.reason} ${told.field}` };
}

/** Tokens at one account, to be priced. */
export interface PricedTokens {
  readonly account: Account;
  /** The model that ran, or was sent. */
  readonly model: string;
  readonly tier: string | null;
  readonly at: EpochMs;
  readonly tokens: TokenCounts | null;
  readonly upstreamCost: NanoUsd | null;
}

/** What tokens cost at an account, by the settings in force. */
export function priceTokens({ account, ...priced }: PricedTokens, config: Config): Cost {
  const adapter = adapterFor(account.kind);
  return priceRequest({
    ...priced,
    kind: account.kind,
    overrides: config.pricing,
    baseUrl: endpointOf(adapter, account, config.providers[account.provider])?.baseUrl ?? null,
    billing: adapter.billing,
  });
}
