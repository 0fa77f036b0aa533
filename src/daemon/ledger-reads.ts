import type { Totals } from '../accounting/totals.ts';
import type { Spend } from '../accounting/budget.ts';
import type { OwnedLine } from '../accounting/budget-lines.ts';
import { windowStart } from '../accounting/budget-window.ts';
import { reportUsage, spentSince } from '../accounting/usage-report.ts';
import type { Config } from '../core/config.ts';
import type { Clock } from '../core/ports.ts';
import { StorageError } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import type { UsageQuery, UsageReport } from '../core/views.ts';
import { ControlError } from '../control/control.ts';
import type { ControlReads } from '../control/create-control.ts';
import type { Ledger } from '../storage/ledger.ts';
import { findRequest, queryRequests } from '../storage/query.ts';
import type { RequestFilter } from '../storage/query.ts';

/** What of the ledger a control tells and does; the same in the daemon and in a command with none running. */
export type LedgerReads = Pick<ControlReads, 'usage.report' | 'requests.list' | 'requests.get' | 'ledger.rebuild' | 'ledger.prune'>;

export interface LedgerReadsDeps {
  readonly home: string;
  readonly clock: Clock;
  readonly settings: () => Config;
  /** Runs `work` over totals that are up to date. */
  readonly withTotals: <R>(work: (totals: Totals) => R) => Promise<R>;
  /** Runs `work` while this process is the one that writes the ledger. */
  readonly withLedger: <R>(work: (ledger: Ledger<Totals>) => Promise<R>) => Promise<R>;
}

/** The ledger's part of a control. */
export function ledgerReads({ home, clock, settings, withTotals, withLedger }: LedgerReadsDeps): LedgerReads {
  return {
    'usage.report': (query) => withTotals((totals) => reportLedger(totals, query, { settings: settings(), clock })),
    'requests.list': (query) => listRequests(home, query),
    'requests.get': ({ id }) => findRequest(home, id),
    'ledger.rebuild': async () => ({ lines: await withLedger((ledger) => ledger.rebuild()).catch(asControlError) }),
    async 'ledger.prune'({ before }) {
      const { segments, lines, bytes, keptFrom } = await withLedger((ledger) => ledger.prune(before)).catch(asControlError);
      return { segments, lines, bytes, keptFrom };
    },
  };
}

/** The usage report that every surface shows: with what subscriptions are worth, where the settings say what they cost. */
export function reportLedger(totals: Totals, query: UsageQuery, { settings, clock }: { readonly settings: Config; readonly clock: Clock }): UsageReport {
  return reportUsage(totals, { ...query, plans: { prices: settings.plans, now: clock.now() } });
}

/** Where a budget stands by the ledger alone: nothing runs, so nothing is reserved. */
export function standingInLedger(totals: Totals, { line, owner }: OwnedLine, now: EpochMs): Spend {
  const start = windowStart(line.budget.window, now);
  return { windowStart: start, spent: spentSince(totals, start, owner)[line.budget.unit], reserved: 0 };
}

/** Newest first, at most `limit`, older than line `before`. */
async function listRequests(home: string, query: Parameters<ControlReads['requests.list']>[0]): ReturnType<ControlReads['requests.list']> {
  const found: Awaited<ReturnType<ControlReads['requests.list']>>[number][] = [];
  const filter: RequestFilter = {
    ...(query.since !== null && { since: query.since }), ...(query.until !== null && { until: query.until }),
    ...(query.client !== null && { client: query.client }), ...(query.account !== null && { account: query.account }), errorsOnly: query.errorsOnly,
  };
  for await (const { line } of queryRequests(home, filter)) {
    if (query.before !== null && line.seq >= query.before) continue;
    found.push(line);
    if (found.length >= query.limit) break;
  }
  return found;
}

function asControlError(error: unknown): never {
  if (error instanceof StorageError) throw new ControlError('storage', error.message);
  throw error;
}
