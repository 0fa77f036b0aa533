import type { Account } from '../core/account.ts';
import type { Config, ProviderConfig } from '../core/config.ts';
import type { Endpoint, ProviderAdapter } from '../core/provider-adapter.ts';

/** Settings of the provider an account belongs to; a built-in one needs none. */
export function providerConfig(provider: string, config: Config): ProviderConfig | undefined {
  return config.providers[provider];
}

/** Where an account's calls go: the account's own address, else the settings', else the adapter's. Null when none of them knows. */
export function endpointOf(account: Account, adapter: ProviderAdapter, config: Config): Endpoint | null {
  const settings = providerConfig(account.provider, config);
  const baseUrl = account.baseUrl ?? settings?.baseUrl ?? adapter.defaultBaseUrl;
  if (baseUrl === null) return null;
  return {
    baseUrl,
    authUrl: settings?.authUrl ?? adapter.defaultAuthUrl,
    wire: account.wire ?? settings?.wire ?? adapter.defaultWire,
    headers: lowerCased(settings?.headers ?? {}),
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
