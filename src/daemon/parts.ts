import type { Totals } from '../accounting/totals.ts';
import type { LiveView, Log, StateStore } from '../core/ports.ts';
import type { StickyStore } from '../gateway/sticky-store.ts';
import type { ControlClaim } from '../io/claim-control-socket.ts';
import type { WatchedConfig } from '../storage/config-watch.ts';
import type { Ledger } from '../storage/ledger.ts';
import type { InFlight } from './in-flight.ts';
import type { Workshop } from './workshop.ts';

/** Everything behind a daemon's doors. */
export interface Parts {
  readonly home: string;
  readonly claim: ControlClaim;
  readonly log: Log;
  readonly state: StateStore;
  readonly settings: WatchedConfig;
  readonly ledger: Ledger<Totals>;
  readonly workshop: Workshop;
  readonly sticky: StickyStore;
  readonly live: LiveView;
  readonly inFlight: InFlight;
  readonly startedAt: number;
}
