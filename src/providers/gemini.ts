import type { Failure } from '../core/failure.ts';
import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Model } from '../core/model.ts';
import type { ProviderAdapter, Refusal } from '../core/provider-adapter.ts';
import { parseModelList } from './model-list.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';
import { readDuration } from './rate-limit-headers.ts';
import { errorOf, verdict } from './refusal.ts';

/** Gemini through its OpenAI-compatible endpoint (ai.google.dev, read 2026-11): chat only. */
export const gemini = {
  ...OPENAI_SHAPED,
  kind: 'gemini',
  title: 'Google Gemini',
  defaultBaseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
  apiRoot: '/v1beta/openai',
  defaultWire: 'chat',
  wires: ['chat'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: 'GEMINI_API_KEY' },
  dialect: () => 'gemini',
  parseModels,
  judge,
} as const satisfies ProviderAdapter;

/** The list says `models/gemini-…`; calls take the name without the prefix, and people write it so. */
function parseModels(body: unknown): readonly Model[] | null {
  return parseModelList(body)?.map((model) => ({ ...model, id: model.id.replace(/^models\//, '') })) ?? null;
}

/**
 * Errors come in Google's form, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[…]}}`, often inside an
 * array. A bad key is a 400 here, and the wait is in a `RetryInfo` detail.
 */
function judge(refusal: Refusal): Failure | null {
  const error = errorOf(refusal);
  const status = stringAt(error, 'status');
  if (error === null || status === undefined) return null;
  const said = { code: status.toLowerCase(), message: stringAt(error, 'message') ?? status };
  switch (status) {
    case 'INVALID_ARGUMENT':
      return verdict(
        refusal,
        hasReason(error, 'API_KEY_INVALID') || /api key not valid/i.test(said.message) ? 'unauthorized' : 'invalid-request',
        said,
      );
    case 'FAILED_PRECONDITION':
      // "User location is not supported", or billing is not enabled: the account's matter, not the request's.
      return verdict(refusal, 'account-refused', said);
    case 'UNAUTHENTICATED':
      return verdict(refusal, 'unauthorized', said);
    case 'PERMISSION_DENIED':
      return verdict(refusal, 'account-refused', said);
    case 'NOT_FOUND':
      return verdict(refusal, 'model-refused', said);
    case 'RESOURCE_EXHAUSTED':
      return verdict(refusal, 'rate-limited', { ...said, retryAt: retryAt(error, refusal) });
    case 'UNAVAILABLE':
    case 'INTERNAL':
    case 'DEADLINE_EXCEEDED':
      return verdict(refusal, 'overloaded', said);
    default:
      return null;
  }
}

function detailsOf(error: JsonObject): readonly JsonObject[] {
  return (arrayAt(error, 'details') ?? []).filter(isJsonObject);
}

function hasReason(error: JsonObject, reason: string): boolean {
  return detailsOf(error).some((detail) => stringAt(detail, 'reason') === reason);
}

function retryAt(error: JsonObject, refusal: Refusal): number | null {
  const delay = detailsOf(error).map((detail) => readDuration(stringAt(detail, 'retryDelay'))).find((ms) => ms !== null && ms > 0);
  return delay === undefined || delay === null ? null : refusal.receivedAt + delay;
}
