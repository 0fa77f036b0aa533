import type { Account, AccountHealth } from '../core/account.ts';
import { isJsonObject } from '../core/json.ts';
import type { LiveEvent, StateStore } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/units.ts';
import { adapterFor } from '../providers/registry.ts';
import { MODEL_LIMIT_REASON, readModelAvailability, readPlan } from '../routing/account-report.ts';
import { isQuotaCooldown } from '../routing/cooldowns.ts';
import { readUsageReport } from '../routing/quota.ts';
import type { AccountPool } from './account-pool.ts';
import type { OwnAnswer, OwnCallDeps } from './own-call.ts';
import { ownCallOnce } from './own-call.ts';

/** How often it is looked who is due; looking costs nothing. */
const LOOK_MS = 15 * SECOND_MS;
/** As often as Codex itself asks (observed 2026-11), and only behind traffic of that account. */
const AFTER_TRAFFIC_MS = MINUTE_MS;
/** Answers that carry quota headers say it better and sooner: the report is asked for what they leave out. */
const AFTER_HEADERS_MS = 5 * MINUTE_MS;
/** A spent quota may be given back early; asked for at twice the distance each time. */
const COOLING_FROM_MS = 2 * MINUTE_MS;
const COOLING_TO_MS = 30 * MINUTE_MS;
/** Nobody has sent Relay a request for this long: whether a quota came back can wait until somebody does. */
const IDLE_AFTER_MS = 10 * MINUTE_MS;
/** After a refusal or a fault the account's report is left alone this long. */
const REFUSED_MS = 5 * MINUTE_MS;
/** Where there is no such report it is not looked for again so soon. */
const ABSENT_MS = 6 * HOUR_MS;

export interface UsagePollDeps extends OwnCallDeps {
  readonly state: StateStore;
  readonly pool: Pick<AccountPool, 'sawReport' | 'standingRefused'>;
}

/** Asks accounts for their usage report: quota, plan, single models, balance. */
export interface UsagePoll {
  /** Takes note of traffic: whose account was used, and that anybody is there at all. */
  saw(event: LiveEvent): void;
  stop(): void;
}

interface Watched {
  askedAt: EpochMs | null;
  usedAt: EpochMs;
  /** Not to be asked before. */
  quietUntil: EpochMs;
  /** Distance to the next question while a quota is spent, and which cooldown it belongs to. */
  cooling: { readonly since: EpochMs; readonly ms: number } | null;
  isAsking: boolean;
}

/**
 * Starts asking: each ready account once, then only behind traffic of its own, at most once a minute; one whose quota is
 * spent, every 2 to 30 minutes while Relay is in use, since quotas come back early. Never while nobody uses Relay, and never
 * with an account that is paused or needs a person. A 401 or 403 says nothing of the account and is not acted on.
 */
export function startUsagePoll(deps: UsagePollDeps): UsagePoll {
  const watched = new Map<string, Watched>();
  const stopped = new AbortController();
  let demandAt: EpochMs = Number.NEGATIVE_INFINITY;
  let cancel = (): void => {};

  const watchOf = (accountId: string): Watched => {
    const known = watched.get(accountId) ?? { askedAt: null, usedAt: Number.NEGATIVE_INFINITY, quietUntil: 0, cooling: null, isAsking: false };
    watched.set(accountId, known);
    return known;
  };
  const ask = async (account: Account): Promise<void> => {
    const watch = watchOf(account.id);
    const askedAt = deps.clock.now();
    watch.askedAt = askedAt;
    watch.isAsking = true;
    const { answer } = await ownCallOnce(account, (adapter, context) => adapter.usageCall?.(context) ?? null, deps, stopped.signal);
    watch.isAsking = false;
    if (stopped.signal.aborted || answer === null) return;
    const quietMs = hear(account, answer, deps);
    if (quietMs > 0) watch.quietUntil = deps.clock.now() + quietMs;
  };
  const look = (): void => {
    const now = deps.clock.now();
    const state = deps.state.read();
    for (const id of watched.keys()) if (!state.accounts.some((account) => account.id === id)) watched.delete(id);
    for (const account of state.accounts) {
      if (account.paused || account.needsLogin !== null || adapterFor(account.kind).usageCall === undefined) continue;
      const watch = watchOf(account.id);
      if (!isDue(watch, state.health[account.id], { now, demandAt })) continue;
      void ask(account);
    }
  };
  const next = (): void => {
    cancel = deps.clock.after(LOOK_MS, () => {
      look();
      next();
    });
  };
  look();
  next();
  return {
    saw(event) {
      demandAt = deps.clock.now();
      if (event.type !== 'finish') return;
      const { accounts } = deps.state.read();
      for (const { account: name } of event.record.attempts) {
        const used = accounts.find((account) => account.name === name);
        if (used !== undefined) watchOf(used.id).usedAt = demandAt;
      }
    },
    stop() {
      cancel();
      stopped.abort();
    },
  };
}

