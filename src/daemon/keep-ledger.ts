import type { Totals } from '../accounting/totals.ts';
import type { Config } from '../core/config.ts';
import type { Clock, Log } from '../core/ports.ts';
import { DAY_MS, HOUR_MS } from '../core/units.ts';
import type { Ledger } from '../storage/ledger.ts';

export interface KeepLedgerDeps {
  readonly ledger: Pick<Ledger<Totals>, 'prune'>;
  readonly settings: () => Config;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Keeps `ledger.retentionDays`: what is older is pruned soon after the start and then within an hour of each day's end, by
 * the settings then in force. A disk that refuses is asked again an hour later. The returned function ends it.
 */
export function keepRetention({ ledger, settings, clock, log }: KeepLedgerDeps): () => void {
  let cancel = (): void => {};
  let stopped = false;
  const look = async (): Promise<void> => {
    const { retentionDays } = settings().ledger;
    if (retentionDays === 0) return;
    const { segments, lines, keptFrom } = await ledger.prune(clock.now() - retentionDays * DAY_MS);
    if (segments > 0) log.info('old requests were pruned; their totals stay', { lines, segments, keptFrom });
  };
  const again = (): void => {
    look().catch((error: unknown) => log.warn('old requests were not pruned', { reason: error instanceof Error ? error.message : 'unknown' }))
      .finally(() => {
        if (!stopped) cancel = clock.after(HOUR_MS, again);
      });
  };
  again();
  return () => {
    stopped = true;
    cancel();
  };
}
