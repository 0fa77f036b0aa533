import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { randomBytes } from 'node:crypto';

import type { Clock, Random } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import type { EpochMs } from '../core/units.ts';
import { openExchange } from './exchange.ts';
import type { Exchange, MockRecord } from './exchange.ts';
import { MOCK_FAILURES } from './failures.ts';
import type { MockFailure } from './failures.ts';
import { createMockAccount } from './mock-account.ts';
import type { MockAccount, MockAccountSpec, RefreshFault } from './mock-account.ts';
import { createMockAuth } from './mock-auth.ts';
import type { MockAuth, SignIn } from './mock-auth.ts';
import { MOCK_CODEX_MODELS, MOCK_MODELS, codexList, platformList, platformModel } from './mock-models.ts';
import { sendJson } from './play-step.ts';
import { serveGeneration } from './serve-generation.ts';
import type { GenerationDeps, GenerationRoute } from './serve-generation.ts';
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
      random: deps.random, paceMs: options.paceMs ?? 0, ciphertext: options.ciphertext ?? 'portable', stored: new Set(),
      modelsOf: (account, flavour) => account.models ?? (flavour === 'codex' ? MOCK_CODEX_MODELS : (options.models ?? MOCK_MODELS)),
    },
  };
  const calls: MockRecord[] = [];
  const listener = await listen(options.port ?? 0, (exchange) => {
    const kept = options.keepCalls ?? KEPT_CALLS;
    if (kept > 0) calls.push(exchange.record);
    if (calls.length > kept) calls.shift();
    return route(exchange, router);
  }, deps.clock);

  const account = (name: string): MockAccount => {
    const found = accounts.get(name);
    if (found === undefined) throw new Error(`the mock upstream has no account '${name}'`);
    return found;
  };
  const named = (name: string): readonly MockAccount[] => (name === '*' ? [...accounts.values()] : [account(name)]);
  return {
    origin: listener.origin, authOrigin: listener.origin, chatgptBaseUrl: `${listener.origin}/backend-api`, platformBaseUrl: `${listener.origin}/v1`,
    calls, accounts, signIn: auth.signIn, sockets: listener.sockets, account, add,
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

interface Router {
  readonly accounts: ReadonlyMap<string, MockAccount>;
  readonly auth: MockAuth;
  readonly add: (spec: MockAccountSpec) => MockAccount;
  readonly models: readonly string[];
  readonly anonymous: string | null;
  readonly generation: GenerationDeps;
}

async function route(exchange: Exchange, router: Router): Promise<void> {
  if (await router.auth.handle(exchange)) return;
  const { method, path } = exchange.record;
  const codex = /^(?:\/backend-api)?\/(codex\/responses\/compact|codex\/responses|codex\/models|wham\/usage)$/.exec(path)?.[1];
  const platform = /^(?:\/v1|\/openai\/v1|\/api\/v1|\/v1beta\/openai)?\/(chat\/completions|responses\/compact|responses|embeddings|models(?:\/.+)?|user\/balance|credits)$/.exec(path)?.[1];
  const known = codex ?? platform;
  if (known === undefined) return sendJson(exchange, 404, { error: { message: `Invalid URL (${method} ${path})`, type: 'invalid_request_error', param: null, code: null } });
  const account = authenticate(exchange, router, codex === undefined ? 'platform' : 'codex');
  if (account === null) return;
  const end = account.begin();
  exchange.response.once('close', end);
  const generation = generationRoute(known, codex === undefined ? 'platform' : 'codex');
  if (generation === null) return serveFacts(exchange, known, account, router);
  if (method === 'GET') return sendJson(exchange, 426, { error: { message: 'WebSocket is not served here.', type: 'invalid_request_error', param: null, code: null } });
  await serveGeneration(exchange, account, generation, router.generation);
}

function generationRoute(known: string, flavour: 'codex' | 'platform'): GenerationRoute | null {
  if (known.endsWith('chat/completions')) return { endpoint: 'chat', flavour };
  if (known.endsWith('responses/compact')) return { endpoint: 'compact', flavour };
  if (known.endsWith('responses')) return { endpoint: 'responses', flavour };
  return known === 'embeddings' ? { endpoint: 'embeddings', flavour } : null;
}

/** The account behind a call's credential, noted in its record; null when the call was refused with a 401. */
function authenticate(exchange: Exchange, { accounts, add, anonymous }: Router, flavour: 'codex' | 'platform'): MockAccount | null {
  const { headers } = exchange;
  const secret = headers['api-key'] ?? /^Bearer (.+)$/i.exec(headers['authorization'] ?? '')?.[1];
  const named = headers['x-mock-account'];
  const found = secret === undefined
    ? openAccount(named ?? anonymous, accounts, add)
    : [...accounts.values()].find((account) => account.accepts(secret) !== 'no');
  if (found !== undefined) exchange.note({ account: found.name });
  const workspace = headers['chatgpt-account-id'];
  const fits = found !== undefined && (found.kind === 'chatgpt') === (flavour === 'codex') && (flavour === 'platform' || workspace === undefined || workspace === found.identity?.workspaceId);
  if (fits && (secret === undefined || found.accepts(secret) === 'yes')) return found;
  exchange.request.resume();
  if (flavour === 'platform') sendJson(exchange, 401, { error: { message: 'Incorrect API key provided.', type: 'invalid_request_error', param: null, code: 'invalid_api_key' } });
  else if (found === undefined || !fits) sendJson(exchange, 401, { detail: 'Unauthorized' });
  else {
    const error = { message: 'Provided authentication token is expired. Please try signing in again.', type: 'invalid_request_error', param: null, code: 'token_expired' };
    sendJson(exchange, 401, { error }, { 'x-error-json': Buffer.from(JSON.stringify({ error: { code: error.code } })).toString('base64') });
  }
  return null;
}

/** The open account of that name; a new name is a new account. */
function openAccount(name: string | null, accounts: ReadonlyMap<string, MockAccount>, add: Router['add']): MockAccount | undefined {
  if (name === null || !/^[\x20-\x7e]{1,100}$/.test(name)) return undefined;
  const found = accounts.get(name) ?? add({ name, kind: 'open' });
  return found.kind === 'open' ? found : undefined;
}

function serveFacts(exchange: Exchange, known: string, account: MockAccount, { models, generation }: Router): void {
  exchange.request.resume();
  const createdAt = Math.floor(exchange.clock.now() / SECOND_MS);
  const served = account.models ?? models;
  switch (known) {
    case 'codex/models': {
      const tag = '"mock-1"';
      if (exchange.headers['if-none-match'] === tag) return sendJson(exchange, 304, '', { etag: tag });
      return sendJson(exchange, 200, codexList(generation.modelsOf(account, 'codex')), { etag: tag });
    }
    case 'wham/usage':
      return sendJson(exchange, 200, account.quota.report(account.identity ?? { userId: null, workspaceId: null, email: null }), account.quota.headers());
    case 'user/balance':
      return sendJson(exchange, 200, { is_available: true, balance_infos: [{ currency: 'USD', total_balance: '12.50', granted_balance: '0.00', topped_up_balance: '12.50' }] });
    case 'credits':
      return sendJson(exchange, 200, { data: { total_credits: 20, total_usage: 7.5 } });
    case 'models':
      return sendJson(exchange, 200, platformList(served, createdAt));
    default: {
      const id = decodeURIComponent(known.replace(/^models\//, ''));
      if (served.includes(id)) return sendJson(exchange, 200, platformModel(id, createdAt));
      return sendJson(exchange, 404, { error: { message: `The model '${id}' does not exist`, type: 'invalid_request_error', param: 'model', code: 'model_not_found' } });
    }
  }
}
