import type { JsonObject } from '../core/json.ts';
import type { Dialect, Wire } from '../core/provider-kind.ts';

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
  /** Refuse what cannot be honoured instead of dropping it. */
  readonly strict: boolean;
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

/** Everything a passage must remember of the request. Plain data; frozen for the life of an attempt. */
export interface AnswerPlan {
  readonly clientWire: Wire;
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
  /** Custom (free-form) tools by the name sent upstream, and how the client declared them. */
  readonly customTools: Readonly<Record<string, 'nested' | 'flat' | 'wrapped'>>;
  /** Hosted client-executed tools wrapped as functions, by the name sent upstream. */
  readonly hostedTools: Readonly<Record<string, 'apply_patch' | 'local_shell' | 'shell'>>;
  /** Call ids shortened for the upstream -> the client's own. */
  readonly callIds: Readonly<Record<string, string>>;
  /** Stop sequences the upstream cannot honour: cut on the way back. */
  readonly stop: readonly string[];
  /** Members of the client's request that a Responses object echoes (instructions, tools, metadata, …). */
  readonly echo: JsonObject;
}
