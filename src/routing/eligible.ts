import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Candidate, Wanted } from './candidate.ts';
import { isInScope, isLimitCooldown } from './cooldowns.ts';
import { mayCall } from './endpoint-breaker.ts';
import { blockedUntil } from './health.ts';

/** What puts a candidate out of a choice; `until` when it ends by itself. */
export interface Exclusion {
  readonly out:
    | 'not-allowed' | 'no-such-model' | 'paused' | 'needs-login' | 'locked' // until a person acts
    | 'cooldown' | 'breaker' | 'endpoint' | 'probe' | 'busy' // for a while
    | 'tried' | 'paid'; // for this request
  readonly until: EpochMs | null;
  /** The cooldown's own word, where one is the cause. */
  readonly reason: string | null;
}

/** Why a candidate cannot serve this request now, the lasting causes before the passing ones; null when it can. */
export function exclusionOf(candidate: Candidate, wanted: Wanted, now: EpochMs): Exclusion | null {
  const { account, health } = candidate;
  if (wanted.clientAccounts !== null && !wanted.clientAccounts.includes(account.name)) return because('not-allowed');
  if (!candidate.servesModel) return because('no-such-model');
  if (account.paused) return because('paused');
  if (account.needsLogin !== null || candidate.credentialState === 'missing') return because('needs-login');
  if (candidate.credentialState === 'locked') return because('locked');
  const block = blockedUntil(health, wanted.model, now);
  if (block !== null) return { out: block.cause, until: block.until, reason: block.reason };
  if (wanted.tried.has(account.id)) return because('tried');
  if (health.breaker.state === 'half-open' && health.breaker.probeInFlight) return because('probe');
  if (isEndpointDown(candidate, wanted, now)) return { out: 'endpoint', until: endpointUntil(candidate, now), reason: null };
  if (candidate.inFlight >= candidate.concurrency) return because('busy');
  return null;
}

function because(out: Exclusion['out']): Exclusion {
  return { out, until: null, reason: null };
}

function isEndpointDown({ endpoint }: Candidate, wanted: Wanted, now: EpochMs): boolean {
  return !mayCall(endpoint, now) && endpoint.openedAt < wanted.receivedAt;
}

/** While its probe is in flight nobody knows when the origin is back: worth another look in a second. */
function endpointUntil({ endpoint }: Candidate, now: EpochMs): EpochMs {
  return endpoint.until > now ? endpoint.until : now + SECOND_MS;
}

/**
 * Whether an API key is held back: a subscription that serves this model waits for its limit, and money is not spent in
 * its place unless `routing.paidOverflow` or the client's own list of accounts says so.
 */
export function isHeldBack(candidate: Candidate, wanted: Wanted, subscriptionIsSpent: boolean): boolean {
  if (candidate.billing !== 'api' || wanted.paidOverflow || !subscriptionIsSpent) return false;
  return wanted.clientAccounts === null || !wanted.clientAccounts.includes(candidate.account.name);
}

/** True when a subscription that serves this model for this client waits for a limit of any kind. */
export function isSpentSubscription(candidate: Candidate, wanted: Wanted, now: EpochMs): boolean {
  if (candidate.billing !== 'subscription' || !candidate.servesModel || candidate.account.paused) return false;
  if (wanted.clientAccounts !== null && !wanted.clientAccounts.includes(candidate.account.name)) return false;
  return candidate.health.cooldowns.some((cooldown) =>
    cooldown.until > now && isLimitCooldown(cooldown) && isInScope(cooldown.scope, candidate.health, wanted.model));
}
