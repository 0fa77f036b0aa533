import type { AccountHealth, Cooldown, QuotaWindow } from '../core/account.ts';
import type { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import { BALANCE_REASONS, cooldownOf, withCooldown } from './cooldowns.ts';
import { LONGEST_HINT_MS } from './hints.ts';
import { PLAN_BUCKET } from './quota.ts';
import { readMoment, toOurClock } from './upstream-time.ts';

/** The word for a model that the usage report says is used up at an account. */
export const MODEL_LIMIT_REASON = 'model_limit_reached';
/** The word for a balance of nothing. */
const NO_BALANCE_REASON = 'insufficient_balance';
/** A report that names no moment is believed this long, unless the next one says otherwise. */
const BELIEVED_MS = 30 * MINUTE_MS;
const MOST_MODELS = 256;

/** Whether an account serves one model now, as its usage report says. */
export interface ModelAvailability {
  readonly model: string;
  readonly available: boolean;
  /** When it is served again; null when the report does not say. */
  readonly availableAt: EpochMs | null;
}

/**
 * `model_usage` of `GET /wham/usage` (ChatGPT backend, observed 2026-11), by model, its moments on our clock. Unreadable
 * entries are left out; never throws.
 */
export function readModelAvailability(report: JsonObject, headers: Headers, receivedAt: EpochMs): readonly ModelAvailability[] {
  return Object.entries(objectAt(report, 'model_usage') ?? {}).slice(0, MOST_MODELS).flatMap(([model, entry]) => {
    if (!isJsonObject(entry) || typeof entry['available'] !== 'boolean' || model === '') return [];
    const moment = readMoment(entry['available_at']);
    return [{ model, available: entry['available'], availableAt: moment === undefined ? null : toOurClock(moment, headers, receivedAt) }];
  });
}

/** The plan a usage report names; fresher than the one in the sign-in's token. Null when it names none. */
export function readPlan(report: JsonObject): string | null {
  const plan = stringAt(report, 'plan_type')?.trim() ?? '';
  return plan === '' || plan.length > 64 ? null : plan;
}

/**
 * Health after a report on single models: one that is used up waits at this account alone, until the moment named, and
 * one that is served again stops waiting. Cooldowns of any other cause stay.
 */
export function afterAvailability(health: AccountHealth, models: readonly ModelAvailability[], now: EpochMs): AccountHealth {
  let cooldowns = health.cooldowns;
  for (const { model, available, availableAt } of models) {
    const scope = `model:${model}` as const;
    if (available) {
      cooldowns = cooldowns.filter((cooldown) => cooldown.scope !== scope || cooldown.reason !== MODEL_LIMIT_REASON);
      continue;
    }
    const isBelievable = availableAt !== null && availableAt > now && availableAt - now <= LONGEST_HINT_MS;
    const from = isBelievable ? { told: availableAt } : { ladderMs: BELIEVED_MS };
    cooldowns = withCooldown(cooldowns, cooldownOf({ scope, reason: MODEL_LIMIT_REASON, from }, now, 0));
  }
  return cooldowns === health.cooldowns || sameCooldowns(cooldowns, health.cooldowns) ? health : { ...health, cooldowns };
}

function sameCooldowns(one: readonly Cooldown[], other: readonly Cooldown[]): boolean {
  return one.length === other.length && one.every((cooldown, index) => cooldown === other[index]);
}

/**
 * Health after a look at a prepaid balance. Nothing left puts the account out, for half an hour at a time and as long as
 * each look says the same; money that has come ends a wait for it.
 */
export function afterBalance(health: AccountHealth, balance: { readonly amount: NanoUsd; readonly currency: string }, now: EpochMs): AccountHealth {
  const seen = { ...health, balance: { ...balance, seenAt: now } };
  if (balance.amount > 0) {
    return { ...seen, cooldowns: health.cooldowns.filter(({ reason, since }) => !BALANCE_REASONS.has(reason) || since > now) };
  }
  const out = cooldownOf({ scope: 'account', reason: NO_BALANCE_REASON, from: { ladderMs: BELIEVED_MS } }, now, 0);
  return { ...seen, cooldowns: withCooldown(health.cooldowns, out) };
}

/** Two tellings of one reset differ by a second or two. */
const SAME_RESET_MS = 2 * MINUTE_MS;

/**
 * Health after a quota's refusal: the window that begins anew when the refusal says is used up, also where the refusal
 * had no headers to say so. Other failures leave it as it is.
 */
export function withSpentWindow(health: AccountHealth, failure: Failure, now: EpochMs): AccountHealth {
  const { retryAt } = failure;
  if (failure.kind !== 'quota-exhausted' || retryAt === null) return health;
  const bucket = failure.bucket ?? PLAN_BUCKET;
  const isMeant = (window: QuotaWindow): boolean =>
    window.bucket === bucket && window.usedPercent < 100 && window.resetsAt !== null && Math.abs(window.resetsAt - retryAt) <= SAME_RESET_MS;
  if (!health.quota.some(isMeant)) return health;
  return { ...health, quota: health.quota.map((window) => (isMeant(window) ? { ...window, usedPercent: 100, seenAt: now } : window)) };
}
