import type { Account } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { Model } from '../core/model.ts';
import type { Clock, Log, StateStore } from '../core/ports.ts';
import type { State } from '../core/state.ts';
import { HOUR_MS } from '../core/units.ts';
import { adapterFor } from '../providers/registry.ts';
import type { OwnCallDeps } from './own-call.ts';
import { ownCall } from './own-call.ts';

/** A list older than this is asked for again, while Relay is in use. */
const STALE_AFTER_MS = 6 * HOUR_MS;

/** What fetching an account's model list gave. */
export type CatalogueResult =
  | { readonly ok: true; readonly models: readonly Model[] }
  /** The provider has no list, or none at this address. */
  | { readonly ok: true; readonly models: null }
  | { readonly ok: false; readonly failure: Failure };

export interface CatalogueDeps extends OwnCallDeps {
  readonly clock: Clock;
  readonly state: StateStore;
  readonly log: Log;
}

/**
 * The models an account serves: what the settings say, else what its own catalogue said last, else what is known of
 * the vendor before the first fetch. Null when nobody has said: then any model may be asked of it.
 */
export function modelsOf(account: Account, state: State, config: Config): readonly Model[] | null {
  const configured = config.providers[account.provider]?.models;
  if (configured) return namedModels(configured);
  const fetched = state.catalogues.find(({ accountId }) => accountId === account.id);
  if (fetched) return fetched.models;
  const { bundledModels } = adapterFor(account.kind);
  return bundledModels.length > 0 ? bundledModels : null;
}

/** Fetches an account's list and keeps it; a list of the wrong shape is a failure that says so. */
export async function fetchCatalogue(account: Account, deps: CatalogueDeps, signal: AbortSignal): Promise<CatalogueResult> {
  const known = deps.state.read().catalogues.find(({ accountId }) => accountId === account.id);
  const answer = await ownCall(account, (adapter, context) => {
    const call = adapter.modelsCall(context);
    if (call === null) return null;
    return known?.etag ? { path: call.path, headers: { ...call.headers, 'if-none-match': known.etag } } : call;
  }, deps, signal);
  if (answer === null) return { ok: true, models: null };
  if (!answer.ok) return answer.failure.status === 404 || answer.failure.status === 405 ? { ok: true, models: null } : answer;
  if (answer.status === 304 && known) {
    keep(account, known.models, known.etag, deps);
    return { ok: true, models: known.models };
  }
  const models = adapterFor(account.kind).parseModels(answer.body);
  if (models === null) return { ok: false, failure: wrongShape(account) };
  keep(account, models, answer.headers['etag'] ?? null, deps);
  return { ok: true, models };
}

/** Fetches every list that is missing or stale. Failures are logged and change nothing: the last good list stays. */
export async function refreshCatalogues(deps: CatalogueDeps, signal: AbortSignal): Promise<void> {
  const state = deps.state.read();
  const due = state.accounts.filter((account) => {
    if (account.paused || account.needsLogin !== null) return false;
    const known = state.catalogues.find(({ accountId }) => accountId === account.id);
    return known === undefined || known.fetchedAt + STALE_AFTER_MS <= deps.clock.now();
  });
  await Promise.all(due.map(async (account) => {
    const result = await fetchCatalogue(account, deps, signal);
    if (!result.ok) deps.log.warn('model list not fetched', { account: account.name, code: result.failure.code, status: result.failure.status });
  }));
}

function keep(account: Account, models: readonly Model[], etag: string | null, { state, clock }: CatalogueDeps): void {
  const entry = { accountId: account.id, fetchedAt: clock.now(), etag, models };
  state.note((current) => ({
    ...current,
    catalogues: [...current.catalogues.filter(({ accountId }) => accountId !== account.id), entry],
  }));
}

const namedLists = new WeakMap<readonly string[], readonly Model[]>();

/** Models known by name only; made once for each list, since every request asks for them. */
function namedModels(ids: readonly string[]): readonly Model[] {
  const known = namedLists.get(ids);
  if (known !== undefined) return known;
  const made = ids.map(namedModel);
  namedLists.set(ids, made);
  return made;
}

function namedModel(id: string): Model {
  return { id, displayName: null, contextTokens: null, efforts: [], defaultEffort: null, inputModalities: [], raw: null };
}

function wrongShape(account: Account): Failure {
  return {
    kind: 'invalid-response', phase: 'headers', status: 200, code: 'models_wrong_shape', param: null, retryAt: null, bucket: null, planType: null,
    upstreamRequestId: null,
    message: `The model list of provider "${account.provider}" has an unknown shape; check its baseUrl, or name its models in providers.${account.provider}.models.`,
  };
}
