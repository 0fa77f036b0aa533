import type { Account, Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { RelayError } from '../core/errors.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, Random } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Candidate, Wanted } from '../routing/candidate.ts';
import type { Decision, Stickiness } from '../routing/choose-account.ts';
import { chooseAccount, isWorthWaiting, routeRecord } from '../routing/choose-account.ts';
import { exclusionOf, isHeldBack, isSpentSubscription } from '../routing/eligible.ts';
import { exhausted } from '../routing/exhausted.ts';
import type { Step } from '../routing/next-step.ts';
import { nextStep, triedAccounts } from '../routing/next-step.ts';
import { isOwnerBound } from '../routing/sticky-key.ts';
import type { StickySessions } from '../routing/sticky-sessions.ts';
import type { PreparedRequest } from '../wire/prepared-request.ts';
import type { AccountPool, Use } from './account-pool.ts';
import type { AttemptAccountDeps } from './attempt-account.ts';
import { attemptAccount, keepsAnswers } from './attempt-account.ts';
import type { Journey } from './journey.ts';
import type { OpenAnswer } from './open-attempt.ts';
import { ciphertextIn, isReplayable } from './request-traits.ts';
import type { ModelChoice } from './resolve-model.ts';
import type { RetryMeter } from './retry-meter.ts';

/** After this a request waits for nobody any more. */
const LAST_WAIT_MS = 30 * SECOND_MS;

export interface TryModelDeps extends AttemptAccountDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => Config;
  readonly pool: AccountPool;
  readonly sessions: StickySessions;
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
    const candidates = deps.pool.candidates(choice.id);
    const wanted = wantedOf(journey, choice, deps);
    const sticky = deps.settings().routing.sticky ? stickiness(journey, candidates, deps) : NOT_STICKY;
    const decision = choose(journey, candidates, { wanted, sticky }, deps);
    const account: Account | null = bound?.account ?? decision.account;
    if (account === null) {
      if (await waitForSomebody(journey, decision, deps)) continue;
      return { kind: 'nobody', error: exhausted(candidates, { wanted, now: deps.clock.now(), last: journey.last }) };
    }
    if (bound === null) journey.ticket.route(routeRecord(decision));
    deps.retries.attempted();
    const { use, leave } = deps.pool.enter(account, choice.id);
    let keep = false;
    try {
      const moved = sticky.kind === 'known' && sticky.accountId !== account.id;
      const result = await attemptAccount(journey, { account, choice, stale: bound?.stale ?? null, moved }, deps);
      deps.pool.sawHeaders(account, choice.id, result.ok ? result.answer.headers : result.headers);
      if (result.ok) {
        keep = true;
        return { kind: 'open', answer: result.answer, use, leave, prepared: result.prepared };
      }
      const step = judge(journey, { failure: result.failure, use, candidates, wanted, credential: result.credential }, deps);
      leave();
      if (step.kind === 'abandon') return { kind: 'abandoned' };
      if (step.kind === 'give-up') return { kind: isWorthFallback(step.error) ? 'nobody' : 'over', error: step.error };
      bound = await follow(step, { account, credential: result.credential }, journey, deps);
    } catch (error) {
      deps.pool.released(use);
      throw error;
    } finally {
      if (!keep) leave();
    }
  }
}

function wantedOf({ request, attempts }: Journey, choice: ModelChoice, deps: TryModelDeps): Wanted {
  return {
    model: choice.id,
    clientAccounts: request.client.accounts,
    tried: triedAccounts(attempts),
    receivedAt: request.receivedAt,
    paidOverflow: deps.settings().routing.paidOverflow,
  };
}

const NOT_STICKY: Stickiness = { kind: 'none' };

interface ChoiceFor {
  readonly wanted: Wanted;
  readonly sticky: Stickiness;
}

function choose(journey: Journey, candidates: readonly Candidate[], { wanted, sticky }: ChoiceFor, deps: TryModelDeps): Decision {
  const { strategy, weights } = deps.settings().routing;
  return chooseAccount(candidates, {
    ...wanted,
    strategy,
    weights,
    sticky,
    now: deps.clock.now(),
    random: deps.random.next(),
    estimatedTokens: Math.ceil(journey.request.bytes.length / 4),
  });
}

