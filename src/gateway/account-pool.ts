import type { Account, AccountHealth, QuotaWindow } from '../core/account.ts';
import { UNKNOWN_HEALTH } from '../core/account.ts';
import type { Config, ProviderConfig } from '../core/config.ts';
import type { Failure, FailureKind } from '../core/failure.ts';
import type { State } from '../core/state.ts';
import type { Clock, Random, StateStore } from '../core/ports.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { AccountView } from '../core/views.ts';
import { priceRow } from '../accounting/price.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import type { CredentialState } from '../routing/account-state.ts';
import { afterDeadLogin } from '../routing/account-state.ts';
import type { ModelAvailability } from '../routing/account-report.ts';
import { afterAvailability, afterBalance, withSpentWindow } from '../routing/account-report.ts';
import type { Candidate } from '../routing/candidate.ts';
import type { EndpointBreaker } from '../routing/endpoint-breaker.ts';
import {
  afterOutcome, CLOSED_ENDPOINT, isEndpointFault, reopened, returnProbe, setAsideOf, showsEndpointAlive, takeProbe,
} from '../routing/endpoint-breaker.ts';
import { afterFailure, afterQuota, afterRestart, afterSuccess, beginProbe, releaseProbe, withModelBucket } from '../routing/health.ts';
import { activeBucket, readQuotaHeaders } from '../routing/quota.ts';
import type { Place, Waited } from './account-line.ts';
import { createAccountLine } from './account-line.ts';
import { viewOf } from './account-view.ts';
import { modelsOf } from './catalogue.ts';

/** A keychain that failed is asked again after this long. */
const LOCKED_FOR_MS = MINUTE_MS / 2;
/** With fewer slots than this none is kept free: the line alone decides whose turn it is. */
const SHARED_FROM = 4;
/** What a call over a sleep or a change of network ends with. */
const BROKEN_CALLS: ReadonlySet<FailureKind> = new Set(['unreachable', 'cut', 'timed-out']);

export interface PoolDeps {
  readonly state: StateStore;
  readonly settings: () => Config;
  readonly clock: Clock;
  readonly random: Random;
  /** Accounts whose newest token is in memory only. */
  readonly unsaved?: () => readonly string[];
  /** Whether the machine slept or changed its network since a moment: then nobody is to blame for a call that broke. */
  readonly spansBreak?: (startedAt: EpochMs) => boolean;
}

/** One attempt at an account, as the pool books it. */
export interface Use {
  readonly account: Account;
  readonly model: string;
  readonly startedAt: EpochMs;
}

/** What an account's own report told, read and ready to be kept. */
export interface AccountReport {
  readonly windows: readonly QuotaWindow[];
  readonly models: readonly ModelAvailability[];
  readonly plan: string | null;
  readonly balance: { readonly amount: NanoUsd; readonly currency: string } | null;
}

/** All accounts with their health, who is in use, and what each outcome does to them. */
export interface AccountPool {
  /** Every account as a choice for this model, with the slots this client may have of it. */
  candidates(model: string, clientId?: string): readonly Candidate[];
  /** Books an attempt; call `leave` on every way out, once. */
  enter(account: Account, model: string, clientId?: string): { readonly use: Use; readonly leave: () => void };
  /** Waits in line for a slot at any account; see {@link AccountLine}. */
  wait<T>(place: Place<T>): Promise<Waited<T>>;
  served(use: Use, ttftMs: number | null): void;
  /** `isLast`: no other account could have served, so this one is not ejected. */
  failed(use: Use, failure: Failure, isLast: boolean): void;
  /** The attempt ended without saying anything of the account. */
  released(use: Use): void;
  /** Reads quota windows out of an answer's headers. */
  sawHeaders(account: Account, model: string, headers: Headers): void;
  sawQuota(account: Account, windows: readonly QuotaWindow[]): void;
  sawReport(account: Account, report: AccountReport): void;
  /** Something beside a request said that the account may not be used: its report, or a renewal of its sign-in. */
  standingRefused(account: Account, failure: Failure): void;
  views(): readonly AccountView[];
  inFlight(): number;
}

