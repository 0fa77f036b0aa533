import type { EpochMs, NanoUsd } from './units.ts';

/** The endpoint scopes a client key can hold. `messages` counts as chat; images, audio and moderations as embeddings. */
export const ENDPOINT_SCOPES = ['chat', 'responses', 'embeddings', 'models', 'usage'] as const;
export type EndpointScope = (typeof ENDPOINT_SCOPES)[number];

/** What a budget counts. */
export const BUDGET_UNITS = ['usd', 'usd-charged', 'tokens', 'requests'] as const;
/** How long a budget counts before it begins anew. */
export const BUDGET_WINDOWS = ['hour', 'day', 'week', 'month'] as const;

/** A limit over a window of UTC time, in one unit. `usd` is list price, `usd-charged` real money, both in 1e-9 USD. */
export interface Budget {
  readonly unit: (typeof BUDGET_UNITS)[number];
  readonly limit: NanoUsd | number;
  readonly window: (typeof BUDGET_WINDOWS)[number];
}

/** A local program that may use Relay, and within which boundaries. The key itself is not here, only its digest. */
export interface Client {
  readonly id: string;
  readonly name: string;
  readonly member: string | null;
  readonly project: string | null;
  readonly env: string | null;
  /** Digests that are valid now: the current key and, during a rotation's grace period, the one before. */
  readonly keys: readonly ClientKey[];
  /** Globs over resolved model ids; null allows every model. */
  readonly models: readonly string[] | null;
  /** Account names; null allows every account. */
  readonly accounts: readonly string[] | null;
  readonly endpoints: readonly EndpointScope[];
  readonly budgets: readonly Budget[];
  readonly concurrency: number | null;
  readonly requestsPerMinute: number | null;
  readonly createdAt: EpochMs;
  readonly revokedAt: EpochMs | null;
}

export interface ClientKey {
  /** Lower-case hex SHA-256 of the whole key. */
  readonly sha256: string;
  /** The key's last four characters, so that a person can tell two keys apart. */
  readonly tail: string;
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs | null;
}
