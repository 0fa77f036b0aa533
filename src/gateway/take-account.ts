import type { Account } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Candidate, Wanted } from '../routing/candidate.ts';
import type { Decision, Stickiness } from '../routing/choose-account.ts';
import { chooseAccount, worthWaitingUntil } from '../routing/choose-account.ts';
import { triedAccounts } from '../routing/next-step.ts';
import { isOwnerBound } from '../routing/sticky-key.ts';
import type { StickySessions } from '../routing/sticky-sessions.ts';
import type { Turn } from './account-line.ts';
import type { AccountPool, Use } from './account-pool.ts';
import { holdsForeignHistory } from './foreign-history.ts';
import type { Journey } from './journey.ts';
import { pause } from './pause.ts';
import type { ModelChoice } from './resolve-model.ts';

/** After its first attempt a request waits for nobody any more once it is this old. */
const LAST_WAIT_MS = 30 * SECOND_MS;

export interface TakeAccountDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => Config;
  readonly pool: AccountPool;
  readonly sessions: StickySessions;
}

/** A choice and all it was made from. */
export interface Chosen {
  readonly candidates: readonly Candidate[];
  readonly wanted: Wanted;
  readonly sticky: Stickiness;
  readonly decision: Decision;
}

/** An account whose slot is held for an attempt; `leave` gives it back. */
export interface Taken extends Chosen {
  readonly account: Account;
  readonly use: Use;
  readonly leave: () => void;
}

export type TakeResult =
  | { readonly kind: 'taken'; readonly taken: Taken }
  /** Nobody can serve, and nobody will soon. */
  | { readonly kind: 'nobody'; readonly chosen: Chosen }
  | { readonly kind: 'abandoned' };

/**
 * Chooses the account for a request's next attempt and takes a slot of it; waits in line where all are busy, and for a
 * cooldown that is nearly over.
 */
export async function takeAccount(journey: Journey, choice: ModelChoice, deps: TakeAccountDeps): Promise<TakeResult> {
  for (;;) {
    if (journey.signal.aborted) return { kind: 'abandoned' };
    const found = tryToTake(journey, choice, deps);
    if ('account' in found) return { kind: 'taken', taken: found };
    const now = deps.clock.now();
    const wait = waitFor(journey, found, deps, now);
    if (wait === 'none') return { kind: 'nobody', chosen: found };
    if (wait === 'in-line') {
      const waited = await deps.pool.wait<Taken>({
        clientId: journey.request.client.id,
        tryNow: () => turnOf(journey, choice, deps),
        ms: longestWait(journey, deps, now),
        most: deps.settings().limits.queue,
        signal: journey.signal,
      });
      journey.ticket.waited(deps.clock.now() - now);
      if (waited.kind === 'taken') return { kind: 'taken', taken: waited.slot };
      if (waited.kind === 'timed-out' || waited.kind === 'full') return { kind: 'nobody', chosen: found };
      continue;
    }
    await pause(wait.ms, journey.signal, deps.clock);
  }
}

/** Takes exactly this account for one more attempt: it was refreshed, or is asked again after a moment. */
export function takeAgain(account: Account, journey: Journey, choice: ModelChoice, deps: TakeAccountDeps): Taken {
  return { ...choose(journey, choice, deps), account, ...deps.pool.enter(account, choice.id, journey.request.client.id) };
}

function tryToTake(journey: Journey, choice: ModelChoice, deps: TakeAccountDeps): Taken | Chosen {
  const chosen = choose(journey, choice, deps);
  const { account } = chosen.decision;
  return account === null ? chosen : { ...chosen, account, ...deps.pool.enter(account, choice.id, journey.request.client.id) };
}

function turnOf(journey: Journey, choice: ModelChoice, deps: TakeAccountDeps): Turn<Taken> {
  const found = tryToTake(journey, choice, deps);
  if ('account' in found) return { kind: 'taken', slot: found };
  return waitFor(journey, found, deps, deps.clock.now()) === 'none' ? { kind: 'hopeless' } : { kind: 'not-yet' };
}

function choose(journey: Journey, choice: ModelChoice, deps: TakeAccountDeps): Chosen {
  const { request } = journey;
  const { strategy, weights, sticky: isSticky, paidOverflow } = deps.settings().routing;
  const candidates = deps.pool.candidates(choice.id, request.client.id);
  const wanted: Wanted = {
    model: choice.id,
    clientAccounts: request.client.accounts,
    tried: triedAccounts(journey.attempts, choice.id),
    receivedAt: request.receivedAt,
    paidOverflow,
  };
  const now = deps.clock.now();
  const sticky = stickiness(journey, candidates, { sessions: deps.sessions, isSticky, now });
  const decision = chooseAccount(candidates, {
    ...wanted, strategy, weights, sticky, now, random: deps.random.next(), estimatedTokens: Math.ceil(request.bytes.length / 4),
  });
  return { candidates, wanted, sticky, decision };
}

interface Conversations {
  readonly sessions: StickySessions;
  /** `routing.sticky`: what only its owner can go on with stays with it all the same. */
  readonly isSticky: boolean;
  readonly now: EpochMs;
}

function stickiness({ request, stickyKeys }: Journey, candidates: readonly Candidate[], { sessions, isSticky, now }: Conversations): Stickiness {
  const ownedBy = sessions.lookup(stickyKeys.filter(({ source }) => isOwnerBound(source)).map(({ key }) => key), now);
  const holdsHistory = holdsForeignHistory(request.body);
  if (ownedBy === null && !isSticky && !holdsHistory) return { kind: 'none' };
  if (stickyKeys.length === 0) return { kind: 'none' };
  const owner = ownedBy ?? sessions.lookup(stickyKeys.map(({ key }) => key), now);
  const exists = candidates.some(({ account }) => account.id === owner);
  return owner === null || !exists ? { kind: 'new' } : { kind: 'known', accountId: owner, bound: ownedBy !== null || holdsHistory };
}

type Wait = 'none' | 'in-line' | { readonly ms: number };

/** What waiting is worth: a place in line for a slot, a pause for the end of a cooldown, or nothing. */
function waitFor(journey: Journey, { decision, candidates, sticky }: Chosen, deps: TakeAccountDeps, now: EpochMs): Wait {
  if (longestWait(journey, deps, now) <= 0) return 'none';
  const owner = sticky.kind === 'known' && sticky.bound ? candidates.find(({ account }) => account.id === sticky.accountId)?.account.name ?? null : null;
  const isBusy = decision.candidates.some(({ account, out }) => (out === 'busy' || out === 'probe') && (owner === null || account === owner));
  if (isBusy) return 'in-line';
  const until = worthWaitingUntil(decision, now, owner);
  return until === null ? 'none' : { ms: Math.max(0, until - now) };
}

/** How much longer a request may wait: for a slot `limits.queueMs` since it came, after an attempt half a minute. */
function longestWait({ request, attempts }: Journey, { settings }: TakeAccountDeps, now: EpochMs): number {
  const { queueMs } = settings().limits;
  return request.receivedAt + (attempts.length === 0 ? queueMs : Math.min(queueMs, LAST_WAIT_MS)) - now;
}
