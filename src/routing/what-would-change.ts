import type { CandidateRecord } from '../core/record.ts';
import type { ChoiceChange } from '../core/views.ts';
import type { Candidate } from './candidate.ts';
import type { ChoiceRequest, Decision } from './choose-account.ts';
import { chooseAccount } from './choose-account.ts';
import { CLOSED_ENDPOINT } from './endpoint-breaker.ts';
import type { Exclusion } from './eligible.ts';
import { wake } from './health.ts';
import type { Strategy } from './score.ts';
import { partWeight, STRATEGIES } from './score.ts';

/**
 * The single changes under which another account would be chosen, each tried out with the very same decision: another
 * strategy, an exclusion lifted, another priority, or one input of the score that would have to be better. At most one a kind
 * and account.
 */
export function whatWouldChange(candidates: readonly Candidate[], request: ChoiceRequest, decision: Decision): readonly ChoiceChange[] {
  const winner = decision.account;
  const chosenBy = (change: Partial<ChoiceRequest>, among: readonly Candidate[] = candidates): Candidate['account'] | null =>
    chooseAccount(among, { ...request, ...change }).account;
  const strategies = STRATEGIES.filter((strategy) => strategy !== request.strategy).flatMap((strategy): ChoiceChange[] => {
    const account = chosenBy({ strategy });
    return account === null || account.id === winner?.id ? [] : [changeOf('strategy', account.name, { to: strategy })];
  });
  const lifted = decision.candidates.flatMap(({ account: name, out, until }): ChoiceChange[] => {
    const candidate = candidates.find(({ account }) => account.name === name);
    const lift = out === undefined || candidate === undefined ? undefined : LIFTS[out as Exclusion['out']];
    if (lift === undefined || candidate === undefined) return [];
    const { change, request: changed, candidate: mended } = lift(candidate, request);
    const account = chosenBy(changed, candidates.map((other) => (other === candidate ? mended : other)));
    return account?.id === candidate.account.id ? [changeOf(change, name, { until: until ?? null })] : [];
  });
  return [...lifted, ...strategies, ...betterLosers(candidates, request, decision)];
}

/** Scored accounts that were not chosen: a better priority, or the one part of the score that would have done it. */
function betterLosers(candidates: readonly Candidate[], request: ChoiceRequest, decision: Decision): readonly ChoiceChange[] {
  const winner = candidates.find(({ account }) => account.id === decision.account?.id);
  if (winner === undefined) return [];
  return decision.candidates.flatMap((record): ChoiceChange[] => {
    const candidate = candidates.find(({ account }) => account.name === record.account);
    if (candidate === undefined || candidate === winner || record.out !== undefined) return [];
    const { priority } = winner.account;
    const ranked = candidates.map((other) => (other === candidate ? { ...other, account: { ...other.account, priority: priority - 1 } } : other));
    const isRanked = candidate.account.priority > priority && chooseAccount(ranked, request).account?.id === candidate.account.id;
    const rank = isRanked ? [changeOf('priority', record.account, { to: `below ${priority}` })] : [];
    return [...rank, ...betterPart(record, decision.candidates[0], { strategy: request.strategy, weights: request.weights })];
  });
}

/** How the scores of a decision came about. */
export interface ScoredBy {
  readonly strategy: Strategy;
  readonly weights: Readonly<Record<string, number>>;
}

/**
 * The part of its score with which a candidate would have been level with the winner, if one alone could do it: the one that
 * lacks least. Only within one priority, and only where scores decide.
 */
export function betterPart(loser: CandidateRecord, winner: CandidateRecord | undefined, { strategy, weights }: ScoredBy): readonly ChoiceChange[] {
  if (winner?.score === undefined || loser.score === undefined || loser.parts === undefined || loser.priority !== winner.priority) return [];
  if (strategy === 'priority' || strategy === 'round-robin' || loser.score > winner.score) return [];
  const lacking = winner.score - loser.score;
  const ways = Object.entries(loser.parts).flatMap(([part, value]) => {
    const share = partWeight(part, strategy, weights);
    const needed = share > 0 ? value + lacking / share : Number.POSITIVE_INFINITY;
    return needed <= 1 ? [{ part, value, needed }] : [];
  });
  const [nearest] = ways.sort((one, other) => (one.needed - one.value) - (other.needed - other.value));
  return nearest === undefined ? [] : [changeOf('part', loser.account, { to: nearest.part, from: nearest.value, needed: nearest.needed })];
}

interface Lifted {
  readonly change: ChoiceChange['change'];
  readonly candidate: Candidate;
  readonly request: Partial<ChoiceRequest>;
}

type Lift = (candidate: Candidate, request: ChoiceRequest) => Lifted;

/** What ends each exclusion; nothing that a person or time can do ends the others. */
const LIFTS: Readonly<Partial<Record<Exclusion['out'], Lift>>> = {
  paused: (candidate) => ({ change: 'resume', candidate: { ...candidate, account: { ...candidate.account, paused: false } }, request: {} }),
  'needs-login': (candidate) => ({
    change: 'login', candidate: { ...candidate, account: { ...candidate.account, needsLogin: null }, credentialState: 'ready' }, request: {},
  }),
  locked: (candidate) => ({ change: 'unlock', candidate: { ...candidate, credentialState: 'ready' }, request: {} }),
  cooldown: (candidate) => ({ change: 'wake', candidate: { ...candidate, health: wake(candidate.health) }, request: {} }),
  breaker: (candidate) => ({ change: 'wake', candidate: { ...candidate, health: wake(candidate.health) }, request: {} }),
  endpoint: (candidate) => ({ change: 'wait', candidate: { ...candidate, endpoint: CLOSED_ENDPOINT }, request: {} }),
  busy: (candidate) => ({ change: 'slot', candidate: { ...candidate, inFlight: Math.max(0, candidate.concurrency - 1) }, request: {} }),
  paid: (candidate) => ({ change: 'paid-overflow', candidate, request: { paidOverflow: true } }),
  'not-allowed': (candidate, request) => ({
    change: 'allow', candidate, request: { clientAccounts: [...(request.clientAccounts ?? []), candidate.account.name] },
  }),
};

function changeOf(change: ChoiceChange['change'], account: string, more: Partial<ChoiceChange>): ChoiceChange {
  return { change, account, ...more };
}
