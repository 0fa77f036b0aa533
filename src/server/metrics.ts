import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { Clock } from '../core/ports.ts';
import type { CloseRecord } from '../core/record.ts';
import { SECOND_MS } from '../core/units.ts';
import type { AccountView, UsageGroup } from '../core/views.ts';
import type { LedgerPort } from './ledger-port.ts';

/** The page at `/metrics`. */
export interface Metrics {
  readonly contentType: string;
  /** Prometheus text of this moment. */
  render(): Promise<string>;
}

/** Who used what: the labels that the ledger's counters carry. */
const OWNERS = ['client', 'provider', 'account', 'model'] as const;
type Owner = Record<(typeof OWNERS)[number], string>;
/** Label sets of one metric; what is beyond is counted as `other`, so that a scrape stays small. */
const MOST_SERIES = 1_000;
/** The ledger is summed up at most this often. */
const SUM_EVERY_MS = 5 * SECOND_MS;
const TTFT_SECONDS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120];
const DURATION_SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];

/**
 * Requests, tokens and money are counted from the ledger, so they are those of `relay usage` and go on over a restart;
 * durations, attempts and outcomes are counted since Relay was started. A label is never a person's text.
 */
export function createMetrics(ledger: LedgerPort, clock: Clock): Metrics {
  const registry = new Registry();
  countLedger(registry, ledger, clock);
  countLive(registry, ledger);
  gaugePresent(registry, ledger, clock);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

type Sums = readonly (readonly [Owner, UsageGroup])[];

/** Counters that are summed up from the ledger as they are asked for. */
function countLedger(registry: Registry, ledger: LedgerPort, clock: Clock): void {
  let known: { readonly at: number; readonly sums: Sums } | null = null;
  const sums = (): Sums => {
    if (known === null || clock.now() - known.at >= SUM_EVERY_MS) known = { at: clock.now(), sums: ledgerSums(ledger) };
    return known.sums;
  };
  const counter = (name: string, help: string, read: (group: UsageGroup) => number): void => {
    registry.registerMetric(new Counter({
      name, help, labelNames: OWNERS, registers: [],
      collect() {
        this.reset();
        for (const [owner, group] of sums()) this.inc(owner, read(group));
      },
    }));
  };
  counter('relay_requests_total', 'Finished requests.', ({ requests }) => requests);
  counter('relay_requests_failed_total', 'Requests that failed upstream or broke off.', ({ failed }) => failed);
  counter('relay_requests_unmetered_total', 'Answers whose upstream told no tokens.', ({ unmetered }) => unmetered);
  counter('relay_cost_list_usd_total', 'List price of all tokens, in USD.', ({ cost }) => cost.list / 1e9);
  counter('relay_cost_charged_usd_total', 'What was really charged, in USD.', ({ cost }) => cost.charged / 1e9);
  registry.registerMetric(new Counter({
    name: 'relay_tokens_total', help: 'Tokens by kind; cached and cache_write are parts of input, reasoning of output.', labelNames: [...OWNERS, 'kind'], registers: [],
    collect() {
      this.reset();
      for (const [owner, { tokens }] of sums()) {
        const kinds = { input: tokens.input, cached: tokens.cached, cache_write: tokens.cacheWrite, output: tokens.output, reasoning: tokens.reasoning };
        for (const [kind, count] of Object.entries(kinds)) this.inc({ ...owner, kind }, count);
      }
    },
  }));
}

function ledgerSums(ledger: LedgerPort): Sums {
  const { groups } = ledger.report({ since: null, until: null, by: OWNERS }, { sees: 'all' });
  return groups.map((group, place) => [place < MOST_SERIES ? ownerOf(group) : EVERYBODY_ELSE, group] as const);
}

const EVERYBODY_ELSE: Owner = { client: 'other', provider: 'other', account: 'other', model: 'other' };

function ownerOf({ key }: UsageGroup): Owner {
  return { client: key.client ?? '', provider: key.provider ?? '', account: key.account ?? '', model: key.model ?? '' };
}

/** What is learned of each request as it ends. */
function countLive(registry: Registry, { live }: LedgerPort): void {
  const registers = [registry];
  const ttft = new Histogram({
    name: 'relay_ttft_seconds', help: 'Time from a request to the first output for its client.', labelNames: ['provider', 'model'], buckets: TTFT_SECONDS, registers,
  });
  const duration = new Histogram({
    name: 'relay_request_duration_seconds', help: 'Time from a request to its end.', labelNames: ['provider', 'model'], buckets: DURATION_SECONDS, registers,
  });
  const outcomes = new Counter({ name: 'relay_outcomes_total', help: 'Requests by how they ended, since the start.', labelNames: ['outcome', 'status'], registers });
  const attempts = new Counter({
    name: 'relay_upstream_attempts_total', help: 'Tries at an account by what came of them, since the start.', labelNames: ['provider', 'account', 'result'], registers,
  });
  const series = boundSeries();
  live.subscribe((event) => {
    if (event.type !== 'finish') return;
    const { record } = event;
    outcomes.inc({ outcome: record.outcome, status: String(record.status) });
    for (const attempt of record.attempts) attempts.inc(series({ provider: attempt.provider, account: attempt.account, result: attempt.error ?? 'ok' }));
    const labels = series({ provider: record.provider ?? '', model: modelOf(record) });
    if (record.outcome === 'refused') return;
    duration.observe(labels, record.ms.total / SECOND_MS);
    if (record.ms.ttft !== null) ttft.observe(labels, record.ms.ttft / SECOND_MS);
  });
}

/** A model as sent: what was only asked for is the client's invention. */
function modelOf({ model }: CloseRecord): string {
  return model.ran ?? model.sent ?? '';
}

/** Lets so many label sets through; those that come later are `other`. */
function boundSeries(): <L extends Readonly<Record<string, string>>>(labels: L) => L {
  const known = new Set<string>();
  return (labels) => {
    const name = JSON.stringify(labels);
    if (known.has(name)) return labels;
    if (known.size >= MOST_SERIES) return Object.fromEntries(Object.keys(labels).map((label) => [label, 'other'])) as typeof labels;
    known.add(name);
    return labels;
  };
}

/** What is so right now. */
function gaugePresent(registry: Registry, ledger: LedgerPort, clock: Clock): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(new Gauge({
      name, help, registers: [],
      collect() {
        this.set(read());
      },
    }));
  };
  gauge('relay_requests_in_flight', 'Requests that run now.', () => ledger.live.running().length);
  gauge('relay_requests_waiting', 'Requests that wait for a slot of their client.', () => ledger.waiting());
  gauge('relay_ledger_lines', 'Number of the newest line of the journal.', () => ledger.state().seq);
  gauge('relay_ledger_writable', '1 while the journal can be written.', () => Number(ledger.state().state !== 'full'));
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  gauge('process_start_time_seconds', 'When Relay was started, in seconds since 1970.', () => clock.now() / SECOND_MS - process.uptime());
  gaugeAccounts(registry, ledger, clock);
}

