import type { Account, AccountHealth, AccountState } from '../core/account.ts';
import type { Failure } from '../core/failure.ts';
import type { EpochMs } from '../core/units.ts';
import { PLAN_BUCKET } from './quota.ts';

/** Whether an account's secret can be had: `locked` is the keychain's state, `missing` the account's own. */
export type CredentialState = 'ready' | 'locked' | 'missing';

/** The one word for an account's condition, until when it holds, and why. */
export interface AccountCondition {
  readonly state: AccountState;
  readonly until: EpochMs | null;
  readonly reason: string | null;
}

/**
 * The condition `relay keys list` shows: what the user did first, then what only a person can mend, then the waits. A
 * wait of one model or of an extra bucket leaves the account ready, since its other models are served.
 */
export function accountState(account: Account, health: AccountHealth, credentialState: CredentialState, now: EpochMs): AccountCondition {
  if (account.paused) return { state: 'paused', until: null, reason: 'paused by you' };
  if (account.needsLogin !== null) return { state: 'needs-login', until: null, reason: account.needsLogin.reason };
  if (credentialState === 'locked') return { state: 'locked', until: null, reason: 'the keychain is locked' };
  if (credentialState === 'missing') return { state: 'needs-login', until: null, reason: 'no credential in the keychain' };
  const cooldown = longestOfAccount(health, now);
  if (cooldown !== null) return { state: 'cooldown', until: cooldown.until, reason: cooldown.reason };
  const { breaker } = health;
  if (breaker.state === 'closed') return { state: 'ready', until: null, reason: null };
  const reason = health.lastError?.code ?? 'errors';
  if (breaker.state === 'open' && breaker.until > now) return { state: 'open', until: breaker.until, reason };
  return { state: 'half-open', until: null, reason };
}

function longestOfAccount(health: AccountHealth, now: EpochMs): { readonly until: EpochMs; readonly reason: string } | null {
  let longest: { readonly until: EpochMs; readonly reason: string } | null = null;
  for (const { scope, until, reason } of health.cooldowns) {
    if (until <= now || (scope !== 'account' && scope !== `bucket:${PLAN_BUCKET}`)) continue;
    if (longest === null || until > longest.until) longest = { until, reason };
  }
  return longest;
}

/** The account after a failure only a person can mend: no call is made with it until then. Other failures leave it as it is. */
export function afterDeadLogin(account: Account, failure: Failure, now: EpochMs): Account {
  if (failure.kind !== 'login-dead') return account;
  // A word for scripts, as for every other state; what the upstream said stands in the account's last error.
  return { ...account, needsLogin: { reason: failure.code.slice(0, 100), at: now } };
}
