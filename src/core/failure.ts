import type { EpochMs } from './units.ts';

/**
 * Why one attempt did not serve: a value to route on, never an exception. The kinds are the rows of the outcome
 * table in `docs/architecture.md`; `routing/next-step` says what each does.
 */
export type FailureKind =
  | 'unreachable' // DNS, refused, connect timeout, TLS handshake, HTTP/2 REFUSED_STREAM: nothing was processed
  | 'certificate-invalid'
  | 'rate-limited' // 429, with or without a hint
  | 'quota-exhausted' // usage_limit_reached, insufficient_quota, usage_not_included
  | 'unauthorized' // 401 on a call
  | 'login-dead' // the refresh was refused for good: a person must sign in again
  | 'refresh-unavailable' // the refresh could not be made now
  | 'credential-unavailable' // keychain missing, locked or denied; or no item
  | 'account-refused' // 402, 403 about the account
  | 'model-refused' // this account does not serve this model
  | 'challenge' // HTML or a challenge page
  | 'invalid-request' // the request itself is at fault: final
  | 'foreign-ciphertext' // invalid_encrypted_content
  | 'overloaded' // 408, 5xx, server_error, at capacity: refused by the upstream
  | 'cut' // reset or EOF before anything meaningful
  | 'timed-out' // headers, first event or idle
  | 'invalid-response' // a 200 that is not what it says
  | 'client-gone';

/** Where the attempt was when it failed: P0 not sent, P1 being sent, P2 headers seen but nothing meaningful, P3 committed. */
export type Phase = 'credential' | 'connect' | 'request' | 'headers' | 'stream' | 'committed';

/** One attempt's failure, with what the next step, the client and the journal need of it. Holds no secret. */
export interface Failure {
  readonly kind: FailureKind;
  readonly phase: Phase;
  /** The upstream's HTTP status, or the status inside its error event; null when none came. */
  readonly status: number | null;
  /** The upstream's error code, or ours (`connect_refused`, `idle_timeout`, …). */
  readonly code: string;
  /** The upstream's message as told, redacted; shown to the client where the failure is final. */
  readonly message: string;
  readonly param: string | null;
  /** When the upstream says it will serve again; null when it did not say. */
  readonly retryAt: EpochMs | null;
  /** The metered bucket the refusal is about; null for the whole account. */
  readonly bucket: string | null;
  readonly planType: string | null;
  readonly upstreamRequestId: string | null;
}
