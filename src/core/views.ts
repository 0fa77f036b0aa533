import type { AccountHealth, AccountState } from './account.ts';
import type { CandidateRecord } from './record.ts';
import type { EpochMs, NanoUsd } from './units.ts';

/** An account as `keys list --json`, the TUI and `/relay/v1/accounts` show it. Holds nothing secret. */
export interface AccountView {
  readonly name: string;
  readonly provider: string;
  readonly plan: string | null;
  readonly state: AccountState;
  /** When the state ends by itself; null when it does not, or no one knows. */
  readonly until: EpochMs | null;
  /** Machine word for why it is not ready: `usage_limit_reached`, `unauthorized`, …; null when ready. */
  readonly reason: string | null;
  readonly quota: readonly QuotaView[];
  readonly balance: { readonly amount: NanoUsd; readonly currency: string } | null;
  readonly inFlight: number;
  readonly models: readonly string[];
  readonly lastError: AccountHealth['lastError'];
}

/** One quota window of an account, for people and scripts. */
export interface QuotaView {
  /** The window's length in words, `5h` or `7d`; a bucket other than the plan's own stands before it: `spark 5h`. */
  readonly window: string;
  /** 0-100. */
  readonly usedPercent: number;
  readonly resetsAt: EpochMs | null;
  /** When the window is empty at the present pace; absent or null while it outlasts its reset. */
  readonly lastsUntil?: EpochMs | null;
}

/** The `status --json` shape, and what the status page draws from. */
export interface StatusView {
  readonly gateway: {
    readonly state: 'running' | 'draining' | 'stopped';
    readonly url: string | null;
    readonly uptimeMs: number | null;
    readonly version: string;
    readonly rssMb: number | null;
    readonly pid: number | null;
  };
  /** `head` is the newest line's chain hash; `seq` its number. */
  readonly ledger: {
    readonly state: 'operational' | 'degraded' | 'full' | 'corrupt';
    readonly head: string;
    readonly seq: number;
  };
  readonly keychain: { readonly state: 'ready' | 'unavailable' | 'locked' | 'denied'; readonly backend: 'os' | 'file' | 'memory' };
  readonly providers: readonly ProviderView[];
  readonly accounts: readonly AccountView[];
}

/** One provider's condition, from its accounts and its endpoint breaker. */
export interface ProviderView {
  readonly name: string;
  readonly state: 'operational' | 'degraded' | 'down';
  readonly reason: string | null;
}

/** What a usage report can be grouped by. `day` is a UTC date, `hour` the start of a UTC hour in ISO 8601. */
export const USAGE_DIMENSIONS = ['model', 'account', 'provider', 'client', 'member', 'project', 'env', 'day', 'hour'] as const;
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];

/** What a usage report is asked for. `since` is included, `until` is not; null leaves that end open. */
export interface UsageQuery {
  readonly since: EpochMs | null;
  readonly until: EpochMs | null;
  readonly by: readonly UsageDimension[];
}

/** Sums over requests. Money is 1e-9 USD, durations ms; a percentile is null when nothing was measured. */
export interface UsageTotals {
  readonly requests: number;
  /** Requests that ended `failed` or `broken_stream`. */
  readonly failed: number;
  /** Requests whose upstream told no tokens: they count in `requests` and in nothing else. */
  readonly unmetered: number;
  readonly tokens: {
    readonly input: number;
    readonly cached: number;
    readonly cacheWrite: number;
    readonly output: number;
    readonly reasoning: number;
  };
  /** `saved` is `list` less `charged`. */
  readonly cost: { readonly list: NanoUsd; readonly charged: NanoUsd; readonly saved: NanoUsd };
  readonly ms: {
    readonly ttftP50: number | null;
    readonly ttftP95: number | null;
    readonly totalP50: number | null;
    readonly totalP95: number | null;
  };
}

/** The value of each dimension asked for; null where the request had none (no member, no account). */
export type UsageKey = Readonly<Partial<Record<UsageDimension, string | null>>>;

