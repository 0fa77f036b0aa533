import type { Client } from '../core/client.ts';
import type { LiveView } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import type { AccountView, UsageQuery, UsageReport } from '../core/views.ts';

/** Whose requests are told: everybody's, or one client's. */
export type Seer = { readonly sees: 'all' } | { readonly sees: 'own'; readonly client: string };

/** Who a client may see: everybody with the scope `usage`, else itself. */
export function seerOf({ name, endpoints }: Client): Seer {
  return endpoints.includes('usage') ? { sees: 'all' } : { sees: 'own', client: name };
}

/** Which finished requests are asked for, newest first. A null does not narrow. */
export interface RequestsQuery {
  readonly since: EpochMs | null;
  readonly until: EpochMs | null;
  readonly client: string | null;
  readonly account: string | null;
  readonly errorsOnly: boolean;
  /** Where the page before it ended. */
  readonly cursor: string | null;
  readonly limit: number;
}

/** A page of finished requests. It may be short of its limit and still have a next one: reading is bounded, too. */
export interface RequestsPage {
  readonly lines: readonly JournalLine<CloseRecord>[];
  readonly next: string | null;
}

/** The ledger and the accounts as HTTP tells them; the daemon binds it to the very same reads the commands have. */
export interface LedgerPort {
  report(query: UsageQuery, seer: Seer): UsageReport;
  requests(query: RequestsQuery): Promise<RequestsPage>;
  /** Searches the journal; gives up once the signal says that nobody waits. */
  request(id: string, signal: AbortSignal): Promise<JournalLine<CloseRecord> | null>;
  accounts(): readonly AccountView[];
  readonly live: LiveView;
  /** Requests that wait for a slot. */
  waiting(): number;
  state(): { readonly state: 'operational' | 'degraded' | 'full'; readonly seq: number };
}
