import { CommandError, EXIT } from '../core/errors.ts';
import type { DayEdge } from '../core/moment.ts';
import { readMoment } from '../core/moment.ts';
import type { EpochMs } from '../core/units.ts';

/** Reads a moment as {@link readMoment} does. Throws a usage error that names `option`. */
export function parseMoment(text: string, now: EpochMs, option: string, edge: DayEdge = 'start'): EpochMs {
  const moment = readMoment(text, now, edge);
  if (moment !== null) return moment;
  throw new CommandError(
    EXIT.usage,
    `${option} "${text}" is no time: give a span back from now (7d, 24h, 90m), a date (2026-11-24) or a date and time (2026-11-24T14:00)`,
  );
}
