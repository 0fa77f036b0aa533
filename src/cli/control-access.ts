import type { Config } from '../core/config.ts';
import type { StatusView } from '../core/views.ts';
import type { Control, ControlResult } from '../control/control.ts';
import type { ControlMethod, ControlParams } from '../core/control-messages.ts';
import type { JsonObject } from '../core/json.ts';
import { listBudgets } from '../control/budgets.ts';
import { createControl } from '../control/create-control.ts';
import { ControlError } from '../control/control.ts';
import { modelViews, providerViews, servedModels } from '../daemon/control-reads.ts';
import { standingInLedger } from '../daemon/ledger-reads.ts';
import { answerWhy } from '../daemon/why.ts';
import { priceReads, restorePrices } from '../daemon/price-reads.ts';
import { openWorkshop } from '../daemon/workshop.ts';
import type { ControlConnection } from '../io/connect-control.ts';
import { connectControl } from '../io/connect-control.ts';
import { controlPath } from '../io/control-path.ts';
import { openLog } from '../daemon/open-log.ts';
import { systemRandom } from '../io/system-random.ts';
import { loadConfig } from '../storage/config-file.ts';
import { openHome } from '../storage/home.ts';
import { processLock, withLock } from '../storage/lock.ts';
import { openState } from '../storage/state-file.ts';
import type { CommandContext } from './context.ts';
import { offlineLedger } from './offline-ledger.ts';
import { VERSION } from './version.ts';

/** A keychain may be asking the person meanwhile. */
const CALL_MS = 90_000;

/** What a command works with: the daemon's control where one runs, else its own. */
export interface ControlAccess {
  readonly control: Control;
  readonly settings: Config;
  /** The running daemon; null when none runs. */
  readonly daemon: ControlConnection | null;
}

/** The running daemon of this home; null when none answers. */
export async function findDaemon(context: CommandContext): Promise<ControlConnection | null> {
  return connectControl(await controlPath(context.home, context.env), { clock: context.clock, timeoutMs: CALL_MS });
}

/**
 * A control that follows the daemon as it comes and goes, for screens that stay open: each call goes to the daemon while
 * one runs, else over the files, which are held for that call only.
 */
export function followDaemon(context: CommandContext): Control & { events(listener: (event: JsonObject) => void): () => void } {
  let daemon: ControlConnection | null = null;
  const listeners = new Set<(event: JsonObject) => void>();
  const find = async (): Promise<ControlConnection | null> => {
    if (daemon !== null) return daemon;
    const found = await findDaemon(context);
    if (found === null || daemon !== null) return daemon;
    daemon = found;
    found.events({
      onEvent: (event) => listeners.forEach((listener) => listener(event)),
      onEnd: () => {
        daemon = null;
      },
    });
    return found;
  };
  const overFiles = async <M extends ControlMethod>(method: M, params: ControlParams<M>): Promise<ControlResult<M>> => {
    let result: Promise<ControlResult<M>> | null = null;
    await openControl(context, async ({ control }) => {
      result = control.call(method, params);
      await result;
    });
    return result ?? Promise.reject(new ControlError('not_running', 'Relay is not running.'));
  };
  return {
    async call(method, params) {
      const running = await find();
      if (running === null) return overFiles(method, params);
      return running.call(method, params).catch((error: unknown) => {
        if (!(error instanceof ControlError) || error.code !== 'not_running') throw error;
        daemon = null;
        return overFiles(method, params);
      });
    },
    events(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Runs `work` with a control over this home: the daemon's while one runs, so that nothing is written behind its back;
 * else over the files themselves, held by a lock while the work lasts.
 */
export async function openControl(context: CommandContext, work: (access: ControlAccess) => Promise<void>): Promise<void> {
  const home = await openHome(context.home);
  const settings = await loadConfig(home);
  const daemon = await findDaemon(context);
  if (daemon !== null) return work({ control: daemon, settings, daemon });
  await withLock(home, 'state', { clock: context.clock }, async () => {
    const { log, close: closeLog } = openLog(home, context.clock, null);
    const state = await openState(home, { clock: context.clock, log });
    const workshop = openWorkshop({
      home, state, clock: context.clock, random: systemRandom, log, settings: () => settings, env: context.env, version: VERSION,
      lock: processLock(home, { clock: context.clock }),
      prompt: context.terminal === null ? null : async () => (await import('./prompt.ts')).askHidden('Passphrase of the vault: ', context),
    });
    const ledger = offlineLedger(home, context, { settings, log });
    await restorePrices(home, log);
    const control = createControl(workshop.control, {
      ping: () => Promise.resolve({ url: null, pid: process.pid }),
      async status() {
        const accounts = workshop.pool.views();
        return {
          gateway: { state: 'stopped', url: null, uptimeMs: null, version: VERSION, rssMb: null, pid: null },
          ledger: await ledger.view(),
          keychain: await keychainOf(workshop.credentials),
          providers: providerViews(accounts),
          accounts,
        };
      },
      stop: () => Promise.reject(new ControlError('not_running', 'Relay is not running.')),
      reload: () => Promise.resolve({ ok: true, message: 'Relay is not running; it reads its settings when it starts' }),
      'budgets.list': () => ledger.withTotals((totals) => {
        const now = context.clock.now();
        return listBudgets(state.read(), (owned) => standingInLedger(totals, owned, now), now);
      }),
      'models.list': () => Promise.resolve(modelViews(servedModels(state.read(), settings))),
      ...ledger.reads,
      ...priceReads({ home, state: () => state.read(), settings: () => settings, send: workshop.upstream.send, clock: context.clock }),
      'routing.why': async (asked) => answerWhy(asked, { settings: () => settings, state: () => state.read(), pool: workshop.pool, clock: context.clock }),
      'live.snapshot': () => Promise.resolve({ daemon: null, running: [], accounts: workshop.pool.views() }),
    });
    try {
      await work({ control, settings, daemon: null });
    } finally {
      await workshop.signIns.saveAll();
      await state.flush();
      await workshop.upstream.close();
      await closeLog();
    }
  });
}

async function keychainOf(credentials: { readonly backend: StatusView['keychain']['backend']; probe(): Promise<{ readonly state: StatusView['keychain']['state'] }> }): Promise<StatusView['keychain']> {
  return { state: (await credentials.probe()).state, backend: credentials.backend };
}
