import type { AccountHealth, Breaker, Cooldown, CooldownScope, QuotaWindow } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure, FailureKind } from '../core/failure.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { Wait } from './cooldowns.ts';
import { cooldownFor, cooldownOf, growingWait, isInScope, isQuotaCooldown, withCooldown } from './cooldowns.ts';
import { LONGEST_HINT_MS } from './hints.ts';
import { exhaustedUntil, PLAN_BUCKET, usedAt } from './quota.ts';
import { mergeQuota } from './quota-history.ts';

const LADDER_BASE_MS = 5 * SECOND_MS;
const LADDER_CAP_MS = 30 * MINUTE_MS;
/** Twice the highest rung without a climb: the trouble is over, the ladder begins at its foot. */
const LADDER_FORGET_MS = 60 * MINUTE_MS;
const REFUSED_MS = 30 * MINUTE_MS;
const CHALLENGE = { baseMs: 10 * SECOND_MS, capMs: 5 * MINUTE_MS };
const REFRESH = { baseMs: 30 * SECOND_MS, capMs: 5 * MINUTE_MS };
const OVERLOAD_HINT_CAP_MS = 10 * MINUTE_MS;
const LONGEST_MESSAGE = 300;

const TTFT_WEIGHT = 0.3;
const ERROR_WEIGHT = 0.2;

/** What is around a failure, beside the failure itself. */
export interface FailureContext {
  readonly now: EpochMs;
  /** When the failed attempt began: failures of attempts that were under way together climb one rung together. */
  readonly startedAt: EpochMs;
  readonly model: string;
  readonly config: Config['breaker'];
  /** In [0, 1). */
  readonly random: number;
  /** `withheld` for the last usable account, and while it is the provider that is down: then nobody is ejected. */
  readonly ejection: 'allowed' | 'withheld';
}

/**
 * Health after a failed attempt. Call it once the next step is known, except for `refresh-then-same`, where the account
 * is not to blame. Faults of the request, the client or this machine leave everything but a held probe as it was.
 */
export function afterFailure(health: AccountHealth, failure: Failure, context: FailureContext): AccountHealth {
  if (NOBODYS_FAULT.has(failure.kind)) return releaseProbe(health);
  const cooled = cool(learnBucket(health, failure, context.model), failure, context);
  const blamed = STRIKES.has(failure.kind) ? strike(cooled, context) : releaseProbe(cooled);
  return {
    ...blamed,
    lastError: { at: context.now, status: failure.status, code: failure.code, message: keptMessage(failure) },
  };
}

/** Failures told in Relay's own words, or by a sign-in server, which sees no request. */
const KEPT_AS_TOLD: ReadonlySet<FailureKind> = new Set([
  'unreachable', 'certificate-invalid', 'cut', 'timed-out', 'challenge', 'login-dead', 'refresh-unavailable', 'credential-unavailable',
]);

/** What is kept of a failure's words. An answer to a request may quote it, and no prompt is ever kept. */
function keptMessage({ kind, status, message }: Failure): string {
  if (KEPT_AS_TOLD.has(kind)) return message.slice(0, LONGEST_MESSAGE);
  return status === null ? 'The upstream said so inside its answer' : `The upstream answered with status ${status}`;
}

const NOBODYS_FAULT: ReadonlySet<FailureKind> = new Set(['client-gone', 'invalid-request', 'foreign-ciphertext']);
/** The kinds that count toward ejection: the upstream was reached and did badly. */
const STRIKES: ReadonlySet<FailureKind> = new Set(['overloaded', 'cut', 'timed-out', 'invalid-response']);

function cool(health: AccountHealth, failure: Failure, context: FailureContext): AccountHealth {
  const climbed = needsLadder(health, failure, context.now) ? climb(health, context) : null;
  const wait = waitFor(climbed ?? health, failure, context);
  if (wait === null) return health;
  const added = cooldownOf(wait, context.now, context.random);
  return { ...(climbed ?? health), cooldowns: withCooldown(health.cooldowns, added) };
}