/** A pool over the accounts in the state; nobody is in use yet and no probe is in flight. */
export function createAccountPool(deps: PoolDeps): AccountPool {
  const inUse = new Map<string, number>();
  const running = new Map<string, number>();
  const lastChosenAt = new Map<string, EpochMs>();
  const credentialTrouble = new Map<string, { readonly state: CredentialState; readonly until: EpochMs }>();
  const endpoints = new Map<string, EndpointBreaker>(Object.entries(deps.state.read().origins ?? {}).map(([origin, known]) => [origin, reopened(known)]));
  const runningOf = (clientId: string): number => running.get(clientId) ?? 0;
  const line = createAccountLine({
    clock: deps.clock,
    running: runningOf,
    hasRoom: () => deps.state.read().accounts.some(({ id, paused }) => !paused && (inUse.get(id) ?? 0) < deps.settings().routing.accountConcurrency),
  });
  const slotsFor = (clientId: string | undefined, isShared: boolean): number => {
    const slots = deps.settings().routing.accountConcurrency;
    // Where there are several clients, one slot is for those who have nothing running: a greedy one cannot take them all.
    return isShared && slots >= SHARED_FROM && clientId !== undefined && runningOf(clientId) > 0 ? slots - 1 : slots;
  };

  const healthOf = (accountId: string): AccountHealth => deps.state.read().health[accountId] ?? UNKNOWN_HEALTH;
  const changeHealth = (accountId: string, change: (health: AccountHealth) => AccountHealth): void => {
    const before = healthOf(accountId);
    const after = change(before);
    if (after !== before) deps.state.note((state) => ({ ...state, health: { ...state.health, [accountId]: after } }));
  };
  /** Kept for each account as it stands: every candidate of every request is asked for its own. */
  const origins = new WeakMap<Account, { readonly settings: ProviderConfig | undefined; readonly origin: string }>();
  const originOf = (account: Account): string => {
    const settings = deps.settings().providers[account.provider];
    const known = origins.get(account);
    if (known !== undefined && known.settings === settings) return known.origin;
    const endpoint = endpointOf(adapterFor(account.kind), account, settings);
    const origin = (endpoint === null ? null : URL.parse(endpoint.baseUrl)?.origin) ?? account.provider;
    origins.set(account, { settings, origin });
    return origin;
  };
  const changeEndpoint = (account: Account, change: (breaker: EndpointBreaker) => EndpointBreaker): EndpointBreaker => {
    const origin = originOf(account);
    const before = endpoints.get(origin) ?? CLOSED_ENDPOINT;
    const after = change(before);
    endpoints.set(origin, after);
    if (after.state !== before.state || after.until !== before.until) deps.state.note((state) => ({ ...state, origins: originsWith(state.origins, origin, after) }));
    return after;
  };
  const changePlan = (account: Account, plan: string | null | undefined): void => {
    if (plan === undefined || plan === null || plan === account.plan) return;
    deps.state.note((state) => ({ ...state, accounts: state.accounts.map((known) => (known.id === account.id ? { ...known, plan } : known)) }));
  };
  const credentialState = (account: Account, now: EpochMs): CredentialState => {
    const trouble = credentialTrouble.get(account.id);
    return trouble !== undefined && trouble.until > now ? trouble.state : 'ready';
  };

  const release = ({ account }: Use): void => {
    changeHealth(account.id, releaseProbe);
    changeEndpoint(account, returnProbe);
  };
  const failed = (use: Use, failure: Failure, isLast: boolean): void => {
    const { account, model, startedAt } = use;
    const now = deps.clock.now();
    if (BROKEN_CALLS.has(failure.kind) && deps.spansBreak?.(startedAt) === true) return release(use);
    if (failure.kind === 'credential-unavailable') credentialTrouble.set(account.id, { state: 'locked', until: now + LOCKED_FOR_MS });
    if (failure.kind === 'login-dead') {
      deps.state.note((state) => ({ ...state, accounts: state.accounts.map((known) => (known.id === account.id ? afterDeadLogin(known, failure, now) : known)) }));
    }
    const endpoint = changeEndpoint(account, (breaker) => {
      if (isEndpointFault(failure)) return afterOutcome(breaker, { at: now, accountId: account.id, failed: true });
      if (showsEndpointAlive(failure)) return afterOutcome(breaker, { at: now, accountId: account.id, failed: false });
      return returnProbe(breaker);
    });
    changeHealth(account.id, (health) => afterFailure(withSpentWindow(health, failure, now), failure, {
      now, startedAt, model, config: deps.settings().breaker, random: deps.random.next(),
      ejection: isLast || endpoint.state !== 'closed' ? 'withheld' : 'allowed',
    }));
  };

  for (const account of deps.state.read().accounts) changeHealth(account.id, (health) => afterRestart(health, deps.clock.now()));

  return {
    candidates(model, clientId) {
      const state = deps.state.read();
      const slots = slotsFor(clientId, state.clients.filter(({ revokedAt }) => revokedAt === null).length > 1);
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
          concurrency: slots,
          usdPerMillion: adapter.billing === 'subscription' ? 0 : listPrice(account, model, config, now),
          lastChosenAt: lastChosenAt.get(account.id) ?? null,
          endpoint: endpoints.get(originOf(account)) ?? CLOSED_ENDPOINT,
        };
      });
    },
    enter(account, model, clientId = '') {
      const now = deps.clock.now();
      inUse.set(account.id, (inUse.get(account.id) ?? 0) + 1);
      running.set(clientId, runningOf(clientId) + 1);
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
          if (runningOf(clientId) > 1) running.set(clientId, runningOf(clientId) - 1);
          else running.delete(clientId);
          line.look();
        },
      };
    },
    wait: (place) => line.wait(place),
    served({ account, model, startedAt }, ttftMs) {
      const now = deps.clock.now();
      credentialTrouble.delete(account.id);
      changeHealth(account.id, (health) => afterSuccess(health, { now, startedAt, model, ttftMs }));
      changeEndpoint(account, (breaker) => afterOutcome(breaker, { at: now, accountId: account.id, failed: false }));
    },
    failed,
    released: release,
    sawHeaders(account, model, headers) {
      const now = deps.clock.now();
      const windows = [...readQuotaHeaders(headers, now), ...adapterFor(account.kind).quotaFromHeaders(headers, now)];
      const bucket = activeBucket(headers);
      changeHealth(account.id, (health) => afterQuota(bucket === null ? health : withModelBucket(health, model, bucket), windows, now));
      changePlan(account, headers['x-codex-plan-type']);
    },
    sawQuota(account, windows) {
      changeHealth(account.id, (health) => afterQuota(health, windows, deps.clock.now()));
    },
    sawReport(account, { windows, models, plan, balance }) {
      const now = deps.clock.now();
      changeHealth(account.id, (health) => {
        const known = afterAvailability(afterQuota(health, windows, now), models, now);
        return balance === null ? known : afterBalance(known, balance, now);
      });
      changePlan(account, plan);
      line.look();
    },
    standingRefused(account, failure) {
      failed({ account, model: '', startedAt: deps.clock.now() }, failure, false);
    },
    views() {
      const state = deps.state.read();
      const now = deps.clock.now();
      const unsaved = deps.unsaved?.() ?? [];
      return state.accounts.map((account): AccountView => viewOf(account, {
        health: healthOf(account.id),
        credential: unsaved.includes(account.id) ? 'unsaved' : credentialState(account, now),
        inFlight: inUse.get(account.id) ?? 0,
        models: (modelsOf(account, state, deps.settings()) ?? []).map(({ id }) => id),
        now,
      }));
    },
    inFlight: () => [...inUse.values()].reduce((sum, count) => sum + count, 0),
  };
}

/** Input and output of a million tokens together, in USD; null when no price is known. */
function listPrice(account: Account, model: string, config: Config, at: EpochMs): number | null {
  const baseUrl = account.baseUrl ?? config.providers[account.provider]?.baseUrl ?? null;
  const price = priceRow({ kind: account.kind, model, tier: null, at, overrides: config.pricing, baseUrl }, 0);
  return price === null ? null : (price.rates.input + price.rates.output) / 1e6;
}

/** The origins set aside, with this one as it is now. */
function originsWith(origins: State['origins'], origin: string, breaker: EndpointBreaker): State['origins'] {
  const { [origin]: _before, ...others } = origins ?? {};
  const setAside = setAsideOf(breaker);
  return setAside === null ? others : { ...others, [origin]: setAside };
}
