import type { LiveRequest } from '../../src/core/ports.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/core/units.ts';
import type { AccountView, UsageDimension, UsageGroup, UsageQuery, UsageReport, UsageTotals } from '../../src/core/views.ts';
import type { AccountAction, FinishedRequest, TuiSnapshot, TuiSource } from '../../src/tui/source.ts';

/** 2026-11-24 14:02:11 UTC: when the fixtures are looked at. */
export const NOW = Date.UTC(2026, 10, 24, 14, 2, 11);

/** A finished request as the journal holds it: one that went well, changed where a test says so. */
export function finishedRequest(change: Partial<FinishedRequest> = {}): FinishedRequest {
  return {
    v: 1,
    k: 'close',
    seq: 4_711,
    h: '0123456789abcdef0123456789abcdef',
    t: NOW - 5_000,
    id: 'req_01k9aa7f3a9c21',
    client: 'codex',
    member: null,
    project: null,
    env: null,
    endpoint: 'responses',
    stream: true,
    model: { asked: 'gpt-6-luna', sent: 'gpt-6-luna', ran: 'gpt-6-luna' },
    provider: 'chatgpt',
    account: 'personal',
    status: 200,
    outcome: 'ok',
    error: null,
    attempts: [
      {
        account: 'personal',
        provider: 'chatgpt',
        model: 'gpt-6-luna',
        t: NOW - 9_200,
        ms: 4_180,
        status: 200,
        error: null,
        phase: 'committed',
      },
    ],
    tokens: { input: 12_400, cached: 10_240, cacheWrite: 0, output: 1_204, reasoning: 320, estimated: false },
    tier: { asked: null, served: null }, cost: { list: 14_200_000, charged: 0, price: 'gpt-6-luna, openai.com 2026-11-02' },
    ms: { queue: 0, ttft: 640, total: 4_200 }, route: null, upstreamRequestId: null, dropped: [], ...change,
  };
}

/** A request that was refused by one account and served by the next, with everything `relay show` can explain. */
export function failedOverRequest(): FinishedRequest {
  return finishedRequest({
    id: 'req_01k9ab00feed42', seq: 4_712, t: NOW - 4_000, client: 'opencode', member: 'ana', project: 'site', env: 'prod',
    model: { asked: 'fast', sent: 'gpt-6-luna', ran: 'gpt-6-luna-2026-09-01' }, tier: { asked: 'auto', served: 'default' },
    attempts: [
      {
        account: 'work',
        provider: 'chatgpt',
        model: 'gpt-6-luna',
        t: NOW - 8_200,
        ms: 210,
        status: 429,
        error: 'usage_limit_reached',
        phase: 'headers',
      },
      {
        account: 'personal',
        provider: 'chatgpt',
        model: 'gpt-6-luna',
        t: NOW - 7_986,
        ms: 3_980,
        status: 200,
        error: null,
        phase: 'committed',
      },
    ],
    ms: { queue: 12, ttft: 864, total: 4_202 },
    route: {
      strategy: 'balanced', sticky: 'moved', whyMore: 2,
      why: [
        { account: 'personal', score: 0.812, parts: { headroom: 0.62, load: 0.88, speed: 0.74 } },
        { account: 'spare', score: 0.4 },
        { account: 'work', out: 'cooldown', until: NOW + 80 * MINUTE_MS },
      ],
    },
    upstreamRequestId: 'up_7788', dropped: ['logit_bias', 'seed'],
  });
}

/** A request that nobody could serve. */
export function failedRequest(): FinishedRequest {
  return finishedRequest({
    id: 'req_01k9ac0badc0de', seq: 4_713, t: NOW - 3_000, client: 'zed', status: 503, outcome: 'failed', account: null, provider: null,
    model: { asked: 'gpt-6-sol', sent: null, ran: null }, tokens: null, cost: { list: 0, charged: 0, price: null },
    error: { code: 'overloaded', message: 'every account that serves gpt-6-sol refused; try again in a minute' },
    attempts: [
      {
        account: 'work',
        provider: 'chatgpt',
        model: 'gpt-6-sol',
        t: NOW - 3_400,
        ms: 390,
        status: 529,
        error: 'server_is_overloaded',
        phase: 'headers',
      },
    ],
    ms: { queue: 0, ttft: null, total: 402 },
  });
}

const CLIENTS = ['codex', 'opencode', 'zed', 'aider', 'nightly-eval'];
const MODELS = ['gpt-6-luna', 'gpt-6-sol', 'gpt-6-mini', 'deepseek-v4', 'qwen3-coder:30b'];
const ACCOUNTS = ['personal', 'work', 'openai-key', 'deepseek', 'local'];

