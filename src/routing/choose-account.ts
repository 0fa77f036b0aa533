import type { CandidateRecord, RouteRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Candidate, Wanted } from './candidate.ts';
import type { Exclusion } from './eligible.ts';
import { exclusionOf, isHeldBack, isSpentSubscription } from './eligible.ts';
import { LONGEST_WAIT_MS } from './next-step.ts';
import type { ScoreParts, Strategy } from './score.ts';
import { drainOf, scoreOf, scoreParts } from './score.ts';

/** Where a live conversation stands. `bound`: only its owner can go on with it (an upstream's own response or file id). */
export type Stickiness =
  | { readonly kind: 'none' }
  | { readonly kind: 'new' }
  | { readonly kind: 'known'; readonly accountId: string; readonly bound: boolean };

/** A request for a choice. */
export interface ChoiceRequest extends Wanted {
  readonly strategy: Strategy;
  /** The user's weights by part name, in place of the strategy's. */
  readonly weights: Readonly<Record<string, number>>;
  readonly sticky: Stickiness;
  readonly now: EpochMs;
  /** In [0, 1): breaks ties, so that a decision can be replayed. */
  readonly random: number;
  /** Input tokens, roughly; 0 when not known. */
  readonly estimatedTokens: number;
}

/** Who serves, and everything that led there. */
export interface Decision {
  readonly account: Candidate['account'] | null;
  /** The winner first, then the scored by score, then those put out. */
  readonly candidates: readonly CandidateRecord[];
  readonly sticky: RouteRecord['sticky'];
  readonly strategy: Strategy;
  /** When nobody can serve: the soonest moment somebody may, by itself. */
  readonly waitUntil: EpochMs | null;
}

interface Scored {
  readonly candidate: Candidate;
  readonly drain: 'fresh' | 'draining' | 'spent';
  readonly parts: ScoreParts;
  readonly score: number;
}

interface PutOut {
  readonly candidate: Candidate;
  readonly exclusion: Exclusion;
}

/**
 * Chooses the account for one attempt: a live conversation's own account while it can serve, else the best of those
 * that can. Lower priority numbers go first; within one priority the strategy decides. Pure: the same request gives the
 * same decision.
 */
export function chooseAccount(candidates: readonly Candidate[], request: ChoiceRequest): Decision {
  const { scored, out } = judge(candidates, request);
  const owner = request.sticky.kind === 'known' ? request.sticky.accountId : null;
  const stays = owner === null ? undefined : scored.find(({ candidate }) => candidate.account.id === owner);
  const pool = allowedPool(scored, request);
  const isBound = request.sticky.kind === 'known' && request.sticky.bound;
  const mayStay = stays !== undefined && (isBound || stays.drain !== 'spent' || !pool.some(({ drain }) => drain !== 'spent'));
  const winner = mayStay ? stays : isBound ? undefined : best(pool, request);
  const waiting = isBound ? out.filter(({ candidate }) => candidate.account.id === owner) : out;
  return {
    account: winner?.candidate.account ?? null,
    candidates: recordsOf(winner, scored, out),
    sticky: stickyWord(request.sticky, winner),
    strategy: request.strategy,
    waitUntil: winner === undefined ? soonest(waiting) : null,
  };
}

interface Judged {
  readonly scored: readonly Scored[];
  readonly out: readonly PutOut[];
}

function judge(candidates: readonly Candidate[], request: ChoiceRequest): Judged {
  const scored: Scored[] = [];
  const out: PutOut[] = [];
  const isSpent = candidates.some((candidate) => isSpentSubscription(candidate, request, request.now));
  for (const candidate of candidates) {
    const exclusion = exclusionOf(candidate, request, request.now)
      ?? (isHeldBack(candidate, request, isSpent) ? { out: 'paid' as const, until: null, reason: null } : null);
    if (exclusion !== null) {
      out.push({ candidate, exclusion });
      continue;
    }
    const parts = scoreParts(candidate, request.model, request.now);
    const drain = drainOf(candidate, request.model, request.estimatedTokens, request.now);
    scored.push({ candidate, drain, parts, score: scoreOf(parts, request.strategy, request.weights) });
  }
  return { scored, out };
}

/**
 * The candidates a new session may go to: the fresh, else the draining, else the spent. An API key is not fresh in place
 * of a used-up subscription, unless paid overflow is on, the client lists it, or the user ranked it first.
 */
function allowedPool(scored: readonly Scored[], request: ChoiceRequest): readonly Scored[] {
  const usedUp = scored.some(({ candidate, drain }) => candidate.billing === 'subscription' && drain !== 'fresh');
  const isOverflow = ({ candidate }: Scored): boolean => usedUp && isHeldBack(candidate, request, true);
  const own = scored.filter((entry) => !isOverflow(entry));
  const paid = scored.filter(isOverflow);
  const fresh = own.filter(({ drain }) => drain === 'fresh');
  const draining = own.filter(({ drain }) => drain === 'draining');
  const usable = fresh.length > 0 ? fresh : draining.length > 0 ? draining : own;
  const rank = usable.length > 0 ? topPriority(usable) : Number.POSITIVE_INFINITY;
  return firstPriority([...usable, ...paid.filter(({ candidate }) => candidate.account.priority < rank || usable.length === 0)]);
}

