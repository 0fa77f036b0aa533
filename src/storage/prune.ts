import { unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Journal } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { homePaths } from './home.ts';
import { syncFolder } from './segment-file.ts';
import { compareSegments, dayOfSegment, listExtents, listSegments, utcDay } from './segments.ts';

/** What pruning took away. */
export interface Pruned {
  readonly segments: number;
  /** The number of the last line removed; 0 when none was. */
  readonly through: number;
}

/**
 * Removes whole segments of days before the one `before` falls on, oldest first; the newest segment always stays. The journal
 * is told first, so that a check knows the missing lines were pruned. Totals keep what they counted.
 * Rejects with a StorageError when the journal cannot be told, with Node's error when a file cannot be removed.
 */
export async function pruneBefore(home: string, before: EpochMs, journal: Journal, now: EpochMs): Promise<Pruned> {
  const folder = homePaths(home).journal;
  const extents = await listExtents(folder);
  const keepFrom = extents.findIndex(({ name }) => dayOfSegment(name) >= utcDay(before));
  const kept = keepFrom < 0 ? extents.length - 1 : keepFrom;
  const { header: first, name: firstKept = '' } = extents[kept] ?? {};
  if (kept <= 0 || !first) return { segments: 0, through: 0 };
  const through = first.seq - 1;
  await journal.append({ v: 1, t: now, k: 'note', note: 'pruned', detail: { through, segments: kept, before } });
  for (const name of await listSegments(folder)) if (compareSegments(name, firstKept) < 0) await unlink(join(folder, name));
  await syncFolder(folder);
  return { segments: kept, through };
}
