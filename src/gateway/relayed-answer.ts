import type { ByteSource } from '../core/byte-source.ts';
import type { RelayError } from '../core/errors.ts';
import type { Failure } from '../core/failure.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import type { Passage } from '../wire/passage.ts';
import type { PreludeSink } from './prelude.ts';
import type { AnswerEnd } from './ticket.ts';

/** A committed answer, handed from the gateway to the server together with its settlement. */
export interface RelayedAnswer {
  readonly headers: Headers;
  readonly passage: Passage;
  /** What was held back until the commit point, in the client's wire. */
  readonly held: readonly Uint8Array[];
  /** Not null when the answer is already over and nothing is left to read. */
  readonly last: readonly Uint8Array[] | null;
  readonly rest: ByteSource;
  /** Something the client can see has been sent. */
  firstOutput(): void;
  /** Turns what went wrong after the commit point into the error the client is told, and blames the account for it. */
  broken(failure: Failure | null): RelayError;
  /**
   * Writes the journal's line, settles budgets and frees the slots; resolves when the line is durable. Awaited on
   * every way out before the last bytes are sent; only the first call counts.
   */
  settle(end: AnswerEnd): Promise<void>;
}

export type RelayResult =
  | { readonly ok: true; readonly answer: RelayedAnswer }
  /**
   * No content reached the client, and the request is settled. `frame` is the error as the next event of a stream whose
   * beginning was sent ahead.
   */
  | { readonly ok: false; readonly error: RelayError; readonly headers: Headers; readonly frame?: Uint8Array };

/** What serves requests. */
export interface Gateway {
  /**
   * Relays a request up to its commit point. `sendAhead` takes what of a stream cannot be held back that long; without it
   * such a stream counts as committed.
   */
  relay(request: RelayRequest, signal: AbortSignal, sendAhead?: PreludeSink): Promise<RelayResult>;
  /** Journals a request that was refused before it could be relayed. */
  refuse(request: RelayRequest, error: RelayError): Promise<void>;
  /** Journals a request whose client left before it could be read. */
  abandon(request: RelayRequest): Promise<void>;
}
