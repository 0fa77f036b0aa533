import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import type { UsageQuery, UsageReport } from '../core/views.ts';

/** Which finished requests are asked for. A null does not narrow. */
export interface RequestQuery {
  /** Included. */
  readonly since: EpochMs | null;
  /** Not included. */
  readonly until: EpochMs | null;
  readonly client: string | null;
  readonly account: string | null;
  /** `errors`: outcome `failed` or `refused`. */
  readonly only: 'all' | 'errors';
  readonly order: 'newest-first' | 'oldest-first';
  readonly limit: number | null;
}

/** The ledger as commands read it: bound to the control socket while a daemon runs, to the files when none does. */
export interface UsageData {
  report(query: UsageQuery): Promise<UsageReport>;
  /** Reads as it is iterated; breaking off frees what it holds. */
  requests(query: RequestQuery): AsyncIterable<JournalLine<CloseRecord>>;
  request(id: string): Promise<JournalLine<CloseRecord> | null>;
  /** Calls back for every request finished from now on; resolves when `signal` aborts, rejects when the source fails. */
  follow(listener: (record: JournalLine<CloseRecord>) => void, signal: AbortSignal): Promise<void>;
}

/** Whether a record is one the query asks for, its limit and order aside. */
export function matchesQuery(record: CloseRecord, query: RequestQuery): boolean {
  if (query.since !== null && record.t < query.since) return false;
  if (query.until !== null && record.t >= query.until) return false;
  if (query.client !== null && record.client !== query.client) return false;
  if (query.account !== null && record.account !== query.account) return false;
  return query.only === 'all' || !['ok', 'incomplete', 'client_closed'].includes(record.outcome);
}
