import type { Account, AccountIdentity, Credential, QuotaWindow } from './account.ts';
import type { Failure } from './failure.ts';
import type { Model } from './model.ts';
import type { Dialect, ProviderKind, Wire } from './provider-kind.ts';
import type { Headers, RelayRequest } from './relay-request.ts';
import type { EpochMs, NanoUsd } from './units.ts';

/** Where an account's calls go: the adapter's own address unless `config.json` or the account says otherwise. */
export interface Endpoint {
  readonly baseUrl: string;
  readonly authUrl: string | null;
  readonly wire: Wire;
  /** Headers the user's settings add. */
  readonly headers: Headers;
}

/** How a person gives Relay a credential for this provider: data, acted on by the CLI and `io/oauth-login`. */
export type LoginMethod = { readonly kind: 'chatgpt-oauth' } | { readonly kind: 'api-key'; readonly environmentVariable: string | null } | { readonly kind: 'none' };

/** What an adapter may look at when it writes the headers of one call. */
export interface CallContext {
  readonly account: Account;
  readonly credential: Credential;
  readonly endpoint: Endpoint;
  /** null for Relay's own calls: catalogue, usage, a key test. */
  readonly request: RelayRequest | null;
  /** The model as sent. */
  readonly model: string | null;
  /** Relay's own version, for an honest User-Agent. */
  readonly version: string;
}

/** The head of an upstream's answer that was not a success, with as much of its body as was read (at most 64 KiB). */
export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly receivedAt: EpochMs;
}

/** A call without a body that Relay makes on its own account of business, e.g. for a catalogue. */
export interface OwnCall {
  /** GET unless said. */
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: Headers;
}

/**
 * A vendor: data and pure functions. It never sends, sleeps, retries or reads a clock. One file in `providers/`
 * that `satisfies ProviderAdapter`, one line in the registry.
 */
export interface ProviderAdapter {
  readonly kind: ProviderKind;
  /** For people: "ChatGPT / Codex". */
  readonly title: string;
  readonly defaultBaseUrl: string | null;
  readonly defaultAuthUrl: string | null;
  readonly defaultWire: Wire;
  /** Whether `--wire` may choose the other one. */
  readonly wires: readonly Wire[];
  /** Wires it serves equally well: a client's own is taken, so that nothing is translated. Absent: always the endpoint's. */
  readonly nativeWires?: readonly Wire[];
  /** Path that a base URL without one gets, e.g. `/v1`. Absent: the address is taken as it stands. */
  readonly apiRoot?: string;
  readonly defaultPriority: number;
  /** Subscription: calls cost no money. */
  readonly billing: 'subscription' | 'api' | 'local';
  readonly login: LoginMethod;
  dialect(wire: Wire): Dialect;
  /** The upstream answers streams only, also when the client wants one object. */
  readonly streamOnly: boolean;
  /** Path of the call, appended to the base URL. */
  path(endpoint: 'chat' | 'responses' | 'compact'): string;
  headers(context: CallContext): Headers;
  /** The model list; null where the provider has none. */
  modelsCall(context: CallContext): OwnCall | null;
  /** Reads a model list; null when it has the wrong shape. */
  parseModels(body: unknown): readonly Model[] | null;
  /** Quota or balance report that costs nothing; absent where the provider has none. */
  usageCall?(context: CallContext): OwnCall;
  /** Reads the balance out of that report; null when it has none. Quota windows are read by `routing/quota`. */
  parseBalance?(body: unknown): { readonly amount: NanoUsd; readonly currency: string } | null;
  /** Models known before the first fetch. */
  readonly bundledModels: readonly Model[];
  /** Quota windows in an answer's headers. */
  quotaFromHeaders(headers: Headers, receivedAt: EpochMs): readonly QuotaWindow[];
  /** A vendor's own reading of a refusal; null leaves it to the rules all share. */
  judge(refusal: Refusal): Failure | null;
  /** Who a fresh credential belongs to, and on which plan; null where tokens do not tell. */
  identify(credential: Credential): { readonly identity: AccountIdentity; readonly plan: string | null } | null;
}
