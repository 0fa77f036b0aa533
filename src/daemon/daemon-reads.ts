import type { Spend } from '../accounting/budget.ts';
import type { OwnedLine } from '../accounting/budget-lines.ts';
import type { Clock } from '../core/ports.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { StatusView } from '../core/views.ts';
import { listBudgets } from '../control/budgets.ts';
import type { ControlReads } from '../control/create-control.ts';
import { modelViews, providerViews, servedModels } from './control-reads.ts';
import { ledgerReads } from './ledger-reads.ts';
import type { Parts } from './parts.ts';
import { priceReads } from './price-reads.ts';
import { answerWhy } from './why.ts';

/** What the running daemon knows of itself beside its parts. */
export interface DaemonFacts {
  readonly url: string;
  readonly version: string;
  readonly clock: Clock;
  readonly state: () => 'running' | 'draining';
  readonly stop: () => void;
  /** Where a budget stands, with what running requests hold. */
  readonly standing: (owned: OwnedLine) => Spend;
}

/** Everything a control answers out of a running daemon. */
export function daemonReads(parts: Parts, facts: DaemonFacts): ControlReads {
  const { home, workshop, ledger, state, settings, live } = parts;
  const keychain = keychainProbe(parts, facts.clock);
  return {
    async ping() {
      return { url: facts.url, pid: process.pid };
    },
    async status() {
      const accounts = workshop.pool.views();
      return {
        gateway: {
          state: facts.state(), url: facts.url, uptimeMs: facts.clock.now() - parts.startedAt, version: facts.version,
          rssMb: Math.round(process.memoryUsage.rss() / 1_048_576), pid: process.pid,
        },
        ledger: { state: ledger.isCorrupt && ledger.journal.state !== 'full' ? 'corrupt' : ledger.journal.state, head: ledger.journal.head.h, seq: ledger.journal.head.seq },
        keychain: await keychain(),
        providers: providerViews(accounts),
        accounts,
      };
    },
    async stop() {
      facts.stop();
      return null;
    },
    async reload() {
      const result = await settings.reload();
      return result.outcome === 'invalid' ? { ok: false, message: result.message } : { ok: true, message: result.outcome };
    },
    'budgets.list': async () => listBudgets(state.read(), facts.standing, facts.clock.now()),
    'models.list': async () => modelViews(servedModels(state.read(), settings.current())),
    ...ledgerReads({
      home, clock: facts.clock, settings: settings.current,
      withTotals: (work) => Promise.resolve(work(ledger.totals.read())),
      withLedger: (work) => work(ledger),
    }),
    ...priceReads({ home, state: () => state.read(), settings: settings.current, send: workshop.upstream.send, clock: facts.clock }),
    'routing.why': async (asked) => answerWhy(asked, { settings: settings.current, state: () => state.read(), pool: workshop.pool, clock: facts.clock }),
    'live.snapshot': async () => ({
      daemon: { state: facts.state(), url: facts.url, startedAt: parts.startedAt }, running: live.running(), accounts: workshop.pool.views(),
    }),
  };
}

/** A probe writes to the keychain, so its answer stands for a while. */
const PROBE_STANDS_MS = MINUTE_MS;

function keychainProbe({ workshop }: Pick<Parts, 'workshop'>, clock: Clock): () => Promise<StatusView['keychain']> {
  const { credentials } = workshop;
  let known: { readonly at: number; readonly view: Promise<StatusView['keychain']> } | null = null;
  return () => {
    if (known === null || clock.now() - known.at > PROBE_STANDS_MS) {
      known = { at: clock.now(), view: credentials.probe().then(({ state }) => ({ state, backend: credentials.backend })) };
    }
    return known.view;
  };
}
