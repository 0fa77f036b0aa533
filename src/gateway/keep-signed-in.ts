import type { Config } from '../core/config.ts';
import type { Clock, Log, StateStore } from '../core/ports.ts';
import { MINUTE_MS } from '../core/units.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import type { AccountPool } from './account-pool.ts';
import type { SignIns } from './sign-in.ts';
import { REFRESH_AHEAD_MS } from './sign-in.ts';

const LOOK_MS = MINUTE_MS;

export interface KeepSignedInDeps {
  readonly clock: Clock;
  readonly state: StateStore;
  readonly settings: () => Config;
  readonly signIns: Pick<SignIns, 'renewAhead'>;
  readonly pool: Pick<AccountPool, 'standingRefused'>;
  readonly log: Log;
}

/**
 * Renews sign-ins that are in use before they end, so that no call has to wait for it: at the look before their last five
 * minutes. Sign-ins nobody has used since the start are left alone. The returned function stops it.
 */
export function keepSignedIn({ clock, state, settings, signIns, pool, log }: KeepSignedInDeps): () => void {
  let cancel = (): void => {};
  const look = (): void => {
    for (const account of state.read().accounts) {
      if (account.paused || account.needsLogin !== null) continue;
      const authUrl = endpointOf(adapterFor(account.kind), account, settings().providers[account.provider])?.authUrl ?? null;
      void signIns.renewAhead(account, authUrl, REFRESH_AHEAD_MS + LOOK_MS).then((result) => {
        if (result === null || result.ok) return;
        if (result.failure.kind === 'login-dead') pool.standingRefused(account, result.failure);
        log.warn('a sign-in could not be renewed ahead of its end', { account: account.name, code: result.failure.code });
      });
    }
  };
  const next = (): void => {
    cancel = clock.after(LOOK_MS, () => {
      look();
      next();
    });
  };
  next();
  return () => cancel();
}
