import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';

/**
 * How one upstream answer reaches one client: upstream bytes in, client bytes out, and what was learned on the way.
 * Splice, translation, aggregation and whole bodies are all passages, so that the gateway and the server have one
 * shape to carry. A passage is fed by one caller, in order, and does no I/O.
 */
export interface Passage {
  /** Takes the next piece of the upstream's body, cut anywhere. */
  push(chunk: Uint8Array): Passed;
  /** The upstream ended its body. Without a terminal event `seen.terminal` stays null: a truncation. */
  end(): Passed;
  /** What is known so far; the same object, growing. */
  readonly seen: Seen;
  /**
   * The answer's Responses output items as far as they are known, for the store behind `previous_response_id` and for
   * the replay of reasoning. Empty where none are needed: chat to chat but for Gemini's signed calls, and Codex on its own wire.
   */
  items(): readonly JsonObject[];
  /**
   * The finished Responses object as the client was told it, for the store behind `GET /responses/{id}`. Null before the
   * end, after a failure, and where the client speaks chat.
   */
  response(): JsonObject | null;
  /** An error in the client's own protocol, for after the commit point. The connection is destroyed behind it. */
  errorFrame(error: ErrorBody): Uint8Array;
}

/** What a passage cannot know by itself. */
export interface PassageDeps {
  /** A fresh id that begins with `prefix`, separator included: `makeId('resp_')`. */
  makeId(prefix: string): string;
  /** Unix seconds. */
  nowSeconds(): number;
  /** The model as the client named it, told where the upstream names none. */
  readonly model: string;
}

/**
 * What one step gave. Once `last` is not null the answer is over; whatever the upstream still says is ignored. After a
 * failure (`seen.failure`) `last` holds the error in the client's own protocol, and the connection is destroyed behind it.
 */
export interface Passed {
  /** Bytes the client may have now; empty while nothing is to be said. */
  readonly out: readonly Uint8Array[];
  /** The end of the answer (terminal event or whole body): sent only after the request is settled. */
  readonly last: readonly Uint8Array[] | null;
}

/** A step that gave nothing. */
export const NOTHING_PASSED: Passed = { out: [], last: null };

/** What a passage has learned. Filled in while bytes pass; never holds content. */
export interface Seen {
  /** Something the client can act on has come: the commit point for a stream. */
  meaningful: boolean;
  /** Upstream events of any kind. */
  events: number;
  /** Events that carried output, near enough to tokens for a speed. */
  outputEvents: number;
  /** Characters of output, for an estimate where usage never comes. */
  outputCharacters: number;
  /** How the upstream said it ended; null until it did. */
  terminal: 'completed' | 'incomplete' | 'failed' | null;
  /** The upstream's error inside its stream; before the commit point the gateway routes on it. */
  failure: StreamFailure | null;
  /** The raw usage object, for `accounting/tokens`. */
  usage: JsonObject | null;
  /** The model the upstream says ran. */
  model: string | null;
  /** `service_tier` as served. */
  tier: string | null;
  responseId: string | null;
  /** The newest `codex.rate_limits` event, or the headers of an in-stream limit, for the quota model. */
  rateLimits: JsonObject | null;
}

/** An error the upstream put into its stream or body, as told. */
export interface StreamFailure {
  readonly status: number | null;
  readonly code: string | null;
  readonly type: string | null;
  readonly message: string;
  readonly param: string | null;
  /** The error object itself: reset times and plan are read from it. */
  readonly raw: JsonObject;
}

/** Nothing seen yet. */
export function nothingSeen(): Seen {
  return {
    meaningful: false, events: 0, outputEvents: 0, outputCharacters: 0, terminal: null, failure: null, usage: null,
    model: null, tier: null, responseId: null, rateLimits: null,
  };
}
