import type { Account, Credential } from '../core/account.ts';
import type { RelayError } from '../core/errors.ts';
import type { Failure } from '../core/failure.ts';
import { routeRecord } from '../routing/choose-account.ts';
import { exhausted, ownerExhausted } from '../routing/exhausted.ts';
import type { Step } from '../routing/next-step.ts';
import { isAmbiguous, nextStep } from '../routing/next-step.ts';
import { readRateLimitEvent } from '../routing/quota.ts';
import { conversationOf } from '../routing/sticky-key.ts';
import type { PreparedRequest } from '../wire/prepared-request.ts';
import type { Use } from './account-pool.ts';
import { keepsAnswers } from './answer-memory.ts';
import type { AttemptAccountDeps } from './attempt-account.ts';
import { attemptAccount } from './attempt-account.ts';
import type { Journey } from './journey.ts';
import { isLastUsable } from './last-usable.ts';
import type { OpenAnswer } from './open-attempt.ts';
import { pause } from './pause.ts';
import { dispensableParameter } from './refused-parameters.ts';
import { ciphertextIn, isReplayable } from './request-traits.ts';
import type { ModelChoice } from './resolve-model.ts';
import type { RetryMeter } from './retry-meter.ts';
import type { Chosen, TakeAccountDeps, Taken, TakeResult } from './take-account.ts';
import { takeAccount, takeAgain } from './take-account.ts';

export interface TryModelDeps extends AttemptAccountDeps, TakeAccountDeps {
  readonly retries: RetryMeter;
}

/** How trying one model ended. */
export type ModelResult =
  | { readonly kind: 'open'; readonly answer: OpenAnswer; readonly use: Use; readonly leave: () => void; readonly prepared: PreparedRequest | null }
  /** No account can serve this model: a fallback may. */
  | { readonly kind: 'nobody'; readonly error: RelayError }
  /** The request is decided: another model would not change it. */
  | { readonly kind: 'over'; readonly error: RelayError }
  | { readonly kind: 'abandoned' };

/** What the next attempt is bound to by the step before it. */
interface Bound {
  readonly account: Account;
  readonly stale: Credential | null;
}

/**
 * Serves a request from the accounts of one model: choose, attempt, judge, and round again until an answer opens or
 * nobody is left. Nothing has reached the client in here. Throws a RelayError when the request cannot be translated.
 */
export async function tryModel(journey: Journey, choice: ModelChoice, deps: TryModelDeps): Promise<ModelResult> {
  let bound: Bound | null = null;
  for (;;) {
    if (journey.signal.aborted) return { kind: 'abandoned' };
    if (bound !== null && !isStillOpen(bound.account, deps)) bound = null;
    const result: TakeResult = bound === null
      ? await takeAccount(journey, choice, deps)
      : { kind: 'taken', taken: takeAgain(bound.account, journey, choice, deps) };
    if (result.kind === 'abandoned') return result;
    if (result.kind === 'nobody') return { kind: 'nobody', error: nobodyError(journey, result.chosen, deps) };
    const { taken } = result;
    if (bound === null) journey.ticket.route(routeRecord(taken.decision, conversationOf(journey.stickyKeys)));
    const tried: Tried = await attempt(journey, choice, { taken, stale: bound?.stale ?? null }, deps);
    if (tried.kind !== 'again') return tried;
    bound = tried.bound;
  }
}

/** Whether an account may still be asked: while a request waited to ask it again, it may have been suspended or taken away. */
function isStillOpen({ id }: Account, { state }: TryModelDeps): boolean {
  const known = state().accounts.find((account) => account.id === id);
  return known !== undefined && known.needsLogin === null && !known.paused;
}

function nobodyError(journey: Journey, { candidates, wanted, sticky }: Chosen, { clock }: TryModelDeps): RelayError {
  const exhaustion = { wanted, now: clock.now(), last: journey.last };
  const owner = sticky.kind === 'known' && sticky.bound ? candidates.find(({ account }) => account.id === sticky.accountId) : undefined;
  return owner === undefined ? exhausted(candidates, exhaustion) : ownerExhausted(owner, exhaustion);
}

/** What the next attempt is bound to, where it is bound at all. */
type Tried = ModelResult | { readonly kind: 'again'; readonly bound: Bound | null };

interface AttemptAt {
  readonly taken: Taken;
  readonly stale: Credential | null;
}

