import type { QuotaWindow } from '../core/account.ts';
import type { CallContext, OwnCall } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { parseModelList } from './model-list.ts';

/**
 * What most vendors took over from the OpenAI platform: paths below a `/v1`, a bearer key, a plain model list. An
 * adapter spreads this and writes only where it differs.
 */
export const OPENAI_SHAPED = {
  defaultAuthUrl: null,
  streamOnly: false,
  path: openAiPath,
  headers: bearerHeaders,
  modelsCall: (context: CallContext): OwnCall | null => ({ path: '/models', headers: bearerHeaders(context) }),
  parseModels: parseModelList,
  bundledModels: [],
  quotaFromHeaders: (): readonly QuotaWindow[] => [],
  judge: (): null => null,
  identify: (): null => null,
} as const;

/** The platform's paths, below a base URL that ends in its version. */
export function openAiPath(endpoint: 'chat' | 'responses' | 'compact'): string {
  switch (endpoint) {
    case 'chat':
      return '/chat/completions';
    case 'responses':
      return '/responses';
    case 'compact':
      return '/responses/compact';
  }
}

function bearerHeaders(context: CallContext): Headers {
  return callHeaders(context, bearer(context.credential));
}