function stickiness({ stickyKeys }: Journey, candidates: readonly Candidate[], { sessions, clock }: TryModelDeps): Stickiness {
  if (stickyKeys.length === 0) return NOT_STICKY;
  const now = clock.now();
  const bound = sessions.lookup(stickyKeys.filter(({ source }) => isOwnerBound(source)).map(({ key }) => key), now);
  const owner = bound ?? sessions.lookup(stickyKeys.map(({ key }) => key), now);
  const exists = candidates.some(({ account }) => account.id === owner);
  return owner === null || !exists ? { kind: 'new' } : { kind: 'known', accountId: owner, bound: bound !== null };
}

/** Waits until somebody may serve, if that is soon; false when it is not worth it. */
async function waitForSomebody(journey: Journey, decision: Decision, deps: TryModelDeps): Promise<boolean> {
  const now = deps.clock.now();
  const elapsedMs = now - journey.request.receivedAt;
  const isBusy = decision.candidates.some(({ out }) => out === 'busy' || out === 'probe');
  if (elapsedMs > LAST_WAIT_MS) return false;
  const waitMs = decision.waitUntil !== null && isWorthWaiting(decision, now) ? decision.waitUntil - now : null;
  if (isBusy) {
    const { queueMs } = deps.settings().limits;
    // Whichever comes first: a slot, or the end of another account's cooldown.
    const isFree = await deps.pool.whenFree(Math.min(queueMs, waitMs ?? queueMs), journey.signal);
    return isFree || (waitMs !== null && waitMs < queueMs);
  }
  if (waitMs === null) return false;
  await pause(waitMs, journey.signal, deps.clock);
  return true;
}

interface Judged {
  readonly failure: Failure;
  readonly use: Use;
  readonly candidates: readonly Candidate[];
  readonly wanted: Wanted;
  readonly credential: Credential | null;
}

/** Writes the failure down everywhere it counts, and says what follows. */
function judge(journey: Journey, { failure, use, candidates, wanted, credential }: Judged, deps: TryModelDeps): Step {
  const { account } = use;
  const now = deps.clock.now();
  journey.attempts.push({ accountId: account.id, accountName: account.name, kind: failure.kind, phase: failure.phase });
  journey.last = { failure, accountName: account.name };
  journey.ticket.failed(failure);
  const isLastUsable = !candidates.some((other) => other.account.id !== account.id && isUsable(other, candidates, wanted, now));
  const step = nextStep(failure, {
    attempts: journey.attempts,
    elapsedMs: now - journey.request.receivedAt,
    refreshed: journey.refreshed,
    ciphertextRemoved: journey.ciphertextRemoved,
  }, {
    now,
    random: deps.random.next(),
    maxAttempts: deps.settings().retry.maxAttempts,
    isLastUsable,
    replayAllowed: isReplayable(journey.request.body, keepsAnswers(account)),
    refreshable: credential?.kind === 'oauth' && credential.refreshToken !== null,
    foreignCiphertext: ciphertextIn(journey.request.body),
    replayBudget: deps.retries.mayReplay() ? 'left' : 'spent',
  });
  if (step.kind === 'refresh-then-same' || step.kind === 'abandon') deps.pool.released(use);
  else deps.pool.failed(use, failure, isLastUsable);
  return step;
}

function isUsable(candidate: Candidate, all: readonly Candidate[], wanted: Wanted, now: number): boolean {
  if (exclusionOf(candidate, wanted, now) !== null) return false;
  return !isHeldBack(candidate, wanted, all.some((other) => isSpentSubscription(other, wanted, now)));
}

interface Failed {
  readonly account: Account;
  readonly credential: Credential | null;
}

/** Does what the step says before the next attempt; what it gives binds that attempt. */
async function follow(step: Exclude<Step, { kind: 'give-up' | 'abandon' }>, { account, credential }: Failed, journey: Journey, deps: TryModelDeps): Promise<Bound | null> {
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
      return { account, stale: null };
  }
}

/** Where all accounts of a model are at fault or spent another model may serve; a fault of the request goes with it. */
function isWorthFallback(error: RelayError): boolean {
  return error.status === 429 || error.status >= 500 || error.code === 'model_not_found';
}

function pause(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(Math.max(0, ms), done);
    signal.addEventListener('abort', done, { once: true });
  });
}
