import type { JsonObject, JsonValue } from '../core/json.ts';
import type { ClientWire, Dialect, Wire } from '../core/provider-kind.ts';
import type { MessagesOrigin } from '../core/relay-request.ts';
import type { ClientCompat } from './client-compat.ts';
import type { HostedTool } from './hosted-tools.ts';
import type { ReasoningField } from './reasoning-field.ts';
import type { DeclaredName } from './tool-names.ts';

/** A client's call as far as translation looks at it; a `RelayRequest` is one. */
export interface ClientCall {
  /** The wire the answer must be written in. */
  readonly clientWire: ClientWire;
  /** The wire the body is written in. */
  readonly bodyWire: Wire;
  readonly endpoint: 'chat' | 'responses' | 'compact' | 'messages';
  /** Read only: never changed, pieces of it may stand in the prepared body. */
  readonly body: JsonObject;
  readonly stream: boolean;
  /** The caller is Codex itself. */
  readonly isCodex: boolean;
  /** Of a Messages client only. */
  readonly messages?: MessagesOrigin;
}

/** What Relay remembers of earlier answers, scoped to the client, and a digest: the pure room's window on the rest. */
export interface RequestMemory {
  /** A stored answer: its input with all ancestors', and its output; undefined when unknown or forgotten. */
  storedResponse(id: string): StoredResponse | undefined;
  /** An output item of a stored answer, for `item_reference`; undefined when unknown, or when the upstream itself keeps it. */
  storedItem?(id: string): JsonValue | undefined;
  /** Reasoning items that stood before a tool call, to be put back for a chat client; undefined when none are kept. */
  reasoningFor(callId: string): readonly JsonValue[] | undefined;
  /** A stable digest in lower-case hex, at least 32 characters. */
  digest(text: string): string;
}

/** The items of a stored answer, as `previous_response_id` continues them. */
export interface StoredResponse {
  readonly input: readonly JsonValue[];
  readonly output: readonly JsonValue[];
}

/** The upstream a request is prepared for, as far as its protocol goes. */
export interface Target {
  readonly wire: Wire;
  readonly dialect: Dialect;
  /** The model's id at that upstream. */
  readonly model: string;
  /** It answers streams only. */
  readonly streamOnly: boolean;
  /** Efforts the catalogue lists for the model; empty when it says nothing. */
  readonly efforts: readonly string[];
  /** It folds a history into a compaction item by itself; unless said, that is so where it speaks Responses. */
  readonly compacts?: boolean;
  /** Refuse what cannot be honoured instead of dropping it. */
  readonly strict: boolean;
  /** Its chat template takes one system message, at the beginning. */
  readonly systemFirst?: boolean;
  /** How it is told free-form tools; unless said `native` where it speaks Responses. */
  readonly customTools?: 'native' | 'wrapped' | undefined;
  /** What this client wants told otherwise. */
  readonly compat?: ClientCompat | undefined;
}

/** A request in the upstream's terms, and what is needed to bring its answer back. */
export interface PreparedRequest {
  readonly body: JsonObject;
  /** Whether `body` says anything else than the client's bytes did: unchanged requests are sent as they came. */
  readonly changed: boolean;
  /** Parameters not honoured, by name, sorted: `x-relay-dropped` and the journal. */
  readonly dropped: readonly string[];
  readonly answer: AnswerPlan;
}

/**
 * `nested`: a chat client that declared the standard shape gets `custom` calls. `flat`: one that declared the
 * Responses shape (Cursor) gets function calls with the raw text. `wrapped`: the upstream was given a function with
 * one string `input`, the client wants a `custom_tool_call`, or, in chat, a function call with the raw text;
 * `wrapped-nested`: the same, for a chat client that wants `custom` calls.
 */
export type CustomTool = 'nested' | 'flat' | 'wrapped' | 'wrapped-nested';

/** Everything a passage must remember of the request. Plain data; frozen for the life of an attempt. */
export interface AnswerPlan {
  readonly clientWire: ClientWire;
  readonly upstreamWire: Wire;
  readonly dialect: Dialect;
  /** What the client asked for; the upstream may stream all the same. */
  readonly clientStream: boolean;
  readonly upstreamStream: boolean;
  /** The client is Codex on its own wire: every event reaches it, also `codex.*`. */
  readonly native: boolean;
  /** A chat client asked for the usage chunk. */
  readonly includeUsage: boolean;
  /** The client speaks the 2023 `functions` dialect. */
  readonly legacyFunctions: boolean;
  /** Tool names as sent upstream -> as the client declared them (shortened, or flattened out of a namespace). */
  readonly toolNames: Readonly<Record<string, { readonly name: string; readonly namespace: string | null }>>;
  /** Custom (free-form) tools by the name sent upstream, and how the client gets their calls. */
  readonly customTools: Readonly<Record<string, CustomTool>>;
  /**
   * Free-form tools that a Responses upstream was told as functions with one string `input`: its answer is read as if it had
   * known them, before anything else is done with it. Absent where there are none.
   */
  readonly wrappedTools?: readonly DeclaredName[];
  /** Hosted client-executed tools wrapped as functions, by the name sent upstream. */
  readonly hostedTools: Readonly<Record<string, HostedTool>>;
  /** Call ids shortened for the upstream -> the client's own. */
  readonly callIds: Readonly<Record<string, string>>;
  /** Where a chat client is told reasoning; absent: `reasoning_content`, and untouched where the upstream speaks chat too. */
  readonly reasoningField?: ReasoningField | undefined;
  /** Stop sequences the upstream cannot honour: cut on the way back. */
  readonly stop: readonly string[];
  /** How a Messages client is told its answer; absent for any other. */
  readonly messages?: MessagesOrigin;
  /**
   * The upstream was asked for a summary in place of a compaction: the answer is one compaction item, inside a
   * `response.compaction` object or an ordinary response.
   */
  readonly compaction?: 'object' | 'item';
  /** Members of the client's request that a Responses object echoes (instructions, tools, metadata, …). */
  readonly echo: JsonObject;
}
