import type { Clock } from '../../src/core/ports.ts';
import type { EpochMs } from '../../src/core/units.ts';

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** Moves the time on; timers due on the way fire in order, each at its own moment, also those set while firing. */
  advance(ms: number): void;
  /** Sets the wall clock, forwards or back, without firing anything: the user changed it. */
  set(now: EpochMs): void;
  /** Timers that have neither fired nor been cancelled. */
  readonly pending: number;
  /** Milliseconds until the next timer, or null when there is none. */
  readonly nextIn: number | null;
}

/** 2026-11-21 12:00 UTC: where fake clocks begin. */
export const FAKE_START: EpochMs = Date.UTC(2026, 10, 21, 12);

/** Makes a clock for tests. Timers follow `advance`, never `set`, as real ones follow a monotonic clock. */
export function fakeClock(start: EpochMs = FAKE_START): FakeClock {
  let wall = start;
  let monotonic = 0;
  let order = 0;
  const timers = new Map<number, { readonly due: number; readonly callback: () => void }>();

  const next = (): [number, { readonly due: number; readonly callback: () => void }] | undefined =>
    [...timers].sort(([a, left], [b, right]) => left.due - right.due || a - b)[0];

  return {
    now: () => wall,
    after(ms, callback) {
      const id = order++;
      timers.set(id, { due: monotonic + Math.max(0, ms), callback });
      return () => {
        timers.delete(id);
      };
    },
    advance(ms) {
      const end = monotonic + ms;
      for (let due = next(); due !== undefined && due[1].due <= end; due = next()) {
        const [id, timer] = due;
        timers.delete(id);
        wall += timer.due - monotonic;
        monotonic = timer.due;
        timer.callback();
      }
      wall += end - monotonic;
      monotonic = end;
    },
    set(now) {
      wall = now;
    },
    get pending() {
      return timers.size;
    },
    get nextIn() {
      const due = next();
      return due === undefined ? null : due[1].due - monotonic;
    },
  };
}