/** One attempt at an account that was taken: its slot is given back on every way out but an open answer. */
async function attempt(journey: Journey, choice: ModelChoice, { taken, stale }: AttemptAt, deps: TryModelDeps): Promise<Tried> {
  const { account, use, leave, sticky } = taken;
  deps.retries.attempted();
  let keep = false;
  try {
    const moved = sticky.kind === 'known' && sticky.accountId !== account.id;
    const result = await attemptAccount(journey, { account, choice, stale, moved }, deps);
    deps.pool.sawHeaders(account, choice.id, result.ok ? result.answer.headers : result.headers);
    if (result.rateLimits !== null) deps.pool.sawQuota(account, readRateLimitEvent(result.rateLimits, deps.clock.now()));
    if (result.ok) {
      keep = true;
      return { kind: 'open', answer: result.answer, use, leave, prepared: result.prepared };
    }
    const failed: Failed = { failure: result.failure, taken, credential: result.credential, prepared: result.prepared };
    const step = judge(journey, failed, deps);
    leave();
    if (step.kind === 'abandon') return { kind: 'abandoned' };
    if (step.kind === 'give-up') return { kind: mayFallBack(journey, failed.failure, step.error, deps) ? 'nobody' : 'over', error: step.error };
    return { kind: 'again', bound: await follow(step, failed, journey, deps) };
  } catch (error) {
    deps.pool.released(use);
    throw error;
  } finally {
    if (!keep) leave();
  }
}

interface Failed {
  readonly failure: Failure;
  readonly taken: Taken;
  readonly credential: Credential | null;
  readonly prepared: PreparedRequest | null;
}

/** Writes the failure down everywhere it counts, and says what follows. */
function judge(journey: Journey, { failure, taken, credential, prepared }: Failed, deps: TryModelDeps): Step {
  const { account, use, candidates, wanted } = taken;
  if (failure.kind === 'client-gone') {
    // Who left is told by the settlement, in the attempt that was under way.
    deps.pool.released(use);
    return { kind: 'abandon' };
  }
  const now = deps.clock.now();
  const sent = prepared?.body ?? journey.request.body;
  const { retry, strict } = deps.settings();
  journey.attempts.push({ accountId: account.id, accountName: account.name, model: use.model, kind: failure.kind, phase: failure.phase });
  journey.last = { failure, accountName: account.name };
  journey.ticket.failed(failure);
  const isLast = isLastUsable(account, candidates, wanted, now);
  const step = nextStep(failure, {
    attempts: journey.attempts,
    elapsedMs: now - journey.request.receivedAt,
    refreshed: journey.refreshed,
    ciphertextRemoved: journey.ciphertextRemoved,
  }, {
    now,
    random: deps.random.next(),
    maxAttempts: retry.maxAttempts,
    isLastUsable: isLast,
    replayAllowed: isReplayable(journey.request.body, keepsAnswers(account)),
    refreshable: credential?.kind === 'oauth' && credential.refreshToken !== null,
    foreignCiphertext: ciphertextIn(sent),
    refusedParameter: strict ? null : dispensableParameter(failure, sent),
    replayBudget: deps.retries.mayReplay() ? 'left' : 'spent',
    attemptBudget: deps.retries.mayAttempt() ? 'left' : 'spent',
  });
  if (step.kind === 'refresh-then-same') deps.pool.released(use);
  else deps.pool.failed(use, failure, isLast);
  return step;
}

/** Does what the step says before the next attempt; what it gives binds that attempt. */
async function follow(
  step: Exclude<Step, { kind: 'give-up' | 'abandon' }>, { taken, credential, prepared }: Failed, journey: Journey, deps: TryModelDeps,
): Promise<Bound | null> {
  const { account, use: { model } } = taken;
  switch (step.kind) {
    case 'try-next-account':
      if (step.replay) deps.retries.replayed();
      return null;
    case 'same-account-after':
      if (step.replay) deps.retries.replayed();
      await pause(step.ms, journey.signal, deps.clock);
      return { account, stale: null };
    case 'refresh-then-same':
      journey.refreshed.add(account.id);
      return { account, stale: credential };
    case 'without-foreign-ciphertext':
      journey.ciphertextRemoved = true;
      if (prepared !== null) deps.answers.distrust({ clientId: journey.request.client.id, account, model }, prepared.body);
      return { account, stale: null };
    case 'without-parameter':
      if (prepared !== null) deps.refused.learn({ provider: account.provider, wire: prepared.answer.upstreamWire, model }, step.parameter);
      return { account, stale: null };
  }
}

/**
 * Where all accounts of a model are at fault or spent another model may serve, within the attempts of the request. A fault
 * of the request goes with it, and what may have been done already is not done again by another model.
 */
function mayFallBack({ attempts }: Journey, { kind }: Failure, { status, code }: RelayError, { settings }: TryModelDeps): boolean {
  if (isAmbiguous(kind) || attempts.length >= settings().retry.maxAttempts) return false;
  return status === 429 || status >= 500 || code === 'model_not_found';
}