interface Moment {
  readonly now: EpochMs;
  readonly demandAt: EpochMs;
}

function isDue(watch: Watched, health: AccountHealth | undefined, { now, demandAt }: Moment): boolean {
  if (watch.isAsking || now < watch.quietUntil) return false;
  const since = spentSince(health, now);
  if (since === null) {
    watch.cooling = null;
    if (watch.askedAt === null) return true;
    const hasHeaders = health?.quota.some(({ seenAt }) => seenAt >= watch.usedAt - MINUTE_MS) ?? false;
    return watch.usedAt > watch.askedAt && now - watch.askedAt >= (hasHeaders ? AFTER_HEADERS_MS : AFTER_TRAFFIC_MS);
  }
  if (now - demandAt > IDLE_AFTER_MS) return false;
  if (watch.cooling === null || watch.cooling.since !== since) watch.cooling = { since, ms: COOLING_FROM_MS };
  const { ms } = watch.cooling;
  if (now - Math.max(since, watch.askedAt ?? since) < ms) return false;
  watch.cooling = { since, ms: Math.min(COOLING_TO_MS, ms * 2) };
  return true;
}

/** When the oldest wait for a quota or balance began that still runs; null when none does. */
function spentSince(health: AccountHealth | undefined, now: EpochMs): EpochMs | null {
  const waits = (health?.cooldowns ?? []).filter((cooldown) => cooldown.until > now && (isQuotaCooldown(cooldown) || cooldown.reason === MODEL_LIMIT_REASON));
  return waits.length === 0 ? null : Math.min(...waits.map(({ since }) => since));
}

/** Acts on an answer; milliseconds for which the account is not to be asked again, 0 for the usual distance. */
function hear(account: Account, answer: OwnAnswer, { pool, clock }: UsagePollDeps): number {
  if (!answer.ok) return hearRefusal(account, answer, pool);
  if (!isJsonObject(answer.body)) return REFUSED_MS;
  const now = clock.now();
  pool.sawReport(account, {
    windows: readUsageReport(answer.body, now),
    models: readModelAvailability(answer.body, answer.headers, now),
    plan: readPlan(answer.body),
    balance: adapterFor(account.kind).parseBalance?.(answer.body) ?? null,
  });
  return 0;
}

/**
 * A usage report is refused with 402 or 404 when the account is no more, and with 401 or 403 also while it still serves
 * (ChatGPT backend, observed 2026-11). A 404 that is no JSON is an address without such a report.
 */
function hearRefusal(account: Account, { failure, body }: Extract<OwnAnswer, { ok: false }>, pool: UsagePollDeps['pool']): number {
  if (failure.phase === 'credential' || failure.kind === 'login-dead') {
    if (failure.kind === 'login-dead') pool.standingRefused(account, failure);
    return REFUSED_MS;
  }
  const isGone = account.kind === 'chatgpt' && isJsonObject(body) && (failure.status === 402 || failure.status === 404);
  if (!isGone) return failure.status === 404 || failure.status === 405 ? ABSENT_MS : REFUSED_MS;
  pool.standingRefused(account, { ...failure, kind: 'account-refused' });
  return REFUSED_MS;
}
