import { join } from 'node:path';

import type { Account, Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Clock, CredentialStore, Log, ProcessLock, Random, StateStore } from '../core/ports.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { AccountDeps } from '../control/accounts.ts';
import type { ClientDeps } from '../control/clients.ts';
import type { AccountTest } from '../control/control.ts';
import type { AccountPool } from '../gateway/account-pool.ts';
import { createAccountPool } from '../gateway/account-pool.ts';
import type { CatalogueDeps } from '../gateway/catalogue.ts';
import { fetchCatalogue } from '../gateway/catalogue.ts';
import type { ClockWatch, ClockWatchDeps } from '../gateway/clock-watch.ts';
import { NO_CLOCK_WATCH, startClockWatch } from '../gateway/clock-watch.ts';
import type { SignIns } from '../gateway/sign-in.ts';
import { createSignIns } from '../gateway/sign-in.ts';
import { createSystemKeychain } from '../io/keychain.ts';
import { createMemoryStore } from '../io/memory-store.ts';
import { createRefresh, revokeCredential } from '../io/oauth-tokens.ts';
import type { Upstream } from '../io/upstream.ts';
import { createUpstream } from '../io/upstream.ts';
import { createVaultStore } from '../io/vault-file.ts';
import { readClaims } from '../providers/claims.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import { withLoginlessAccounts } from './loginless-accounts.ts';

/** What the machine says of itself beside its clock. */
export type Machine = Pick<ClockWatchDeps, 'monotonicMs' | 'addresses'>;

/** TCP sends again for about this long, and then gives a connection up. */
const LONG_SLEEP_MS = 15 * MINUTE_MS;
const SIGN_MS = 30 * SECOND_MS;

/** What a workshop is set up from. */
export interface WorkshopOptions {
  readonly home: string;
  readonly state: StateStore;
  readonly settings: () => Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly lock: ProcessLock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks for the vault's passphrase; null where there is no terminal. */
  readonly prompt: (() => Promise<string | null>) | null;
  /** Stands in for the store the settings name. */
  readonly credentials?: CredentialStore;
  /** Watched for sleep and changes of network; absent in a command that lasts a moment. */
  readonly machine?: Machine;
  readonly version: string;
}

/** Everything that works with accounts, set up the same way in the daemon and in a command with none running. */
export interface Workshop {
  readonly credentials: CredentialStore;
  readonly upstream: Upstream;
  readonly signIns: SignIns;
  readonly pool: AccountPool;
  readonly watch: ClockWatch;
  readonly catalogue: CatalogueDeps;
  readonly control: AccountDeps & ClientDeps;
}

/** Sets up a workshop; nothing is read, sent or unlocked before it is needed. */
export function openWorkshop(options: WorkshopOptions): Workshop {
  const { state, settings, clock, random, log, version } = options;
  const kept = options.credentials ?? openCredentialStore(options);
  const credentials = withLoginlessAccounts(kept, state);
  const upstream = createUpstream({ useProxyEnv: settings().server.useProxyEnv, clock });
  const server = { send: upstream.send, clock, version, readExpiry: tokenExpiry };
  const signIns = createSignIns({ clock, credentials, refresh: createRefresh(server), lock: options.lock, log });
  const watch = options.machine === undefined ? NO_CLOCK_WATCH : startClockWatch({
    ...options.machine, clock,
    onBreak(what) {
      // Sockets from before are dead, or lead to another network.
      upstream.reset();
      // By then the other side has given up sending again; a call that only waits would never hear of it.
      if (what.why === 'sleep' && what.ms >= LONG_SLEEP_MS) upstream.expectSigns(SIGN_MS);
      log.info(what.why === 'sleep' ? 'the machine slept; connections are made anew' : 'the network changed; connections are made anew');
    },
  });
  const pool = createAccountPool({ state, settings, clock, random, unsaved: signIns.unsaved, spansBreak: watch.spans });
  const catalogue: CatalogueDeps = { send: upstream.send, clock, signIns, settings, version, state, log };
  const revoke = async (account: Account, credential: Credential): Promise<boolean> => {
    const authUrl = endpointOf(adapterFor(account.kind), account, settings().providers[account.provider])?.authUrl ?? null;
    return credential.kind === 'oauth' && authUrl !== null && revokeCredential({ ...server, issuer: authUrl }, credential);
  };
  return {
    credentials, upstream, signIns, pool, watch, catalogue,
    control: {
      state, credentials, clock, random, revoke,
      views: () => Promise.resolve(pool.views()),
      test: (account) => testAccount(account, catalogue),
      forget: (accountId) => signIns.forget(accountId),
      removed: () => {},
    },
  };
}

/** When an access token ends by its own claims; null when it does not say. */
export function tokenExpiry(accessToken: string): number | null {
  return readClaims(accessToken)?.expiresAt ?? null;
}

function openCredentialStore({ home, settings, clock, env, prompt }: WorkshopOptions): CredentialStore {
  switch (settings().keychain) {
    case 'os':
      return createSystemKeychain(clock);
    case 'file':
      return createVaultStore({ path: join(home, 'vault.json'), environment: env, prompt });
    case 'memory':
      return createMemoryStore();
  }
}

/** Checks an account with its model list: it costs nothing, and the list is wanted anyway. */
async function testAccount(account: Account, deps: CatalogueDeps): Promise<AccountTest> {
  const result = await fetchCatalogue(account, deps, AbortSignal.timeout(30_000));
  if (!result.ok) return { ok: false, code: result.failure.code, status: result.failure.status, detail: `${result.failure.message} (${result.failure.code})` };
  if (result.models === null) return { ok: true, detail: 'reached; it has no model list, so any model is sent on', models: null };
  return { ok: true, detail: `it answers and serves ${result.models.length} models`, models: result.models.length };
}