/** Many finished requests, newest first, of every outcome. */
export function manyRequests(count: number): readonly FinishedRequest[] {
  return Array.from({ length: count }, (_, index): FinishedRequest => {
    const at = NOW - 10_000 - index * 37_000;
    const model = MODELS[(index * 7) % MODELS.length] ?? '';
    const account = ACCOUNTS[(index * 3) % ACCOUNTS.length] ?? '';
    const base = finishedRequest({
      id: `req_01k9${(0xa00000 + index * 7_919).toString(16).padStart(12, '0')}`,
      seq: 4_710 - index,
      t: at,
      client: CLIENTS[(index * 3) % CLIENTS.length] ?? '',
      account,
      model: { asked: model, sent: model, ran: model },
      tokens: {
        input: 900 + index * 2_311,
        cached: index * 1_200,
        cacheWrite: 0,
        output: 40 + ((index * 517) % 9_000),
        reasoning: 12,
        estimated: false,
      },
      cost: { list: 1_100_000 + index * 977_000, charged: index % 3 === 0 ? 1_100_000 : 0, price: model },
      ms: { queue: 0, ttft: 380 + ((index * 131) % 2_600), total: 1_900 + ((index * 977) % 60_000) },
    });
    if (index % 17 === 5) return { ...base, outcome: 'client_closed', status: 499 };
    if (index % 23 === 7) return { ...base, outcome: 'incomplete' };
    if (index % 29 === 11)
      return {
        ...base,
        outcome: 'refused',
        status: 429,
        account: null,
        error: { code: 'budget_exceeded', message: 'the month of this client is used up' },
        tokens: null,
      };
    return base;
  });
}

/** Accounts in every condition. */
export const ACCOUNT_VIEWS: readonly AccountView[] = [
  accountView({
    name: 'personal',
    plan: 'plus',
    inFlight: 2,
    quota: [
      { window: '5h', usedPercent: 62.4, resetsAt: NOW + 80 * MINUTE_MS, lastsUntil: NOW + 41 * MINUTE_MS },
      { window: '7d', usedPercent: 31, resetsAt: NOW + 3 * DAY_MS },
    ],
  }),
  accountView({
    name: 'work',
    plan: 'team',
    state: 'cooldown',
    reason: 'usage_limit_reached',
    until: NOW + 80 * MINUTE_MS,
    quota: [
      { window: '5h', usedPercent: 100, resetsAt: NOW + 80 * MINUTE_MS },
      { window: '7d', usedPercent: 78, resetsAt: NOW + 5 * DAY_MS },
      { window: 'spark 5h', usedPercent: 4, resetsAt: null },
    ],
    lastError: { at: NOW - MINUTE_MS, status: 429, code: 'usage_limit_reached', message: 'You have hit your usage limit.' },
  }),
  accountView({ name: 'old-laptop', state: 'needs-login', reason: 'refresh_token_reused', plan: 'plus' }),
  accountView({ name: 'openai-key', provider: 'openai', plan: null, balance: { amount: 18_420_000_000, currency: 'USD' } }),
  accountView({
    name: 'deepseek',
    provider: 'deepseek',
    plan: null,
    state: 'paused',
    balance: { amount: 52_000_000_000, currency: 'CNY' },
  }),
  accountView({
    name: 'local',
    provider: 'ollama',
    plan: null,
    state: 'open',
    reason: 'connect_refused',
    until: NOW + 24_000,
    models: ['qwen3-coder:30b'],
  }),
];

function accountView(change: Partial<AccountView>): AccountView {
  return {
    name: 'personal', provider: 'chatgpt', plan: 'plus', state: 'ready', until: null, reason: null, quota: [], balance: null, inFlight: 0,
    models: ['gpt-6-luna', 'gpt-6-sol', 'gpt-6-mini'], lastError: null, ...change,
  };
}

/** A request that streams. */
export function runningRequest(change: Partial<LiveRequest> = {}): LiveRequest {
  return {
    id: 'req_01k9ad11111111',
    client: 'codex',
    endpoint: 'responses',
    stream: true,
    model: 'gpt-6-luna',
    account: 'personal',
    provider: 'chatgpt',
    phase: 'streaming',
    attempts: 1,
    startedAt: NOW - 6_400,
    firstOutputAt: NOW - 5_000,
    outputEvents: 460,
    ...change,
  };
}

