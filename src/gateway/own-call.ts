import type { Account } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, Send } from '../core/ports.ts';
import type { CallContext, OwnCall, ProviderAdapter } from '../core/provider-adapter.ts';
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
  | { readonly ok: false; readonly failure: Failure };

export interface OwnCallDeps {
  readonly send: Send;
  readonly clock: Clock;
  readonly signIns: SignIns;
  readonly settings: () => Config;
  readonly version: string;
}

/**
 * Makes one GET on an account's behalf: its catalogue, its usage, a key test. A 401 renews the sign-in once.
 * `choose` picks the call from the adapter; null there means the provider has no such thing.
 */
export async function ownCall(
  account: Account,
  choose: (adapter: ProviderAdapter, context: CallContext) => OwnCall | null,
  deps: OwnCallDeps,
  signal: AbortSignal,
): Promise<OwnAnswer | null> {
  const adapter = adapterFor(account.kind);
  const endpoint = endpointOf(adapter, account, deps.settings().providers[account.provider]);
  if (endpoint === null) {
    return { ok: false, failure: classifyTransport({ kind: 'unreachable', code: 'no_base_url', message: `Provider "${account.provider}" has no baseUrl.` }, 'connect') };
  }
  const call = async (credential: CallContext['credential']): Promise<OwnAnswer | null> => {
    const chosen = choose(adapter, { account, credential, endpoint, request: null, model: null, version: deps.version });
    if (chosen === null) return null;
    const { timeouts } = deps.settings();
    const sent = await deps.send({
      method: 'GET',
      url: urlOf(endpoint, chosen.path),
      headers: { accept: 'application/json', ...chosen.headers },
      body: null,
      timeouts: { connect: timeouts.connectMs, headers: ANSWER_MS, idle: ANSWER_MS },
    }, signal);
    if (!sent.ok) return { ok: false, failure: classifyTransport(sent.failure, sent.phase) };
    const { status, headers } = sent.answer;
    const whole = await readWhole(sent.answer.body, { maxBytes: ANSWER_BYTES, deadlineMs: ANSWER_MS, clock: deps.clock });
    const text = new TextDecoder().decode(whole.bytes);
    if (status === 304) return { ok: true, status, headers, body: null };
    if (status >= 200 && status < 300) return { ok: true, status, headers, body: parsed(text) };
    const refusal = { status, headers, body: text, receivedAt: deps.clock.now() };
    return { ok: false, failure: adapter.judge(refusal) ?? classifyRefusal(refusal) };
  };

  const signedIn = await deps.signIns.credential(account, endpoint.authUrl);
  if (!signedIn.ok) return signedIn;
  const first = await call(signedIn.credential);
  if (first === null || first.ok || first.failure.kind !== 'unauthorized') return first;
  const renewed = await deps.signIns.renew(account, endpoint.authUrl, signedIn.credential);
  return renewed.ok ? call(renewed.credential) : renewed;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