/** One row of a usage report. */
export interface UsageGroup extends UsageTotals {
  readonly key: UsageKey;
  /** Where the row is one account's and `plans` in the settings says what its subscription costs. */
  readonly plan?: PlanValue;
}

/** What a subscription cost over the time of a row, and what it gave. Money is 1e-9 USD. */
export interface PlanValue {
  /** Its price a month. */
  readonly monthly: NanoUsd;
  /** The share of that for the time of the row: calendar months in UTC, up to now. */
  readonly paid: NanoUsd;
  /** The list price of what was used. */
  readonly worth: NanoUsd;
  /** `paid` for a million tokens, input and output; null where none were used. */
  readonly perMillion: NanoUsd | null;
}

/** The price in force for one model, as `relay prices --json` shows it. */
export interface PriceView {
  readonly model: string;
  /** Whose list it is from, or the kind of provider that serves it. */
  readonly vendor: string;
  /** Accounts that serve it now; empty for rows of the table nobody serves. */
  readonly servedBy: readonly string[];
  /** Where the price is from; null when none is known: unpriced, not free. */
  readonly origin: 'config' | 'relay' | 'genai-prices' | 'local' | null;
  /** As the journal names it; null without a price. */
  readonly label: string | null;
  /** USD per million tokens, at the standard tier and size. */
  readonly usdPerMillion: { readonly input: number; readonly cached: number; readonly cacheWrite: number; readonly output: number } | null;
  /** What bends the price right now: `peak`. */
  readonly conditions: readonly string[];
  readonly source: string | null;
  /** In force since; null: since the model's first day, or not told. */
  readonly effectiveFrom: EpochMs | null;
  /** The UTC date the source was read, YYYY-MM-DD; null for the user's own. */
  readonly readOn: string | null;
}

/** The `usage --json` shape. Without dimensions `groups` is empty. */
export interface UsageReport {
  /** The bounds as answered: buckets are whole hours, and whole days further back. */
  readonly since: EpochMs | null;
  readonly until: EpochMs | null;
  readonly by: readonly UsageDimension[];
  readonly totals: UsageTotals;
  readonly groups: readonly UsageGroup[];
}

/** A routing decision for a request that is not sent, as `why --json` shows it. */
export interface WhyReport {
  readonly asked: string;
  readonly client: string | null;
  readonly strategy: string;
  /** The models the name stands for, in the order they would be tried; the first with an account serves. */
  readonly models: readonly WhyModel[];
  /** What the client would be told instead of an answer; null when somebody serves. */
  readonly refusal: { readonly status: number; readonly code: string; readonly message: string } | null;
}

/** The decision for one model. */
export interface WhyModel {
  readonly model: string;
  readonly effort: string | null;
  readonly tier: string | null;
  /** Who would serve; null when nobody can. */
  readonly account: string | null;
  /** When somebody may serve by itself, while nobody can. */
  readonly waitUntil: EpochMs | null;
  readonly candidates: readonly WhyCandidate[];
  readonly changes: readonly ChoiceChange[];
}

/** One account as it stood in the decision. */
export interface WhyCandidate extends CandidateRecord {
  readonly provider: string;
  /** The cooldown's own word, where one is the cause. */
  readonly reason: string | null;
}

/** One change under which another account would have been chosen. */
export interface ChoiceChange {
  readonly change: 'strategy' | 'priority' | 'part' | 'resume' | 'login' | 'unlock' | 'wake' | 'wait' | 'slot' | 'paid-overflow' | 'allow';
  /** Who would be chosen then. */
  readonly account: string;
  /** The other strategy, the priority, or the part's name. */
  readonly to?: string;
  /** Of a part: what it was, and what it would have to be, 0-1. */
  readonly from?: number;
  readonly needed?: number;
  /** When it comes about by itself. */
  readonly until?: EpochMs | null;
}
