import type { Account, AccountHealth } from '../core/account.ts';
import type { EpochMs } from '../core/units.ts';
import type { AccountView } from '../core/views.ts';
import type { AccountCondition, CredentialState } from '../routing/account-state.ts';
import { accountState } from '../routing/account-state.ts';
import { hasReset, PLAN_BUCKET, usedAt, windowLabel } from '../routing/quota.ts';
import { lastsUntil } from '../routing/quota-history.ts';

/** What an account's view is drawn from. */
export interface ViewFacts {
  readonly health: AccountHealth;
  /** `unsaved`: the newest token is in memory only, because the keychain refused it. */
  readonly credential: CredentialState | 'unsaved';
  readonly inFlight: number;
  readonly models: readonly string[];
  readonly now: EpochMs;
}

/** An account as people and scripts see it. */
export function viewOf(account: Account, { health, credential, inFlight, models, now }: ViewFacts): AccountView {
  return {
    name: account.name,
    provider: account.provider,
    plan: account.plan,
    ...conditionOf(account, health, credential, now),
    quota: health.quota.map((window) => ({
      window: window.bucket === PLAN_BUCKET ? windowLabel(window.minutes) : `${window.bucket} ${windowLabel(window.minutes)}`,
      usedPercent: usedAt(window, now),
      resetsAt: hasReset(window, now) ? null : window.resetsAt,
      lastsUntil: lastsUntil(window, now),
    })),
    balance: health.balance === null ? null : { amount: health.balance.amount, currency: health.balance.currency },
    inFlight,
    models,
    lastError: health.lastError,
  };
}

/** An account that works from memory is ready, and says all the same that it would not outlive the process. */
function conditionOf(account: Account, health: AccountHealth, credential: ViewFacts['credential'], now: EpochMs): AccountCondition {
  if (credential !== 'unsaved') return accountState(account, health, credential, now);
  const condition = accountState(account, health, 'ready', now);
  return { ...condition, reason: condition.reason ?? 'unsaved' };
}
