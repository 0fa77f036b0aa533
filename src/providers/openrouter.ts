import type { Failure } from '../core/failure.ts';
import { arrayAt, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { CallContext, ProviderAdapter, Refusal } from '../core/provider-adapter.ts';
import type { Wire } from '../core/provider-kind.ts';
import type { Headers } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';
import { errorOf, verdict } from './refusal.ts';

/** OpenRouter names an application by these two headers; Relay gives its own name, never its client's. */
const APPLICATION = { 'http-referer': 'https://www.npmjs.com/package/relay-local', 'x-title': 'Relay' };

/** OpenRouter (openrouter.ai/docs, read 2026-11). Its Responses endpoint is a beta: chat unless chosen otherwise. */
export const openrouter = {
  ...OPENAI_SHAPED,
  kind: 'openrouter',
  title: 'OpenRouter',
  defaultBaseUrl: 'https://openrouter.ai/api/v1',
  apiRoot: '/api/v1',
  defaultWire: 'chat',
  wires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: 'OPENROUTER_API_KEY' },
  dialect: (wire: Wire) => (wire === 'chat' ? 'chat-generic' : 'openai'),
  headers,
  modelsCall: (context) => ({ path: '/models', headers: headers(context) }),
  usageCall: (context) => ({ path: '/credits', headers: headers(context) }),
  parseBalance,
  judge,
} as const satisfies ProviderAdapter;

function headers(context: CallContext): Headers {
  return callHeaders(context, bearer(context.credential), APPLICATION);
}

/** `GET /credits`: dollars bought and dollars spent. Nothing ever bought is no empty purse: such a key is for the free models. */
function parseBalance(body: unknown): { readonly amount: number; readonly currency: string } | null {
  const data = objectAt(body, 'data');
  const bought = numberAt(data, 'total_credits');
  const spent = numberAt(data, 'total_usage');
  return bought === undefined || spent === undefined || (bought === 0 && spent === 0) ? null : { amount: Math.round((bought - spent) * 1e9), currency: 'USD' };
}

/** Codes are numbers here, so the shared rules cannot read them; a 403 is moderation where it says what it flagged. */
function judge(refusal: Refusal): Failure | null {
  const error = errorOf(refusal);
  const message = stringAt(error, 'message');
  if (error === null || message === undefined) return null;
  const metadata = objectAt(error, 'metadata');
  switch (refusal.status) {
    case 400:
      return /not a valid model id/i.test(message) ? verdict(refusal, 'model-refused', { code: 'model_not_found', message }) : null;
    case 402:
      return verdict(refusal, 'account-refused', { code: 'insufficient_credits', message });
    case 403:
      return arrayAt(metadata, 'reasons') === undefined ? null : verdict(refusal, 'invalid-request', { code: 'moderation', message });
    case 404:
      return /endpoint|model/i.test(message) ? verdict(refusal, 'model-refused', { code: 'model_not_found', message }) : null;
    case 429:
      return verdict(refusal, 'rate-limited', { code: 'rate_limit_exceeded', message, retryAt: resetAt(refusal) });
    default:
      return null;
  }
}

/** `X-RateLimit-Reset` is epoch milliseconds, in the head or repeated inside the error's metadata. */
function resetAt(refusal: Refusal): number | null {
  const inBody = stringAt(objectAt(objectAt(errorOf(refusal), 'metadata'), 'headers'), 'X-RateLimit-Reset');
  const at = Number(refusal.headers['x-ratelimit-reset'] ?? inBody ?? Number.NaN);
  if (Number.isFinite(at) && at > refusal.receivedAt) return at;
  const seconds = Number(refusal.headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? refusal.receivedAt + seconds * 1_000 : null;
}
