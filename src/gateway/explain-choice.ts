import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { WhyCandidate, WhyModel, WhyReport } from '../core/views.ts';
import type { Candidate } from '../routing/candidate.ts';
import type { ChoiceRequest, Decision } from '../routing/choose-account.ts';
import { chooseAccount } from '../routing/choose-account.ts';
import { exclusionOf } from '../routing/eligible.ts';
import { exhausted } from '../routing/exhausted.ts';
import { whatWouldChange } from '../routing/what-would-change.ts';
import type { AllowedChoicesDeps } from './allowed-choices.ts';
import { allowedChoices } from './allowed-choices.ts';
import type { ModelChoice } from './resolve-model.ts';

/** A request that is not sent: which model is asked for, by whom. */
export interface AskedWhy {
  readonly model: string;
  /** null: somebody without limits. */
  readonly client: Client | null;
}

/**
 * The decision a new conversation would get now: every candidate with its score or what put it out, the winner, and what
 * would change it. Nothing is taken, sent or remembered.
 */
export function explainChoice({ model, client }: AskedWhy, deps: AllowedChoicesDeps): WhyReport {
  const { strategy } = deps.settings().routing;
  const report = { asked: model, client: client?.name ?? null, strategy };
  try {
    const explained = allowedChoices({ model, client }, deps).map((choice) => explainModel(choice, client, deps));
    const refusal = explained.some(({ why }) => why.account !== null) ? null : explained[0]?.refusal ?? null;
    return { ...report, models: explained.map(({ why }) => why), refusal: refusal === null ? null : refusalOf(refusal) };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return { ...report, models: [], refusal: refusalOf(error) };
  }
}

function refusalOf(error: RelayError): NonNullable<WhyReport['refusal']> {
  return { status: error.status, code: error.body.code ?? error.code, message: error.message };
}

interface Explained {
  readonly why: WhyModel;
  readonly refusal: RelayError | null;
}

function explainModel(choice: ModelChoice, client: Client | null, { settings, pool, clock }: AllowedChoicesDeps): Explained {
  const now = clock.now();
  const { strategy, weights, paidOverflow } = settings().routing;
  const candidates = pool.candidates(choice.id, client?.id);
  const request: ChoiceRequest = {
    model: choice.id, clientAccounts: client?.accounts ?? null, tried: new Set(), receivedAt: now, paidOverflow, strategy, weights,
    sticky: { kind: 'none' }, now, random: 0, estimatedTokens: 0,
  };
  const decision = chooseAccount(candidates, request);
  const why: WhyModel = {
    model: choice.id,
    effort: choice.effort,
    tier: choice.tier,
    account: decision.account?.name ?? null,
    waitUntil: decision.waitUntil,
    candidates: whyCandidates(decision, candidates, request),
    changes: whatWouldChange(candidates, request, decision),
  };
  return { why, refusal: decision.account === null ? exhausted(candidates, { wanted: request, now, last: null }) : null };
}

function whyCandidates(decision: Decision, candidates: readonly Candidate[], request: ChoiceRequest): readonly WhyCandidate[] {
  return decision.candidates.map((record): WhyCandidate => {
    const candidate = candidates.find(({ account }) => account.name === record.account);
    const exclusion = candidate === undefined ? null : exclusionOf(candidate, request, request.now);
    return { ...record, provider: candidate?.account.provider ?? '', reason: exclusion?.reason ?? candidate?.account.needsLogin?.reason ?? null };
  });
}
