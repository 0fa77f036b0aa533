import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { getRequestListener } from '@hono/node-server';

import type { Totals } from '../accounting/totals.ts';
import { emptyTotals, foldRecord, parseTotals } from '../accounting/totals.ts';
import { RelayError } from '../core/errors.ts';
import type { Clock, CredentialStore, LiveView, Log, Random } from '../core/ports.ts';
import type { Config } from '../core/config.ts';
import type { Control } from '../control/control.ts';
import { createControl, handleControlMessage } from '../control/create-control.ts';
import { ensureDefaultClient } from '../control/clients.ts';
import { createAnswerMemory } from '../gateway/answer-memory.ts';
import { createLiveView } from '../gateway/live-view.ts';
import { createSlots } from '../gateway/slots.ts';
import { openStickyStore } from '../gateway/sticky-store.ts';
import { createStoredResponses } from '../gateway/stored-responses.ts';
import { serveControl } from '../io/control-socket.ts';
import { createSpanExport } from '../io/otlp-export.ts';
import { writeDurably } from '../io/write-durably.ts';
import type { AppDeps } from '../server/app.ts';
import { createApp, unreadableReply } from '../server/app.ts';
import { createBodyMemory } from '../server/read-body.ts';
import type { MemoryLimits } from '../server/websocket-memory.ts';
import { createConversationMemory } from '../server/websocket-memory.ts';
import { createSocketDoor } from '../server/websocket.ts';
import { loadConfig } from '../storage/config-file.ts';
import type { WatchedConfig } from '../storage/config-watch.ts';
import { watchConfig } from '../storage/config-watch.ts';
import { openHome } from '../storage/home.ts';
import { openLedger } from '../storage/ledger.ts';
import { processLock } from '../storage/lock.ts';
import { openState } from '../storage/state-file.ts';
import { claimHome } from './claim-home.ts';
import { modelsForClient, servedModels } from './control-reads.ts';
import { daemonReads } from './daemon-reads.ts';
import { exposureOf, warnOfExposure } from './exposure.ts';
import { createInFlight } from './in-flight.ts';
import { keepCurrent } from './keep-current.ts';
import { keepRetention } from './keep-ledger.ts';
import { createLatestTime } from './latest-time.ts';
import { openLedgerPort } from './ledger-port.ts';
import type { Listeners } from './listen.ts';
import { listenOnLoopback } from './listen.ts';
import { removeMockAccounts, startMockProvider } from './mock-provider.ts';
import { openAdmission, openGateway } from './open-gateway.ts';
import { openLog } from './open-log.ts';
import type { Parts } from './parts.ts';
import { restorePrices } from './price-reads.ts';
import { stickyDocument } from './sticky-document.ts';
import type { Machine } from './workshop.ts';
import { openWorkshop } from './workshop.ts';

/** What a daemon is started with. */
export interface DaemonOptions {
  readonly home: string;
  /** Overrides `server.port`; 0 takes any. */
  readonly port: number | null;
  readonly withMock: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Gets each log line beside the file; null where nobody reads along. */
  readonly mirrorLog: ((line: string) => void) | null;
  readonly prompt: (() => Promise<string | null>) | null;
  /** Stands in for the store the settings name. */
  readonly credentials?: CredentialStore;
  /** Watched for sleep and changes of network; absent where the clock is not the machine's own. */
  readonly machine?: Machine;
  readonly version: string;
  /** Asked for by `relay stop`. */
  readonly onStop: () => void;
}

const PREPARE_AFTER_MS = 50;

/** A running daemon. */
export interface Daemon {
  readonly url: string;
  /** The key of client `default`, on the very first start only. */
  readonly clientKey: string | null;
  readonly control: Control;
  readonly live: LiveView;
  /** From where else than this machine it can be reached, in words; null when from nowhere. */
  readonly exposure: string | null;
  /** What is held right now; all of it 0 while nothing runs. */
  held(): Held;
  reload(): Promise<void>;
  /**
   * Stops taking requests, lets running ones finish for at most `deadlineMs`, then ends what is left and closes everything.
   * Called again with less time, it hurries the drain under way.
   */
  drain(deadlineMs: number): Promise<void>;
}

