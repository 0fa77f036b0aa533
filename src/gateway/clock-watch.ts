import type { Clock } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';

const LOOK_MS = 10 * SECOND_MS;
/** A clock or timer this far off was not merely busy: the machine slept. */
const JUMP_MS = 30 * SECOND_MS;
/** Calls over a break fail within this, at the latest when their idle timer ends; what fails later has causes of its own. */
const AFTERMATH_MS = 10 * MINUTE_MS;

export interface ClockWatchDeps {
  readonly clock: Clock;
  /** Milliseconds on a clock nobody sets; it may or may not run on while the machine sleeps. */
  readonly monotonicMs: () => number;
  /** The machine's own addresses toward other machines, in any order. */
  readonly addresses: () => readonly string[];
  /** The machine slept, or its network is another one: pooled connections are worth nothing. */
  readonly onBreak: (what: Break) => void;
}

/** What lay between two looks. */
export type Break = { readonly why: 'sleep'; readonly ms: number } | { readonly why: 'network' };

/** Watches for the machine's sleep and for changes of its network, which look like failures of upstreams and are none. */
export interface ClockWatch {
  /**
   * Whether a break lies between `startedAt` and now: what was under way then failed for it, and nobody is to blame. Looks
   * first, since the timers of calls may fire before the watch's own when the machine wakes.
   */
  spans(startedAt: EpochMs): boolean;
  stop(): void;
}

/** A watch that blames nobody's sleep: for where there is nothing to watch, such as a command that lasts a moment. */
export const NO_CLOCK_WATCH: ClockWatch = { spans: () => false, stop: () => {} };

/**
 * Starts the watch. A break is a wall clock more than 30 s ahead of the monotonic one (a sleep in which that stood still), a
 * look more than 30 s late (a sleep in which it ran on), or other addresses. A clock set back is none.
 */
export function startClockWatch({ clock, monotonicMs, addresses, onBreak }: ClockWatchDeps): ClockWatch {
  let seen = { wall: clock.now(), monotonic: monotonicMs(), network: networkOf(addresses()) };
  let brokenAt: EpochMs | null = null;
  let cancel = (): void => {};

  const look = (): void => {
    const now = { wall: clock.now(), monotonic: monotonicMs(), network: networkOf(addresses()) };
    const ran = now.monotonic - seen.monotonic;
    const jumped = now.wall - seen.wall - ran > JUMP_MS || ran - LOOK_MS > JUMP_MS;
    const moved = now.network !== seen.network;
    const ms = Math.max(now.wall - seen.wall, ran);
    seen = now;
    if (!jumped && !moved) return;
    brokenAt = now.wall;
    onBreak(jumped ? { why: 'sleep', ms } : { why: 'network' });
  };
  const next = (): void => {
    cancel = clock.after(LOOK_MS, () => {
      look();
      next();
    });
  };
  next();
  return {
    spans(startedAt) {
      look();
      return brokenAt !== null && startedAt <= brokenAt && clock.now() - brokenAt <= AFTERMATH_MS;
    },
    stop: () => cancel(),
  };
}

function networkOf(addresses: readonly string[]): string {
  return [...addresses].sort().join(' ');
}
