import type { Clock, StateStore } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';

/**
 * The wall clock that does not run backwards, over restarts too: what has expired once stays expired when the clock is set
 * back. It is kept in the state about once a minute, while anybody asks.
 */
export function createLatestTime(state: StateStore, clock: Clock): () => EpochMs {
  let latest = state.read().lastSeenAt;
  return () => {
    latest = Math.max(latest, clock.now());
    const moment = latest;
    if (moment - state.read().lastSeenAt >= MINUTE_MS) {
      state.note((current) => ({ ...current, lastSeenAt: Math.max(current.lastSeenAt, moment) }));
    }
    return latest;
  };
}
