import type { Account, AccountHealth, QuotaWindow } from '../core/account.ts';
import { UNKNOWN_HEALTH } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, Random, StateStore } from '../core/ports.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { AccountView } from '../core/views.ts';
import { priceRow } from '../accounting/price.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import type { CredentialState } from '../routing/account-state.ts';
import { accountState, afterDeadLogin } from '../routing/account-state.ts';
import type { Candidate } from '../routing/candidate.ts';
import type { EndpointBreaker } from '../routing/endpoint-breaker.ts';
import { afterOutcome, CLOSED_ENDPOINT, isEndpointFault, returnProbe, showsEndpointAlive, takeProbe } from '../routing/endpoint-breaker.ts';
import { afterFailure, afterQuota, afterRestart, afterSuccess, beginProbe, releaseProbe, withModelBucket } from '../routing/health.ts';
import { activeBucket, hasReset, PLAN_BUCKET, readQuotaHeaders, usedAt, windowLabel } from '../routing/quota.ts';
import { lastsUntil } from '../routing/quota-history.ts';
import { modelsOf } from './catalogue.ts';

/** A keychain that failed is asked again after this long. */
const LOCKED_FOR_MS = MINUTE_MS / 2;

export interface PoolDeps {
  readonly state: StateStore;
  readonly settings: () => Config;
  readonly clock: Clock;
  readonly random: Random;
}

/** One attempt at an account, as the pool books it. */
export interface Use {
  readonly account: Account;
  readonly model: string;
  readonly startedAt: EpochMs;
}

/** All accounts with their health, who is in use, and what each outcome does to them. */
export interface AccountPool {
  /** Every account as a choice for this model. */
  candidates(model: string): readonly Candidate[];
  /** Books an attempt; call `leave` on every way out, once. */
  enter(account: Account, model: string): { readonly use: Use; readonly leave: () => void };
  served(use: Use, ttftMs: number | null): void;
  /** `isLast`: no other account could have served, so this one is not ejected. */
  failed(use: Use, failure: Failure, isLast: boolean): void;
  /** The attempt ended without saying anything of the account. */
  released(use: Use): void;
  /** Reads quota windows out of an answer's headers. */
  sawHeaders(account: Account, model: string, headers: Headers): void;
  sawQuota(account: Account, windows: readonly QuotaWindow[]): void;
  /** Resolves true once some account is less in use than now, false when `ms` passed or the client left. */
  whenFree(ms: number, signal: AbortSignal): Promise<boolean>;
  views(): readonly AccountView[];
  inFlight(): number;
}

