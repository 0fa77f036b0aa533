import type { Account } from '../core/account.ts';
import type { ProviderConfig } from '../core/config.ts';
import type { Endpoint, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Wire } from '../core/provider-kind.ts';

/**
 * Where an account's calls go and in which protocol: the account's own settings, then `config.json`, then the
 * adapter. `clientWire` is the protocol the answer is wanted in; it is taken where the vendor speaks it natively and
 * nobody chose another. Null when no address is known, as for `azure` or `compatible` without a base URL.
 */
export function endpointOf(
  adapter: ProviderAdapter,
  account: Pick<Account, 'baseUrl' | 'wire'>,
  settings: ProviderConfig | undefined,
  clientWire: Wire | null = null,
): Endpoint | null {
  const address = account.baseUrl ?? settings?.baseUrl ?? adapter.defaultBaseUrl;
  if (address === null) return null;
  return {
    baseUrl: normalizeBaseUrl(address, adapter.apiRoot),
    authUrl: withoutTrailingSlashes(settings?.authUrl ?? adapter.defaultAuthUrl),
    wire: chooseWire(adapter, account.wire ?? settings?.wire ?? null, clientWire),
    headers: settings?.headers ?? {},
  };
}

function chooseWire(adapter: ProviderAdapter, chosen: Wire | null, clientWire: Wire | null): Wire {
  if (chosen !== null && adapter.wires.includes(chosen)) return chosen;
  if (clientWire !== null && adapter.nativeWires?.includes(clientWire) === true) return clientWire;
  return adapter.defaultWire;
}

/** The address without trailing slashes; one without any path gets `apiRoot`, as people paste bare origins. */
export function normalizeBaseUrl(address: string, apiRoot?: string): string {
  const trimmed = address.trim().replace(/\/+$/, '');
  if (apiRoot === undefined || !URL.canParse(trimmed)) return trimmed;
  const { pathname, search } = new URL(trimmed);
  return pathname === '/' && search === '' ? `${trimmed}${apiRoot}` : trimmed;
}

/** The full address of a call; a query in the base URL (a proxy's key, an `api-version`) stays behind the path. */
export function urlOf(endpoint: Pick<Endpoint, 'baseUrl'>, path: string): string {
  const [address = '', query] = endpoint.baseUrl.split('?', 2);
  const joined = `${address.replace(/\/+$/, '')}${path}`;
  if (query === undefined || query === '') return joined;
  return `${joined}${path.includes('?') ? '&' : '?'}${query}`;
}

function withoutTrailingSlashes(url: string | null): string | null {
  return url === null ? null : url.replace(/\/+$/, '');
}
