import type { Account, Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { objectAt, stringAt } from '../core/json.ts';
import type { Clock, Send } from '../core/ports.ts';
import type { Endpoint, ProviderAdapter } from '../core/provider-adapter.ts';
import type { ProviderKind } from '../core/provider-kind.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import type { State } from '../core/state.ts';
import { endpointOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import { classifyTransport } from '../routing/classify-failure.ts';
import { createPassage } from '../wire/create-passage.ts';
import { previousNotFound } from '../wire/expand-input.ts';
import { prepareRequest } from '../wire/prepare-request.ts';
import type { PreparedRequest } from '../wire/prepared-request.ts';
import type { AnswerMemory } from './answer-memory.ts';
import { modelsOf } from './catalogue.ts';
import type { Journey } from './journey.ts';
import type { OpenResult } from './open-attempt.ts';
import { openAttempt } from './open-attempt.ts';
import type { RefusedParameters } from './refused-parameters.ts';
import { withoutParameters } from './refused-parameters.ts';
import { withChoice, withoutCiphertext } from './request-traits.ts';
import type { ModelChoice } from './resolve-model.ts';
import type { SignIns } from './sign-in.ts';
import { toldLimits } from './told-limits.ts';

export interface AttemptAccountDeps {
  readonly send: Send;
  readonly clock: Clock;
  readonly signIns: SignIns;
  readonly settings: () => Config;
  readonly state: () => State;
  readonly answers: AnswerMemory;
  readonly refused: RefusedParameters;
  readonly makeId: (prefix: string) => string;
  readonly version: string;
}

/** One account to be asked for one model. */
export interface Target {
  readonly account: Account;
  readonly choice: ModelChoice;
  /** Set after a 401: the credential that was refused, to be renewed before this attempt. */
  readonly stale: Credential | null;
  /** The conversation's owner was another account: what belongs to that one is left out. */
  readonly moved: boolean;
}

export type AttemptResult = OpenResult & {
  /** What was sent with; null when none could be had. */
  readonly credential: Credential | null;
  readonly prepared: PreparedRequest | null;
  /** What the stream's own events said of the account's quota so far; null when nothing. */
  readonly rateLimits: JsonObject | null;
};

/**
 * One attempt at one account: its credential, the body in its terms, the call, up to the commit point. Failures are
 * values. Throws a RelayError only when the request itself cannot be put into the upstream's terms.
 */
export async function attemptAccount(journey: Journey, target: Target, deps: AttemptAccountDeps): Promise<AttemptResult> {
  const { account, choice } = target;
  const adapter = adapterFor(account.kind);
  const config = deps.settings();
  const endpoint = endpointOf(adapter, account, config.providers[account.provider], journey.request.bodyWire);
  const now = deps.clock.now();
  if (endpoint === null) return failed(noAddress(account), null);

  const request = requestFor(journey, target);
  const ciphertext = journey.ciphertextRemoved ? 'removed' : 'kept';
  const prepared = prepareFor(request, { account, choice, adapter, endpoint, ciphertext }, deps);
  const own = createPassage(prepared.answer, { makeId: deps.makeId, nowSeconds: () => Math.floor(deps.clock.now() / 1_000), model: journey.request.model });
  const passage = journey.prelude.begun?.goOn(own) ?? own;
  journey.ticket.begin({ account, model: choice.id, seen: passage.seen, startedAt: now });
  journey.ticket.drop(prepared.dropped);

  const signedIn = target.stale === null
    ? await deps.signIns.credential(account, endpoint.authUrl)
    : await deps.signIns.renew(account, endpoint.authUrl, target.stale);
  if (!signedIn.ok) return failed(signedIn.failure, null);
  const { credential } = signedIn;
  journey.ticket.leaves();
  const result = await openAttempt(
    { request, account, credential, endpoint, adapter, prepared: withHonestChange(prepared, journey.request), model: choice.id, passage, prelude: journey.prelude, onFirstEvent: () => {} },
    { send: deps.send, clock: deps.clock, timeouts: config.timeouts, version: deps.version },
    journey.signal,
  );
  return { ...result, credential, prepared, rateLimits: toldLimits(passage.seen) };
}

/** The request as this account may see it: fixed parameters in, what is another account's out. */
function requestFor(journey: Journey, { choice, moved }: Target): RelayRequest {
  const { request } = journey;
  const chosen = withChoice(request.body, request.bodyWire, choice);
  const body = journey.ciphertextRemoved ? withoutCiphertext(chosen) : chosen;
  if (!moved) return body === request.body ? request : { ...request, body };
  const { [TURN_STATE]: _others, ...headers } = request.headers;
  return { ...request, headers, body: withoutTurnState(body) };
}

const TURN_STATE = 'x-codex-turn-state';

/** A turn's token is of no use to another account; over a WebSocket it stands in the body (Codex, observed 2026-11). */
function withoutTurnState(body: JsonObject): JsonObject {
  const metadata = objectAt(body, 'client_metadata');
  if (metadata?.[TURN_STATE] === undefined) return body;
  const { [TURN_STATE]: _others, ...kept } = metadata;
  return { ...body, client_metadata: kept };
}

interface PrepareFor {
  readonly account: Account;
  readonly choice: ModelChoice;
  readonly adapter: ProviderAdapter;
  readonly endpoint: Endpoint;
  readonly ciphertext: 'kept' | 'removed';
}

function prepareFor(request: RelayRequest, target: PrepareFor, deps: AttemptAccountDeps): PreparedRequest {
  const { account, choice, adapter, endpoint, ciphertext } = target;
  const clientId = request.client.id;
  const previous = request.bodyWire === 'responses' ? stringAt(request.body, 'previous_response_id') : undefined;
  if (previous !== undefined && deps.answers.continuation({ clientId, account }, previous) === 'unknown') throw previousNotFound(previous);
  const model = modelsOf(account, deps.state(), deps.settings())?.find(({ id }) => id === choice.id);
  const { strict, compat, providers } = deps.settings();
  const prepared = prepareRequest(request, {
    wire: endpoint.wire,
    dialect: adapter.dialect(endpoint.wire),
    model: choice.id,
    streamOnly: adapter.streamOnly && request.endpoint !== 'compact',
    efforts: model?.efforts ?? [],
    compacts: COMPACTS_ITSELF.has(account.kind),
    strict,
    compat: compat[request.client.name] ?? compat['*'],
    customTools: providers[account.provider]?.customTools,
    systemFirst: providers[account.provider]?.systemFirst === true,
  }, deps.answers.forAttempt({ clientId, account, model: choice.id, ciphertext }));
  const refused = deps.refused.of({ provider: account.provider, wire: endpoint.wire, model: choice.id });
  return strict ? prepared : withoutParameters(prepared, refused, request.body);
}

/** Vendors that fold a history into a compaction item themselves, where they are spoken to in Responses (2026-11). */
const COMPACTS_ITSELF: ReadonlySet<ProviderKind> = new Set(['chatgpt', 'openai', 'azure', 'mock']);

/** The client's bytes may go out only where nothing at all has changed since they came. */
function withHonestChange(prepared: PreparedRequest, original: RelayRequest): PreparedRequest {
  return prepared.changed || prepared.body === original.body ? prepared : { ...prepared, changed: true };
}

function failed(failure: Failure, credential: Credential | null): AttemptResult {
  return { ok: false, failure, headers: {}, credential, prepared: null, rateLimits: null };
}

function noAddress(account: Account): Failure {
  return classifyTransport({
    kind: 'unreachable', code: 'no_base_url',
    message: `Provider "${account.provider}" has no address; set providers.${account.provider}.baseUrl or add the account with --base-url`,
  }, 'connect');
}
