import type { Client } from './client.ts';
import type { JsonObject } from './json.ts';
import type { Wire } from './provider-kind.ts';
import type { EpochMs } from './units.ts';

/** Lower-cased header names; repeated headers joined as HTTP joins them. */
export type Headers = Readonly<Record<string, string>>;

/** A client's call after the gate: known client, body decoded and parsed once, nothing chosen yet. */
export interface RelayRequest {
  /** `req_…`, the client's `x-request-id` and the ledger's id. */
  readonly id: string;
  readonly client: Client;
  readonly endpoint: 'chat' | 'responses' | 'compact';
  /** The wire the answer must be written in. */
  readonly clientWire: Wire;
  /** The wire the body is written in: Cursor posts a Responses body to the chat path. */
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
}