/** What running requests hold: calls being served, slots of clients and of accounts, bytes of bodies. */
export interface Held {
  readonly calls: number;
  readonly clientSlots: number;
  readonly accountSlots: number;
  readonly bodyBytes: number;
}

/** Time for streams that were cut to say so to their clients. */
const CUT_MS = 2_000;
const HURRIED_CUT_MS = 300;

/**
 * Starts the daemon of a home: settings, state, ledger, accounts, gateway, server. Throws a CommandError that says what
 * is in the way: 73 the home, 75 another daemon or the port, 78 the settings or the state.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { clock, random } = options;
  const home = await openHome(options.home);
  const config = await loadConfig(home);
  const claim = await claimHome(home, options);
  try {
    const { log, close: closeLog } = openLog(home, clock, options.mirrorLog);
    const state = await openState(home, { clock, log });
    const settings = watchConfig(home, { clock, log, config, onChange: () => sayReloaded(settings, log) });
    const ledger = await openLedger<Totals>(home, { empty: emptyTotals, fold: foldRecord, parse: parseTotals }, { clock, log, durability: config.ledger.durability });
    await restorePrices(home, log);
    await removeMockAccounts(state);
    const mock = options.withMock ? await startMockProvider(state, options) : null;
    const issued = await ensureDefaultClient({ state, clock, random, credentials: noCredentials });
    const workshop = openWorkshop({
      home, state, clock, random, log, settings: settings.current, lock: processLock(home, { clock }), env: options.env, prompt: options.prompt, version: options.version,
      ...(options.credentials !== undefined && { credentials: options.credentials }),
      ...(options.machine !== undefined && { machine: options.machine }),
    });
    const sticky = await openStickyStore({
      document: stickyDocument(home), clock, random, log, accountIds: () => new Set(state.read().accounts.map(({ id }) => id)),
    });
    const parts: Parts = { home, claim, log, state, settings, ledger, workshop, sticky, live: createLiveView(), inFlight: createInFlight(), startedAt: clock.now() };
    return await openDoors(parts, { options, clientKey: issued?.key ?? null, closeMock: async () => mock?.close(), closeLog });
  } catch (error) {
    await claim.release();
    throw error;
  }
}

function sayReloaded(settings: WatchedConfig, log: Log): void {
  log.info('settings reloaded');
  warnOfExposure(settings.current(), log);
}

/** The default client is made without keeping its key, so no credential store is touched. */
const noCredentials = {
  backend: 'memory' as const,
  get: () => Promise.resolve(null), set: () => Promise.resolve(), delete: () => Promise.resolve(false),
  getSecret: () => Promise.resolve(null), setSecret: () => Promise.resolve(), deleteSecret: () => Promise.resolve(false),
  probe: () => Promise.resolve({ state: 'ready' as const }),
};

interface Doors {
  readonly options: DaemonOptions;
  readonly clientKey: string | null;
  readonly closeMock: () => Promise<void>;
  readonly closeLog: () => Promise<void>;
}

