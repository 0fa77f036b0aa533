import type { Account, Credential } from './account.ts';
import type { ByteSource, TransportFailure } from './byte-source.ts';
import type { Budget } from './client.ts';
import type { CloseRecord, JournalLine, JournalRecord } from './record.ts';
import type { Headers } from './relay-request.ts';
import type { State } from './state.ts';
import type { EpochMs } from './units.ts';

/** Wall clock and timers. Tests hand in one they move by hand; nothing else tells the time. */
export interface Clock {
  now(): EpochMs;
  /** Calls back once after `ms`; the returned function cancels. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
}

/** Randomness: a number in [0, 1), and bytes fit for keys. */
export interface Random {
  next(): number;
  bytes(count: number): Uint8Array;
}

/** A call to an upstream, ready to send. */
export interface UpstreamCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array | null;
  readonly timeouts: CallTimeouts;
}

/** Milliseconds. `headers` runs from the last body byte sent, `idle` between any two pieces of the answer's body. */
export interface CallTimeouts {
  readonly connect: number;
  readonly headers: number;
  readonly idle: number;
}

/** An upstream's answer at its headers; the body has not begun to flow. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ByteSource;
}

/** What became of a call: an answer of any status, or a failure of the transport. Never rejects. */
export type SendResult =
  | { readonly ok: true; readonly answer: UpstreamAnswer }
  | { readonly ok: false; readonly failure: TransportFailure; readonly phase: 'connect' | 'request' | 'headers' };

/** Sends one call, once: no retry, no redirect. Aborting `signal` cancels it and frees the socket. */
export type Send = (call: UpstreamCall, signal: AbortSignal) => Promise<SendResult>;

/** Where credentials live. Every failure is a {@link CredentialStoreError}; an absent item is null. */
export interface CredentialStore {
  readonly backend: 'os' | 'file' | 'memory';
  get(accountId: string): Promise<Credential | null>;
  /** Writes, reads back and compares; resolves only when the stored value is the given one. */
  set(accountId: string, credential: Credential): Promise<void>;
  delete(accountId: string): Promise<boolean>;
  /** Any named secret, for client keys kept on request (`client:<id>`). */
  getSecret(name: string): Promise<string | null>;
  setSecret(name: string, value: string): Promise<void>;
  deleteSecret(name: string): Promise<boolean>;
  /** Whether it can be used now; probes with a write, since a locked keyring reads like an empty one. */
  probe(): Promise<CredentialStoreState>;
}

export type CredentialStoreState =
  | { readonly state: 'ready' }
  | { readonly state: 'unavailable' | 'locked' | 'denied'; readonly message: string };

/** Why the keychain or vault could not do its work. The message names the remedy and no secret. */
export class CredentialStoreError extends Error {
  override readonly name = 'CredentialStoreError';
  readonly state: 'unavailable' | 'locked' | 'denied' | 'corrupt';

  constructor(state: CredentialStoreError['state'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.state = state;
  }
}

/** The append-only journal. One writer. */
export interface Journal {
  /** Resolves with the numbered line once it is durable; rejects with a {@link StorageError} when it cannot be. */
  append<R extends JournalRecord>(record: R): Promise<JournalLine<R>>;
  readonly head: { readonly seq: number; readonly h: string };
  /** `degraded`: a write failed and a new segment was begun. `full`: nothing can be written now. */
  readonly state: 'operational' | 'degraded' | 'full';
  close(): Promise<void>;
}

/** A file could not be written or read back; `full` when there is no room. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly reason: 'full' | 'io' | 'read-only' | 'gone';

  constructor(reason: StorageError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** `state.json`: a snapshot in memory, written through durably. */
export interface StateStore {
  read(): State;
  /** Applies the change to the newest state and resolves when it is on disk. Changes are applied in call order. */
  update(change: (state: State) => State): Promise<State>;
  /** Applies the change in memory now and writes it soon, together with others: for health, seen often. */
  note(change: (state: State) => State): void;
  flush(): Promise<void>;
}

/** Log lines for people and scripts: a message and facts. Secrets never get here. */
export interface Log {
  debug(message: string, facts?: LogFacts): void;
  info(message: string, facts?: LogFacts): void;
  warn(message: string, facts?: LogFacts): void;
  error(message: string, facts?: LogFacts): void;
}
export type LogFacts = Readonly<Record<string, string | number | boolean | null>>;

/** A request while it runs, as the TUI shows it. Holds no content. */
export interface LiveRequest {
  readonly id: string;
  readonly client: string;
  readonly endpoint: string;
  readonly stream: boolean;
  readonly model: string;
  readonly account: string | null;
  readonly provider: string | null;
  readonly phase: 'queued' | 'connecting' | 'waiting' | 'streaming' | 'settling';
  readonly attempts: number;
  readonly startedAt: EpochMs;
  readonly firstOutputAt: EpochMs | null;
  /** Pieces of output seen so far: near enough to tokens for a speed. */
  readonly outputEvents: number;
}

/** What happens while it happens: running requests and finished ones, for the TUI, the status and `/relay/v1/events`. */
export interface LiveView {
  /** Asks each running request how it stands now. */
  running(): readonly LiveRequest[];
  /** `read` is called whenever somebody looks, so that a stream pays nothing while nobody does. */
  begin(id: string, read: () => LiveRequest): void;
  finish(id: string, record: JournalLine<CloseRecord>): void;
  /** Tells that a budget has passed a mark. */
  passedMark(budget: BudgetMark): void;
  subscribe(listener: (event: LiveEvent) => void): () => void;
}
export type LiveEvent =
  | { readonly type: 'begin' | 'progress'; readonly request: LiveRequest }
  | { readonly type: 'finish'; readonly record: JournalLine<CloseRecord> }
  | { readonly type: 'budget'; readonly budget: BudgetMark };

/** A budget that has passed a mark. Money is 1e-9 USD. */
export interface BudgetMark {
  /** For people: `client aider`, `project web`. */
  readonly owner: string;
  readonly budget: Budget;
  readonly spent: number;
  /** Per cent of the limit. */
  readonly mark: 80 | 100;
  readonly resetsAt: EpochMs;
}

/** An account together with its secret, handed to an adapter for one call. */
export interface SignedIn {
  readonly account: Account;
  readonly credential: Credential;
}

/** What became of one try to renew an access token. It is not judged here: routing reads the refusal. */
export type RefreshOutcome =
  | { readonly ok: true; readonly credential: Credential }
  | { readonly ok: false; readonly kind: 'refused'; readonly status: number; readonly body: string }
  | { readonly ok: false; readonly kind: 'unreachable'; readonly code: string; readonly message: string };

/** Renews a sign-in at its authorization server. One call, no retry: a refresh token is good once. */
export type RefreshCredential = (authUrl: string, credential: Credential, signal: AbortSignal) => Promise<RefreshOutcome>;

/** Runs `work` while no other process of this `RELAY_HOME` holds the same name. */
export type ProcessLock = <T>(name: string, work: () => Promise<T>) => Promise<T>;
