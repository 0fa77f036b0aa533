import type { EpochMs } from '../core/units.ts';
import { errorText } from './error-code.ts';
import type { FoldBounds, Folder } from './fold-journal.ts';
import { homePaths } from './home.ts';
import { openJournal } from './journal.ts';
import type { JournalOptions, OpenJournal } from './journal.ts';
import { closeOrphan } from './orphan.ts';
import type { Pruned } from './prune.ts';
import { pruneBefore } from './prune.ts';
import { listExtents, tellsOfCorruption } from './segments.ts';
import { openTotals } from './totals-file.ts';
import type { TotalsFile } from './totals-file.ts';

/** The journal and the totals folded from it, tied together. */
export interface Ledger<T> {
  readonly journal: OpenJournal;
  readonly totals: TotalsFile<T>;
  /** A start has found the journal corrupt; `relay ledger verify` says where. */
  readonly isCorrupt: boolean;
  /** Removes whole days before a moment ({@link pruneBefore}); the totals go on counting them. */
  prune(before: EpochMs): Promise<Pruned>;
  /** Folds the totals anew from the journal; gives back how many lines were read. */
  rebuild(onProgress?: FoldBounds['onProgress']): Promise<number>;
  /** Closes the journal, then writes the totals. */
  close(): Promise<void>;
}

/**
 * Opens both halves of the ledger: recovers the journal, folds what the totals lack, closes the requests that a crash left
 * open, and from then on folds each line once it is acknowledged. Rejects with a StorageError.
 */
export async function openLedger<T>(home: string, folder: Folder<T>, options: JournalOptions): Promise<Ledger<T>> {
  const { clock, log } = options;
  let applied: TotalsFile<T> | null = null;
  const journal = await openJournal(home, {
    ...options,
    onDurable: (lines, position) => {
      applied?.apply(lines, position);
      options.onDurable?.(lines, position);
    },
  });
  const totals = await openTotals(home, folder, { clock, log, syncJournal: () => journal.sync() });
  applied = totals;
  const closeOrphans = async (): Promise<void> => {
    const orphans = [...totals.open.values()];
    if (orphans.length === 0) return;
    log.warn('requests were running when Relay was killed; their input is counted', { requests: orphans.length });
    await Promise.all(orphans.map((open) => journal.append(closeOrphan(open, clock.now()))));
  };
  // A disk that is full now takes them later: they stay open in the totals until they are closed in the journal.
  await closeOrphans().catch((error: unknown) => log.warn('they could not be closed yet', { reason: errorText(error) }));

  const isCorrupt = tellsOfCorruption(await listExtents(homePaths(home).journal));
  // Pruning removes what a rebuild reads, so one waits for the other.
  let upkeep: Promise<unknown> = Promise.resolve();
  const inTurn = <R>(work: () => Promise<R>): Promise<R> => {
    const done = upkeep.then(work);
    upkeep = done.catch(() => undefined);
    return done;
  };
  return {
    journal,
    totals,
    isCorrupt,
    prune: (before) => inTurn(() => pruneBefore(home, before, {
      journal, now: clock.now(), keep: (extents, through) => totals.keepPruned(extents, through),
    })),
    rebuild: (onProgress) => inTurn(() => totals.rebuild(onProgress)),
    close: async () => {
      await upkeep;
      await journal.close();
      await totals.close();
    },
  };
}
