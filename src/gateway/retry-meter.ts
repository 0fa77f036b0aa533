import type { Clock } from '../core/ports.ts';
import type { RetryBudget } from '../routing/retry-budget.ts';
import { count, mayAttempt, mayReplay, UNUSED_BUDGET } from '../routing/retry-budget.ts';

/** Counts what is sent, so that a failing upstream is not asked again and again. */
export interface RetryMeter {
  requested(): void;
  attempted(): void;
  replayed(): void;
  /** Whether the last minute leaves room for one more replay. */
  mayReplay(): boolean;
  /** Whether attempts of all kinds are still within their bound while an upstream is down. */
  mayAttempt(): boolean;
}

/** A meter with nothing counted; `percent` is asked at each use so that settings take effect at once. */
export function createRetryMeter(clock: Clock, percent: () => number): RetryMeter {
  let budget: RetryBudget = UNUSED_BUDGET;
  const add = (what: 'requests' | 'attempts' | 'replays') => (): void => {
    budget = count(budget, what, clock.now());
  };
  return {
    requested: add('requests'),
    attempted: add('attempts'),
    replayed: add('replays'),
    mayAttempt: () => mayAttempt(budget, clock.now()),
    mayReplay: () => mayReplay(budget, percent(), clock.now()) && mayAttempt(budget, clock.now()),
  };
}
