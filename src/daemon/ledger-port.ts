import { reportUsage } from '../accounting/usage-report.ts';
import type { Clock } from '../core/ports.ts';
import type { Slots } from '../gateway/slots.ts';
import type { LedgerPort } from '../server/ledger-port.ts';
import { findRequest, pageRequests } from '../storage/query.ts';
import { reportLedger } from './ledger-reads.ts';
import type { Parts } from './parts.ts';

/** What is read of the journal for one page at most: a fraction of a second. */
const MOST_PAGE_BYTES = 128 << 20;

/** The ledger and the accounts for the HTTP routes: the reads the commands have, within what the caller may see. */
export function openLedgerPort(
  { home, ledger, live, settings, workshop }: Pick<Parts, 'home' | 'ledger' | 'live' | 'settings' | 'workshop'>, slots: Slots, clock: Clock,
): LedgerPort {
  return {
    report(query, seer) {
      const totals = ledger.totals.read();
      return seer.sees === 'all' ? reportLedger(totals, query, { settings: settings.current(), clock }) : reportUsage(totals, { ...query, filter: { client: seer.client } });
    },
    requests: ({ since, until, client, account, errorsOnly, cursor, limit }) => pageRequests(home, {
      errorsOnly,
      ...(since !== null && { since }), ...(until !== null && { until }), ...(client !== null && { client }), ...(account !== null && { account }),
      ...(cursor !== null && { after: cursor }),
    }, { limit, mostBytes: MOST_PAGE_BYTES }),
    request: (id, signal) => findRequest(home, id, signal),
    accounts: () => workshop.pool.views(),
    live,
    waiting: () => slots.waiting,
    state: () => ({ state: ledger.journal.state, seq: ledger.journal.head.seq }),
  };
}
