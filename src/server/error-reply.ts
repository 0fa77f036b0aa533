import type { RelayError } from '../core/errors.ts';
import type { Headers } from '../core/relay-request.ts';

/** An error as HTTP: status, headers and the envelope's bytes. */
export interface ErrorReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Writes a {@link RelayError} in OpenAI's envelope, with the headers SDKs read before they retry. */
export function errorReply(error: RelayError): ErrorReply {
  const { retryAfterSeconds, shouldRetry } = error.details;
  return {
    status: error.status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(Math.min(60, Math.max(1, Math.ceil(retryAfterSeconds)))) }),
      ...(shouldRetry !== undefined && { 'x-should-retry': String(shouldRetry) }),
    },
    body: new TextEncoder().encode(JSON.stringify({ error: error.body })),
  };
}
