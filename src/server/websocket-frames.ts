import type { JsonObject, JsonValue } from '../core/json.ts';
import { numberAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';
import { newResponse } from '../wire/whole-response.ts';
import { usageToResponses } from '../wire/whole-usage.ts';

/** An event as the text of one message, under the lane it belongs to. */
export function eventMessage(event: JsonObject, streamId: string | null): string {
  return JSON.stringify(streamId === null ? event : { ...event, stream_id: streamId });
}

/** Headers that describe the bytes of an HTTP answer, and so nothing here. */
const OF_THE_BODY = /^(?:content-.*|cache-control|x-accel-buffering|x-content-type-options)$/;

/**
 * An error as the Responses WebSocket tells it: what an HTTP answer would have had as status and headers stands beside it
 * (ChatGPT backend, observed 2026-11). Codex decides by `status` and reads `retry-after` from `headers`.
 */
export function errorEvent(status: number, error: JsonValue, headers: Headers): JsonObject {
  const told = Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_BODY.test(name)));
  return { type: 'error', status, error, headers: told };
}

/** Headers of a quota window, one family a metered limit: `x-codex-primary-used-percent`, `x-codex-other-secondary-…`. */
const WINDOW = /^x-(codex(?:-.+)?)-(?:primary|secondary)-(?:used-percent|window-minutes|reset-at|reset-after-seconds)$/;

/**
 * What Codex reads from the headers of an HTTP answer, as the events it reads them from here (Codex 0.169, observed
 * 2026-11): the turn's state, the model and the like as `response.metadata`, each quota as `codex.rate_limits`.
 */
export function headerEvents(headers: Headers): readonly JsonObject[] {
  const plain = Object.entries(headers).filter(([name]) => !OF_THE_BODY.test(name) && !WINDOW.test(name));
  const limits = new Set(Object.keys(headers).flatMap((name) => WINDOW.exec(name)?.[1] ?? []));
  return [
    ...(plain.length > 0 ? [{ type: 'response.metadata', headers: Object.fromEntries(plain) }] : []),
    ...[...limits].map((limit) => rateLimits(limit, headers)),
  ];
}

function rateLimits(limit: string, headers: Headers): JsonObject {
  const plan = headers['x-codex-plan-type'];
  const windows = [window(`x-${limit}-primary`, headers), window(`x-${limit}-secondary`, headers)] as const;
  const reached = windows.some((read) => (numberAt(read, 'used_percent') ?? 0) >= 100);
  return {
    type: 'codex.rate_limits',
    ...(plan !== undefined && { plan_type: plan }),
    metered_limit_name: limit.replaceAll('-', '_'),
    rate_limits: { allowed: !reached, limit_reached: reached, primary: windows[0], secondary: windows[1] },
    credits: credits(headers),
  };
}

function window(prefix: string, headers: Headers): JsonObject | null {
  const used = numberIn(headers, `${prefix}-used-percent`);
  if (used === null) return null;
  return {
    used_percent: used,
    window_minutes: integerIn(headers, `${prefix}-window-minutes`),
    reset_at: integerIn(headers, `${prefix}-reset-at`),
  };
}

function credits(headers: Headers): JsonObject | null {
  const has = flagIn(headers, 'x-codex-credits-has-credits');
  const unlimited = flagIn(headers, 'x-codex-credits-unlimited');
  return has === null || unlimited === null ? null : { has_credits: has, unlimited, balance: headers['x-codex-credits-balance'] ?? null };
}

function numberIn(headers: Headers, name: string): number | null {
  const value = headers[name]?.trim() ?? '';
  return value !== '' && Number.isFinite(Number(value)) ? Number(value) : null;
}

/** Codex reads these into integers, and drops the whole event where one is none. */
function integerIn(headers: Headers, name: string): number | null {
  const value = numberIn(headers, name);
  return value === null ? null : Math.trunc(value);
}

function flagIn(headers: Headers, name: string): boolean | null {
  const value = headers[name]?.trim().toLowerCase();
  if (value === 'true' || value === '1') return true;
  return value === 'false' || value === '0' ? false : null;
}

/** What an answer that generates nothing is made from. */
export interface EmptyAnswer {
  readonly id: string;
  readonly createdAt: number;
  readonly model: string;
  /** The request, of which a response repeats much. */
  readonly body: JsonObject;
}

/** The events of an answer that generates nothing: begun, and over, at no cost. */
export function emptyAnswerEvents({ id, createdAt, model, body }: EmptyAnswer): readonly JsonObject[] {
  const begun = newResponse({ id, createdAt, model, tier: null }, body);
  const over = { ...begun, status: 'completed', completed_at: createdAt, usage: usageToResponses(null) };
  return [
    { type: 'response.created', sequence_number: 0, response: begun },
    { type: 'response.completed', sequence_number: 1, response: over },
  ];
}

/** The refusal of input for an answer under way, with the input, so that the client can send it as a request. */
export function steerRefusal(input: JsonValue, responseId: string): JsonObject {
  return {
    type: 'response.steer.failed',
    sequence_number: 0,
    steer: { input, previous_response_id: responseId },
    error: {
      type: 'invalid_request_error',
      code: 'steering_not_supported',
      message: 'Relay cannot steer an answer under way; send the input as response.create.',
    },
  };
}
