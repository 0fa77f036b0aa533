import { join } from 'node:path';

import { emptyTotals, foldRecord, parseTotals } from '../accounting/totals.ts';
import { reportUsage } from '../accounting/usage-report.ts';
import type { ControlParams } from '../core/control-messages.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { StatusView, UsageQuery, UsageReport } from '../core/views.ts';
import { listRequests } from '../daemon/daemon-reads.ts';
import { findRequest } from '../storage/query.ts';
import { homePaths } from '../storage/home.ts';
import type { Head } from '../storage/journal-line.ts';
import { GENESIS, readSeal } from '../storage/journal-line.ts';
import { readLastLine } from '../storage/segment-lines.ts';
import { listExtents } from '../storage/segments.ts';
import { openTotals } from '../storage/totals-file.ts';
import type { CommandContext } from './context.ts';

/** The ledger read from its files, while no daemon writes them. */
export interface OfflineLedger {
  view(): Promise<StatusView['ledger']>;
  report(query: UsageQuery): Promise<UsageReport>;
  list(query: ControlParams<'requests.list'>): Promise<readonly JournalLine<CloseRecord>[]>;
  request(id: string): Promise<JournalLine<CloseRecord> | null>;
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export function offlineLedger(home: string, { clock }: CommandContext): OfflineLedger {
  return {
    async view() {
      const head = await readHead(home);
      return { state: 'operational', head: head.h, seq: head.seq };
    },
    async report(query) {
      const totals = await openTotals(home, { empty: emptyTotals, fold: foldRecord, parse: parseTotals }, { clock, log: SILENT });
      const report = reportUsage(totals.read(), query);
      await totals.close();
      return report;
    },
    list: (query) => listRequests(home, query),
    request: (id) => findRequest(home, id),
  };
}

/** The newest whole line's number and hash. */
async function readHead(home: string): Promise<Head> {
  const folder = homePaths(home).journal;
  const last = (await listExtents(folder)).at(-1);
  const line = last === undefined ? null : await readLastLine(join(folder, last.name), last.end);
  return (line === null ? null : readSeal(line.bytes)) ?? GENESIS;
}
