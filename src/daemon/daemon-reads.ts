import { reportUsage } from '../accounting/usage-report.ts';
import type { Clock } from '../core/ports.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { StatusView } from '../core/views.ts';
import type { ControlReads } from '../control/create-control.ts';
import { findRequest, queryRequests } from '../storage/query.ts';
import { modelViews, providerViews, servedModels } from './control-reads.ts';
import type { Parts } from './parts.ts';
import { answerWhy } from './why.ts';

/** What the running daemon knows of itself beside its parts. */
export interface DaemonFacts {
  readonly url: string;
  readonly version: string;
  readonly clock: Clock;
  readonly state: () => 'running' | 'draining';
  readonly stop: () => void;
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
        ledger: { state: ledger.journal.state, head: ledger.journal.head.h, seq: ledger.journal.head.seq },
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
    'models.list': async () => modelViews(servedModels(state.read(), settings.current())),
    'usage.report': async (query) => reportUsage(ledger.totals.read(), query),
    'requests.list': (query) => listRequests(home, query),
    'requests.get': ({ id }) => findRequest(home, id),
    'routing.why': async (asked) => answerWhy(asked, { settings: settings.current, state: () => state.read(), pool: workshop.pool, clock: facts.clock }),
    'live.snapshot': async () => ({
      daemon: { state: facts.state(), url: facts.url, startedAt: parts.startedAt }, running: live.running(), accounts: workshop.pool.views(),
    }),
  };
}

/** Newest first, at most `limit`, older than line `before`. */
export async function listRequests(home: string, query: Parameters<ControlReads['requests.list']>[0]): ReturnType<ControlReads['requests.list']> {
  const found: Awaited<ReturnType<ControlReads['requests.list']>>[number][] = [];
  const filter = {
    ...(query.since !== null && { since: query.since }), ...(query.until !== null && { until: query.until }),
    ...(query.client !== null && { client: query.client }), ...(query.account !== null && { account: query.account }), errorsOnly: query.errorsOnly,
  };
  for await (const { line } of queryRequests(home, filter)) {
    if (query.before !== null && line.seq >= query.before) continue;
    found.push(line);
    if (found.length >= query.limit) break;
  }
  return found;
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
