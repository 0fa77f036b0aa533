import type { Clock } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { TuiSnapshot, TuiSource } from './source.ts';

/** What the screen shows, at the moment it shows it; no snapshot before the source has given its first. */
export interface LiveState {
  readonly snapshot: TuiSnapshot | null;
  readonly now: EpochMs;
}

/** A source made calm: at most ten states a second, and time that passes only where something on the screen tells it. */
export interface Live {
  /** The present state; the same object until something changed. */
  get(): LiveState;
  subscribe(listener: () => void): () => void;
}

/** The least time between two states. */
export const FRAME_MS = 100;
/** Between two states of a running request: its time and speed go on. */
const RUNNING_TICK_MS = 500;
const RESTING_TICK_MS = 15_000;

/** Listens to the source while somebody listens to it. */
export function createLive(source: TuiSource, clock: Clock): Live {
  let state: LiveState = { snapshot: null, now: clock.now() };
  let newest: TuiSnapshot | null = null;
  let shownAt = Number.NEGATIVE_INFINITY;
  let cancelFrame: (() => void) | null = null;
  let cancelTick: (() => void) | null = null;
  const listeners = new Set<() => void>();
  let unsubscribe: (() => void) | null = null;

  const show = (): void => {
    cancelFrame?.();
    cancelFrame = null;
    cancelTick?.();
    const now = clock.now();
    state = { snapshot: newest, now };
    shownAt = now;
    cancelTick = clock.after(tickMs(newest, now), show);
    for (const listener of listeners) listener();
  };
  const receive = (snapshot: TuiSnapshot): void => {
    if (newest && isSame(newest, snapshot)) return;
    newest = snapshot;
    if (cancelFrame) return;
    // A clock that was set back must not silence the screen.
    const wait = Math.min(FRAME_MS, shownAt + FRAME_MS - clock.now());
    if (wait <= 0) return show();
    cancelFrame = clock.after(wait, show);
  };
  const stop = (): void => {
    unsubscribe?.();
    cancelFrame?.();
    cancelTick?.();
    unsubscribe = cancelFrame = cancelTick = null;
  };

  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener);
      unsubscribe ??= source.subscribe(receive);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) stop();
      };
    },
  };
}

/** A source that looks again makes new objects of the same facts; the few that are small are compared by what they say. */
function isSame(left: TuiSnapshot, right: TuiSnapshot): boolean {
  return left.finished === right.finished
    && saysTheSame(left.accounts, right.accounts) && saysTheSame(left.running, right.running) && saysTheSame(left.daemon, right.daemon);
}

function saysTheSame(left: unknown, right: unknown): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

/** When the screen tells something else although nothing happened: a running time, a countdown in seconds, one in minutes. */
function tickMs(snapshot: TuiSnapshot | null, now: EpochMs): number {
  if (!snapshot) return RESTING_TICK_MS;
  if (snapshot.running.length > 0) return RUNNING_TICK_MS;
  const countsSeconds = snapshot.accounts.some(({ until }) => until !== null && until > now && until - now < MINUTE_MS + SECOND_MS);
  return countsSeconds ? SECOND_MS : RESTING_TICK_MS;
}
