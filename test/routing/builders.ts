import type { Account, AccountHealth, QuotaWindow } from '../../src/core/account.ts';
import { UNKNOWN_HEALTH } from '../../src/core/account.ts';
import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { Failure, FailureKind } from '../../src/core/failure.ts';
import type { Candidate } from '../../src/routing/candidate.ts';
import type { ChoiceRequest } from '../../src/routing/choose-account.ts';
import { CLOSED_ENDPOINT } from '../../src/routing/endpoint-breaker.ts';
import type { FailureContext } from '../../src/routing/health.ts';
import type { History, Limits } from '../../src/routing/next-step.ts';

/** 2026-11-21T12:00:00Z. */
export const NOON = 1_795_262_400_000;

export function accountNamed(name: string, changes: Partial<Account> = {}): Account {
  return {
    id: `acc_${name}`, name, provider: 'chatgpt', kind: 'chatgpt', priority: 10, baseUrl: null, wire: null, plan: 'plus', identity: null,
    paused: false, needsLogin: null, createdAt: NOON, ...changes,
  };
}

export function healthWith(changes: Partial<AccountHealth> = {}): AccountHealth {
  return { ...UNKNOWN_HEALTH, ...changes };
}

export function windowOf(changes: Partial<QuotaWindow> = {}): QuotaWindow {
  return { bucket: 'codex', minutes: 300, usedPercent: 40, resetsAt: NOON + 3_600_000, seenAt: NOON, ...changes };
}

export function failureOf(kind: FailureKind, changes: Partial<Failure> = {}): Failure {
  return {
    kind, phase: 'headers', status: null, code: kind, message: 'told', param: null, retryAt: null, bucket: null, planType: null,
    upstreamRequestId: null, ...changes,
  };
}

export function contextAt(now: number, changes: Partial<FailureContext> = {}): FailureContext {
  return { now, startedAt: now - 10, model: 'gpt-6-sol', config: DEFAULT_CONFIG.breaker, random: 0, ejection: 'allowed', ...changes };
}

export function candidateNamed(name: string, changes: Partial<Candidate> = {}): Candidate {
  return {
    account: accountNamed(name), health: UNKNOWN_HEALTH, billing: 'subscription', servesModel: true, credentialState: 'ready', inFlight: 0,
    concurrency: 8, usdPerMillion: 0, lastChosenAt: null, endpoint: CLOSED_ENDPOINT, ...changes,
  };
}

export function paidNamed(name: string, changes: Partial<Candidate> = {}): Candidate {
  return candidateNamed(name, {
    account: accountNamed(name, { priority: 20, provider: 'openai', kind: 'openai', plan: null }), billing: 'api', usdPerMillion: 12,
      ...changes,
  });
}

export function choiceOf(changes: Partial<ChoiceRequest> = {}): ChoiceRequest {
  return {
    model: 'gpt-6-sol', clientAccounts: null, tried: new Set(), receivedAt: NOON, paidOverflow: false, strategy: 'balanced', weights: {},
    sticky: { kind: 'none' }, now: NOON, random: 0, estimatedTokens: 0, ...changes,
  };
}

export function historyOf(failure: Failure, changes: Partial<History> = {}): History {
  return {
    attempts: [{ accountId: 'acc_a', accountName: 'a', model: 'gpt-6-sol', kind: failure.kind, phase: failure.phase }], elapsedMs: 100, refreshed: new Set(),
    ciphertextRemoved: false, ...changes,
  };
}

export function limitsOf(changes: Partial<Limits> = {}): Limits {
  return {
    now: NOON, random: 0.5, maxAttempts: 4, isLastUsable: false, replayAllowed: true, refreshable: true, foreignCiphertext: 'kept',
    refusedParameter: null,
    replayBudget: 'left', attemptBudget: 'left', ...changes,
  };
}
