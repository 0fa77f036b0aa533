import type { Budget } from '../core/client.ts';
import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS } from '../core/units.ts';
import { startOfDay, startOfMonth, startOfNextMonth } from './time-bucket.ts';

/** The UTC windows a budget can have; weeks begin on Monday. */
export type Window = Budget['window'];

/** When the window that holds `at` began, in UTC: daylight saving does not bend it. */
export function windowStart(window: Window, at: EpochMs): EpochMs {
  switch (window) {
    case 'hour': return Math.floor(at / HOUR_MS) * HOUR_MS;
    case 'day': return startOfDay(at);
    case 'week': return startOfDay(at) - ((new Date(at).getUTCDay() + 6) % 7) * DAY_MS;
    case 'month': return startOfMonth(at);
  }
}

/** When the window that holds `at` ends, which is when the next begins. */
export function windowEnd(window: Window, at: EpochMs): EpochMs {
  switch (window) {
    case 'hour': return windowStart(window, at) + HOUR_MS;
    case 'day': return windowStart(window, at) + DAY_MS;
    case 'week': return windowStart(window, at) + 7 * DAY_MS;
    case 'month': return startOfNextMonth(at);
  }
}
