import type { ProviderKind, Wire } from './provider-kind.ts';
import type { EpochMs, NanoUsd } from './units.ts';

/**
 * One of the user's own identities at a provider. Holds nothing secret: it may be shown, logged and stored in
 * `state.json`. The secret behind it is a {@link Credential} in the keychain, under the account's id.
 */
export interface Account {
  readonly id: string;
  /** What the user calls it, unique, shown in headers and reports. */
  readonly name: string;
  /** The provider's name: a built-in kind or a key of `providers` in `config.json`. */
  readonly provider: string;
  readonly kind: ProviderKind;
  /** Lower goes first: 10 for subscriptions, 20 for API keys. */
  readonly priority: number;
  /** Overrides the provider's address, e.g. for a local server. */
  readonly baseUrl: string | null;
  /** Overrides the adapter's wire, for `compatible` providers. */
  readonly wire: Wire | null;
  /** ChatGPT plan as last told by the upstream; an open set. */
  readonly plan: string | null;
  readonly identity: AccountIdentity | null;
  readonly paused: boolean;
  /** Set when only a person can mend it (revoked, expired, deactivated); no call is made until then. */
  readonly needsLogin: { readonly reason: string; readonly at: EpochMs } | null;
  readonly createdAt: EpochMs;
}

/** Who a ChatGPT sign-in is. Two seats of one workspace share `workspaceId`, so both parts make the identity. */
export interface AccountIdentity {
  readonly userId: string | null;
  readonly workspaceId: string | null;
  readonly email: string | null;
  readonly fedramp: boolean;
}

/** The secret behind an account. Never logged, never in `state.json`, never in an error. */
export type Credential =
  | { readonly kind: 'api-key'; readonly apiKey: string }
  | {
      readonly kind: 'oauth';
      readonly accessToken: string;
      readonly refreshToken: string | null;
      readonly idToken: string | null;
      /** When the access token ends; null when it does not say. */
      readonly expiresAt: EpochMs | null;
      readonly refreshedAt: EpochMs;
    }
  | { readonly kind: 'none' };

/** One quota window as an upstream reported it, classified by its length, never by the slot it came in. */
export interface QuotaWindow {
  /** Metered bucket: `codex` for the plan's own, else the upstream's limit id. */
  readonly bucket: string;
  /** Window length in minutes; 300 is the five hours, 10,080 the week. */
  readonly minutes: number;
  /** 0-100, may be fractional. */
  readonly usedPercent: number;
  readonly resetsAt: EpochMs | null;
  readonly seenAt: EpochMs;
  /** Smoothed use in percent of the window an hour, for the forecast; absent until two readings were seen. */
  readonly percentPerHour?: number | undefined;
}

/** The upstream said wait, or a ladder did in its place. Ends by itself at `until`. */
export interface Cooldown {
  /** What waits: the whole account, one quota bucket, or one model at this account. */
  readonly scope: CooldownScope;
  readonly until: EpochMs;
  /** The moment the upstream itself named, without our spread of a few seconds; absent when a ladder set `until`. */
  readonly resetsAt?: EpochMs | undefined;
  readonly since: EpochMs;
  /** Machine word: `usage_limit_reached`, `rate_limit_exceeded`, `unauthorized`, `challenge`, `model_refused`, … */
  readonly reason: string;
}
export type CooldownScope = 'account' | `bucket:${string}` | `model:${string}`;

/** Our own inference from failures, unlike a cooldown. */
export type Breaker =
  | { readonly state: 'closed'; readonly errorsAt: readonly EpochMs[]; readonly ejections: number }
  | { readonly state: 'open'; readonly until: EpochMs; readonly ejections: number }
  | { readonly state: 'half-open'; readonly probeInFlight: boolean; readonly ejections: number };

/** What Relay knows of an account's condition; survives a restart inside `state.json`. */
export interface AccountHealth {
  readonly cooldowns: readonly Cooldown[];
  readonly breaker: Breaker;
  /** Rungs climbed on the 429-without-a-hint ladder, and when the last was climbed. */
  readonly ladder: { readonly rung: number; readonly climbedAt: EpochMs };
  readonly quota: readonly QuotaWindow[];
  /** Metered bucket each model was last seen under, where it is not the plan's own. */
  readonly modelBuckets?: Readonly<Record<string, string>> | undefined;
  /** Exponentially weighted: time to first token and share of failed attempts (0-1); null until measured. */
  readonly ttftMs: number | null;
  readonly errorRate: number;
  readonly balance: { readonly amount: NanoUsd; readonly currency: string; readonly seenAt: EpochMs } | null;
  readonly lastError: { readonly at: EpochMs; readonly status: number | null; readonly code: string; readonly message: string } | null;
}

/** The health of an account nothing is known of yet. */
export const UNKNOWN_HEALTH: AccountHealth = {
  cooldowns: [],
  breaker: { state: 'closed', errorsAt: [], ejections: 0 },
  ladder: { rung: 0, climbedAt: 0 },
  quota: [],
  ttftMs: null,
  errorRate: 0,
  balance: null,
  lastError: null,
};

/** The one word for an account's condition that `relay keys list` shows. */
export type AccountState = 'ready' | 'cooldown' | 'open' | 'half-open' | 'needs-login' | 'locked' | 'paused';
