import type { JsonObject, JsonValue } from '../core/json.ts';

/** A moment inside an answer. For one whole body, everything past its headers means its middle. */
export type MockPoint =
  | 'before-headers'
  | 'after-headers'
  | 'after-first-event'
  | { readonly afterEvents: number }
  | { readonly afterDeltas: number };

/** Holds something up until a test lets it go: no sleeping, no racing. */
export interface Gate {
  readonly opened: Promise<void>;
  release(): void;
}

/** A closed gate. */
export function createGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, release: () => resolve() };
}

/** A tool call the mock is told to make. */
export interface MockCall {
  readonly name: string;
  readonly kind?: 'function' | 'custom';
  readonly namespace?: string;
  /** JSON text of a function's arguments, or a custom tool's raw input. */
  readonly payload: string;
  readonly callId?: string;
}

/** How an answer breaks: RST, FIN inside the chunked body, a clean end that comes too early, or silence. */
export interface MockBreak {
  readonly at: MockPoint;
  readonly how: 'reset' | 'cut' | 'eof' | 'hang';
  /** Ends a `hang`, and the answer goes on. Without it the silence lasts until somebody closes the socket. */
  readonly gate?: Gate;
}

/** An answer that serves, with whatever is said otherwise. */
export interface AnswerStep {
  readonly do: 'answer';
  readonly text?: string;
  readonly reasoning?: string;
  readonly calls?: readonly MockCall[];
  /** The usage object as sent; null leaves it out. */
  readonly usage?: JsonValue;
  /** The model the answer says ran. */
  readonly model?: string;
  readonly tier?: string;
  readonly incomplete?: 'max_output_tokens' | 'content_filter';
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  /** Exactly these frames instead of the answer's own, byte for byte. */
  readonly frames?: readonly string[];
  /** Exactly this body instead of the whole answer's own. */
  readonly body?: string;
  readonly insert?: { readonly at: MockPoint; readonly frames: readonly string[]; readonly next: 'go-on' | 'end' };
  readonly break?: MockBreak;
  /** Bytes at a time, whatever the framing; `everyMs` apart by the mock's clock. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number };
  readonly paceMs?: number;
  readonly delayMs?: number;
  readonly gate?: Gate;
}

/** An answer that is an error by its status. */
export interface RefuseStep {
  readonly do: 'refuse';
  readonly status: number;
  readonly body: JsonValue;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers before the request's body has been read. */
  readonly early?: true;
  /** Ends the access token: 401 until it was refreshed. */
  readonly expiresToken?: true;
  readonly delayMs?: number;
  readonly gate?: Gate;
}

/** Raw bytes on the socket instead of an HTTP answer. */
export interface SocketStep {
  readonly do: 'socket';
  readonly bytes: string;
  readonly next: 'end' | 'reset' | 'hang';
  readonly delayMs?: number;
  readonly gate?: Gate;
}

/** What one call at a mock account meets. */
export type MockStep = AnswerStep | RefuseStep | SocketStep;

/** Serves, saying `text` or what the task suggests. */
export function ok(change: Omit<AnswerStep, 'do'> = {}): AnswerStep {
  return { do: 'answer', ...change };
}

/** The wait a 429 can tell of, one member for every way there is. All seconds but `retryAfterMs`. */
export interface RateLimitHint {
  readonly retryAfter?: string;
  readonly retryAfterMs?: number;
  readonly resetsAt?: number;
  readonly resetsInSeconds?: number;
  /** "Please try again in 1.9s." */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** 429 `rate_limit_exceeded`, with the hints given; none at all without. */
export function rateLimited(hint: RateLimitHint = {}): RefuseStep {
  return refuse(429, {
    error: {
      message: `Rate limit reached.${hint.text === undefined ? '' : ` ${hint.text}`}`,
      type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded',
      ...(hint.resetsAt !== undefined && { resets_at: hint.resetsAt }),
      ...(hint.resetsInSeconds !== undefined && { resets_in_seconds: hint.resetsInSeconds }),
    },
  }, {
    ...(hint.retryAfter !== undefined && { 'retry-after': hint.retryAfter }),
    ...(hint.retryAfterMs !== undefined && { 'retry-after-ms': String(hint.retryAfterMs) }),
    ...hint.headers,
  });
}

/** The ChatGPT backend's quota refusal (observed 2026-11). `resetsAt` is unix seconds. */
export function usageLimited(said: {
  readonly resetsAt: number;
  readonly resetsInSeconds: number;
  readonly plan?: string;
  readonly windowMinutes?: number;
}): RefuseStep {
  return refuse(
    429,
    {
      error: {
        type: 'usage_limit_reached',
        message: 'The usage limit has been reached',
        plan_type: said.plan ?? 'plus',
        resets_at: said.resetsAt,
        resets_in_seconds: said.resetsInSeconds,
        limit_window_minutes: said.windowMinutes ?? 300,
      },
    },
    {
      'x-codex-primary-used-percent': '100',
      'x-codex-primary-window-minutes': String(said.windowMinutes ?? 300),
      'x-codex-primary-reset-at': String(said.resetsAt),
      'x-codex-active-limit': 'codex',
    },
  );
}

/** 401 until the access token was refreshed; an API key just stays refused for this call. */
export function unauthorized(code = 'token_expired'): RefuseStep {
  const error = {
    message: 'Provided authentication token is expired. Please try signing in again.',
    type: 'invalid_request_error',
    param: null,
    code,
  };
  return {
    ...refuse(401, { error }, { 'x-error-json': Buffer.from(JSON.stringify({ error: { code } })).toString('base64') }),
    expiresToken: true,
  };
}

/** An error status with OpenAI's envelope around `code`. */
export function failed(
  status: number,
  code: string = status >= 500 ? 'server_error' : 'invalid_request_error',
  message?: string,
): RefuseStep {
  return refuse(status, {
    error: { message: message ?? `The mock upstream answers ${status} on request.`, type: code, param: null, code },
  });
}

/** Any status, body and headers. A string body is sent as it is, as HTML where it looks so. */
export function refuse(status: number, body: JsonValue, headers: Readonly<Record<string, string>> = {}): RefuseStep {
  return { do: 'refuse', status, body, headers };
}

/** A page of Cloudflare's in place of an answer: 403 by default, and 200 where a proxy lies about it. */
export function challenge(status = 403): RefuseStep {
  const head = '<!DOCTYPE html><html><head><title>Just a moment...</title></head>';
  const page = `${head}<body>Sorry, you have been blocked. Cloudflare Ray ID: 8f2e1c0d</body></html>`;
  return refuse(status, page, {
    'content-type': 'text/html; charset=UTF-8',
    server: 'cloudflare',
    'cf-ray': '8f2e1c0d9a7b6c5d-FRA',
    'cf-mitigated': 'challenge',
  });
}

/** The ChatGPT backend's words for a model this account may not use. */
export function modelRefused(model: string): RefuseStep {
  return refuse(400, { detail: `The '${model}' model is not supported when using Codex with a ChatGPT account.` });
}

/** Silence from a point on. */
export function hang(at: MockPoint = 'before-headers', gate?: Gate): AnswerStep {
  return ok({ break: { at, how: 'hang', ...(gate !== undefined && { gate }) } });
}

/** A reset connection at a point. */
export function reset(at: MockPoint = 'before-headers'): AnswerStep {
  return ok({ break: { at, how: 'reset' } });
}

/** The connection closes inside the body: a truncated chunked answer. */
export function cut(at: MockPoint = 'after-first-event'): AnswerStep {
  return ok({ break: { at, how: 'cut' } });
}

/** The answer ends cleanly at a point, without its terminal event. */
export function eof(at: MockPoint = 'after-first-event'): AnswerStep {
  return ok({ break: { at, how: 'eof' } });
}

/** An `error` event inside a 200 stream, by default before anything else. Quota refusals come so, too. */
export function errorEvent(error: JsonObject, at: MockPoint = 'after-headers'): AnswerStep {
  return ok({ insert: { at, frames: [frameOf('error', { type: 'error', ...error })], next: 'end' } });
}

/** A `response.failed` event inside a 200 stream. */
export function failedEvent(code: string, message: string, at: MockPoint = 'after-first-event'): AnswerStep {
  const response = { id: 'resp_mock_failed', object: 'response', status: 'failed', error: { code, message }, output: [], usage: null };
  return ok({
    insert: { at, frames: [frameOf('response.failed', { type: 'response.failed', sequence_number: 1, response })], next: 'end' },
  });
}

/** A frame of a stream whose data is no JSON; the rest follows as usual. */
export function garbageEvent(at: MockPoint = 'after-first-event'): AnswerStep {
  return ok({ insert: { at, frames: ['event: response.output_text.delta\ndata: {"type":"response.output_text.de\n\n'], next: 'go-on' } });
}

/** A 200 of another type than was asked for. */
export function wrongType(contentType = 'text/html', body = '<html><body>Welcome</body></html>'): AnswerStep {
  return ok({ headers: { 'content-type': contentType }, body, frames: [body] });
}

/** One server-sent event as the upstreams frame it; without a name there is no `event:` line. */
export function frameOf(event: string | null, data: JsonValue): string {
  return `${event === null ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;
}