/** The row of the outcome table that says how long who waits; null where nobody does. */
function waitFor(health: AccountHealth, failure: Failure, { now, model, ejection }: FailureContext): Wait | null {
  const reason = failure.code;
  const hint = believed(failure.retryAt, now);
  switch (failure.kind) {
    case 'rate-limited':
    case 'quota-exhausted': {
      const scope = limitScope(failure);
      const told = hint ?? resetOfBucket(health, failure, now);
      if (told !== null) return { scope, reason, from: { told } };
      return { scope, reason, from: { ladderMs: isRefusedForLong(failure) ? REFUSED_MS : rungMs(health) } };
    }
    case 'unauthorized':
      return { scope: 'account', reason: 'unauthorized', from: { ladderMs: REFUSED_MS } };
    case 'account-refused':
      return { scope: 'account', reason, from: hint === null ? { ladderMs: REFUSED_MS } : { told: hint } };
    case 'model-refused':
      return { scope: `model:${model}`, reason: 'model_refused', from: { ladderMs: REFUSED_MS } };
    case 'challenge': {
      const hintMs = Math.min((hint ?? now) - now, CHALLENGE.capMs);
      const ladderMs = Math.max(growingWait(health, 'challenge', CHALLENGE, now), hintMs);
      return { scope: 'account', reason: 'challenge', from: { ladderMs } };
    }
    case 'refresh-unavailable': {
      const ladderMs = growingWait(health, 'refresh_unavailable', REFRESH, now);
      return { scope: 'account', reason: 'refresh_unavailable', from: { ladderMs } };
    }
    case 'overloaded':
      // Our guess never benches the last account, but the upstream's own word counts, within reason.
      if (hint === null || ejection === 'withheld') return null;
      return { scope: 'account', reason: 'overloaded', from: { told: Math.min(hint, now + OVERLOAD_HINT_CAP_MS) } };
    case 'unreachable':
    case 'certificate-invalid':
    case 'login-dead':
    case 'credential-unavailable':
    case 'cut':
    case 'timed-out':
    case 'invalid-response':
    case 'invalid-request':
    case 'foreign-ciphertext':
    case 'client-gone':
      return null;
  }
}

function believed(retryAt: EpochMs | null, now: EpochMs): EpochMs | null {
  return retryAt === null || retryAt <= now - MINUTE_MS ? null : Math.min(Math.max(retryAt, now), now + LONGEST_HINT_MS);
}

function limitScope(failure: Failure): CooldownScope {
  return failure.bucket === null ? 'account' : `bucket:${failure.bucket}`;
}

function resetOfBucket(health: AccountHealth, failure: Failure, now: EpochMs): EpochMs | null {
  return failure.kind === 'quota-exhausted' ? believed(exhaustedUntil(health.quota, now, failure.bucket ?? PLAN_BUCKET), now) : null;
}

/** Credit that ran out, or a plan without Codex, does not come back within seconds. */
function isRefusedForLong(failure: Failure): boolean {
  return failure.kind === 'quota-exhausted' && failure.code !== 'usage_limit_reached';
}

function needsLadder(health: AccountHealth, failure: Failure, now: EpochMs): boolean {
  if (failure.kind !== 'rate-limited' && failure.kind !== 'quota-exhausted') return false;
  return believed(failure.retryAt, now) === null && resetOfBucket(health, failure, now) === null && !isRefusedForLong(failure);
}

/** One rung up, unless this attempt was already under way when the last rung was climbed. */
function climb(health: AccountHealth, { now, startedAt }: FailureContext): AccountHealth {
  const { rung, climbedAt } = health.ladder;
  if (rung > 0 && startedAt <= climbedAt) return health;
  const foot = now - climbedAt > LADDER_FORGET_MS ? 0 : rung;
  return { ...health, ladder: { rung: foot + 1, climbedAt: now } };
}

