import type { Failure } from '../core/failure.ts';
import { objectAt, stringAt } from '../core/json.ts';
import type { CallContext, ProviderAdapter, Refusal } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';
import { readRateLimitHeaders } from './rate-limit-headers.ts';
import { errorOf, verdict } from './refusal.ts';

/**
 * Azure OpenAI, the `/openai/v1` surface without an `api-version` (learn.microsoft.com, read 2026-11). The address
 * holds the resource's name, so there is no usual one; `model` is the deployment's name.
 */
export const azure = {
  ...OPENAI_SHAPED,
  kind: 'azure',
  title: 'Azure OpenAI',
  defaultBaseUrl: null,
  apiRoot: '/openai/v1',
  defaultWire: 'responses',
  wires: ['chat', 'responses'],
  nativeWires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: 'AZURE_OPENAI_API_KEY' },
  dialect: () => 'openai',
  headers,
  modelsCall: (context) => ({ path: '/models', headers: headers(context) }),
  quotaFromHeaders: readRateLimitHeaders,
  judge,
} as const satisfies ProviderAdapter;

/** A resource key goes into `api-key`; an Entra token is a bearer. */
function headers(context: CallContext): Headers {
  const { credential } = context;
  return callHeaders(context, credential.kind === 'api-key' ? { 'api-key': credential.apiKey } : bearer(credential));
}

function judge(refusal: Refusal): Failure | null {
  const error = errorOf(refusal);
  const code = stringAt(error, 'code');
  if (error === null || code === undefined) return null;
  const said = { message: stringAt(error, 'message') ?? code, param: stringAt(error, 'param') ?? null };
  const inner = objectAt(error, 'innererror') ?? objectAt(error, 'inner_error');
  if (code === 'content_filter' || stringAt(inner, 'code') === 'ResponsibleAIPolicyViolation') {
    return verdict(refusal, 'invalid-request', { ...said, code: 'content_filter' });
  }
  if (code === 'DeploymentNotFound') return verdict(refusal, 'model-refused', { ...said, code: 'model_not_found' });
  return null;
}
