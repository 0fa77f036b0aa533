import { z } from 'zod';

import { PROVIDER_KINDS } from './provider-kind.ts';

const positive = z.int().positive();
const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

/** https anywhere; plain http only to this machine, so that no key crosses a network in the clear. */
const upstreamUrl = z.url({ protocol: /^https?$/ }).refine(
  (text) => URL.canParse(text) && (new URL(text).protocol === 'https:' || isLoopbackHost(new URL(text).hostname)),
  { error: 'plain http is only for loopback addresses; use https' },
);

/** True for the names and addresses of this machine: `localhost`, `127.0.0.0/8`, `::1`. */
export function isLoopbackHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

const providerSchema = z.strictObject({
  kind: z.enum(PROVIDER_KINDS).describe('The adapter that speaks to it.'),
  baseUrl: upstreamUrl.optional().describe('Address of its API; the adapter knows the usual one.'),
  authUrl: upstreamUrl.optional().describe('Address of its sign-in server (chatgpt only).'),
  wire: z.enum(['chat', 'responses']).optional().describe('Protocol it speaks; `chat` unless said.'),
  headers: z.record(z.string(), z.string()).optional().describe('Headers added to every call to it.'),
  models: z.array(z.string()).optional().describe('Models it serves, where it has no list of its own.'),
  customTools: z.enum(['native', 'wrapped']).optional()
    .describe('How Responses clients\' free-form (`custom`) tools are told it, as they are or `wrapped` in a function with one string;'
      + ' `native` where it speaks Responses and at OpenAI\'s own chat endpoint, `wrapped` at any other, unless said.'),
  systemFirst: z.boolean().optional().describe('Its chat template takes one system message, at the beginning: all of them are joined there.'),
});

const clientCompat = z.strictObject({
  reasoningField: z.enum(['reasoning_content', 'reasoning', 'both', 'none', 'think-tags']).optional()
    .describe('Where chat answers tell reasoning; `reasoning_content` unless said, and untouched where the provider speaks chat itself.'),
  customTools: z.enum(['custom', 'function']).optional()
    .describe('How calls of free-form tools come back in chat; the way they were declared unless said.'),
});

const modelSet = z.strictObject({
  models: z.array(z.string()).min(1),
  policy: z.enum(['ordered', 'cheapest', 'fastest', 'available']).default('ordered'),
  effort: z.enum(EFFORTS).optional(),
  tier: z.string().optional(),
});

/** The schema of `config.json`: strict, every key with a default that serves. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  server: z.strictObject({
    port: z.int().min(0).max(65_535).default(7352).describe('Port on 127.0.0.1 and ::1; 0 takes any.'),
    allowedHosts: z.array(z.string()).default([]).describe('Host names beside the loopback ones, e.g. of your own tunnel.'),
    allowedOrigins: z.array(z.string()).default([]).describe('Browser origins that may call Relay.'),
    maxBodyMb: positive.default(32).describe('Largest request body after decoding, in MiB.'),
    useProxyEnv: z.boolean().default(false).describe('Obey HTTPS_PROXY and NO_PROXY toward upstreams.'),
    websocket: z.boolean().default(true).describe('Serve the Responses WebSocket.'),
  }).prefault({}),
  providers: z.record(z.string(), providerSchema).default({}),
  models: z.strictObject({
    aliases: z.record(z.string(), z.union([z.string(), z.array(z.string()).min(1), modelSet])).default({}),
    fallbacks: z.record(z.string(), z.array(z.string())).default({}),
    environments: z.record(z.string(), z.record(z.string(), z.string())).default({}),
  }).prefault({}),
  routing: z.strictObject({
    strategy: z.enum(['balanced', 'drain-soonest', 'priority', 'cheapest', 'fastest', 'round-robin']).default('balanced'),
    sticky: z.boolean().default(true).describe('Keep a conversation on one account.'),
    weights: z.record(z.string(), z.number().min(0)).default({}),
    paidOverflow: z.boolean().default(false).describe('Let API keys take over when subscriptions are exhausted.'),
    accountConcurrency: positive.default(8),
  }).prefault({}),
  compat: z.record(z.string(), clientCompat).default({}).describe('What clients want told otherwise, by client name; `*` is for all others.'),
  strict: z.boolean().default(false).describe('Refuse parameters that cannot be honoured instead of dropping them.'),
  timeouts: z.strictObject({
    connectMs: positive.default(5_000),
    headersMs: positive.default(60_000),
    firstEventMs: positive.default(120_000),
    idleMs: positive.default(300_000),
    totalMs: positive.default(3_600_000),
  }).prefault({}),
  retry: z.strictObject({
    maxAttempts: positive.default(4),
    budgetPercent: z.number().min(0).max(100).default(10),
  }).prefault({}),
  breaker: z.strictObject({
    errors: positive.default(3),
    windowMs: positive.default(60_000),
    ejectMs: positive.default(30_000),
    maxEjectMs: positive.default(600_000),
  }).prefault({}),
  limits: z.strictObject({
    queue: z.int().min(0).default(64).describe('Requests that may wait for a slot.'),
    queueMs: positive.default(30_000),
    inflightBodyMb: positive.default(256),
  }).prefault({}),
  ledger: z.strictObject({
    durability: z.enum(['disk', 'process']).default('disk'),
    retentionDays: z.int().min(0).default(0).describe('0 keeps the journal forever.'),
  }).prefault({}),
  pricing: z.record(z.string(), z.strictObject({
    input: z.number().min(0), cached: z.number().min(0).optional(), cacheWrite: z.number().min(0).optional(), output: z.number().min(0),
  })).default({}).describe('USD per million tokens, instead of the built-in price.'),
  plans: z.record(z.string(), z.number().min(0)).default({}).describe('What a subscription costs in USD a month, by account name; usage then says what it is worth.'),
  telemetry: z.strictObject({
    otlpEndpoint: upstreamUrl.optional().describe('OTLP/HTTP collector that gets one span a request, without content, e.g. http://localhost:4318. Absent: nothing is sent.'),
    headers: z.record(z.string(), z.string()).default({}).describe('Headers of those calls, e.g. a key of the collector.'),
  }).prefault({}),
  keychain: z.enum(['os', 'file', 'memory']).default('os'),
  notify: z.strictObject({
    desktop: z.boolean().default(true),
    command: z.string().optional(),
    quietHours: z.string().regex(/^\d{2}:\d{2}-\d{2}:\d{2}$/).optional(),
  }).prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type ProviderConfig = Config['providers'][string];

/** Validates settings. The result names every fault by its path; nothing is thrown. */
export function parseConfig(value: unknown): { readonly ok: true; readonly config: Config } | { readonly ok: false; readonly faults: readonly ConfigFault[] } {
  const result = configSchema.safeParse(value);
  if (result.success) return { ok: true, config: result.data };
  return { ok: false, faults: result.error.issues.map((issue) => ({ path: issue.path.map(String), message: issue.message })) };
}

export interface ConfigFault {
  readonly path: readonly string[];
  readonly message: string;
}

/** The settings of a fresh install. */
export const DEFAULT_CONFIG: Config = configSchema.parse({});

/** The published JSON Schema of `config.json`, as an editor checks it: what a person may write, every default optional. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }), title: 'Relay settings' };
}
