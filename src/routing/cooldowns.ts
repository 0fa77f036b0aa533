import type { AccountHealth, Cooldown, CooldownScope } from '../core/account.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import { PLAN_BUCKET } from './quota.ts';

const SHORTEST_MS = SECOND_MS;
/** Jitter spreads a crowd, it must not bench an account: 5 % of a week would be eight hours. */
const LONGEST_SPREAD_MS = 5 * SECOND_MS;
/** Ended cooldowns are kept this long: the next of the same reason waits longer than the last. */
const REMEMBER_MS = 10 * MINUTE_MS;

/** Reasons that mean a subscription's or key's quota is spent; cleared by newer quota evidence, never by panic. */
const QUOTA_REASONS: ReadonlySet<string> = new Set([
  'usage_limit_reached', 'insufficient_quota', 'credit_balance_exhausted', 'project_spend_limit_exceeded', 'billing_hard_limit_reached',
  'quota_exceeded', 'insufficient_balance', 'insufficient_credits', 'workspace_owner_credits_depleted',
  'workspace_member_credits_depleted', 'workspace_owner_usage_limit_reached', 'workspace_member_usage_limit_reached',
]);

/** Reasons that money ends: a prepaid balance was used up. */
export const BALANCE_REASONS: ReadonlySet<string> = new Set(['insufficient_balance', 'insufficient_credits', 'credit_balance_exhausted']);

/** True when the cooldown says that a quota is spent. */
export function isQuotaCooldown(cooldown: Cooldown): boolean {
  return QUOTA_REASONS.has(cooldown.reason) || cooldown.scope.startsWith('bucket:');
}

/** True when the cooldown came from a limit of any kind, a quota's or a throttle's. */
export function isLimitCooldown(cooldown: Cooldown): boolean {
  return isQuotaCooldown(cooldown) || LIMIT_REASONS.has(cooldown.reason);
}
const LIMIT_REASONS = new Set(['rate_limit_exceeded', 'rate_limited', 'too_many_requests', 'slow_down', 'model_limit_reached']);

/** What to wait for: the scope, the word, and either the moment the upstream named or a wait of our own in ms. */
export interface Wait {
  readonly scope: CooldownScope;
  readonly reason: string;
  readonly from: { readonly told: EpochMs } | { readonly ladderMs: number };
}

/**
 * A cooldown of at least a second. `random` (0-1) spreads it by up to 5 %, and by no more than 5 s past a moment the
 * upstream named.
 */
export function cooldownOf(wait: Wait, now: EpochMs, random: number): Cooldown {
  const told = 'told' in wait.from ? wait.from.told : null;
  const waitMs = Math.max(SHORTEST_MS, 'told' in wait.from ? wait.from.told - now : wait.from.ladderMs);
  const spreadMs = waitMs * 0.05 * random;
  return {
    scope: wait.scope,
    until: Math.ceil(now + waitMs + (told === null ? spreadMs : Math.min(spreadMs, LONGEST_SPREAD_MS))),
    ...(told !== null && { resetsAt: told }),
    since: now,
    reason: wait.reason,
  };
}

/** Adds a cooldown in place of an older one of the same scope and reason, and forgets those long ended. */
export function withCooldown(cooldowns: readonly Cooldown[], added: Cooldown): Cooldown[] {
  const isReplaced = (old: Cooldown): boolean => old.scope === added.scope && old.reason === added.reason;
  return [...cooldowns.filter((old) => !isReplaced(old) && added.since - old.until < REMEMBER_MS), added];
}

export interface WaitBounds {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Twice the last wait for this reason, between `baseMs` and `capMs`; `baseMs` when the last one ended long ago. */
export function growingWait(health: AccountHealth, reason: string, bounds: WaitBounds, now: EpochMs): number {
  const last = health.cooldowns.find((cooldown) => cooldown.reason === reason && now - cooldown.until < REMEMBER_MS);
  if (last === undefined) return bounds.baseMs;
  return Math.min(bounds.capMs, Math.max(bounds.baseMs, 2 * (last.until - last.since)));
}

/** The metered bucket a model counts against at this account, as last seen. */
export function bucketOfModel(health: AccountHealth, model: string): string {
  const known = health.modelBuckets;
  return known !== undefined && Object.hasOwn(known, model) ? (known[model] ?? PLAN_BUCKET) : PLAN_BUCKET;
}

/** The cooldown that keeps this account from serving this model the longest; null when none does. */
export function cooldownFor(health: AccountHealth, model: string, now: EpochMs): Cooldown | null {
  let longest: Cooldown | null = null;
  for (const cooldown of health.cooldowns) {
    if (cooldown.until <= now || !isInScope(cooldown.scope, health, model)) continue;
    if (longest === null || cooldown.until > longest.until) longest = cooldown;
  }
  return longest;
}

/** True when a cooldown of this scope is about this model at this account. */
export function isInScope(scope: CooldownScope, health: AccountHealth, model: string): boolean {
  if (scope === 'account') return true;
  return scope.startsWith('model:') ? scope.slice(6) === model : scope.slice(7) === bucketOfModel(health, model);
}
