import type { EpochMs, NanoUsd } from './units.ts';

/** How a request ended, as the journal says it. */
export type Outcome =
  | 'ok'
  | 'incomplete' // the model stopped at a limit: a served answer
  | 'client_closed'
  | 'refused' // by Relay itself: scope, budget, no account
  | 'failed' // by the upstream, before anything had reached the client
  | 'broken_stream' // after the commit point: the client got a part, and an error behind it
  | 'orphaned'; // Relay itself was killed while it ran: how it went on is not known

/** Token counts as the upstream told them. `cached` and `cacheWrite` are parts of `input`, `reasoning` of `output`. */
export interface TokenCounts {
  readonly input: number;
  readonly cached: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
  /** True when counted from what passed, because the upstream never said. */
  readonly estimated: boolean;
}

/** Money of one request in 1e-9 USD. `list` is the API's price, `charged` what it cost in fact (0 on a subscription). */
export interface Cost {
  readonly list: NanoUsd;
  readonly charged: NanoUsd;
  /** Which price row, with its date; null when none is known (and then both sums are 0). */
  readonly price: string | null;
}

/** One try at one account, as it went. */
export interface AttemptRecord {
  readonly account: string;
  readonly provider: string;
  readonly model: string;
  readonly t: EpochMs;
  readonly ms: number;
  readonly status: number | null;
  /** Error code, or null for the attempt that served. */
  readonly error: string | null;
  readonly phase: string;
}

/** One candidate of a routing decision: its score, or what put it out. */
export interface CandidateRecord {
  readonly account: string;
  /** Of the account, lower first; stands beside a score. */
  readonly priority?: number;
  readonly score?: number;
  readonly out?: string;
  readonly until?: EpochMs;
  /** The inputs of the score by name, each 0-1, so that `relay show` can explain it. */
  readonly parts?: Readonly<Record<string, number>>;
}

/** Why an account was chosen. At most eight candidates stand here, the rest are counted. */
export interface RouteRecord {
  readonly strategy: string;
  readonly sticky: 'hit' | 'miss' | 'moved' | 'none';
  /** The same for all turns of one conversation: part of a digest under a local key. Absent where it has no lasting name. */
  readonly conversation?: string;
  readonly why: readonly CandidateRecord[];
  readonly whyMore?: number;
}

/**
 * One finished request: the facts of a journal's closing line (`docs/ledger-format.md`). There is no member that
 * could hold a prompt, a completion or a secret, and none may be added.
 */
export interface CloseRecord {
  readonly v: 1;
  readonly t: EpochMs;
  /** `orphan` closes a request that a crash left open; it is written at the next start. */
  readonly k: 'close' | 'orphan';
  readonly id: string;
  readonly client: string;
  readonly member: string | null;
  readonly project: string | null;
  readonly env: string | null;
  readonly endpoint: string;
  readonly stream: boolean;
  readonly model: { readonly asked: string | null; readonly sent: string | null; readonly ran: string | null };
  readonly provider: string | null;
  readonly account: string | null;
  /** The HTTP status the client got, or would have got; 499 when it left. */
  readonly status: number;
  readonly outcome: Outcome;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly attempts: readonly AttemptRecord[];
  /** How many attempts were left out so that the line fits into 4 KiB. */
  readonly attemptsMore?: number;
  /** null: the upstream told nothing (unmetered, never 0). */
  readonly tokens: TokenCounts | null;
  /** Why a whole answer has no tokens: a machine word, and the field at fault behind it: `count_invalid input_tokens`. */
  readonly unmetered?: string;
  readonly tier: { readonly asked: string | null; readonly served: string | null };
  readonly cost: Cost;
  /** Milliseconds: waiting for a slot, until the first output (null if none came), in all. */
  readonly ms: { readonly queue: number; readonly ttft: number | null; readonly total: number };
  readonly route: RouteRecord | null;
  readonly upstreamRequestId: string | null;
  readonly dropped: readonly string[];
}

/**
 * A request under a budget whose first attempt has left. It costs at least its input from here on: should Relay be
 * killed before the closing line, the next start writes an `orphan` out of this.
 */
export interface OpenRecord {
  readonly v: 1;
  readonly t: EpochMs;
  readonly k: 'open';
  readonly id: string;
  readonly client: string;
  readonly member: string | null;
  readonly project: string | null;
  readonly env: string | null;
  readonly endpoint: string;
  readonly stream: boolean;
  readonly model: { readonly asked: string | null; readonly sent: string };
  readonly provider: string;
  readonly account: string;
  /** What its budgets hold for it. */
  readonly reserved: { readonly input: number; readonly output: number };
  /** What its input alone costs. */
  readonly cost: Cost;
}

/** A remark of the journal about itself: recovery, a degraded disk, a cut. */
export interface NoteRecord {
  readonly v: 1;
  readonly t: EpochMs;
  readonly k: 'note';
  readonly note: string;
  readonly detail: Readonly<Record<string, string | number | boolean | null>>;
}

export type JournalRecord = CloseRecord | OpenRecord | NoteRecord;

/** A record as it stands in the journal: numbered and chained. `h` is 32 hex digits. */
export type JournalLine<R extends JournalRecord = JournalRecord> = R & { readonly seq: number; readonly h: string };
