import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { writeResponsesEvent } from './sse-writer.ts';

/** Anthropic's error types by the codes that Relay and its upstreams use (its errors reference, 2026). */
const TYPES: Readonly<Record<string, string>> = {
  invalid_api_key: 'authentication_error',
  insufficient_scope: 'permission_error', forbidden_host: 'permission_error', forbidden_origin: 'permission_error',
  model_not_found: 'not_found_error', not_found: 'not_found_error', unknown_url: 'not_found_error',
  request_too_large: 'request_too_large',
  budget_exceeded: 'rate_limit_error', concurrency_limit: 'rate_limit_error', rate_limit_exceeded: 'rate_limit_error',
  accounts_exhausted: 'rate_limit_error', usage_limit_reached: 'rate_limit_error', insufficient_quota: 'rate_limit_error',
  usage_not_included: 'rate_limit_error',
  overloaded: 'overloaded_error', server_is_overloaded: 'overloaded_error', slow_down: 'overloaded_error',
  upstream_timeout: 'timeout_error',
};
const TYPES_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error', 404: 'not_found_error',
  413: 'request_too_large', 429: 'rate_limit_error', 504: 'timeout_error', 529: 'overloaded_error',
};

/** An error in Anthropic's envelope. `status` tells the type where the code says nothing; null inside a stream. */
export function messagesError(error: ErrorBody, status: number | null): JsonObject {
  return { type: 'error', error: { type: typeOf(error, status), message: messageOf(error) } };
}

/** An error inside a Messages stream. The connection is destroyed behind it. */
export function messagesErrorFrame(error: ErrorBody): Uint8Array {
  return writeResponsesEvent({ ...messagesError(error, null), type: 'error' });
}

function typeOf({ code, type }: ErrorBody, status: number | null): string {
  const known = code !== null && Object.hasOwn(TYPES, code) ? TYPES[code] : undefined;
  if (known !== undefined) return known;
  if (status !== null && TYPES_BY_STATUS[status] !== undefined) return TYPES_BY_STATUS[status];
  if (status === null ? type === 'invalid_request_error' : status < 500) return 'invalid_request_error';
  return type === 'rate_limit_error' ? type : 'api_error';
}

/** Claude Code shortens a conversation when it reads these words, which are Anthropic's (2.1.330, observed 2026-11). */
function messageOf({ code, message }: ErrorBody): string {
  return code === 'context_length_exceeded' && !/prompt is too long/i.test(message) ? `prompt is too long: ${message}` : message;
}
