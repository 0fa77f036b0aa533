import type { TransportFailure } from '../core/byte-source.ts';
import type { Failure, FailureKind, Phase } from '../core/failure.ts';
import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import type { Refusal } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import type { ErrorFacts } from './error-facts.ts';
import { factsOf, readErrorFacts } from './error-facts.ts';
import { judgeError } from './error-rules.ts';
import { readRetryHint } from './hints.ts';
import { activeBucket, headersOf, PLAN_BUCKET } from './quota.ts';
import { redactMessage } from './redact-message.ts';

/** An error the upstream put into its stream or body, as the wire told it. */
export interface ToldFailure {
  readonly status: number | null;
  readonly code: string | null;
  readonly type: string | null;
  readonly message: string;
  readonly param: string | null;
  readonly raw: JsonObject;
}

/** Judges an answer that was no success. Total: every status and every body gives a failure; nothing secret gets in. */
export function classifyRefusal(refusal: Refusal): Failure {
  const facts = readErrorFacts(refusal);
  return failureOf(facts, 'headers', refusal.receivedAt, facts.form === 'json' ? facts.error : refusal.body);
}

/**
 * Judges an error inside a stream or a 200 body. `headers` are those of the answer; headers the event itself carries
 * (ChatGPT backend, observed 2026-11) count before them.
 */
export function classifyStreamFailure(told: ToldFailure, receivedAt: EpochMs, headers: Headers): Failure {
  // The passage's own word for an answer that cannot be read: the upstream told nothing to be judged.
  if (told.code === 'upstream_invalid_response') return classifyInvalidResponse(told.code, told.message, headers);
  const own = objectAt(told.raw, 'headers');
  const all = own === undefined ? headers : { ...headers, ...headersOf(own) };
  const read = factsOf(told.raw, all);
  const facts: ErrorFacts = {
    ...read,
    status: told.status,
    code: told.code?.toLowerCase() ?? read.code,
    type: told.type?.toLowerCase() ?? read.type,
    message: told.message !== '' ? told.message : read.message,
    param: told.param ?? read.param,
    form: 'json',
  };
  return failureOf(facts, 'stream', receivedAt, { ...facts.error, message: facts.message });
}

/** Judges what the transport reported, with the phase it happened in: before anything was sent it is a clean refusal. */
export function classifyTransport(failure: TransportFailure, phase: Phase): Failure {
  const nothingWasSent = phase === 'connect' || phase === 'credential';
  const kind: FailureKind = nothingWasSent && (failure.kind === 'cut' || failure.kind === 'timed-out') ? 'unreachable' : failure.kind;
  return {
    kind, phase, status: null, code: failure.code, message: redactMessage(failure.message), param: null,
    retryAt: null, bucket: null, planType: null, upstreamRequestId: null,
  };
}

/** A success that is not what it says: HTML with a 200, an unreadable body. `status` is the one it came with. */
export function classifyInvalidResponse(code: string, message: string, headers: Headers): Failure {
  return {
    kind: 'invalid-response', phase: 'stream', status: null, code, message: redactMessage(message), param: null,
    retryAt: null, bucket: null, planType: null, upstreamRequestId: requestIdOf(headers),
  };
}

function failureOf(facts: ErrorFacts, phase: Phase, receivedAt: EpochMs, body: string | JsonObject): Failure {
  const { kind, code } = judgeError(facts);
  return {
    kind,
    phase,
    status: facts.status,
    code,
    message: messageOf(facts, kind),
    param: facts.param,
    retryAt: mayWait(kind) ? (readRetryHint({ headers: facts.headers, body, receivedAt })?.retryAt ?? null) : null,
    bucket: bucketOf(kind, code, facts.headers),
    planType: facts.planType,
    upstreamRequestId: requestIdOf(facts.headers),
  };
}

const WAITING_KINDS: ReadonlySet<FailureKind> = new Set(['rate-limited', 'quota-exhausted', 'overloaded', 'account-refused', 'challenge']);

function mayWait(kind: FailureKind): boolean {
  return WAITING_KINDS.has(kind);
}

/** A quota of the plan names its bucket; a throttle is about the whole account unless it names an extra bucket. */
function bucketOf(kind: FailureKind, code: string, headers: Headers): string | null {
  const active = activeBucket(headers);
  if (kind === 'quota-exhausted') return active ?? (code === 'usage_limit_reached' ? PLAN_BUCKET : null);
  return kind === 'rate-limited' && active !== PLAN_BUCKET ? active : null;
}

/** A web page never reaches anyone; what is said in its place names the status and Cloudflare's ray. */
function messageOf(facts: ErrorFacts, kind: FailureKind): string {
  const status = facts.status === null ? 'an error' : `HTTP ${facts.status}`;
  if (kind === 'challenge' || facts.form === 'page') {
    const ray = facts.headers['cf-ray'];
    const what = facts.form === 'page' ? 'a web page' : 'no reason';
    return `The upstream answered ${status} with ${what}${ray === undefined ? '' : ` (cf-ray ${redactMessage(ray)})`}`;
  }
  return redactMessage(facts.message) || `The upstream answered ${status} without a reason`;
}

const REQUEST_ID_HEADERS = ['x-request-id', 'x-oai-request-id', 'request-id', 'apim-request-id', 'cf-ray'] as const;

function requestIdOf(headers: Headers): string | null {
  const name = REQUEST_ID_HEADERS.find((header) => (headers[header] ?? '') !== '');
  return name === undefined ? null : redactMessage(headers[name] ?? '').slice(0, 120);
}
