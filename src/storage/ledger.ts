import { openJournal } from './journal.ts';
import type { JournalOptions, OpenJournal } from './journal.ts';
import { openTotals } from './totals-file.ts';
import type { Folder, TotalsFile } from './totals-file.ts';

/** The journal and the totals folded from it, tied together. */
export interface Ledger<T> {
  readonly journal: OpenJournal;
  readonly totals: TotalsFile<T>;
  /** Closes the journal, then writes the totals. */
  close(): Promise<void>;
}

/**
 * Opens both halves of the ledger: recovers the journal, folds what the totals lack, and from then on folds each line
 * once it is acknowledged. Rejects with a StorageError.
 */
export async function openLedger<T>(home: string, folder: Folder<T>, options: JournalOptions): Promise<Ledger<T>> {
  let totals: TotalsFile<T> | null = null;
  const journal = await openJournal(home, {
    ...options,
    onDurable: (lines, position) => {
      totals?.apply(lines, position);
      options.onDurable?.(lines, position);
    },
  });
  totals = await openTotals(home, folder, { clock: options.clock, log: options.log, syncJournal: () => journal.sync() });
  const opened = totals;
  return {
    journal,
    totals: opened,
    close: async () => {
      await journal.close();
      await opened.close();
    },
  };
}
