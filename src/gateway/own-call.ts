import type { Account, Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, Send } from '../core/ports.ts';
import type { CallContext, Endpoint, OwnCall, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import { endpointOf, urlOf } from '../providers/endpoint.ts';
import { adapterFor } from '../providers/registry.ts';
import { classifyRefusal, classifyTransport } from '../routing/classify-failure.ts';
import { readWhole } from './read-whole.ts';
import type { SignIns } from './sign-in.ts';

const ANSWER_BYTES = 16_777_216;
const ANSWER_MS = 20_000;

/** What a GET of Relay's own gave. `body` is parsed JSON; null on 304 or when it is not JSON. */
export type OwnAnswer =
  | { readonly ok: true; readonly status: number; readonly headers: Headers; readonly body: unknown }
  /** `body` stands where the upstream refused in JSON. */
  | { readonly ok: false; readonly failure: Failure; readonly body?: unknown };

export interface OwnCallDeps {
  readonly send: Send;
  readonly clock: Clock;
  readonly signIns: SignIns;
  readonly settings: () => Config;
  readonly version: string;
}

/** Picks a call from the adapter; null means the provider has no such thing. */
export type ChooseOwnCall = (adapter: ProviderAdapter, context: CallContext) => OwnCall | null;

/**
 * Makes one GET on an account's behalf: its catalogue, a key test. A 401 renews the sign-in once. Null when the provider has
 * no such call.
 */
export async function ownCall(account: Account, choose: ChooseOwnCall, deps: OwnCallDeps, signal: AbortSignal): Promise<OwnAnswer | null> {
  const first = await ownCallOnce(account, choose, deps, signal);
  const { answer, credential, endpoint } = first;
  if (answer === null || answer.ok || answer.failure.kind !== 'unauthorized' || credential === null || endpoint === null) return answer;
  const renewed = await deps.signIns.renew(account, endpoint.authUrl, credential);
  return renewed.ok ? send({ account, endpoint, credential: renewed.credential }, choose, deps, signal) : renewed;
}

/** The one answer, and what it was asked with; null where the call did not get that far. */
interface OnceAnswered {
  readonly answer: OwnAnswer | null;
  readonly credential: Credential | null;
  readonly endpoint: Endpoint | null;
}

/** As {@link ownCall}, but a 401 is the answer: for calls that are made often and must never spend a refresh token. */
export async function ownCallOnce(account: Account, choose: ChooseOwnCall, deps: OwnCallDeps, signal: AbortSignal): Promise<OnceAnswered> {
  const endpoint = endpointOf(adapterFor(account.kind), account, deps.settings().providers[account.provider]);
  if (endpoint === null) {
    const failure = classifyTransport({ kind: 'unreachable', code: 'no_base_url', message: `Provider "${account.provider}" has no baseUrl.` }, 'connect');
    return { answer: { ok: false, failure }, credential: null, endpoint };
  }
  const signedIn = await deps.signIns.credential(account, endpoint.authUrl);
  if (!signedIn.ok) return { answer: signedIn, credential: null, endpoint };
  const { credential } = signedIn;
  return { answer: await send({ account, endpoint, credential }, choose, deps, signal), credential, endpoint };
}

type Caller = Pick<CallContext, 'account' | 'endpoint' | 'credential'>;

async function send(caller: Caller, choose: ChooseOwnCall, deps: OwnCallDeps, signal: AbortSignal): Promise<OwnAnswer | null> {
  const adapter = adapterFor(caller.account.kind);
  const chosen = choose(adapter, { ...caller, request: null, model: null, version: deps.version });
  if (chosen === null) return null;
  const sent = await deps.send({
    method: chosen.method ?? 'GET',
    url: urlOf(caller.endpoint, chosen.path),
    headers: { accept: 'application/json', ...chosen.headers },
    body: null,
    timeouts: { connect: deps.settings().timeouts.connectMs, headers: ANSWER_MS, idle: ANSWER_MS },
  }, signal);
  if (!sent.ok) return { ok: false, failure: classifyTransport(sent.failure, sent.phase) };
  const { status, headers } = sent.answer;
  const whole = await readWhole(sent.answer.body, { maxBytes: ANSWER_BYTES, deadlineMs: ANSWER_MS, clock: deps.clock });
  const text = new TextDecoder().decode(whole.bytes);
  if (status === 304) return { ok: true, status, headers, body: null };
  if (status >= 200 && status < 300) return { ok: true, status, headers, body: parsed(text) };
  const refusal = { status, headers, body: text, receivedAt: deps.clock.now() };
  return { ok: false, failure: adapter.judge(refusal) ?? classifyRefusal(refusal), body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
