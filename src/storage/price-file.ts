import type { PriceTable } from '../accounting/price-table.ts';
import { parsePriceTable } from '../accounting/price-table.ts';
import type { Log } from '../core/ports.ts';
import { homePaths } from './home.ts';
import { JsonDocument } from './json-document.ts';

type StoredTable = PriceTable & { readonly version?: 1 };

function priceDocument(home: string): JsonDocument<StoredTable> {
  return new JsonDocument<StoredTable>(homePaths(home).prices, parsePriceTable);
}

/** The broad price table that was fetched last and could be read; null where none was. Nothing is thrown for a spoiled one. */
export async function readPriceTable(home: string, log: Log): Promise<PriceTable | null> {
  const document = priceDocument(home);
  const content = await document.load();
  if (content.kind === 'value') return content.value;
  if (content.kind === 'absent') return null;
  const backup = await document.loadBackup();
  log.warn('prices.json cannot be read; an earlier table is used', { reason: content.message, copy: backup.kind });
  return backup.kind === 'value' ? backup.value : null;
}

/** Keeps a fetched table; the one before stays as `prices.json.bak`. Rejects with a StorageError. */
export async function writePriceTable(home: string, table: PriceTable): Promise<void> {
  const document = priceDocument(home);
  await document.write({ version: 1, ...table });
}
