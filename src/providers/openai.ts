import type { CallContext, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { codexHeaders } from './codex-headers.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';
import { readRateLimitHeaders } from './rate-limit-headers.ts';

/** The OpenAI platform, by API key (developers.openai.com, read 2026-11). Serves both wires. */
export const openai = {
  ...OPENAI_SHAPED,
  kind: 'openai',
  title: 'OpenAI API',
  defaultBaseUrl: 'https://api.openai.com/v1',
  apiRoot: '/v1',
  defaultWire: 'responses',
  wires: ['chat', 'responses'],
  nativeWires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: 'OPENAI_API_KEY' },
  dialect: () => 'openai',
  headers,
  modelsCall: (context) => ({ path: '/models', headers: headers(context) }),
  quotaFromHeaders: readRateLimitHeaders,
} as const satisfies ProviderAdapter;

/** A Codex client's protocol headers go along; those that name its working copy stay here. */
function headers(context: CallContext): Headers {
  const { request } = context;
  const vendor = request?.isCodex === true ? codexHeaders(request.headers, 'platform') : {};
  return callHeaders(context, bearer(context.credential), vendor);
}
