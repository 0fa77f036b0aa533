import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS } from '../core/units.ts';

/** Days on which DeepSeek's weekday peak does not apply. */
export type PeakDays = 'every-day' | 'working-days';

/**
 * Whether a moment is in DeepSeek's peak hours: 01:00-04:00 and 06:00-10:00 UTC, which is 09:00-12:00 and 14:00-18:00
 * in Beijing on the same date. `working-days` leaves out weekends and Chinese public holidays, as it is since
 * 2026-08-23 (api-docs.deepseek.com/quick_start/pricing, read 2026-11-21).
 */
export function isDeepSeekPeak(at: EpochMs, days: PeakDays): boolean {
  const hour = Math.floor((at % DAY_MS) / HOUR_MS);
  if (!((hour >= 1 && hour < 4) || (hour >= 6 && hour < 10))) return false;
  if (days === 'every-day') return true;
  const date = new Date(at);
  return date.getUTCDay() !== 0 && date.getUTCDay() !== 6 && !HOLIDAYS.has(date.toISOString().slice(0, 10));
}

/** Chinese public holidays on weekdays, from the State Council's calendar for 2026; New Year's Day is fixed by law. */
const HOLIDAYS: ReadonlySet<string> = new Set([
  '2026-09-25', '2026-10-01', '2026-10-02', '2026-10-05', '2026-10-06', '2026-10-07', '2027-01-01',
]);
