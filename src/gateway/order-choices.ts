import type { EpochMs } from '../core/units.ts';
import type { Candidate } from '../routing/candidate.ts';
import { blockedUntil } from '../routing/health.ts';
import type { AccountPool } from './account-pool.ts';
import type { ModelChoice, ResolvedModel } from './resolve-model.ts';

/** The choices in the order their policy wants them tried; `ordered` and ties keep the user's order. */
export function orderChoices({ choices, policy }: ResolvedModel, pool: Pick<AccountPool, 'candidates'>, now: EpochMs): readonly ModelChoice[] {
  if (policy === 'ordered' || choices.length < 2) return choices;
  const ranked = choices.map((choice, place) => ({ choice, place, rank: rankOf(pool.candidates(choice.id).filter(({ servesModel }) => servesModel), policy, { model: choice.id, now }) }));
  return ranked.toSorted((left, right) => left.rank - right.rank || left.place - right.place).map(({ choice }) => choice);
}

/** Lower goes first. What is not known goes last. */
function rankOf(servers: readonly Candidate[], policy: Exclude<ResolvedModel['policy'], 'ordered'>, { model, now }: { readonly model: string; readonly now: EpochMs }): number {
  const lowest = (values: readonly (number | null)[]): number => Math.min(Number.MAX_VALUE, ...values.filter((value) => value !== null));
  switch (policy) {
    case 'cheapest':
      return lowest(servers.map(({ usdPerMillion }) => usdPerMillion));
    case 'fastest':
      return lowest(servers.map(({ health }) => health.ttftMs));
    case 'available':
      return servers.some(({ account, health }) => !account.paused && account.needsLogin === null && blockedUntil(health, model, now) === null) ? 0 : 1;
  }
}
