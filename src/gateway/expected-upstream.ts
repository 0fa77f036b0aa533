import { priceRequest } from '../accounting/price.ts';
import type { Account } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Clock } from '../core/ports.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import type { State } from '../core/state.ts';
import type { NanoUsd } from '../core/units.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import { modelsOf } from './catalogue.ts';
import type { ModelChoice } from './resolve-model.ts';

/** What is known of the upstream before one is chosen, as far as a reservation needs it. */
export interface ExpectedUpstream {
  /** Whether it stops where a cap on the output says; `some`: one account does and another does not. */
  readonly keepsCaps: 'all' | 'some' | 'none';
  /** Whether tools that run at the upstream reach it at all. */
  readonly runsTools: boolean;
  /** What these tokens and the fees of tools would cost. */
  readonly price: (tokens: TokenCounts, fees: NanoUsd) => Cost;
}

export interface ExpectedUpstreamDeps {
  readonly state: () => State;
  readonly settings: () => Config;
  readonly clock: Clock;
}

/** Judges by every account of the client's that serves the model; the price is the first one's. */
export function expectUpstream(request: RelayRequest, choice: ModelChoice, deps: ExpectedUpstreamDeps): ExpectedUpstream {
  const servers = serversOf(request, choice, deps);
  const dialects = servers.map((account) => dialectOf(account, request, deps));
  // The ChatGPT backend takes no cap on the output (observed 2026-11): Relay drops it on the way there.
  const ignoring = dialects.filter((dialect) => dialect === 'codex').length;
  return {
    keepsCaps: ignoring === 0 ? 'all' : ignoring < servers.length ? 'some' : 'none',
    runsTools: dialects.some((dialect) => dialect === 'codex' || dialect === 'openai'),
    price: (tokens, fees) => estimatePrice(servers[0], choice, { tokens, fees }, deps),
  };
}

function serversOf({ client }: RelayRequest, { id }: ModelChoice, { state, settings }: ExpectedUpstreamDeps): readonly Account[] {
  const known = state();
  const allowed = known.accounts.filter(({ name }) => client.accounts === null || client.accounts.includes(name));
  return allowed.filter((account) => modelsOf(account, known, settings())?.some((model) => model.id === id) ?? true);
}

function dialectOf(account: Account, { bodyWire }: RelayRequest, { settings }: ExpectedUpstreamDeps): string | null {
  const adapter = adapterFor(account.kind);
  const endpoint = endpointOf(adapter, account, settings().providers[account.provider], bodyWire);
  return endpoint === null ? null : adapter.dialect(endpoint.wire);
}

interface Estimated {
  readonly tokens: TokenCounts;
  readonly fees: NanoUsd;
}

function estimatePrice(server: Account | undefined, choice: ModelChoice, { tokens, fees }: Estimated, { settings, clock }: ExpectedUpstreamDeps): Cost {
  const billing = server === undefined ? 'api' : adapterFor(server.kind).billing;
  const cost = priceRequest({
    kind: server?.kind ?? 'compatible',
    model: choice.id,
    tier: choice.tier,
    at: clock.now(),
    overrides: settings().pricing,
    baseUrl: server?.baseUrl ?? null,
    tokens,
    billing,
    upstreamCost: null,
  });
  if (cost.price === null || billing === 'local') return cost;
  return { ...cost, list: cost.list + fees, charged: billing === 'api' ? cost.charged + fees : cost.charged };
}
