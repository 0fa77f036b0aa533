import type { RelayError } from '../core/errors.ts';
import type { Failure, FailureKind, Phase } from '../core/failure.ts';
import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';
import { giveUpError } from './give-up.ts';

/** After clean refusals no attempt starts later than this after the request came. */
const LAST_CLEAN_START_MS = 30 * SECOND_MS;
const MOST_AMBIGUOUS_REPLAYS = 1;
/** An overloaded upstream is asked at up to two more accounts. */
const MOST_OVERLOADS = 3;
const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 8 * SECOND_MS;
/** The longest any request waits for an upstream that says when it will serve again. */
export const LONGEST_WAIT_MS = 10 * SECOND_MS;

/** One attempt of this request that failed, oldest first in a history. */
export interface PastAttempt {
  readonly accountId: string;
  readonly accountName: string;
  readonly model: string;
  readonly kind: FailureKind;
  readonly phase: Phase;
}

/** What this request has been through; the last attempt is the one that just failed. */
export interface History {
  readonly attempts: readonly PastAttempt[];
  /** Since the request came, milliseconds. */
  readonly elapsedMs: number;
  /** Accounts whose credential was refreshed for this request. */
  readonly refreshed: ReadonlySet<string>;
  readonly ciphertextRemoved: boolean;
}

/** What this request may still do. */
export interface Limits {
  readonly now: EpochMs;
  /** In [0, 1). */
  readonly random: number;
  readonly maxAttempts: number;
  /** No other account could serve this request now. */
  readonly isLastUsable: boolean;
  /** False where doing the work twice has effects: `background`, `store: true` on the platform, hosted tools that act. */
  readonly replayAllowed: boolean;
  /** The failed account's credential can be refreshed; API keys cannot. */
  readonly refreshable: boolean;
  /** `kept` when the request holds none, or a compaction item would be lost with it. */
  readonly foreignCiphertext: 'removable' | 'kept';
  /** The parameter the upstream refused by name, if this request can do without it; else null. */
  readonly refusedParameter: string | null;
  /** Whether the last minute leaves room for a replay (`retry-budget`). */
  readonly replayBudget: 'left' | 'spent';
  /** Whether the last minute leaves room for one more attempt of any kind while the upstream is down. */
  readonly attemptBudget: 'left' | 'spent';
}

/** What to do now. `replay` marks steps that count against the retry budget. */
export type Step =
  | { readonly kind: 'try-next-account'; readonly replay: boolean }
  | { readonly kind: 'same-account-after'; readonly ms: number; readonly replay: boolean }
  | { readonly kind: 'refresh-then-same' }
  | { readonly kind: 'without-foreign-ciphertext' }
  /** The same account once more without this parameter. */
  | { readonly kind: 'without-parameter'; readonly parameter: string }
  | { readonly kind: 'give-up'; readonly error: RelayError }
  | { readonly kind: 'abandon' };

/** How a failure is dealt with before the commit point: the outcome table in one word. */
type Treatment = 'next' | 'next-reachable' | 'next-once' | 'refresh' | 'strip' | 'overloaded' | 'ambiguous' | 'final';

const TREATMENTS: Readonly<Record<Exclude<FailureKind, 'client-gone'>, Treatment>> = {
  'unreachable': 'next-reachable',
  'certificate-invalid': 'final',
  'rate-limited': 'next',
  'quota-exhausted': 'next',
  'unauthorized': 'refresh',
  'login-dead': 'next',
  'refresh-unavailable': 'next',
  'credential-unavailable': 'next',
  'account-refused': 'next',
  'model-refused': 'next',
  'challenge': 'next-once',
  'invalid-request': 'final',
  'foreign-ciphertext': 'strip',
  'overloaded': 'overloaded',
  'cut': 'ambiguous',
  'timed-out': 'ambiguous',
  'invalid-response': 'ambiguous',
};

/**
 * The whole outcome table as one function: what follows an attempt that failed. `try-next-account` asks for another
 * choice; where that finds nobody, the answer is to wait or `exhausted`. After the commit point, and once attempts or time
 * are used up, the failure itself is the client's answer.
 */
