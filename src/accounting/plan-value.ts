import type { EpochMs, NanoUsd } from '../core/units.ts';
import type { PlanValue, UsageTotals } from '../core/views.ts';
import { divideHalfUp, scaleDecimal } from './decimal.ts';
import { startOfMonth, startOfNextMonth } from './time-bucket.ts';

/** USD a month by account name, as `plans` in `config.json` has it. */
export type Plans = Readonly<Record<string, number>>;

/** What an account's subscription cost between two moments and what was had for it; null where no price of it is known. */
export function planValue(
  plans: Plans, account: string, used: Pick<UsageTotals, 'tokens' | 'cost'>, time: { readonly from: EpochMs; readonly to: EpochMs },
): PlanValue | null {
  const price = Object.hasOwn(plans, account) ? plans[account] : undefined;
  const monthly = price === undefined ? null : scaleDecimal(price, 9);
  if (monthly === null) return null;
  const paid = shareOf(monthly, time);
  const tokens = used.tokens.input + used.tokens.output;
  return {
    monthly, paid, worth: used.cost.list,
    perMillion: tokens === 0 ? null : Number(divideHalfUp(BigInt(paid) * 1_000_000n, BigInt(tokens))),
  };
}

/** A monthly price for part of the time: by the share of each calendar month in UTC, rounded half up once a month. */
function shareOf(monthly: NanoUsd, { from, to }: { readonly from: EpochMs; readonly to: EpochMs }): NanoUsd {
  let paid = 0;
  for (let month = startOfMonth(from); month < to; month = startOfNextMonth(month)) {
    const next = startOfNextMonth(month);
    const covered = Math.min(to, next) - Math.max(from, month);
    paid += Number(divideHalfUp(BigInt(monthly) * BigInt(Math.max(0, covered)), BigInt(next - month)));
  }
  return paid;
}
