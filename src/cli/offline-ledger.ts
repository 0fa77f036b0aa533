import { join } from 'node:path';

import type { Totals } from '../accounting/totals.ts';
import { emptyTotals, foldRecord, parseTotals } from '../accounting/totals.ts';
import type { Config } from '../core/config.ts';
import type { Log } from '../core/ports.ts';
import type { StatusView } from '../core/views.ts';
import { ControlError } from '../control/control.ts';
import type { LedgerReads } from '../daemon/ledger-reads.ts';
import { ledgerReads } from '../daemon/ledger-reads.ts';
import { claimControlSocket } from '../io/claim-control-socket.ts';
import { controlPath } from '../io/control-path.ts';
import { homePaths } from '../storage/home.ts';
import type { Head } from '../storage/journal-line.ts';
import { GENESIS, readSeal } from '../storage/journal-line.ts';
import { openLedger } from '../storage/ledger.ts';
import { readLastLine } from '../storage/segment-lines.ts';
import { listExtents, tellsOfCorruption } from '../storage/segments.ts';
import { openTotals } from '../storage/totals-file.ts';
import type { CommandContext } from './context.ts';

/** The ledger in its files, while no daemon writes them. */
export interface OfflineLedger {
  view(): Promise<StatusView['ledger']>;
  /** Runs `work` over totals that are up to date. */
  readonly withTotals: <R>(work: (totals: Totals) => R) => Promise<R>;
  readonly reads: LedgerReads;
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const FOLDER = { empty: emptyTotals, fold: foldRecord, parse: parseTotals };

/** The ledger of a home for one command; its files are read when they are asked for. */
export function offlineLedger(home: string, { clock, env }: CommandContext, { settings, log }: { readonly settings: Config; readonly log: Log }): OfflineLedger {
  const withTotals: OfflineLedger['withTotals'] = async (work) => {
    const totals = await openTotals(home, FOLDER, { clock, log: SILENT });
    const result = work(totals.read());
    await totals.close();
    return result;
  };
  return {
    withTotals,
    async view() {
      const head = await readHead(home);
      const isCorrupt = tellsOfCorruption(await listExtents(homePaths(home).journal));
      return { state: isCorrupt ? 'corrupt' : 'operational', head: head.h, seq: head.seq };
    },
    reads: ledgerReads({
      home,
      clock,
      settings: () => settings,
      withTotals,
      async withLedger(work) {
        // Whoever writes the journal holds the home as a daemon does, so that none can start meanwhile.
        const claim = await claimControlSocket(await controlPath(home, env));
        if (claim === null) throw new ControlError('invalid', 'Relay has just been started; run this again.');
        try {
          const ledger = await openLedger(home, FOLDER, { clock, log, durability: settings.ledger.durability });
          try {
            return await work(ledger);
          } finally {
            await ledger.close();
          }
        } finally {
          await claim.release();
        }
      },
    }),
  };
}

/** The newest whole line's number and hash. */
async function readHead(home: string): Promise<Head> {
  const folder = homePaths(home).journal;
  const last = (await listExtents(folder)).at(-1);
  const line = last === undefined ? null : await readLastLine(join(folder, last.name), last.end);
  return (line === null ? null : readSeal(line.bytes)) ?? GENESIS;
}
