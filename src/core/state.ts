import { z } from 'zod';

import type { Account, AccountHealth } from './account.ts';
import type { Budget, Client } from './client.ts';
import { ENDPOINT_SCOPES } from './client.ts';
import type { Model } from './model.ts';
import { PROVIDER_KINDS } from './provider-kind.ts';

/** A budget over several clients of one member or project. */
export interface SharedBudget {
  readonly of: 'member' | 'project';
  readonly name: string;
  readonly budget: Budget;
}

/** A model list an account served, kept until the next fetch. */
export interface Catalogue {
  readonly accountId: string;
  readonly fetchedAt: number;
  readonly etag: string | null;
  readonly models: readonly Model[];
}

/** What is kept of an origin whose circuit breaker is open or half-open. */
export interface SetAsideOrigin {
  readonly openings: number;
  readonly openedAt: number;
  readonly until: number;
}

/** Everything in `state.json`. No secrets: accounts without credentials, clients with digests. */
export interface State {
  readonly version: 1;
  readonly accounts: readonly Account[];
  readonly health: Readonly<Record<string, AccountHealth>>;
  readonly catalogues: readonly Catalogue[];
  readonly clients: readonly Client[];
  readonly budgets: readonly SharedBudget[];
  /** When the user accepted the notice about several ChatGPT accounts; null before. */
  readonly termsAcceptedAt: number | null;
  /** Upstream origins that were set aside, by `https://host`; those that serve are not here. Absent: none. */
  readonly origins?: Readonly<Record<string, SetAsideOrigin>> | undefined;
  /** The highest wall-clock time seen, so that a clock set back revives no expired key. */
  readonly lastSeenAt: number;
}

export const EMPTY_STATE: State = {
  version: 1, accounts: [], health: {}, catalogues: [], clients: [], budgets: [], termsAcceptedAt: null, lastSeenAt: 0,
};

const epochMs = z.number();
const budget = z.object({
  unit: z.enum(['usd', 'usd-charged', 'tokens', 'requests']), limit: z.number(), window: z.enum(['hour', 'day', 'week', 'month']),
});
const account = z.object({
  id: z.string(), name: z.string(), provider: z.string(), kind: z.enum(PROVIDER_KINDS), priority: z.number(),
  baseUrl: z.string().nullable(), wire: z.enum(['chat', 'responses']).nullable(), plan: z.string().nullable(),
  identity: z.object({
    userId: z.string().nullable(), workspaceId: z.string().nullable(), email: z.string().nullable(), fedramp: z.boolean(),
  }).nullable(),
  paused: z.boolean(), needsLogin: z.object({ reason: z.string(), at: epochMs }).nullable(), createdAt: epochMs,
});
const scope = z.custom<'account' | `bucket:${string}` | `model:${string}`>(
  (value) => typeof value === 'string' && (value === 'account' || value.startsWith('bucket:') || value.startsWith('model:')),
);
const health = z.object({
  cooldowns: z.array(z.object({ scope, until: epochMs, resetsAt: epochMs.optional(), since: epochMs, reason: z.string() })),
  breaker: z.discriminatedUnion('state', [
    z.object({ state: z.literal('closed'), errorsAt: z.array(epochMs), ejections: z.number() }),
    z.object({ state: z.literal('open'), until: epochMs, ejections: z.number() }),
    z.object({ state: z.literal('half-open'), probeInFlight: z.boolean(), ejections: z.number() }),
  ]),
  ladder: z.object({ rung: z.number(), climbedAt: epochMs }),
  quota: z.array(z.object({
    bucket: z.string(), minutes: z.number(), usedPercent: z.number(), resetsAt: epochMs.nullable(), seenAt: epochMs,
    percentPerHour: z.number().optional(),
  })),
  modelBuckets: z.record(z.string(), z.string()).optional(),
  ttftMs: z.number().nullable(), errorRate: z.number(),
  balance: z.object({ amount: z.number(), currency: z.string(), seenAt: epochMs }).nullable(),
  lastError: z.object({ at: epochMs, status: z.number().nullable(), code: z.string(), message: z.string() }).nullable(),
});
const client = z.object({
  id: z.string(), name: z.string(), member: z.string().nullable(), project: z.string().nullable(), env: z.string().nullable(),
  keys: z.array(z.object({ sha256: z.string(), tail: z.string(), createdAt: epochMs, expiresAt: epochMs.nullable() })),
  models: z.array(z.string()).nullable(), accounts: z.array(z.string()).nullable(), endpoints: z.array(z.enum(ENDPOINT_SCOPES)),
  budgets: z.array(budget), concurrency: z.number().nullable(), requestsPerMinute: z.number().nullable(),
  createdAt: epochMs, revokedAt: epochMs.nullable(),
});
const model = z.object({
  id: z.string(), displayName: z.string().nullable(), contextTokens: z.number().nullable(), efforts: z.array(z.string()),
  defaultEffort: z.string().nullable(), inputModalities: z.array(z.string()), raw: z.record(z.string(), z.unknown()).nullable(),
});
const stateSchema = z.object({
  version: z.literal(1),
  accounts: z.array(account),
  health: z.record(z.string(), health),
  catalogues: z.array(z.object({ accountId: z.string(), fetchedAt: epochMs, etag: z.string().nullable(), models: z.array(model) })),
  clients: z.array(client),
  budgets: z.array(z.object({ of: z.enum(['member', 'project']), name: z.string(), budget })),
  termsAcceptedAt: epochMs.nullable(),
  origins: z.record(z.string(), z.object({ openings: z.number(), openedAt: epochMs, until: epochMs })).optional(),
  lastSeenAt: epochMs,
});

/** Reads what stands in `state.json`. Throws a ZodError that names the field when it is not Relay's. */
export function parseState(value: unknown): State {
  return stateSchema.parse(value);
}
