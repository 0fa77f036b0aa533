import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/units.ts';
import type { Candidate, Wanted } from '../routing/candidate.ts';
import { exclusionOf, isHeldBack, isSpentSubscription } from '../routing/eligible.ts';

/** True when nobody but this account could serve the request now: then it is not ejected, whatever it did. */
export function isLastUsable(account: Account, candidates: readonly Candidate[], wanted: Wanted, now: EpochMs): boolean {
  const isSpent = candidates.some((other) => isSpentSubscription(other, wanted, now));
  return !candidates.some((other) =>
    other.account.id !== account.id && exclusionOf(other, wanted, now) === null && !isHeldBack(other, wanted, isSpent));
}