/** A pool over the accounts in the state; nobody is in use yet and no probe is in flight. */
export function createAccountPool(deps: PoolDeps): AccountPool {
  const inUse = new Map<string, number>();
  const lastChosenAt = new Map<string, EpochMs>();
  const credentialTrouble = new Map<string, { readonly state: CredentialState; readonly until: EpochMs }>();
  const endpoints = new Map<string, EndpointBreaker>();
  const waiting = new Set<() => void>();

  const healthOf = (accountId: string): AccountHealth => deps.state.read().health[accountId] ?? UNKNOWN_HEALTH;
  const changeHealth = (accountId: string, change: (health: AccountHealth) => AccountHealth): void => {
    const before = healthOf(accountId);
    const after = change(before);
    if (after !== before) deps.state.note((state) => ({ ...state, health: { ...state.health, [accountId]: after } }));
  };
  const originOf = (account: Account): string => {
    const endpoint = endpointOf(adapterFor(account.kind), account, deps.settings().providers[account.provider]);
    return endpoint !== null && URL.canParse(endpoint.baseUrl) ? new URL(endpoint.baseUrl).origin : account.provider;
  };
  const changeEndpoint = (account: Account, change: (breaker: EndpointBreaker) => EndpointBreaker): EndpointBreaker => {
    const origin = originOf(account);
    const after = change(endpoints.get(origin) ?? CLOSED_ENDPOINT);
    endpoints.set(origin, after);
    return after;
  };
  const credentialState = (account: Account, now: EpochMs): CredentialState => {
    const trouble = credentialTrouble.get(account.id);
    return trouble !== undefined && trouble.until > now ? trouble.state : 'ready';
  };

  for (const account of deps.state.read().accounts) changeHealth(account.id, (health) => afterRestart(health, deps.clock.now()));

  return {
    candidates(model) {
      const state = deps.state.read();
      const config = deps.settings();
      const now = deps.clock.now();
      return state.accounts.map((account): Candidate => {
        const adapter = adapterFor(account.kind);
        const models = modelsOf(account, state, config);
        return {
          account,
          health: healthOf(account.id),
          billing: adapter.billing,
          servesModel: models === null || models.some(({ id }) => id === model),
          credentialState: credentialState(account, now),
          inFlight: inUse.get(account.id) ?? 0,
          concurrency: config.routing.accountConcurrency,
          usdPerMillion: adapter.billing === 'subscription' ? 0 : listPrice(account, model, config, now),
          lastChosenAt: lastChosenAt.get(account.id) ?? null,
          endpoint: endpoints.get(originOf(account)) ?? CLOSED_ENDPOINT,
        };
      });
    },
    enter(account, model) {
      const now = deps.clock.now();
      inUse.set(account.id, (inUse.get(account.id) ?? 0) + 1);
      lastChosenAt.set(account.id, now);
      changeHealth(account.id, (health) => beginProbe(health, now));
      changeEndpoint(account, (breaker) => takeProbe(breaker, now));
      let left = false;
      return {
        use: { account, model, startedAt: now },
        leave: () => {
          if (left) return;
          left = true;
          inUse.set(account.id, Math.max(0, (inUse.get(account.id) ?? 1) - 1));
          // Everybody looks, whoever waited longest first: the first may not be able to use this account.
          for (const wake of [...waiting]) wake();
        },
      };
    },
    served({ account, model, startedAt }, ttftMs) {
      const now = deps.clock.now();
      credentialTrouble.delete(account.id);
      changeHealth(account.id, (health) => afterSuccess(health, { now, startedAt, model, ttftMs }));
      changeEndpoint(account, (breaker) => afterOutcome(breaker, { at: now, accountId: account.id, failed: false }));
    },
    failed({ account, model, startedAt }, failure, isLast) {
      const now = deps.clock.now();
      if (failure.kind === 'credential-unavailable') credentialTrouble.set(account.id, { state: 'locked', until: now + LOCKED_FOR_MS });
      if (failure.kind === 'login-dead') {
        deps.state.note((state) => ({ ...state, accounts: state.accounts.map((known) => (known.id === account.id ? afterDeadLogin(known, failure, now) : known)) }));
      }
      const endpoint = changeEndpoint(account, (breaker) => {
        if (isEndpointFault(failure)) return afterOutcome(breaker, { at: now, accountId: account.id, failed: true });
        if (showsEndpointAlive(failure)) return afterOutcome(breaker, { at: now, accountId: account.id, failed: false });
        return returnProbe(breaker);
      });
      changeHealth(account.id, (health) => afterFailure(health, failure, {
        now, startedAt, model, config: deps.settings().breaker, random: deps.random.next(),
        ejection: isLast || endpoint.state !== 'closed' ? 'withheld' : 'allowed',
      }));
    },
    released({ account }) {
      changeHealth(account.id, releaseProbe);
      changeEndpoint(account, returnProbe);
    },
    sawHeaders(account, model, headers) {
      const now = deps.clock.now();
      const windows = [...readQuotaHeaders(headers, now), ...adapterFor(account.kind).quotaFromHeaders(headers, now)];
      const bucket = activeBucket(headers);
      changeHealth(account.id, (health) => afterQuota(bucket === null ? health : withModelBucket(health, model, bucket), windows, now));
      const plan = headers['x-codex-plan-type'];
      if (plan !== undefined && plan !== account.plan) {
        deps.state.note((state) => ({ ...state, accounts: state.accounts.map((known) => (known.id === account.id ? { ...known, plan } : known)) }));
      }
    },
    sawQuota(account, windows) {
      changeHealth(account.id, (health) => afterQuota(health, windows, deps.clock.now()));
    },
    whenFree(ms, signal) {
      return new Promise((resolve) => {
        const finish = (isFree: boolean): void => {
          cancel();
          waiting.delete(wake);
          signal.removeEventListener('abort', giveUp);
          resolve(isFree);
        };
        const wake = (): void => finish(true);
        const giveUp = (): void => finish(false);
        const cancel = deps.clock.after(ms, giveUp);
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.add(wake);
      });
    },
    views() {
      const state = deps.state.read();
      const now = deps.clock.now();
      return state.accounts.map((account): AccountView => viewOf(account, {
        health: healthOf(account.id),
        credential: credentialState(account, now),
        inFlight: inUse.get(account.id) ?? 0,
        models: (modelsOf(account, state, deps.settings()) ?? []).map(({ id }) => id),
        now,
      }));
    },
    inFlight: () => [...inUse.values()].reduce((sum, count) => sum + count, 0),
  };
}

/** What an account's view is drawn from. */
export interface ViewFacts {
  readonly health: AccountHealth;
  readonly credential: CredentialState;
  readonly inFlight: number;
  readonly models: readonly string[];
  readonly now: EpochMs;
}

/** An account as people and scripts see it. */
export function viewOf(account: Account, { health, credential, inFlight, models, now }: ViewFacts): AccountView {
  return {
    name: account.name,
    provider: account.provider,
    plan: account.plan,
    ...accountState(account, health, credential, now),
    quota: health.quota.map((window) => ({
      window: window.bucket === PLAN_BUCKET ? windowLabel(window.minutes) : `${window.bucket} ${windowLabel(window.minutes)}`,
      usedPercent: usedAt(window, now),
      resetsAt: hasReset(window, now) ? null : window.resetsAt,
      lastsUntil: lastsUntil(window, now),
    })),
    balance: health.balance === null ? null : { amount: health.balance.amount, currency: health.balance.currency },
    inFlight,
    models,
    lastError: health.lastError,
  };
}

/** Input and output of a million tokens together, in USD; null when no price is known. */
function listPrice(account: Account, model: string, config: Config, at: EpochMs): number | null {
  const baseUrl = account.baseUrl ?? config.providers[account.provider]?.baseUrl ?? null;
  const price = priceRow({ kind: account.kind, model, tier: null, at, overrides: config.pricing, baseUrl }, 0);
  return price === null ? null : (price.rates.input + price.rates.output) / 1e6;
}
