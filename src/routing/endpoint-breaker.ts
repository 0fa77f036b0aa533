import type { Failure } from '../core/failure.ts';
import type { SetAsideOrigin } from '../core/state.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';

const TWO_ACCOUNTS_WITHIN_MS = 10 * SECOND_MS;
const SHARE_WINDOW_MS = MINUTE_MS;
const SHARE_FROM_REQUESTS = 10;
const OPEN_MS = 10 * SECOND_MS;
const OPEN_CAP_MS = 2 * MINUTE_MS;
const SUCCESSES_TO_CLOSE = 2;
const MOST_OUTCOMES = 64;

interface Outcome {
  readonly at: EpochMs;
  readonly accountId: string;
  readonly failed: boolean;
}

/**
 * What is inferred of one origin (`https://chatgpt.com`) from all its accounts together. While it is open the provider
 * is to blame and no account is ejected. An open one outlives a restart ({@link setAsideOf}).
 */
export interface EndpointBreaker {
  readonly state: 'closed' | 'open' | 'half-open';
  /** Recent outcomes, oldest first; empty while not closed. */
  readonly outcomes: readonly Outcome[];
  /** Openings in a row. */
  readonly openings: number;
  readonly openedAt: EpochMs;
  /** End of the open time. */
  readonly until: EpochMs;
  readonly probeInFlight: boolean;
  readonly successes: number;
}

/** An origin nothing is held against. */
export const CLOSED_ENDPOINT: EndpointBreaker = {
  state: 'closed', outcomes: [], openings: 0, openedAt: 0, until: 0, probeInFlight: false, successes: 0,
};

/**
 * True for failures that speak of the origin: it could not be reached, answered with a server error of its own, or took the
 * call and broke it off or fell silent before it had said anything. A stream that breaks later has causes of its own.
 */
export function isEndpointFault(failure: Failure): boolean {
  if (failure.kind === 'unreachable') return true;
  if (failure.kind === 'cut' || failure.kind === 'timed-out') return failure.phase !== 'committed';
  return failure.kind === 'overloaded' && failure.code !== 'model_at_capacity' && failure.status !== null && failure.status >= 500;
}

/** True for failures that show the origin at work: it read the request and answered it in its own words. */
export function showsEndpointAlive(failure: Failure): boolean {
  switch (failure.kind) {
    case 'rate-limited':
    case 'quota-exhausted':
    case 'unauthorized':
    case 'account-refused':
    case 'model-refused':
    case 'invalid-request':
    case 'foreign-ciphertext':
      return true;
    case 'unreachable':
    case 'certificate-invalid':
    case 'login-dead':
    case 'refresh-unavailable':
    case 'credential-unavailable':
    case 'challenge':
    case 'overloaded':
    case 'cut':
    case 'timed-out':
    case 'invalid-response':
    case 'client-gone':
      return false;
  }
}

/**
 * The breaker after one attempt. Closed: opens on faults of two accounts within 10 s, or when half of at least 10
 * attempts of the last minute failed. Open: outcomes of attempts already under way change nothing. Half-open: a fault
 * opens it again for twice as long (10 s to 2 min), two successes close it.
 */
export function afterOutcome(breaker: EndpointBreaker, outcome: Outcome): EndpointBreaker {
  const { at, failed } = outcome;
  if (breaker.state === 'open') return breaker;
  if (breaker.state === 'half-open') {
    if (failed) return opened(breaker, at);
    const successes = breaker.successes + 1;
    return successes >= SUCCESSES_TO_CLOSE ? CLOSED_ENDPOINT : { ...breaker, probeInFlight: false, successes };
  }
  const outcomes = [...breaker.outcomes.filter((old) => at - old.at < SHARE_WINDOW_MS), outcome].slice(-MOST_OUTCOMES);
  return failed && isDown(outcomes, at) ? opened(breaker, at) : { ...breaker, outcomes };
}

function isDown(outcomes: readonly Outcome[], now: EpochMs): boolean {
  const faults = outcomes.filter((outcome) => outcome.failed);
  const recentAccounts = new Set(faults.filter(({ at }) => now - at <= TWO_ACCOUNTS_WITHIN_MS).map(({ accountId }) => accountId));
  const isHalf = outcomes.length >= SHARE_FROM_REQUESTS && faults.length * 2 >= outcomes.length;
  return recentAccounts.size >= 2 || isHalf;
}

function opened(breaker: EndpointBreaker, now: EpochMs): EndpointBreaker {
  const openMs = Math.min(OPEN_CAP_MS, OPEN_MS * 2 ** Math.min(10, breaker.openings));
  return { ...CLOSED_ENDPOINT, state: 'open', openings: breaker.openings + 1, openedAt: now, until: now + openMs };
}

/** Whether a call may go to the origin now: closed, or as the one probe once the open time is over. */
export function mayCall(breaker: EndpointBreaker, now: EpochMs): boolean {
  if (breaker.state === 'open') return now >= breaker.until;
  return breaker.state === 'closed' || !breaker.probeInFlight;
}

/** Takes the probe, when one is due; a closed breaker stays as it is. */
export function takeProbe(breaker: EndpointBreaker, now: EpochMs): EndpointBreaker {
  if (breaker.state === 'closed' || !mayCall(breaker, now)) return breaker;
  return { ...breaker, state: 'half-open', probeInFlight: true };
}

/** Gives the probe back unused: the client left, or the attempt ended without a word about the origin. */
export function returnProbe(breaker: EndpointBreaker): EndpointBreaker {
  return breaker.probeInFlight ? { ...breaker, probeInFlight: false } : breaker;
}

/** What a restart must know of a breaker; null while it is closed. */
export function setAsideOf({ state, openings, openedAt, until }: EndpointBreaker): SetAsideOrigin | null {
  return state === 'closed' ? null : { openings, openedAt, until };
}

/** The breaker as found after a restart: open to its end, then due for a probe. */
export function reopened({ openings, openedAt, until }: SetAsideOrigin): EndpointBreaker {
  return { ...CLOSED_ENDPOINT, state: 'open', openings, openedAt, until };
}
