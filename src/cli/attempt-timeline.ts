import type { AttemptRecord, CloseRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';

/** An attempt says this long how an account was doing. */
const SPEAKS_FOR_MS = 2 * MINUTE_MS;
/** Ends that say nothing of the account. */
const NOT_THE_ACCOUNT = new Set(['client_closed', 'draining', 'aborted']);

/** What is known of how an account was doing at a moment, from the attempts around it. */
export type Standing = 'served' | 'failed' | 'unknown';

/** How each account did over time, as far as attempts at it tell: two numbers an attempt, whatever the journal's length. */
export interface AttemptTimeline {
  note(record: CloseRecord): void;
  /** How the last attempt at the account within two minutes before the moment ended; else the first within as long after it. */
  standingAt(account: string, at: EpochMs): Standing;
}

interface Track {
  readonly times: number[];
  readonly failed: boolean[];
  isSorted: boolean;
}

/** A timeline that knows nothing. */
export function createAttemptTimeline(): AttemptTimeline {
  const tracks = new Map<string, Track>();
  return {
    note({ attempts }) {
      for (const attempt of attempts) {
        if (attempt.error !== null && NOT_THE_ACCOUNT.has(attempt.error)) continue;
        const track = tracks.get(attempt.account) ?? { times: [], failed: [], isSorted: true };
        tracks.set(attempt.account, track);
        add(track, attempt);
      }
    },
    standingAt(account, at) {
      const track = tracks.get(account);
      if (track === undefined) return 'unknown';
      sort(track);
      const next = firstAfter(track.times, at);
      const before = next - 1;
      if (isNear(track.times[before], at)) return track.failed[before] === true ? 'failed' : 'served';
      return isNear(track.times[next], at) ? (track.failed[next] === true ? 'failed' : 'served') : 'unknown';
    },
  };
}

function add(track: Track, { t, error }: AttemptRecord): void {
  if (t < (track.times.at(-1) ?? 0)) track.isSorted = false;
  track.times.push(t);
  track.failed.push(error !== null);
}

/** Lines stand in the order requests ended; attempts began in another. */
function sort(track: Track): void {
  if (track.isSorted) return;
  const order = track.times.map((_, index) => index).sort((one, other) => (track.times[one] ?? 0) - (track.times[other] ?? 0));
  const [times, failed] = [order.map((index) => track.times[index] ?? 0), order.map((index) => track.failed[index] ?? false)];
  track.times.splice(0, times.length, ...times);
  track.failed.splice(0, failed.length, ...failed);
  track.isSorted = true;
}

function isNear(time: number | undefined, at: EpochMs): boolean {
  return time !== undefined && Math.abs(time - at) <= SPEAKS_FOR_MS;
}

/** Index of the first time later than `at`. */
function firstAfter(times: readonly number[], at: EpochMs): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
