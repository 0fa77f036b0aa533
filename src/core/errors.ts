import type { ClientWire } from './provider-kind.ts';

/** The words Relay puts in `error.code`, each with its HTTP status and OpenAI's `type`. */
const CODES = {
  invalid_request_error: [400, 'invalid_request_error'],
  unsupported_parameter: [400, 'invalid_request_error'],
  unsupported_value: [400, 'invalid_request_error'],
  unsupported_endpoint: [400, 'invalid_request_error'],
  unsupported_content_type: [400, 'invalid_request_error'],
  unsupported_tool: [400, 'invalid_request_error'],
  invalid_type: [400, 'invalid_request_error'],
  missing_required_parameter: [400, 'invalid_request_error'],
  previous_response_not_found: [400, 'invalid_request_error'],
  websocket_connection_limit_reached: [400, 'invalid_request_error'],
  websocket_stream_limit_reached: [400, 'invalid_request_error'],
  invalid_stream_id: [400, 'invalid_request_error'],
  context_length_exceeded: [400, 'invalid_request_error'],
  invalid_api_key: [401, 'invalid_request_error'],
  insufficient_scope: [403, 'invalid_request_error'],
  forbidden_host: [403, 'invalid_request_error'],
  forbidden_origin: [403, 'invalid_request_error'],
  model_not_found: [404, 'invalid_request_error'],
  not_found: [404, 'invalid_request_error'],
  unknown_url: [404, 'invalid_request_error'],
  method_not_allowed: [405, 'invalid_request_error'],
  request_too_large: [413, 'invalid_request_error'],
  unsupported_media_type: [415, 'invalid_request_error'],
  websocket_unavailable: [426, 'invalid_request_error'],
  budget_exceeded: [429, 'insufficient_quota'],
  concurrency_limit: [429, 'rate_limit_error'],
  rate_limit_exceeded: [429, 'rate_limit_error'],
  accounts_exhausted: [429, 'rate_limit_error'],
  usage_limit_reached: [429, 'usage_limit_reached'],
  internal_error: [500, 'server_error'],
  upstream_error: [502, 'server_error'],
  upstream_invalid_response: [502, 'server_error'],
  upstream_stream_truncated: [502, 'server_error'],
  no_account: [503, 'server_error'],
  overloaded: [503, 'server_error'],
  draining: [503, 'server_error'],
  storage_unavailable: [503, 'server_error'],
  upstream_timeout: [504, 'server_error'],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof CODES;

/** What every error body of Relay's holds, beside nothing else than a quota's own facts. */
export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  readonly plan_type?: string;
  /** Unix seconds, as OpenAI tells it. */
  readonly resets_at?: number;
  readonly resets_in_seconds?: number;
}

/** What a {@link RelayError} may say beside its code and message. */
export interface ErrorDetails {
  readonly param?: string | null;
  /** Sets another status than the code's own: an upstream's 4xx passed on in our envelope. */
  readonly status?: number;
  /** An upstream's own `type` and `code`, passed on. */
  readonly upstream?: { readonly type: string; readonly code: string | null };
  /** Seconds for `Retry-After`, at most 60. */
  readonly retryAfterSeconds?: number;
  /** Sent as `x-should-retry`: false where waiting a moment cannot help. */
  readonly shouldRetry?: boolean;
  readonly quota?: { readonly planType: string | null; readonly resetsAtSeconds: number; readonly resetsInSeconds: number };
}

/**
 * An answer that is an error, in the client's terms. Thrown between rooms, turned into HTTP or an in-stream event
 * by `server`. The message names the field or the account and the command that mends it; it holds no secret.
 */
export class RelayError extends Error {
  override readonly name = 'RelayError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return this.details.status ?? CODES[this.code][0];
  }

  /** The envelope's inside: `{"error": body}`. */
  get body(): ErrorBody {
    const { upstream, quota, param } = this.details;
    return {
      message: this.message,
      type: upstream?.type ?? CODES[this.code][1],
      param: param ?? null,
      code: upstream ? upstream.code : this.code,
      ...(quota && {
        ...(quota.planType !== null && { plan_type: quota.planType }),
        resets_at: quota.resetsAtSeconds,
        resets_in_seconds: quota.resetsInSeconds,
      }),
    };
  }
}

/** The HTTP status of an error as a client of this wire is told it: Anthropic's clients know overload as 529. */
export function statusToward(wire: ClientWire, error: RelayError): number {
  return wire === 'messages' && error.code === 'overloaded' && error.status === 503 ? 529 : error.status;
}

/** A fault of the user's machine or settings that a command reports in one line and an exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Exit codes of the `relay` command, after sysexits.h where it has one. */
export const EXIT = {
  ok: 0, failed: 1, usage: 2, ledgerCorrupt: 3, internal: 70, cannotWrite: 73, inUse: 75, configuration: 78, interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