function topPriority(entries: readonly Scored[]): number {
  return entries.reduce((lowest, { candidate }) => Math.min(lowest, candidate.account.priority), Number.POSITIVE_INFINITY);
}

function firstPriority(entries: readonly Scored[]): readonly Scored[] {
  const top = topPriority(entries);
  return entries.filter(({ candidate }) => candidate.account.priority === top);
}

function best(pool: readonly Scored[], request: ChoiceRequest): Scored | undefined {
  let top = Number.NEGATIVE_INFINITY;
  let tied: Scored[] = [];
  for (const entry of pool) {
    const rank = rankOf(entry, request.strategy);
    if (rank > top + 1e-9) {
      top = rank;
      tied = [entry];
    } else if (rank >= top - 1e-9) {
      tied.push(entry);
    }
  }
  return tied[Math.min(tied.length - 1, Math.floor(request.random * tied.length))];
}

/** Higher is better. `priority` fills the account added first, `round-robin` takes the one not chosen the longest. */
function rankOf({ candidate, score }: Scored, strategy: Strategy): number {
  switch (strategy) {
    case 'priority':
      return -candidate.account.createdAt;
    case 'round-robin':
      return -(candidate.lastChosenAt ?? 0);
    case 'balanced':
    case 'drain-soonest':
    case 'cheapest':
    case 'fastest':
      return score;
  }
}

function stickyWord(sticky: Stickiness, winner: Scored | undefined): Decision['sticky'] {
  if (sticky.kind === 'none') return 'none';
  if (sticky.kind === 'new') return 'miss';
  return winner?.candidate.account.id === sticky.accountId ? 'hit' : 'moved';
}

function soonest(out: readonly PutOut[]): EpochMs | null {
  let moment: EpochMs | null = null;
  for (const { exclusion } of out) {
    if (exclusion.until !== null && (moment === null || exclusion.until < moment)) moment = exclusion.until;
  }
  return moment;
}

function recordsOf(winner: Scored | undefined, scored: readonly Scored[], out: readonly PutOut[]): CandidateRecord[] {
  const order = scored.toSorted((left, right) => (right === winner ? 1 : 0) - (left === winner ? 1 : 0) || right.score - left.score);
  return [
    ...order.map(({ candidate, score, parts }) => ({ account: candidate.account.name, priority: candidate.account.priority, score, parts })),
    ...out.map(({ candidate, exclusion }) => ({
      account: candidate.account.name, out: exclusion.out, ...(exclusion.until !== null && { until: exclusion.until }),
    })),
  ];
}

/**
 * Until when a request should wait rather than be refused: for the soonest end of a cooldown, 10 s at most, since the upstream
 * itself named it; for an origin that is down only while its probe is under way, else that is told at once. `owner`: the one
 * account that can serve it.
 */
export function worthWaitingUntil({ candidates }: Decision, now: EpochMs, owner: string | null = null): EpochMs | null {
  const ends = candidates.flatMap(({ account, out, until }) => {
    const longestMs = out === 'cooldown' ? LONGEST_WAIT_MS : out === 'endpoint' ? SECOND_MS : 0;
    const isMeant = owner === null || account === owner;
    return isMeant && until !== undefined && until - now <= longestMs ? [until] : [];
  });
  return ends.length === 0 ? null : Math.min(...ends);
}

const MOST_RECORDED = 8;

/** The decision as the journal keeps it: eight candidates with their parts to three digits, the rest counted. */
export function routeRecord(decision: Decision, conversation: string | null = null): RouteRecord {
  const more = decision.candidates.length - MOST_RECORDED;
  return {
    strategy: decision.strategy,
    sticky: decision.sticky,
    ...(conversation !== null && { conversation }),
    why: decision.candidates.slice(0, MOST_RECORDED).map(inThreeDigits),
    ...(more > 0 && { whyMore: more }),
  };
}

function inThreeDigits(record: CandidateRecord): CandidateRecord {
  const { score, parts } = record;
  return {
    ...record,
    ...(score !== undefined && { score: rounded(score) }),
    ...(parts !== undefined && { parts: partsInThreeDigits(parts) }),
  };
}

function partsInThreeDigits(parts: NonNullable<CandidateRecord['parts']>): NonNullable<CandidateRecord['parts']> {
  const short: Record<string, number> = {};
  for (const name of Object.keys(parts)) short[name] = rounded(parts[name] ?? 0);
  return short;
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
