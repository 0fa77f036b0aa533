import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { randomBytes } from 'node:crypto';

import type { Clock, Random } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import { openExchange } from './exchange.ts';
import type { Exchange, MockRecord } from './exchange.ts';
import { MOCK_FAILURES } from './failures.ts';
import type { MockFailure } from './failures.ts';
import { createMockAccount } from './mock-account.ts';
import type { MockAccount, MockAccountSpec, RefreshFault } from './mock-account.ts';
import { createMockAuth } from './mock-auth.ts';
import type { SignIn } from './mock-auth.ts';
import { MOCK_CODEX_MODELS, MOCK_MODELS } from './mock-models.ts';
import { sendJson } from './play-step.ts';
import { routeCall } from './route-call.ts';
import type { Router } from './route-call.ts';
import type { MockStep } from './steps.ts';

/** How a mock upstream is to be. Everything has a value that suits a test. */
export interface MockUpstreamOptions {
  readonly port?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** `mock-a` and `mock-b`, without secrets, unless said. */
  readonly accounts?: readonly MockAccountSpec[];
  /** Models of the platform's routes; the ChatGPT routes have {@link MOCK_CODEX_MODELS}. */
  readonly models?: readonly string[];
  /** Milliseconds before each token of a stream; 0 unless said. */
  readonly paceMs?: number;
  /** `bound`: an account refuses the ciphertext of another. */
  readonly ciphertext?: 'portable' | 'bound';
  /** The account a call without credentials counts for, as at a local server; such a call is refused unless said. */
  readonly anonymous?: string;
  /** How many calls `calls` keeps; 0 keeps none. */
  readonly keepCalls?: number;
}

/** A running fake upstream: ChatGPT backend, OpenAI platform and sign-in server on one port of this machine. */
export interface MockUpstream {
  readonly origin: string;
  /** The sign-in server's issuer: the same origin. */
  readonly authOrigin: string;
  /** Base URLs as an account or `config.json` would name them. */
  readonly chatgptBaseUrl: string;
  readonly platformBaseUrl: string;
  /** Every call so far, oldest first, kept true while it is answered. */
  readonly calls: readonly MockRecord[];
  readonly accounts: ReadonlyMap<string, MockAccount>;
  readonly signIn: SignIn;
  /** Sockets open now, and ever. */
  readonly sockets: { readonly open: number; readonly opened: number };
  /** The account by its name; throws when there is none. */
  account(name: string): MockAccount;
  add(spec: MockAccountSpec): MockAccount;
  /** Calls of one account to paths that contain `path`, oldest first. */
  callsOf(account: string, path?: string): readonly MockRecord[];
  /** What the account's next generating calls meet, in order; afterwards it serves again. */
  script(account: string, steps: readonly MockStep[]): void;
  /** Puts an account (`*`: every one) into a failure until a time, for a number of calls, or until `mend`. */
  fail(what: MockFailure, options: { readonly account: string; readonly until?: EpochMs; readonly count?: number }): void;
  mend(account: string): void;
  /** What the account's next refreshes meet, in order. */
  failRefresh(account: string, ...faults: readonly RefreshFault[]): void;
  /** Destroys every socket and stops listening. */
  close(): Promise<void>;
}

const WALL_CLOCK: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};
const SYSTEM_RANDOM: Random = { next: () => Math.random(), bytes: (count) => randomBytes(count) };
const DEFAULT_ACCOUNTS: readonly MockAccountSpec[] = [{ name: 'mock-a', kind: 'open' }, { name: 'mock-b', kind: 'open' }];
const KEPT_CALLS = 10_000;

/** Starts a fake upstream on 127.0.0.1; port 0 takes any. Rejects when the port cannot be had. */
export async function startMockUpstream(options: MockUpstreamOptions = {}): Promise<MockUpstream> {
  const deps = { clock: options.clock ?? WALL_CLOCK, random: options.random ?? SYSTEM_RANDOM };
  const accounts = new Map<string, MockAccount>();
  const add = (spec: MockAccountSpec): MockAccount => {
    const account = createMockAccount(spec, deps);
    accounts.set(spec.name, account);
    return account;
  };
  for (const spec of options.accounts ?? DEFAULT_ACCOUNTS) add(spec);
  const auth = createMockAuth(accounts, deps.random);
  const router: Router = {
    accounts, auth, add, models: options.models ?? MOCK_MODELS, anonymous: options.anonymous ?? null,
    generation: {
      random: deps.random, paceMs: options.paceMs ?? 0, ciphertext: options.ciphertext ?? 'portable', stored: new Map(),
      modelsOf: (account, flavour) => account.models ?? (flavour === 'codex' ? MOCK_CODEX_MODELS : (options.models ?? MOCK_MODELS)),
    },
  };
  const calls: MockRecord[] = [];
  const listener = await listen(options.port ?? 0, (exchange) => {
    const kept = options.keepCalls ?? KEPT_CALLS;
    if (kept > 0) calls.push(exchange.record);
    if (calls.length > kept) calls.shift();
    return routeCall(exchange, router);
  }, deps.clock);

  const account = (name: string): MockAccount => {
    const found = accounts.get(name);
    if (found === undefined) throw new Error(`the mock upstream has no account '${name}'`);
    return found;
  };
  const named = (name: string): readonly MockAccount[] => (name === '*' ? [...accounts.values()] : [account(name)]);
  return {
    origin: listener.origin,
    authOrigin: listener.origin,
    chatgptBaseUrl: `${listener.origin}/backend-api`,
    platformBaseUrl: `${listener.origin}/v1`,
    calls,
    accounts,
    signIn: auth.signIn,
    sockets: listener.sockets,
    account,
    add,
    callsOf: (name, path = '') => calls.filter((call) => call.account === name && call.path.includes(path)),
    script: (name, steps) => account(name).queue(steps),
    fail(what, { account: name, until, count }) {
      for (const one of named(name)) one.stand({ make: MOCK_FAILURES[what], until: until ?? null, count: count ?? null });
    },
    mend(name) {
      for (const one of named(name)) one.stand(null);
    },
    failRefresh: (name, ...faults) => account(name).queueRefreshFaults(faults),
    close: listener.close,
  };
}

interface Listener {
  readonly origin: string;
  readonly sockets: { open: number; opened: number };
  close(): Promise<void>;
}

async function listen(port: number, answer: (exchange: Exchange) => Promise<void>, clock: Clock): Promise<Listener> {
  const server = createServer({ requestTimeout: 0, headersTimeout: 60_000, keepAliveTimeout: 60_000 }, (request, response) => {
    const exchange = openExchange(request, response, clock);
    answer(exchange).catch((error: unknown) => {
      // A fault of the mock's own shows itself as an answer no upstream gives, with its reason.
      if (response.headersSent) response.destroy();
      else sendJson(exchange, 599, `mock upstream: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    });
  });
  const open = new Set<Socket>();
  const sockets = { open: 0, opened: 0 };
  server.on('connection', (socket) => {
    open.add(socket);
    sockets.opened += 1;
    sockets.open = open.size;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      open.delete(socket);
      sockets.open = open.size;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the mock upstream listens on no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    sockets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