/** A busy Relay. */
export function busySnapshot(change: Partial<TuiSnapshot> = {}): TuiSnapshot {
  return {
    daemon: { state: 'running', url: 'http://127.0.0.1:7352', startedAt: NOW - 3 * HOUR_MS - 12 * MINUTE_MS },
    accounts: ACCOUNT_VIEWS,
    running: [
      runningRequest(),
      runningRequest({
        id: 'req_01k9ad22222222',
        client: 'opencode',
        model: 'gpt-6-sol',
        phase: 'waiting',
        attempts: 2,
        startedAt: NOW - 1_900,
        firstOutputAt: null,
        outputEvents: 0,
      }),
      runningRequest({
        id: 'req_01k9ad33333333',
        client: 'zed',
        model: 'gpt-6-mini',
        account: null,
        provider: null,
        phase: 'queued',
        attempts: 0,
        startedAt: NOW - 300,
        firstOutputAt: null,
        outputEvents: 0,
      }),
    ],
    finished: [failedRequest(), failedOverRequest(), finishedRequest(), ...manyRequests(200)],
    ...change,
  };
}

/** A Relay nobody has used yet. */
export const FRESH_SNAPSHOT: TuiSnapshot = {
  daemon: { state: 'running', url: 'http://127.0.0.1:7352', startedAt: NOW - 2 * MINUTE_MS }, accounts: [], running: [], finished: [],
};

/** Sums, scaled: 1 is a quiet hour. */
export function usageTotals(scale = 1): UsageTotals {
  return {
    requests: 12 * scale, failed: Math.floor(scale / 4), unmetered: scale > 8 ? 2 : 0,
    tokens: { input: 180_000 * scale, cached: 121_000 * scale, cacheWrite: 900 * scale, output: 14_000 * scale, reasoning: 3_100 * scale },
    cost: { list: 410_000_000 * scale, charged: 31_000_000 * scale, saved: 379_000_000 * scale },
    ms: { ttftP50: 640, ttftP95: 2_140, totalP50: 4_200, totalP95: 48_000 },
  };
}

const VALUES: Readonly<Record<UsageDimension, readonly (string | null)[]>> = {
  model: MODELS,
  account: ACCOUNTS,
  provider: ['chatgpt', 'openai', 'deepseek', 'ollama'],
  client: CLIENTS,
  member: ['ana', 'ben', null],
  project: ['site', 'eval', null],
  env: ['prod', null],
  hour: Array.from({ length: 24 }, (_, hour) => new Date(Math.floor(NOW / HOUR_MS) * HOUR_MS - (23 - hour) * HOUR_MS).toISOString()),
  day: Array.from({ length: 30 }, (_, day) => new Date(Math.floor(NOW / DAY_MS) * DAY_MS - (29 - day) * DAY_MS).toISOString().slice(0, 10)),
};

/** The report a ledger would give, with a group for every value of the first dimension. */
export function usageReport({ since, until, by }: UsageQuery): UsageReport {
  const [dimension] = by;
  const values = dimension === undefined ? [] : VALUES[dimension];
  const groups = values.map((value, index): UsageGroup => ({
    key: Object.fromEntries(by.map((each, place) => [each, place === 0 ? value : (VALUES[each][index % VALUES[each].length] ?? null)])),
    ...usageTotals(1 + ((index * 5) % 9)),
  }));
  return { since, until, by, totals: usageTotals(40), groups };
}

/** A source a test drives by hand: it remembers what was asked of it. */
export interface FixtureSource extends TuiSource {
  publish(snapshot: TuiSnapshot): void;
  readonly actions: readonly AccountAction[];
  readonly queries: readonly UsageQuery[];
  readonly subscribers: number;
}

/** Makes such a source; it gives `first` to whoever subscribes. */
export function fixtureSource(first: TuiSnapshot | null, change: Partial<TuiSource> = {}): FixtureSource {
  const listeners = new Set<(snapshot: TuiSnapshot) => void>();
  const actions: AccountAction[] = [];
  const queries: UsageQuery[] = [];
  let current = first;
  return {
    actions, queries,
    get subscribers() {
      return listeners.size;
    },
    publish(snapshot) {
      current = snapshot;
      for (const listener of listeners) listener(snapshot);
    },
    subscribe(listener) {
      listeners.add(listener);
      if (current) listener(current);
      return () => listeners.delete(listener);
    },
    async act(action) {
      actions.push(action);
    },
    async usage(query) {
      queries.push(query);
      return usageReport(query);
    },
    async request(id) {
      return current?.finished.find((record) => record.id === id) ?? null;
    },
    ...change,
  };
}
