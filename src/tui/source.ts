import type { LiveRequest } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import type { AccountView, UsageQuery, UsageReport } from '../core/views.ts';

/** A finished request as the journal holds it. */
export type FinishedRequest = JournalLine<CloseRecord>;

/**
 * Where the screen gets its data and sends what a person decides. Bound to the control socket while a daemon runs and
 * to the files when none does; the screen does not know which.
 */
export interface TuiSource {
  /** Calls back with the present state soon, then with each change; the returned function ends it. */
  subscribe(listener: (snapshot: TuiSnapshot) => void): () => void;
  /** Resolves when done; rejects with a sentence for people. The change itself arrives as a snapshot. */
  act(action: AccountAction): Promise<void>;
  usage(query: UsageQuery): Promise<UsageReport>;
  /** One finished request, also one that has left the snapshot; null when the ledger has none of that id. */
  request(id: string): Promise<FinishedRequest | null>;
}

/** What can be done to an account from the screen. */
export interface AccountAction {
  readonly kind: 'pause' | 'resume' | 'wake';
  readonly account: string;
}

/** Everything live on the screen. */
export interface TuiSnapshot {
  readonly daemon: DaemonView;
  readonly accounts: readonly AccountView[];
  readonly running: readonly LiveRequest[];
  /** Newest first; the last few hundred are enough. The same array as before while none has finished. */
  readonly finished: readonly FinishedRequest[];
}

/** Whether a daemon answers; `stopped` means the files are shown. */
export type DaemonView =
  | { readonly state: 'running' | 'draining'; readonly url: string; readonly startedAt: EpochMs }
  | { readonly state: 'stopped' };