/** 5 s on the first rung, doubling, 30 min at most. */
function rungMs(health: AccountHealth): number {
  return Math.min(LADDER_CAP_MS, LADDER_BASE_MS * 2 ** Math.min(20, Math.max(0, health.ladder.rung - 1)));
}

function learnBucket(health: AccountHealth, failure: Failure, model: string): AccountHealth {
  return failure.bucket === null ? health : withModelBucket(health, model, failure.bucket);
}

/** Remembers which metered bucket a model counts against (`x-codex-active-limit`); at most 64 models. */
export function withModelBucket(health: AccountHealth, model: string, bucket: string): AccountHealth {
  const known = health.modelBuckets ?? {};
  const before = Object.hasOwn(known, model) ? known[model] : PLAN_BUCKET;
  if (before === bucket) return health;
  const others = Object.entries(known).filter(([name]) => name !== model).slice(-63);
  return { ...health, modelBuckets: Object.fromEntries(bucket === PLAN_BUCKET ? others : [...others, [model, bucket]]) };
}

function strike(health: AccountHealth, context: FailureContext): AccountHealth {
  const errorRate = health.errorRate + ERROR_WEIGHT * (1 - health.errorRate);
  return { ...health, errorRate, breaker: struckBreaker(health.breaker, context) };
}

/** Enough errors within the window eject, and so does a failed probe, for longer each time. */
function struckBreaker(breaker: Breaker, { now, config, ejection }: FailureContext): Breaker {
  if (breaker.state === 'open' && now < breaker.until) return breaker;
  const recent = breaker.state === 'closed' ? breaker.errorsAt.filter((at) => now - at < config.windowMs) : [];
  const errorsAt = [...recent, now].slice(-config.errors);
  const isDue = breaker.state !== 'closed' || errorsAt.length >= config.errors;
  if (!isDue || ejection === 'withheld') return { state: 'closed', errorsAt, ejections: breaker.ejections };
  const ejections = breaker.ejections + 1;
  return { state: 'open', until: now + Math.min(config.maxEjectMs, config.ejectMs * ejections), ejections };
}

/** A success as far as health goes: when its attempt began, and its time to first token. */
export interface Success {
  readonly now: EpochMs;
  readonly startedAt: EpochMs;
  readonly model: string;
  /** Milliseconds; null when no output came. */
  readonly ttftMs: number | null;
}

/**
 * Health after an attempt that served. It ends the cooldowns that began before it and stood in its way, brings the
 * ladder down to its foot and closes the breaker; each success takes back one past ejection.
 */
export function afterSuccess(health: AccountHealth, success: Success): AccountHealth {
  const { startedAt } = success;
  const { breaker } = health;
  const errorsAt = breaker.state === 'closed' ? breaker.errorsAt : [];
  const isStale = breaker.state === 'open' && startedAt < breaker.until;
  return {
    ...health,
    cooldowns: health.cooldowns.filter((cooldown) => cooldown.since >= startedAt || !isInScope(cooldown.scope, health, success.model)),
    breaker: isStale ? breaker : { state: 'closed', errorsAt, ejections: Math.max(0, breaker.ejections - 1) },
    ladder: startedAt > health.ladder.climbedAt ? { ...health.ladder, rung: 0 } : health.ladder,
    ttftMs: smoothedTtft(health.ttftMs, success.ttftMs),
    errorRate: health.errorRate * (1 - ERROR_WEIGHT),
  };
}

function smoothedTtft(known: number | null, measured: number | null): number | null {
  if (known === null || measured === null) return measured ?? known;
  return Math.round(known + TTFT_WEIGHT * (measured - known));
}

/** Below this share a spent quota has clearly been given back, whatever the deadline said. */
const CLEARLY_FREE_PERCENT = 90;
/** Readings right after a refusal may still show the state before it. */
const EVIDENCE_SETTLES_MS = 2 * MINUTE_MS;

