import { formatUntil } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { CandidateRecord, RouteRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import type { ChoiceChange } from '../core/views.ts';
import { betterPart } from '../routing/what-would-change.ts';
import type { Strategy } from '../routing/score.ts';
import { scoreOf, scorePartsFrom, STRATEGIES } from '../routing/score.ts';

/** One change as a sentence with the command that makes it, where there is one. `client` is whose request it was. */
export function changeWords(change: ChoiceChange, { client, now }: { readonly client: string | null; readonly now: EpochMs | null }): string {
  const account = printable(change.account);
  const until = change.until ?? null;
  const when = until === null || now === null ? '' : `; by itself in ${formatUntil(until, now)}`;
  switch (change.change) {
    case 'strategy':
      return `${account} with another strategy: relay config set routing.strategy ${printable(change.to ?? '')}`;
    case 'priority':
      return `${account} if its priority were ${printable(change.to ?? 'better')}`;
    case 'part':
      return `${account} if its ${printable(change.to ?? 'score')} were ${percent(change.needed)} (it was ${percent(change.from)})`;
    case 'resume':
      return `${account} if it were not paused: relay keys resume ${account}`;
    case 'login':
      return `${account} if it were signed in: relay keys login ${account}`;
    case 'unlock':
      return `${account} if the keychain were unlocked: relay doctor`;
    case 'wake':
      return `${account} if it did not wait: relay keys wake ${account}${when}`;
    case 'wait':
      return `${account} if its upstream were back${when}`;
    case 'slot':
      return `${account} if one of its requests ended, or with more slots: relay config set routing.accountConcurrency N`;
    case 'paid-overflow':
      return `${account} if API keys took over for spent subscriptions: relay config set routing.paidOverflow true`;
    case 'allow':
      return `${account} if the client might use it: relay clients set ${printable(client ?? 'NAME')} --accounts …,${account}`;
  }
}

function percent(share: number | undefined): string {
  return share === undefined ? '–' : `${Math.round(share * 100)}%`;
}

/**
 * What would have changed a choice as the journal keeps it: the other strategies, and the part of a score that lacked least.
 * Nothing where the record has no parts left, or was scored with weights of the user's own.
 */
export function recordedChanges({ strategy: word, sticky, why }: RouteRecord): readonly ChoiceChange[] {
  const strategy = STRATEGIES.find((known) => known === word);
  const scored = why.filter(({ out }) => out === undefined);
  const [winner, ...losers] = scored;
  if (strategy === undefined || winner === undefined || sticky === 'hit' || !isScoredBy(winner, strategy)) return [];
  const strategies = STRATEGIES.filter((other) => other !== strategy && !BY_RANK.has(other)).flatMap((other): ChoiceChange[] => {
    const best = bestUnder(other, scored, winner);
    return best === undefined || best.account === winner.account ? [] : [{ change: 'strategy', account: best.account, to: other }];
  });
  return [...losers.flatMap((loser) => betterPart(loser, winner, { strategy, weights: {} })), ...strategies];
}

/** Strategies that go by what the journal does not keep: when an account was added, or was chosen last. */
const BY_RANK: ReadonlySet<Strategy> = new Set(['priority', 'round-robin']);

function isScoredBy({ score, parts }: CandidateRecord, strategy: Strategy): boolean {
  const read = scorePartsFrom(parts);
  return read !== null && score !== undefined && Math.abs(scoreOf(read, strategy, {}) - score) < 0.01;
}

function bestUnder(strategy: Strategy, scored: readonly CandidateRecord[], winner: CandidateRecord): CandidateRecord | undefined {
  const ranked = scored.filter(({ priority }) => priority === winner.priority).flatMap((candidate) => {
    const parts = scorePartsFrom(candidate.parts);
    return parts === null ? [] : [{ candidate, score: scoreOf(parts, strategy, {}) }];
  });
  // What is level stays with who was chosen.
  return ranked.reduce<(typeof ranked)[number] | undefined>((top, entry) => (top === undefined || entry.score > top.score + 0.005 ? entry : top), undefined)?.candidate;
}