export function nextStep(failure: Failure, history: History, limits: Limits): Step {
  if (failure.kind === 'client-gone') return { kind: 'abandon' };
  const treatment = TREATMENTS[failure.kind];
  if (failure.phase === 'committed' || history.attempts.length >= limits.maxAttempts) return giveUp(failure, history, limits);
  // A silent death took the time, of the upstream or of its sign-in server: the request did not spend it on refusals.
  const isTimeOfItsOwn = treatment === 'ambiguous' || failure.kind === 'refresh-unavailable';
  const isLate = !isTimeOfItsOwn && history.elapsedMs > LAST_CLEAN_START_MS;
  if (isLate) return giveUp(failure, history, limits);
  switch (treatment) {
    case 'final':
      if (failure.kind !== 'invalid-request' || limits.refusedParameter === null) return giveUp(failure, history, limits);
      return { kind: 'without-parameter', parameter: limits.refusedParameter };
    case 'next':
      return { kind: 'try-next-account', replay: false };
    case 'next-reachable':
      return limits.isLastUsable || limits.attemptBudget === 'spent' ? giveUp(failure, history, limits) : { kind: 'try-next-account', replay: false };
    case 'next-once': {
      const isFirst = history.attempts.filter((attempt) => attempt.kind === failure.kind).length <= 1;
      return isFirst && !limits.isLastUsable && limits.attemptBudget === 'left' ? { kind: 'try-next-account', replay: false } : giveUp(failure, history, limits);
    }
    case 'refresh': {
      const accountId = history.attempts.at(-1)?.accountId ?? '';
      const mayRefresh = limits.refreshable && !history.refreshed.has(accountId);
      return mayRefresh ? { kind: 'refresh-then-same' } : { kind: 'try-next-account', replay: false };
    }
    case 'strip': {
      const mayStrip = limits.foreignCiphertext === 'removable' && !history.ciphertextRemoved;
      return mayStrip ? { kind: 'without-foreign-ciphertext' } : giveUp(failure, history, limits);
    }
    case 'overloaded':
      return afterOverload(failure, history, limits);
    case 'ambiguous':
      return afterAmbiguousEnd(failure, history, limits);
  }
}

/** Up to two more accounts; where there is only this one, it is asked once more after a moment. */
function afterOverload(failure: Failure, history: History, limits: Limits): Step {
  const overloads = history.attempts.filter((attempt) => attempt.kind === 'overloaded').length;
  if (limits.replayBudget === 'spent' || overloads >= MOST_OVERLOADS) return giveUp(failure, history, limits);
  if (!limits.isLastUsable) return { kind: 'try-next-account', replay: true };
  return overloads === 1 ? sameAccountAfterBackoff(failure, history, limits) : giveUp(failure, history, limits);
}

/** The upstream may have done the work: one replay in all, and none where work done twice has effects. */
function afterAmbiguousEnd(failure: Failure, history: History, limits: Limits): Step {
  const ambiguous = history.attempts.filter(({ kind }) => isAmbiguous(kind)).length;
  const mayReplay = limits.replayAllowed && limits.replayBudget === 'left' && ambiguous <= MOST_AMBIGUOUS_REPLAYS;
  if (!mayReplay) return giveUp(failure, history, limits);
  return limits.isLastUsable ? sameAccountAfterBackoff(failure, history, limits) : { kind: 'try-next-account', replay: true };
}

/** Full jitter, `U(0, min(8 s, 250 ms x 2^(k-1)))`, never below the upstream's own hint; a hint past 10 s ends it. */
function sameAccountAfterBackoff(failure: Failure, history: History, limits: Limits): Step {
  const accountId = history.attempts.at(-1)?.accountId;
  const tries = history.attempts.filter((attempt) => attempt.accountId === accountId).length;
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(10, tries - 1));
  const hintMs = failure.retryAt === null ? 0 : Math.max(0, failure.retryAt - limits.now);
  if (hintMs > LONGEST_WAIT_MS) return giveUp(failure, history, limits);
  return { kind: 'same-account-after', ms: Math.max(hintMs, Math.round(limits.random * ceilingMs)), replay: true };
}

function giveUp(failure: Failure, history: History, limits: Limits): Step {
  return { kind: 'give-up', error: giveUpError(failure, history.attempts.at(-1)?.accountName ?? 'unknown', limits.now) };
}

const WAITED_OUT: ReadonlySet<FailureKind> = new Set(['rate-limited', 'quota-exhausted']);

/**
 * Accounts this request need not ask for this model again. Those that were throttled are not among them: their cooldown
 * speaks for them, and a request that waited for its end may come back.
 */
export function triedAccounts(attempts: readonly PastAttempt[], model: string): ReadonlySet<string> {
  const tried = attempts.filter((attempt) => attempt.model === model && !WAITED_OUT.has(attempt.kind));
  return new Set(tried.map(({ accountId }) => accountId));
}

/** True where the upstream may have done the work: sent again, also for another model, it would be done twice. */
export function isAmbiguous(kind: FailureKind): boolean {
  return kind !== 'client-gone' && TREATMENTS[kind] === 'ambiguous';
}
