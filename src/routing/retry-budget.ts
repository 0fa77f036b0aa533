import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';

const WINDOW_SECONDS = 60;
const FREE_REPLAYS = 10;
const FREE_ATTEMPTS = 10;
const ATTEMPTS_PER_REQUEST = 1.2;

interface Slot {
  readonly second: number;
  readonly requests: number;
  readonly attempts: number;
  readonly replays: number;
}

/** What was sent in the last minute, by the second: bounds how much a failing upstream is asked again. */
export interface RetryBudget {
  /** Oldest first, at most 60. */
  readonly slots: readonly Slot[];
}

export const UNUSED_BUDGET: RetryBudget = { slots: [] };

/** Counts `requests` from clients, `attempts` at upstreams, or `replays` after a 5xx or an ambiguous end. */
export function count(budget: RetryBudget, what: 'requests' | 'attempts' | 'replays', now: EpochMs): RetryBudget {
  const newest = budget.slots.at(-1);
  // A clock set back must not lose what was counted: the newest second goes on.
  const second = Math.max(Math.floor(now / SECOND_MS), newest?.second ?? 0);
  const isSame = newest?.second === second;
  const slot: Slot = isSame && newest !== undefined ? newest : { second, requests: 0, attempts: 0, replays: 0 };
  const older = (isSame ? budget.slots.slice(0, -1) : budget.slots).filter((old) => second - old.second < WINDOW_SECONDS);
  return { slots: [...older, { ...slot, [what]: slot[what] + 1 }] };
}

/** True while replays after 5xx or ambiguity stay within `percent` of the last minute's requests plus 10. */
export function mayReplay(budget: RetryBudget, percent: number, now: EpochMs): boolean {
  const sums = sumOf(budget, now);
  return sums.replays < (sums.requests * percent) / 100 + FREE_REPLAYS;
}

/** While everything is down: true as long as attempts stay within 1.2 times the last minute's requests plus 10. */
export function mayAttempt(budget: RetryBudget, now: EpochMs): boolean {
  const sums = sumOf(budget, now);
  return sums.attempts < sums.requests * ATTEMPTS_PER_REQUEST + FREE_ATTEMPTS;
}

function sumOf(budget: RetryBudget, now: EpochMs): Omit<Slot, 'second'> {
  const second = Math.floor(now / SECOND_MS);
  let requests = 0;
  let attempts = 0;
  let replays = 0;
  for (const slot of budget.slots) {
    if (second - slot.second >= WINDOW_SECONDS) continue;
    requests += slot.requests;
    attempts += slot.attempts;
    replays += slot.replays;
  }
  return { requests, attempts, replays };
}
