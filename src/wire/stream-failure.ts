import type { ErrorBody } from '../core/errors.ts';
import { RelayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { Seen, StreamFailure } from './passage.ts';

/** Codes and types of in-stream errors whose fault is the request's, so that no other account can serve it either. */
const REQUEST_FAULTS = new Set([
  'context_length_exceeded', 'invalid_prompt', 'cyber_policy', 'content_filter', 'content_policy_violation', 'invalid_request_error',
  'invalid_encrypted_content', 'invalid_function_parameters', 'unsupported_parameter', 'unsupported_value', 'previous_response_not_found',
]);
const UNEXPLAINED = 'The upstream reported an error without a message.';
const QUOTAS = new Set(['usage_limit_reached', 'insufficient_quota', 'usage_not_included']);
const LIMITS = new Set(['rate_limit_exceeded', 'rate_limit_error', ...QUOTAS]);
const OVERLOADS = new Set(['server_is_overloaded', 'overloaded', 'overloaded_error', 'slow_down']);

/**
 * Reads what an `error` or `response.failed` event says. Both spellings of `error` are in use: flat as documented, and
 * nested `{error:{…}}` with `status` and `headers` beside it (ChatGPT backend, observed 2026-11).
 */
export function readResponsesFailure(event: JsonObject): StreamFailure {
  const response = objectAt(event, 'response');
  const error = objectAt(response, 'error') ?? objectAt(event, 'error') ?? event;
  return failureFrom(error, event, event.type === 'response.cancelled' ? 'The upstream cancelled the response.' : UNEXPLAINED);
}

/** Reads the error in a Chat Completions chunk or body; undefined when it carries none. */
export function readChatFailure(chunk: JsonObject): StreamFailure | undefined {
  const { error } = chunk;
  if (isJsonObject(error)) return failureFrom(error, chunk, UNEXPLAINED);
  if (typeof error === 'string' && error !== '') return failureFrom({ message: error }, chunk, error);
  if (chunk.object === 'error') return failureFrom(chunk, chunk, UNEXPLAINED);
  if (typeof chunk.detail === 'string' && chunk.choices === undefined) return failureFrom({ message: chunk.detail }, chunk, chunk.detail);
  return undefined;
}

/** A failure Relay itself finds in an answer: unreadable, oversized, or not what its head said. */
export function brokenAnswer(message: string): StreamFailure {
  const code = 'upstream_invalid_response';
  return { status: null, code, type: 'server_error', message, param: null, raw: { code, message } };
}

/** The failure behind `finish_reason: "error"` where the upstream says nothing else. */
export function endedInError(): StreamFailure {
  const message = 'The upstream ended its answer with an error.';
  return { status: null, code: null, type: null, message, param: null, raw: { message } };
}

/** Notes a failure as the end of the answer. The first one stays. */
export function noteFailure(seen: Seen, failure: StreamFailure): void {
  seen.failure ??= failure;
  seen.terminal ??= 'failed';
}

/**
 * The HTTP status a failure inside a stream stands for, while the status can still be sent: 429 for limits, 400 for
 * faults of the request, 503 for overload (also where it is labelled an invalid request), else 502.
 */
export function statusOfFailure(failure: StreamFailure): number {
  if (/at capacity/i.test(failure.message)) return 503;
  const words = [failure.code, failure.type].filter((word) => word !== null);
  if (words.some((word) => LIMITS.has(word))) return 429;
  if (words.some((word) => OVERLOADS.has(word))) return 503;
  if (words.some((word) => REQUEST_FAULTS.has(word) || word.startsWith('image_'))) return 400;
  const { status } = failure;
  return status !== null && status >= 400 && status <= 599 && status !== 401 ? status : 502;
}

/** A failure as an error body: the upstream's own words, with `type` and `code` filled in where it gave none. */
export function bodyOfFailure(failure: StreamFailure): ErrorBody {
  const status = statusOfFailure(failure);
  const { plan_type, resets_at, resets_in_seconds } = failure.raw;
  return {
    message: failure.message,
    type: failure.type ?? typeOfStatus(status),
    param: failure.param,
    code: codeOf(failure) ?? 'upstream_error',
    ...(typeof plan_type === 'string' && { plan_type }),
    ...(typeof resets_at === 'number' && { resets_at }),
    ...(typeof resets_in_seconds === 'number' && { resets_in_seconds }),
  };
}

/**
 * A failure as the error a client gets before the commit point. Faults of the request keep the upstream's status and
 * words; everything else is Relay's to answer for.
 */
export function errorOfFailure(failure: StreamFailure): RelayError {
  const status = statusOfFailure(failure);
  if (failure.code === 'upstream_invalid_response') return new RelayError('upstream_invalid_response', failure.message);
  if (status === 503) return new RelayError('overloaded', failure.message);
  if (status === 429) return new RelayError('rate_limit_exceeded', failure.message, { upstream: upstreamWords(failure, status) });
  if (status >= 500) return new RelayError('upstream_error', failure.message);
  return new RelayError('invalid_request_error', failure.message, {
    status, param: failure.param, upstream: upstreamWords(failure, status),
  });
}

function upstreamWords(failure: StreamFailure, status: number): { readonly type: string; readonly code: string | null } {
  return { type: failure.type ?? typeOfStatus(status), code: codeOf(failure) };
}

/** A plan's limit is told in `type` alone; clients look for it in `code` too. */
function codeOf(failure: StreamFailure): string | null {
  return failure.code ?? (failure.type !== null && QUOTAS.has(failure.type) ? failure.type : null);
}

function typeOfStatus(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

function failureFrom(error: JsonObject, around: JsonObject, fallback: string): StreamFailure {
  const status = statusIn(error) ?? statusIn(around) ?? null;
  const headers = objectAt(error, 'headers') ?? objectAt(around, 'headers');
  const type = stringAt(error, 'type');
  return {
    status,
    code: stringAt(error, 'code') ?? null,
    // A flat error is the event itself, whose `type` is the event's.
    type: type === undefined || type === 'error' || type.startsWith('response.') ? null : type,
    message: stringAt(error, 'message') ?? fallback,
    param: stringAt(error, 'param') ?? null,
    raw: { ...error, ...(status !== null && { status }), ...(headers && { headers }) },
  };
}

/** OpenRouter puts an HTTP status into `code`, the ChatGPT backend into `status` or `status_code`; some send digits as text. */
function statusIn(value: JsonObject): number | undefined {
  for (const key of ['status', 'status_code', 'code']) {
    const found = numberAt(value, key) ?? Number(/^\d{3}$/.exec(stringAt(value, key) ?? '')?.[0] ?? Number.NaN);
    if (Number.isInteger(found) && found >= 100 && found <= 599) return found;
  }
  return undefined;
}
