import type { Failure, FailureKind } from '../core/failure.ts';
import { isJsonObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Refusal } from '../core/provider-adapter.ts';

/** Longest message passed on. */
const MESSAGE_CHARACTERS = 2_000;
const SECRET_SHAPES = /\b(?:sk-[\w-]{6,}|AIza[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+|Bearer\s+\S+)/g;

/** The error object in a refusal's body: OpenAI's envelope, or the array around it that Gemini sends. */
export function errorOf(refusal: Refusal): JsonObject | null {
  const body = parseJson(refusal.body);
  const outer = Array.isArray(body) ? body[0] : body;
  const error: unknown = isJsonObject(outer) ? outer['error'] : undefined;
  return isJsonObject(error) ? error : null;
}

/** A vendor's verdict on a refusal, with the ordinary value for whatever it does not say. */
export function verdict(
  refusal: Refusal,
  kind: FailureKind,
  said: { readonly code: string; readonly message: string; readonly retryAt?: number | null; readonly param?: string | null },
): Failure {
  return {
    kind,
    phase: 'headers',
    status: refusal.status,
    code: said.code,
    message: said.message.slice(0, MESSAGE_CHARACTERS).replace(SECRET_SHAPES, '[redacted]'),
    param: said.param ?? null,
    retryAt: said.retryAt ?? null,
    bucket: null,
    planType: null,
    upstreamRequestId: refusal.headers['x-request-id'] ?? refusal.headers['apim-request-id'] ?? null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
