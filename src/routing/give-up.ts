import type { ErrorCode } from '../core/errors.ts';
import { RelayError } from '../core/errors.ts';
import type { Failure, Phase } from '../core/failure.ts';
import type { EpochMs } from '../core/units.ts';
import { SECOND_MS } from '../core/units.ts';

const LONGEST_RETRY_AFTER_S = 60;

/**
 * `Retry-After` toward clients: whole seconds to the moment, 1 to 60, since some sleep on it blindly; and
 * `x-should-retry: false` where the wait is longer than that. Empty when no moment is known.
 */
export function retryDetails(until: EpochMs | null, now: EpochMs): { readonly retryAfterSeconds?: number; readonly shouldRetry?: boolean } {
  if (until === null) return {};
  const seconds = Math.max(1, Math.ceil((until - now) / SECOND_MS));
  return { retryAfterSeconds: Math.min(LONGEST_RETRY_AFTER_S, seconds), ...(seconds > LONGEST_RETRY_AFTER_S && { shouldRetry: false }) };
}

/**
 * The client's answer when a failure is the end of its request. A fault of the request is passed on with its status
 * and message; all else is told in Relay's words, and an upstream's 401 or 403 never reaches a client as such.
 */
export function giveUpError(failure: Failure, accountName: string, now: EpochMs): RelayError {
  const about = `Account '${accountName}': `;
  switch (failure.kind) {
    case 'invalid-request':
    case 'foreign-ciphertext':
      return passedOn(failure);
    case 'rate-limited':
    case 'quota-exhausted':
      return limitError(failure, about, now);
    case 'unauthorized':
    case 'login-dead':
      return new RelayError('no_account', `${about}${failure.message}. Sign in again: relay keys login ${accountName}`);
    case 'refresh-unavailable':
      return new RelayError('no_account', `${about}no sign-in refresh (${failure.message}). Try: relay keys test ${accountName}`);
    case 'credential-unavailable':
      return new RelayError('no_account', `${about}${failure.message}. Check: relay doctor`);
    case 'account-refused':
      return new RelayError('no_account', `${about}the upstream refuses it (${failure.message}). Check: relay keys test ${accountName}`);
    case 'model-refused':
      return new RelayError('model_not_found', `${about}${failure.message}. Served models: relay models`, { param: 'model' });
    case 'challenge':
      return new RelayError(isSuccess(failure.status) ? 'upstream_invalid_response' : 'upstream_error', `${about}${failure.message}`);
    case 'overloaded':
      // Told by the upstream: clients read waiting times and causes out of its words, so they stay as they are.
      return new RelayError(overloadCode(failure), failure.message === '' ? `${about}the upstream is overloaded` : failure.message, retryDetails(failure.retryAt, now));
    case 'unreachable':
    case 'certificate-invalid':
      return new RelayError('upstream_error', `${about}${failure.message}`);
    case 'cut':
      return new RelayError(beganToAnswer(failure.phase) ? 'upstream_stream_truncated' : 'upstream_error', `${about}${failure.message}`);
    case 'timed-out':
      return new RelayError('upstream_timeout', `${about}${failure.message}`);
    case 'invalid-response':
      return new RelayError('upstream_invalid_response', `${about}${failure.message}`);
    case 'client-gone':
      return new RelayError('upstream_error', 'The client closed the connection');
  }
}

function limitError(failure: Failure, about: string, now: EpochMs): RelayError {
  const isPlanQuota = failure.kind === 'quota-exhausted' && failure.code === 'usage_limit_reached';
  const quota = failure.retryAt === null ? undefined : {
    planType: failure.planType,
    resetsAtSeconds: Math.ceil(failure.retryAt / SECOND_MS),
    resetsInSeconds: Math.max(0, Math.ceil((failure.retryAt - now) / SECOND_MS)),
  };
  return new RelayError(isPlanQuota ? 'usage_limit_reached' : 'accounts_exhausted', `${about}${failure.message}`, {
    ...retryDetails(failure.retryAt, now),
    ...(isPlanQuota && quota !== undefined && { quota }),
  });
}

function passedOn(failure: Failure): RelayError {
  const status = failure.status !== null && isRequestStatus(failure.status) ? failure.status : 400;
  return new RelayError('invalid_request_error', failure.message, {
    status,
    param: failure.param,
    upstream: { type: 'invalid_request_error', code: failure.code },
  });
}

/** A status a client may take as its own fault; 401, 402, 403 and 429 would be read as being about its key. */
function isRequestStatus(status: number): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 402 && status !== 403 && status !== 407 && status !== 429;
}

function beganToAnswer(phase: Phase): boolean {
  return phase === 'stream' || phase === 'committed';
}

function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300;
}

const OVERLOAD_WORDS = new Set([
  'server_is_overloaded', 'slow_down', 'overloaded', 'overloaded_error', 'engine_overloaded', 'model_at_capacity', 'service_unavailable',
  'unavailable',
]);

function overloadCode(failure: Failure): ErrorCode {
  if (failure.status === 408) return 'upstream_timeout';
  return failure.status === 503 || failure.status === 529 || OVERLOAD_WORDS.has(failure.code) ? 'overloaded' : 'upstream_error';
}
