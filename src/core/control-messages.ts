import { z } from 'zod';

import type { Credential } from './account.ts';
import { BUDGET_UNITS, BUDGET_WINDOWS, ENDPOINT_SCOPES } from './client.ts';
import { PROVIDER_KINDS } from './provider-kind.ts';
import { USAGE_DIMENSIONS } from './views.ts';

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, 'a name is 1 to 64 letters, digits, dots, dashes, underscores or @');
const label = z.string().min(1).max(64).regex(/^[^\p{Cc}\p{Cf}]+$/u, 'no control characters');
const budgetKind = z.object({ unit: z.enum(BUDGET_UNITS), window: z.enum(BUDGET_WINDOWS) });
const budget = budgetKind.extend({ limit: z.number().positive() });
const budgetOwner = { of: z.enum(['member', 'project']), name: label };
const credential = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('api-key'), apiKey: z.string().min(1) }),
  z.object({
    kind: z.literal('oauth'), accessToken: z.string().min(1), refreshToken: z.string().nullable(), idToken: z.string().nullable(),
    expiresAt: z.number().nullable(), refreshedAt: z.number(),
  }),
  z.object({ kind: z.literal('none') }),
]) satisfies z.ZodType<Credential>;

const scopes = {
  member: label.nullable().optional(),
  project: label.nullable().optional(),
  env: label.nullable().optional(),
  models: z.array(z.string().min(1).max(256)).nullable().optional(),
  accounts: z.array(name).nullable().optional(),
  endpoints: z.array(z.enum(ENDPOINT_SCOPES)).min(1).optional(),
  budgets: z.array(budget).optional(),
  concurrency: z.int().positive().nullable().optional(),
  requestsPerMinute: z.int().positive().nullable().optional(),
  expiresAt: z.number().nullable().optional(),
};

/** Every message the control socket takes, by method. What does not fit is refused before it is looked at. */
export const CONTROL_PARAMS = {
  ping: z.object({}),
  status: z.object({}),
  stop: z.object({}),
  reload: z.object({}),
  'accounts.list': z.object({}),
  'accounts.add': z.object({
    name: name.nullable(), provider: name, kind: z.enum(PROVIDER_KINDS), credential, baseUrl: z.string().nullable(),
    wire: z.enum(['chat', 'responses']).nullable(), priority: z.int().min(0).max(1_000).nullable(), acceptTerms: z.boolean(), verify: z.boolean(),
  }),
  'accounts.login': z.object({ name, credential }),
  'accounts.remove': z.object({ name }),
  'accounts.rename': z.object({ name, to: name }),
  'accounts.pause': z.object({ name }),
  'accounts.resume': z.object({ name }),
  'accounts.wake': z.object({ name }),
  'accounts.test': z.object({ name }),
  'clients.list': z.object({}),
  'clients.add': z.object({ name, keep: z.boolean(), ...scopes }),
  'clients.set': z.object({ name, ...scopes }),
  'clients.rotate': z.object({ name, graceMs: z.number().min(0), expiresAt: z.number().nullable().optional() }),
  'clients.revoke': z.object({ name }),
  'clients.token': z.object({ name }),
  'budgets.list': z.object({}),
  'budgets.set': z.object({ ...budgetOwner, budget }),
  'budgets.remove': z.object({ ...budgetOwner, like: budgetKind.nullable() }),
  'models.list': z.object({}),
  'usage.report': z.object({ since: z.number().nullable(), until: z.number().nullable(), by: z.array(z.enum(USAGE_DIMENSIONS)).readonly() }),
  'requests.list': z.object({
    since: z.number().nullable(), until: z.number().nullable(), client: z.string().nullable(), account: z.string().nullable(), errorsOnly: z.boolean(),
    limit: z.int().positive().max(1_000), before: z.number().nullable(),
  }),
  'requests.get': z.object({ id: z.string().max(100) }),
  'ledger.rebuild': z.object({}),
  'ledger.prune': z.object({ before: z.number() }),
  'prices.list': z.object({}),
  'prices.update': z.object({ from: z.string().max(2_000).nullable() }),
  'routing.why': z.object({ model: z.string().min(1).max(256), client: z.string().max(64).nullable() }),
  'live.snapshot': z.object({}),
} as const;

export type ControlMethod = keyof typeof CONTROL_PARAMS;
export type ControlParams<M extends ControlMethod> = z.infer<(typeof CONTROL_PARAMS)[M]>;

/** Reads a message's parameters. Throws an Error whose message names the field. */
export function parseControlParams<M extends ControlMethod>(method: M, value: unknown): ControlParams<M> {
  const result = CONTROL_PARAMS[method].safeParse(value);
  // The schema and the type come from the same entry; zod's own type of an indexed schema is the union of all.
  if (result.success) return result.data as ControlParams<M>;
  const [issue] = result.error.issues;
  throw new Error(`${issue?.path.join('.') || method}: ${issue?.message ?? 'invalid'}`);
}

export function isControlMethod(method: string): method is ControlMethod {
  return Object.hasOwn(CONTROL_PARAMS, method);
}