/**
 * Health after quota evidence. A cooldown is a hypothesis: a newer reading of its bucket with room in every window ends
 * it (at once when clearly free, else when two minutes newer), and an earlier reset moves it forward.
 */
export function afterQuota(health: AccountHealth, windows: readonly QuotaWindow[], now: EpochMs): AccountHealth {
  if (windows.length === 0) return health;
  const quota = mergeQuota(health.quota, windows);
  const cooldowns = health.cooldowns.flatMap((cooldown) => revise(cooldown, windows, now));
  return { ...health, quota, cooldowns };
}

function revise(cooldown: Cooldown, windows: readonly QuotaWindow[], now: EpochMs): Cooldown[] {
  if (!isQuotaCooldown(cooldown) || cooldown.until <= now) return [cooldown];
  const bucket = cooldown.scope.startsWith('bucket:') ? cooldown.scope.slice(7) : PLAN_BUCKET;
  const evidence = windows.filter((window) => window.bucket === bucket && window.seenAt > cooldown.since);
  if (evidence.length === 0) return [cooldown];
  const isSettled = evidence.every((window) => window.seenAt - cooldown.since >= EVIDENCE_SETTLES_MS);
  const limit = isSettled ? 99 : CLEARLY_FREE_PERCENT;
  if (evidence.every((window) => usedAt(window, now) < limit)) return [];
  const reset = exhaustedUntil(evidence, now, bucket);
  return [reset !== null && reset < cooldown.until ? { ...cooldown, until: reset, resetsAt: reset } : cooldown];
}

/** Takes the one probe a half-open account may have in flight. */
export function beginProbe(health: AccountHealth, now: EpochMs): AccountHealth {
  const { breaker } = health;
  const isDue = breaker.state === 'half-open' || (breaker.state === 'open' && now >= breaker.until);
  return isDue ? { ...health, breaker: { state: 'half-open', probeInFlight: true, ejections: breaker.ejections } } : health;
}

/** Gives the probe back unused: the attempt ended without saying anything of the account. */
export function releaseProbe(health: AccountHealth): AccountHealth {
  if (health.breaker.state !== 'half-open' || !health.breaker.probeInFlight) return health;
  return { ...health, breaker: { ...health.breaker, probeInFlight: false } };
}

/** Health as found after a restart: no probe is in flight, and what has long ended is forgotten. */
export function afterRestart(health: AccountHealth, now: EpochMs): AccountHealth {
  return { ...releaseProbe(health), cooldowns: health.cooldowns.filter((cooldown) => cooldown.until > now) };
}

/** Ends every wait, the told ones too: the user knows better. What was measured stays. */
export function wake(health: AccountHealth): AccountHealth {
  return { ...health, cooldowns: [], breaker: { state: 'closed', errorsAt: [], ejections: 0 }, ladder: { rung: 0, climbedAt: 0 } };
}

/** Why an account cannot serve a model now, and until when. */
export interface Block {
  readonly cause: 'cooldown' | 'breaker';
  readonly until: EpochMs;
  readonly reason: string;
}

/** What keeps this account from serving this model now: a cooldown of its scope, else an open breaker. Null when nothing does. */
export function blockedUntil(health: AccountHealth, model: string, now: EpochMs): Block | null {
  const cooldown = cooldownFor(health, model, now);
  const open = openUntil(health.breaker, now);
  if (open !== null && (cooldown === null || open > cooldown.until)) return { cause: 'breaker', until: open, reason: 'errors' };
  return cooldown === null ? null : { cause: 'cooldown', until: cooldown.until, reason: cooldown.reason };
}

function openUntil(breaker: Breaker, now: EpochMs): EpochMs | null {
  return breaker.state === 'open' && breaker.until > now ? breaker.until : null;
}
