import type { Config } from '../core/config.ts';
import type { Client } from '../core/client.ts';
import type { Model } from '../core/model.ts';
import type { State } from '../core/state.ts';
import type { ProviderView, StatusView } from '../core/views.ts';
import type { ServedModel } from '../control/control.ts';
import { modelsOf } from '../gateway/catalogue.ts';
import { matchesGlob } from '../gateway/resolve-model.ts';

/** A model that is served, with the accounts behind it. */
export interface Served {
  readonly model: Model;
  readonly accounts: readonly { readonly name: string; readonly provider: string }[];
}

/** Every model some account serves, in the order of the accounts' own lists; aliases last. */
export function servedModels(state: State, config: Config): readonly Served[] {
  const served = new Map<string, { model: Model; accounts: { name: string; provider: string }[] }>();
  for (const account of state.accounts) {
    if (account.paused) continue;
    for (const model of modelsOf(account, state, config) ?? []) {
      const known = served.get(model.id);
      if (known) known.accounts.push(account);
      else served.set(model.id, { model, accounts: [account] });
    }
  }
  for (const alias of Object.keys(config.models.aliases)) {
    if (!served.has(alias)) served.set(alias, { model: aliasModel(alias), accounts: [] });
  }
  return [...served.values()];
}

/** The models one client may ask for. */
export function modelsForClient({ models, accounts }: Client, served: readonly Served[]): readonly Served[] {
  return served.filter(({ model, accounts: servers }) => {
    const isAllowed = models === null || models.some((glob) => matchesGlob(glob, model.id));
    return isAllowed && (accounts === null || servers.length === 0 || servers.some(({ name }) => accounts.includes(name)));
  });
}

/** Served models as the control tells them. */
export function modelViews(served: readonly Served[]): readonly ServedModel[] {
  return served.map(({ model, accounts }) => ({
    id: model.id,
    accounts: accounts.map(({ name }) => name),
    providers: [...new Set(accounts.map(({ provider }) => provider))],
    contextTokens: model.contextTokens,
    efforts: model.efforts,
  }));
}

/** Each provider's condition, from its accounts: down when none can serve, degraded when one cannot. */
export function providerViews(accounts: StatusView['accounts']): readonly ProviderView[] {
  const names = [...new Set(accounts.map(({ provider }) => provider))];
  return names.map((name): ProviderView => {
    const own = accounts.filter(({ provider, state }) => provider === name && state !== 'paused');
    const ready = own.filter(({ state }) => state === 'ready' || state === 'half-open');
    const reason = own.find(({ reason: why }) => why !== null)?.reason ?? null;
    if (own.length === 0) return { name, state: 'degraded', reason: 'every account is paused' };
    if (ready.length === own.length) return { name, state: 'operational', reason: null };
    return { name, state: ready.length === 0 ? 'down' : 'degraded', reason };
  });
}

function aliasModel(id: string): Model {
  return { id, displayName: null, contextTokens: null, efforts: [], defaultEffort: null, inputModalities: [], raw: null };
}