async function openDoors(parts: Parts, { options, clientKey, closeMock, closeLog }: Doors): Promise<Daemon> {
  const { home, log, state, settings, inFlight, workshop, sticky } = parts;
  let draining = false;
  let listeners: Listeners | null = null;
  const port = (): number => listeners?.port ?? 0;
  const makeId = (prefix: string): string => `${prefix}_${Buffer.from(options.random.bytes(12)).toString('hex')}`;
  const slots = createSlots(options.clock, () => settings.current().limits);
  const answers = createAnswerMemory({ clock: options.clock, digest: (text) => createHash('sha256').update(text).digest('hex') });
  const admission = openAdmission(parts, slots, options.clock);
  const memory = createBodyMemory(() => settings.current().limits.inflightBodyMb * 1_048_576);
  const app: AppDeps = {
    gateway: openGateway(parts, { admission, answers }, options),
    responses: createStoredResponses({ ...workshop.catalogue, answers, state: () => state.read() }),
    clock: options.clock,
    latest: createLatestTime(state, options.clock),
    log,
    state: () => state.read(),
    settings: settings.current,
    memory,
    listModels: (client) => modelsForClient(client, servedModels(state.read(), settings.current())).map(({ model, accounts }) => ({
      model, providers: [...new Set(accounts.map(({ provider }) => provider))],
    })),
    makeId,
    ledger: openLedgerPort(parts, slots, options.clock),
    port,
    isDraining: () => draining,
    inFlight,
  };
  const handler = getRequestListener(createApp(app).fetch, { overrideGlobalObjects: false, errorHandler: () => unreadableReply(makeId('req')) });
  const sockets = createSocketDoor({ ...app, turns: createConversationMemory(() => memoryLimits(settings.current())) });
  listeners = await listenOnLoopback({ handler, sockets }, options.port ?? settings.current().server.port, options.clock);
  const url = `http://127.0.0.1:${listeners.port}`;
  const removed = (accountId: string): void => sticky.sessions.forgetAccount(accountId);
  const control = createControl({ ...workshop.control, removed }, daemonReads(parts, {
    url, version: options.version, clock: options.clock, state: () => (draining ? 'draining' : 'running'), stop: options.onStop, standing: admission.standing,
  }));
  serveControl(parts.claim, {
    call: (method, params) => handleControlMessage(control, method, params),
    subscribe: (listener) => parts.live.subscribe(listener),
  }, log);
  await writeDurably(join(home, 'daemon.json'), `${JSON.stringify({ pid: process.pid, port: listeners.port, url, startedAt: parts.startedAt })}\n`);
  const stopKeeping = keepCurrent(workshop, parts.live, options.clock);
  const spans = createSpanExport({ send: workshop.upstream.send, settings: settings.current, clock: options.clock, log, version: options.version });
  const stopSpans = parts.live.subscribe((event) => {
    if (event.type === 'finish') spans.add(event.record);
  });
  const stopRetention = keepRetention({ ledger: parts.ledger, settings: settings.current, clock: options.clock, log });
  log.info('listening', { url });
  warnOfExposure(settings.current(), log);
  // Behind the ready line, which people and scripts wait for.
  options.clock.after(PREPARE_AFTER_MS, () => void workshop.upstream.prepare());

  const close = async (): Promise<void> => {
    stopKeeping();
    stopRetention();
    stopSpans();
    workshop.watch.stop();
    settings.close();
    await sockets.close();
    await listeners?.close();
    await workshop.signIns.saveAll();
    await sticky.flush();
    await parts.ledger.close();
    await removeMockAccounts(state).catch(() => {});
    await state.flush();
    await closeMock();
    await spans.close();
    await workshop.upstream.close();
    await rm(join(home, 'daemon.json'), { force: true });
    log.info('stopped');
    await closeLog();
    await parts.claim.release();
  };
  let closed: Promise<void> | null = null;
  return {
    url, clientKey, control, live: parts.live,
    get exposure() {
      return exposureOf(settings.current());
    },
    held: () => ({ calls: inFlight.count, clientSlots: slots.held, accountSlots: workshop.pool.inFlight(), bodyBytes: memory.held }),
    async reload() {
      await settings.reload();
    },
    async drain(deadlineMs) {
      draining = true;
      sockets.drain();
      await Promise.race([inFlight.idle(), after(deadlineMs, options.clock)]);
      if (inFlight.count > 0) {
        log.warn('ending streams that outlast the drain', { streams: inFlight.count });
        inFlight.cutAll(new RelayError('draining', 'Relay is shutting down and this answer took longer than the drain allows.'));
        await Promise.race([inFlight.idle(), after(deadlineMs > 0 ? CUT_MS : HURRIED_CUT_MS, options.clock)]);
        listeners?.destroy();
      }
      closed ??= close();
      await closed;
    },
  };
}

/** What WebSockets may keep of their conversations: each no more than one request could bring, all no more than running ones hold. */
function memoryLimits({ server, limits }: Config): MemoryLimits {
  return { connectionBytes: server.maxBodyMb * 1_048_576, totalBytes: limits.inflightBodyMb * 1_048_576 };
}

function after(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
