import { RelayError } from '../core/errors.ts';
import type { Failure, FailureKind } from '../core/failure.ts';
import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Candidate, Wanted } from './candidate.ts';
import { cooldownFor, isLimitCooldown, isQuotaCooldown } from './cooldowns.ts';
import type { Exclusion } from './eligible.ts';
import { exclusionOf, isHeldBack, isSpentSubscription } from './eligible.ts';
import { giveUpError, retryDetails } from './give-up.ts';

/** A request nobody is left for. */
export interface Exhaustion {
  readonly wanted: Wanted;
  readonly now: EpochMs;
  /** The last attempt's failure, where attempts were made. */
  readonly last: { readonly failure: Failure; readonly accountName: string } | null;
}

interface Outed {
  readonly candidate: Candidate;
  readonly out: Exclusion['out'];
  readonly until: EpochMs | null;
  /** The word of the cooldown or breaker behind it. */
  readonly reason: string | null;
  /** When the upstream itself said it serves again; else `until`. */
  readonly resetsAt: EpochMs | null;
}

const MOST_NAMED = 6;

/** Failures of the upstream, not of an account's standing: where the last attempt ended so, that is the answer. */
const UPSTREAM_FAULTS: ReadonlySet<FailureKind> = new Set([
  'unreachable', 'certificate-invalid', 'challenge', 'overloaded', 'cut', 'timed-out', 'invalid-response',
]);

/**
 * The answer when nobody can serve. In order: no account at all, no account for this client or model, the upstream's
 * own fault, a limit (429 with the soonest reset), an outage, and accounts only a person can mend (503). The message
 * names the accounts and the commands that mend them.
 */
export function exhausted(candidates: readonly Candidate[], exhaustion: Exhaustion): RelayError {
  const { wanted, now, last } = exhaustion;
  if (candidates.length === 0) return new RelayError('no_account', 'No account is set up. Add one: relay keys add');
  const allowed = candidates.filter(({ account }) => wanted.clientAccounts === null || wanted.clientAccounts.includes(account.name));
  if (allowed.length === 0) {
    const names = listOf(wanted.clientAccounts ?? []);
    return new RelayError('no_account', `None of this client's accounts (${names}) exists. See: relay keys list`);
  }
  const serving = allowed.filter(({ servesModel }) => servesModel);
  const outed = serving.map((candidate) => outOf(candidate, serving, wanted, now));
  if (serving.length === 0 || outed.every(isRefusedModel)) return modelError(outed, wanted, last);
  if (last !== null && UPSTREAM_FAULTS.has(last.failure.kind)) return lastError(last, outed, now);
  const limited = outed.filter(({ candidate }) => isLimited(candidate, wanted, now));
  if (limited.length > 0) return limitError(limited, outed, now);
  const passing = outed.filter(({ out }) => out === 'breaker' || out === 'endpoint' || out === 'probe' || out === 'busy');
  if (passing.length > 0) return overloadError(passing, outed, now);
  const message = `No account can serve '${wanted.model}' now. ${describe(outed, now)}`;
  return new RelayError('no_account', message, retryDetails(soonestOf(outed), now));
}

/** The answer when only one account can go on with a conversation, and cannot now: it is named, and what it waits for. */
export function ownerExhausted(owner: Candidate, exhaustion: Exhaustion): RelayError {
  const error = exhausted([owner], exhaustion);
  const outed = outOf(owner, [owner], exhaustion.wanted, exhaustion.now);
  const message = `Only account '${owner.account.name}' can go on with this conversation, since what came before is sealed for it. ${describe([outed], exhaustion.now)}`;
  return new RelayError(error.code, message, error.details);
}

function outOf(candidate: Candidate, all: readonly Candidate[], wanted: Wanted, now: EpochMs): Outed {
  const exclusion = exclusionOf(candidate, wanted, now);
  const cooldown = cooldownFor(candidate.health, wanted.model, now);
  const isSpent = all.some((other) => isSpentSubscription(other, wanted, now));
  if (exclusion === null) {
    const out = isHeldBack(candidate, wanted, isSpent) ? 'paid' : 'tried';
    return { candidate, out, until: null, reason: null, resetsAt: null };
  }
  const isCooling = exclusion.out === 'cooldown' && cooldown !== null;
  return { candidate, ...exclusion, resetsAt: isCooling ? (cooldown.resetsAt ?? cooldown.until) : exclusion.until };
}

function isRefusedModel({ reason }: Outed): boolean {
  return reason === 'model_refused';
}

function isLimited(candidate: Candidate, wanted: Wanted, now: EpochMs): boolean {
  const cooldown = cooldownFor(candidate.health, wanted.model, now);
  return cooldown !== null && isLimitCooldown(cooldown) && candidate.account.needsLogin === null && !candidate.account.paused;
}

