import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished } from 'vitest';

import type { ControlParams } from '../../src/core/control-messages.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { isJsonObject, objectAt, parseJsonObject } from '../../src/core/json.ts';
import type { Clock, CredentialStore } from '../../src/core/ports.ts';
import type { CloseRecord, JournalLine } from '../../src/core/record.ts';
import type { AccountView } from '../../src/core/views.ts';
import type { Daemon } from '../../src/daemon/start-daemon.ts';
import { startDaemon } from '../../src/daemon/start-daemon.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import type { MockAccountSpec } from '../../src/mock/mock-account.ts';
import type { MockUpstream, MockUpstreamOptions } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { seededRandom } from './seeded-random.ts';
import { waitFor, within } from './wait-for.ts';

/** A mock account and the provider Relay knows it under: `chatgpt` for a sign-in, `openai` for a key, `mock` for an open one, unless said. */
export type ServedAccountSpec = MockAccountSpec & {
  readonly provider?: 'chatgpt' | 'openai' | 'chatty' | 'mock';
  /** Stands elsewhere than at the mock, and is added without a check. */
  readonly baseUrl?: string;
};

/** How Relay is to be served. Everything has a value that suits a test. */
export interface ServeOptions {
  /** Added in this order, which is also their priority. */
  readonly accounts?: readonly ServedAccountSpec[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly credentials?: CredentialStore;
  readonly upstream?: Omit<MockUpstreamOptions, 'accounts' | 'clock'>;
  /** How far the upstream's clock is ahead of Relay's. */
  readonly upstreamAheadMs?: number;
  /** `test`: stopped when the test is over, the usual way. `suite`: whoever asked calls `stop`. */
  readonly until?: 'test' | 'suite';
}

/** A whole Relay in this process, settings, journal, gateway and listeners, in front of a mock upstream. */
export interface ServedRelay {
  readonly url: string;
  readonly port: number;
  readonly home: string;
  /** The key of client `default`. */
  readonly key: string;
  readonly daemon: Daemon;
  readonly upstream: MockUpstream;
  readonly credentials: CredentialStore;
  /** Calls with the default client's key unless another is given; `null` sends none. */
  call(path: string, call?: Call): Promise<Response>;
  /** As `call`, read to its end or its break. */
  ask(path: string, call?: Call): Promise<Answer>;
  /** Every closing line of the journal, in order. */
  journal(): Promise<readonly JournalLine<CloseRecord>[]>;
  /** The closing line of a request, once it is there. */
  line(id: string | null): Promise<JournalLine<CloseRecord>>;
  /** Generating calls that reached an account, or any of them. */
  sent(account?: string): MockUpstream['calls'];
  account(name: string): Promise<AccountView>;
  /** A key for a new client. */
  client(name: string, scopes?: Partial<ControlParams<'clients.add'>>): Promise<string>;
  log(): string;
  /** Resolves when nothing runs and nothing is held: no call, no slot, no byte. */
  idle(): Promise<void>;
  /**
   * Ends it and checks what holds after every test: nothing held, one closing line a request, and no secret in the log, the
   * journal, the state or any answer that was read.
   */
  stop(): Promise<void>;
}

/** A Relay whose clock stands still until the test moves it; the upstream has the same. */
export interface TimedRelay extends ServedRelay {
  readonly clock: FakeClock;
}

/** One call to Relay. An object is sent as JSON; a body makes it a POST. */
export interface Call {
  readonly method?: string;
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: JsonObject | string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

/** An answer read to its end; `broken` when the connection broke first. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly id: string | null;
  readonly text: string;
  readonly json: JsonObject | undefined;
  /** The inside of an error's envelope. */
  readonly error: JsonObject | undefined;
  readonly broken: boolean;
}

/** Two ChatGPT sign-ins. */
export const TWO_SIGN_INS: readonly ServedAccountSpec[] = [
  { name: 'a', kind: 'chatgpt', plan: 'plus' },
  { name: 'b', kind: 'chatgpt', plan: 'pro' },
];
/** Two keys at a server that speaks chat only. */
export const TWO_CHAT_KEYS: readonly ServedAccountSpec[] = [
  { name: 'a', kind: 'api-key', apiKey: 'sk-upstream-first', provider: 'chatty' },
  { name: 'b', kind: 'api-key', apiKey: 'sk-upstream-second', provider: 'chatty' },
];
/** Two keys of the platform, which speaks both wires. */
export const TWO_PLATFORM_KEYS: readonly ServedAccountSpec[] = TWO_CHAT_KEYS.map((account) => ({ ...account, provider: 'openai' }));
/** The model each kind of account serves. */
export const SIGN_IN_MODEL = 'gpt-5.5';
export const KEY_MODEL = 'relay-mini';

/** The smallest chat request. */
export function chat(text: string, change: JsonObject = {}): JsonObject {
  return { model: SIGN_IN_MODEL, messages: [{ role: 'user', content: text }], ...change };
}

/** The smallest Responses request. */
export function responses(text: string, change: JsonObject = {}): JsonObject {
  return { model: SIGN_IN_MODEL, input: text, ...change };
}

/** Serves Relay under the machine's clock. */
export function serveInProcess(options: ServeOptions = {}): Promise<ServedRelay> {
  return serve(options, systemClock, (work) => work);
}

/** Serves Relay under a clock that only the test moves. */
export async function serveTimed(options: ServeOptions = {}): Promise<TimedRelay> {
  const clock = fakeClock();
  return { ...(await serve(options, clock, (work) => runOn(clock, work))), clock };
}

/** Moves the clock on, a step with every turn of the event loop, until the work is done. */
export async function runOn<T>(clock: FakeClock, work: Promise<T>, stepMs = 1_000): Promise<T> {
  const state = { isOver: false };
  const over = work.finally(() => {
    state.isOver = true;
  });
  const moveOn = async (): Promise<void> => {
    while (!state.isOver) {
      clock.advance(stepMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await within(Promise.race([moveOn(), over.then(() => {})]), 'the work', 15_000);
  return over;
}

async function serve(options: ServeOptions, clock: Clock, settle: <T>(work: Promise<T>) => Promise<T>): Promise<ServedRelay> {
  const ahead: Clock = { now: () => clock.now() + (options.upstreamAheadMs ?? 0), after: (ms, callback) => clock.after(ms, callback) };
  const upstream = await startMockUpstream({
    random: seededRandom(3),
    accounts: options.accounts ?? TWO_SIGN_INS,
    clock: ahead,
    ...options.upstream,
  });
  const home = await mkdtemp(join(tmpdir(), 'relay-served-'));
  await writeFile(join(home, 'config.json'), JSON.stringify(settingsFor(upstream, options.config)), { mode: 0o600 });
  const credentials = options.credentials ?? createMemoryStore();
  let log = '';
  const daemon = await startDaemon({
    home,
    port: 0,
    withMock: false,
    clock,
    random: seededRandom(11),
    env: {},
    prompt: null,
    version: '0.0.0-test',
    credentials,
    mirrorLog: (line) => (log += line),
    onStop: () => {},
  });
  const key = daemon.clientKey ?? '';
  const secrets = new Set([key]);
  const answers: string[] = [];
  await addAccounts(daemon, upstream, options.accounts ?? TWO_SIGN_INS, secrets);

  const call = (path: string, { method, key: own, headers, body, signal }: Call = {}): Promise<Response> => {
    const presented = own === undefined ? key : own;
    return fetch(`${daemon.url}${path}`, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(presented !== null && { authorization: `Bearer ${presented}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: isJsonObject(body) && !(body instanceof Uint8Array) ? JSON.stringify(body) : (body as string) }),
      ...(signal !== undefined && { signal }),
    });
  };
  const journalText = async (): Promise<string> => {
    const folder = join(home, 'ledger', 'journal');
    const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
    return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('');
  };
  const journal = async (): Promise<readonly JournalLine<CloseRecord>[]> => {
    const lines: readonly JournalLine<CloseRecord>[] = (await journalText())
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text));
    return lines.filter(({ k }) => k === 'close');
  };
  const held = (): number => Object.values(daemon.held()).reduce((sum, part) => sum + part, 0) + daemon.live.running().length;

  let stopping: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    try {
      // Calls a test left unread are ended as a drain ends them; then nothing may be held any more.
      await settle(daemon.drain(0));
      expect({ ...daemon.held(), running: daemon.live.running().length }).toEqual({
        calls: 0,
        clientSlots: 0,
        accountSlots: 0,
        bodyBytes: 0,
        running: 0,
      });
      const ids = (await journal()).map(({ id }) => id);
      expect(
        ids.filter((id, place) => ids.indexOf(id) !== place),
        'ids with two closing lines',
      ).toEqual([]);
      const state = await readFile(join(home, 'state.json'), 'utf8');
      noteSecrets(upstream, secrets);
      const written = [log, await journalText(), state, ...answers].join('\n');
      expect(
        [...secrets].filter((secret) => secret !== '' && written.includes(secret)),
        'secrets that were written',
      ).toEqual([]);
    } finally {
      await upstream.close();
      await rm(home, { recursive: true, force: true });
    }
  };
  const relay: ServedRelay = {
    url: daemon.url,
    port: Number(new URL(daemon.url).port),
    home,
    key,
    daemon,
    upstream,
    credentials,
    call,
    journal,
    ask(path, asked) {
      const read = async (): Promise<Answer> => {
        const answer = await readAnswer(await within(call(path, asked), `the answer to ${path}`, 10_000));
        answers.push(answer.text);
        return answer;
      };
      const asking = read();
      // A test that failed meanwhile awaits it no more.
      asking.catch(() => {});
      return asking;
    },
    line: (id) => waitFor(async () => (await journal()).find((record) => record.id === id), `the journal's line of ${id}`),
    sent: (name) =>
      upstream.calls.filter(
        ({ path, method, account }) =>
          method === 'POST' && /\/(responses|chat\/completions)/.test(path) && (name === undefined || account === name),
      ),
    async account(name) {
      const found = (await daemon.control.call('accounts.list', {})).find((view) => view.name === name);
      if (found === undefined) throw new Error(`there is no account ${name}`);
      return found;
    },
    async client(name, scopes = {}) {
      const issued = await daemon.control.call('clients.add', { name, keep: false, ...scopes });
      secrets.add(issued.key);
      return issued.key;
    },
    log: () => log,
    async idle() {
      await waitFor(() => held() === 0, 'rest');
    },
    stop: () => (stopping ??= end()),
  };
  if (options.until !== 'suite') onTestFinished(() => relay.stop());
  return relay;
}

function settingsFor(upstream: MockUpstream, config: ServeOptions['config'] = {}): object {
  const { providers, ...rest } = config;
  const given = isJsonObject(providers) ? providers : {};
  const usual: JsonObject = {
    chatgpt: { kind: 'chatgpt', baseUrl: upstream.chatgptBaseUrl, authUrl: upstream.authOrigin },
    openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl },
    chatty: { kind: 'compatible', baseUrl: upstream.platformBaseUrl, wire: 'chat' },
  };
  return {
    keychain: 'memory',
    notify: { desktop: false },
    ...rest,
    // A setting is added to what a provider has already.
    providers: {
      ...usual, ...given,
      ...Object.fromEntries(Object.keys(usual).map((name) => [name, { ...objectAt(usual, name), ...objectAt(given, name) }])),
    },
  };
}

const USUAL_PROVIDER = { chatgpt: 'chatgpt', 'api-key': 'openai', open: 'mock' } as const;
const KINDS = { chatgpt: 'chatgpt', openai: 'openai', chatty: 'compatible', mock: 'mock' } as const;

async function addAccounts(
  daemon: Daemon,
  upstream: MockUpstream,
  accounts: readonly ServedAccountSpec[],
  secrets: Set<string>,
): Promise<void> {
  for (const [place, { name, kind, baseUrl, provider = USUAL_PROVIDER[kind] }] of accounts.entries()) {
    await daemon.control.call('accounts.add', {
      name,
      provider,
      kind: KINDS[provider],
      credential: upstream.account(name).credential,
      wire: null,
      priority: place + 1,
      baseUrl: baseUrl ?? (provider === 'mock' ? upstream.platformBaseUrl : null),
      acceptTerms: true,
      verify: baseUrl === undefined,
    });
  }
  noteSecrets(upstream, secrets);
}

/** The newest secrets of every account: they change when a sign-in is renewed. */
function noteSecrets(upstream: MockUpstream, secrets: Set<string>): void {
  for (const { credential } of upstream.accounts.values()) {
    if (credential.kind === 'api-key') secrets.add(credential.apiKey);
    if (credential.kind === 'oauth')
      for (const secret of [credential.accessToken, credential.refreshToken ?? '', credential.idToken ?? '']) secrets.add(secret);
  }
}

async function readAnswer(response: Response): Promise<Answer> {
  let text = '';
  let broken = false;
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    try {
      for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
    } catch {
      broken = true;
    }
  };
  await within(read(), 'the body', 10_000);
  const json = parseJsonObject(text);
  return {
    status: response.status,
    headers: response.headers,
    id: response.headers.get('x-request-id'),
    text,
    json,
    error: objectAt(json, 'error'),
    broken,
  };
}

/** Checks an error's whole shape: status, envelope, request id. Gives the message back. */
export function expectError(answer: Answer, status: number, code: string): string {
  expect({ status: answer.status, code: answer.error?.['code'] }, answer.text).toEqual({ status, code });
  expect(Object.keys(answer.json ?? {})).toEqual(['error']);
  expect(answer.error).toMatchObject({ message: expect.any(String), type: expect.any(String), code });
  expect(answer.error).toHaveProperty('param');
  expect(answer.id).toMatch(/^req_/);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return String(answer.error?.['message']);
}
