import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Journal } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { homePaths } from './home.ts';
import { syncFolder } from './segment-file.ts';
import type { Extent } from './segments.ts';
import { compareSegments, dayOfSegment, listExtents, listSegments, utcDay } from './segments.ts';

/** What pruning takes away, or took. */
export interface Pruned {
  readonly segments: number;
  /** The number of the last line removed; 0 when none is. */
  readonly through: number;
  /** How many lines that are. */
  readonly lines: number;
  readonly bytes: number;
  /** The first UTC day that is kept whole, YYYY-MM-DD; null when nothing is removed. */
  readonly keptFrom: string | null;
}

interface Plan extends Pruned {
  readonly extents: readonly Extent[];
  readonly firstKept: string;
}

/** What pruning is done with. */
export interface PruneDeps {
  readonly journal: Journal;
  readonly now: EpochMs;
  /** Called before anything is removed, with all segments and the last line that goes. */
  readonly keep: (extents: readonly Extent[], through: number) => Promise<void>;
}

/** What {@link pruneBefore} would take away now. Rejects with Node's error when the journal cannot be read. */
export async function planPrune(home: string, before: EpochMs): Promise<Pruned> {
  return toPruned(await plan(homePaths(home).journal, before));
}

/**
 * Removes whole segments of days before the one `before` falls on, oldest first; the newest segment always stays. What
 * they counted is kept and the journal is told first, so that a check knows the missing lines were pruned; a crash in
 * between leaves segments that the next pruning takes. Rejects with a StorageError when that cannot be written, with
 * Node's error when a file cannot be removed.
 */
export async function pruneBefore(home: string, before: EpochMs, { journal, now, keep }: PruneDeps): Promise<Pruned> {
  const folder = homePaths(home).journal;
  const planned = await plan(folder, before);
  const { segments, through, extents, firstKept } = planned;
  if (segments === 0) return toPruned(planned);
  await keep(extents, through);
  await journal.append({ v: 1, t: now, k: 'note', note: 'pruned', detail: { through, segments, before } });
  for (const name of await listSegments(folder)) if (compareSegments(name, firstKept) < 0) await unlink(join(folder, name));
  for (const name of await readdir(folder)) if (isOldTail(name, dayOfSegment(firstKept))) await unlink(join(folder, name));
  await syncFolder(folder);
  return toPruned(planned);
}

/** What recovery set aside in a segment of a day that is gone. */
function isOldTail(name: string, firstDay: string): boolean {
  return /^\d{4}-\d{2}-\d{2}\.\d{3,}\.jsonl\.tail-\d+$/.test(name) && dayOfSegment(name) < firstDay;
}

function toPruned({ segments, through, lines, bytes, keptFrom }: Plan): Pruned {
  return { segments, through, lines, bytes, keptFrom };
}

async function plan(folder: string, before: EpochMs): Promise<Plan> {
  const extents = await listExtents(folder);
  const keepFrom = extents.findIndex(({ name }) => dayOfSegment(name) >= utcDay(before));
  const segments = keepFrom < 0 ? extents.length - 1 : keepFrom;
  const { header: kept, name: firstKept = '' } = extents[segments] ?? {};
  if (segments <= 0 || !kept) return { segments: 0, through: 0, lines: 0, bytes: 0, keptFrom: null, extents, firstKept: '' };
  const through = kept.seq - 1;
  return {
    segments, through, extents, firstKept,
    lines: through - (extents[0]?.header?.seq ?? 1) + 1,
    bytes: extents.slice(0, segments).reduce((sum, { end }) => sum + end, 0),
    keptFrom: dayOfSegment(firstKept),
  };
}
