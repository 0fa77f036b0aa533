import type { Client } from './client.ts';
import type { JsonObject } from './json.ts';
import type { ClientWire, Wire } from './provider-kind.ts';
import type { EpochMs } from './units.ts';

/** Lower-cased header names; repeated headers joined as HTTP joins them. */
export type Headers = Readonly<Record<string, string>>;

/** A client's call after the gate: known client, body decoded and parsed once, nothing chosen yet. */
export interface RelayRequest {
  /** `req_…`, the client's `x-request-id` and the ledger's id. */
  readonly id: string;
  readonly client: Client;
  readonly endpoint: 'chat' | 'responses' | 'compact' | 'messages';
  /** The wire the answer must be written in. */
  readonly clientWire: ClientWire;
  /** The wire the body is written in: Cursor posts a Responses body to the chat path, Messages have become one at the door. */
  readonly bodyWire: Wire;
  readonly stream: boolean;
  /** The model as the client named it. */
  readonly model: string;
  readonly body: JsonObject;
  /** The decoded bytes the body was parsed from: sent on untouched where nothing has to change. */
  readonly bytes: Uint8Array;
  readonly headers: Headers;
  /** True when the caller is Codex itself: its own headers, events and catalogue reach it unharmed. */
  readonly isCodex: boolean;
  readonly receivedAt: EpochMs;
  /** Of a Messages client only. */
  readonly messages?: MessagesOrigin;
}

/** What a Messages request became on its way into the hub's words: what was left out, and what its answer is told by. */
export interface MessagesOrigin {
  /** Parameters not honoured, by the client's own names. */
  readonly dropped: readonly string[];
  /** Stop sequences: the hub's upstreams take none, so the answer is cut on its way back. */
  readonly stop: readonly string[];
  /** Tool names as sent -> as the client declared them, of those that differ. */
  readonly toolNames: Readonly<Record<string, string>>;
  /** Call ids as sent -> the client's own, of those that differ. */
  readonly callIds: Readonly<Record<string, string>>;
  /** Whether the client gets thinking: with its text, as signatures alone, or not at all. */
  readonly thinking: 'shown' | 'omitted' | 'off';
  /** Tokens of the input as counted from the request: told until the upstream says better. */
  readonly inputTokens: number;
}
