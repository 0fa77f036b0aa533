import type { CallContext, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { plainModel } from './model-list.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';

/** The built-in fake upstream behind `relay start --mock`. Its address is known once it listens. */
export const mock = {
  ...OPENAI_SHAPED,
  kind: 'mock',
  title: 'Mock',
  defaultBaseUrl: null,
  apiRoot: '/v1',
  defaultWire: 'responses',
  wires: ['chat', 'responses'],
  nativeWires: ['chat', 'responses'],
  defaultPriority: 30,
  billing: 'local',
  login: { kind: 'none' },
  dialect: () => 'openai',
  headers,
  modelsCall: (context) => ({ path: '/models', headers: headers(context) }),
  bundledModels: ['relay-mini', 'relay-large'].map((id) => ({
    ...plainModel(id),
    contextTokens: 128_000,
    inputModalities: ['text', 'image'],
  })),
} as const satisfies ProviderAdapter;

/** Its accounts have no secret: a header says which one is meant, so that each can fail on its own. */
function headers(context: CallContext): Headers {
  return callHeaders(context, bearer(context.credential), { 'x-mock-account': context.account.name });
}