function modelError(outed: readonly Outed[], wanted: Wanted, last: Exhaustion['last']): RelayError {
  const refused = outed.filter(isRefusedModel).map(({ candidate }) => candidate.account.name);
  const why = refused.length === 0
    ? `No account serves the model '${wanted.model}'.`
    : `The model '${wanted.model}' is refused by every account that lists it (${listOf(refused)}).`;
  const told = last !== null && last.failure.kind === 'model-refused' ? ` The upstream says: ${last.failure.message}` : '';
  return new RelayError('model_not_found', `${why}${told} Served models: relay models`, { param: 'model' });
}

function lastError(last: NonNullable<Exhaustion['last']>, outed: readonly Outed[], now: EpochMs): RelayError {
  const error = giveUpError(last.failure, last.accountName, now);
  const others = outed.filter(({ candidate, out }) => candidate.account.name !== last.accountName && out !== 'tried');
  if (others.length === 0) return error;
  return new RelayError(error.code, `${error.message}. No other account can serve: ${describe(others, now)}`, error.details);
}

/** 429 with the soonest moment; in the shape Codex shows its user where a ChatGPT quota is the cause. */
function limitError(limited: readonly Outed[], outed: readonly Outed[], now: EpochMs): RelayError {
  const first = limited.reduce((soonest, entry) => (momentOf(entry) < momentOf(soonest) ? entry : soonest));
  const until = momentOf(first);
  const isPlanQuota = limited.some(({ candidate, reason }) => candidate.billing === 'subscription' && isQuotaWord(reason));
  const message = `Every account that serves this model is at its limit. ${describe(outed, now)}`;
  if (!isPlanQuota) return new RelayError('accounts_exhausted', message, retryDetails(until, now));
  return new RelayError('usage_limit_reached', message, {
    ...retryDetails(until, now),
    quota: {
      planType: first.candidate.account.plan,
      resetsAtSeconds: Math.ceil(until / SECOND_MS),
      resetsInSeconds: Math.max(0, Math.ceil((until - now) / SECOND_MS)),
    },
  });
}

function isQuotaWord(reason: string | null): boolean {
  return reason !== null && isQuotaCooldown({ scope: 'account', until: 0, since: 0, reason });
}

function overloadError(passing: readonly Outed[], outed: readonly Outed[], now: EpochMs): RelayError {
  const message = `The upstream is not answering well or every slot is taken. ${describe(outed, now)}`;
  return new RelayError('overloaded', message, retryDetails(soonestOf(passing) ?? now, now));
}

function momentOf({ resetsAt, until }: Outed): EpochMs {
  return resetsAt ?? until ?? Number.MAX_SAFE_INTEGER;
}

function soonestOf(outed: readonly Outed[]): EpochMs | null {
  const moments = outed.map(momentOf).filter((moment) => moment !== Number.MAX_SAFE_INTEGER);
  return moments.length === 0 ? null : Math.min(...moments);
}

function describe(outed: readonly Outed[], now: EpochMs): string {
  const named = outed.slice(0, MOST_NAMED).map((entry) => `'${entry.candidate.account.name}' ${sayWhy(entry, now)}`);
  const more = outed.length - named.length;
  return `${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}.`;
}

/** What is the matter with one account, and the command that mends it. */
function sayWhy({ candidate, out, until, reason, resetsAt }: Outed, now: EpochMs): string {
  const { name } = candidate.account;
  switch (out) {
    case 'cooldown':
      return `waits (${reason ?? 'cooldown'}) until ${sayMoment(resetsAt ?? until ?? now, now)}; relay keys wake ${name}`;
    case 'needs-login':
      return `needs a sign-in: relay keys login ${name}`;
    case 'locked':
      return 'has its credential in a locked keychain: unlock it, then relay doctor';
    case 'paused':
      return `is paused: relay keys resume ${name}`;
    case 'paid':
      return 'is a paid API key and held back: relay config set routing.paidOverflow true';
    case 'breaker':
      return `is set aside after errors until ${sayMoment(until ?? now, now)}`;
    case 'endpoint':
      return `has an upstream that is down; next try ${sayMoment(until ?? now, now)}`;
    case 'probe':
      return 'is being tried after errors';
    case 'busy':
      return `has all ${candidate.concurrency} slots in use`;
    case 'tried':
      return 'failed this request';
    case 'no-such-model':
      return 'does not serve this model';
    case 'not-allowed':
      return 'is not open to this client';
  }
}

/** `2026-11-21T14:05Z (in 3h 5m)`. */
function sayMoment(moment: EpochMs, now: EpochMs): string {
  return `${new Date(moment).toISOString().slice(0, 19)}Z (in ${sayDuration(moment - now)})`;
}

function sayDuration(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / SECOND_MS));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

function listOf(names: readonly string[]): string {
  return names.slice(0, MOST_NAMED).map((name) => `'${name}'`).join(', ');
}
