import type { Clock, LiveView } from '../core/ports.ts';
import { refreshCatalogues } from '../gateway/catalogue.ts';
import { keepSignedIn } from '../gateway/keep-signed-in.ts';
import { startUsagePoll } from '../gateway/usage-poll.ts';
import type { Workshop } from './workshop.ts';

/** How often missing or old model lists are looked for. */
const CATALOGUE_LOOK_MS = 600_000;

/**
 * Keeps what is known of the accounts current while the daemon runs: model lists, quota and balances, sign-ins before they
 * end. Nothing here holds a request up. The returned function stops all of it.
 */
export function keepCurrent({ catalogue, signIns, pool }: Workshop, live: LiveView, clock: Clock): () => void {
  const stopped = new AbortController();
  const lookForLists = (): void => {
    if (stopped.signal.aborted) return;
    void refreshCatalogues(catalogue, stopped.signal).finally(() => clock.after(CATALOGUE_LOOK_MS, lookForLists));
  };
  lookForLists();
  const usage = startUsagePoll({ ...catalogue, pool });
  const unsubscribe = live.subscribe(usage.saw);
  const stopRenewing = keepSignedIn({ ...catalogue, signIns, pool });
  return () => {
    stopped.abort();
    unsubscribe();
    usage.stop();
    stopRenewing();
  };
}