function gaugeAccounts(registry: Registry, ledger: LedgerPort, clock: Clock): void {
  const gauge = (name: string, help: string, read: (account: AccountView) => number): void => {
    registry.registerMetric(new Gauge({
      name, help, labelNames: ['provider', 'account'], registers: [],
      collect() {
        this.reset();
        for (const view of ledger.accounts()) this.set({ provider: view.provider, account: view.name }, read(view));
      },
    }));
  };
  gauge('relay_account_requests_in_flight', 'Requests an account serves now.', ({ inFlight }) => inFlight);
  gauge('relay_account_ready', '1 while an account can serve.', ({ state }) => Number(state === 'ready' || state === 'half-open'));
  gauge('relay_account_cooldown_seconds', 'Seconds until an account may serve again; 0 while it may.', ({ until }) => (
    until === null ? 0 : Math.max(0, (until - clock.now()) / SECOND_MS)
  ));
  registry.registerMetric(new Gauge({
    name: 'relay_account_quota_used_ratio', help: 'Used part of a quota window, 0-1.', labelNames: ['provider', 'account', 'window'], registers: [],
    collect() {
      this.reset();
      for (const { name: account, provider, quota } of ledger.accounts()) {
        for (const { window, usedPercent } of quota) this.set({ provider, account, window }, usedPercent / 100);
      }
    },
  }));
}
