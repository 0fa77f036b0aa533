import type { ProviderAdapter } from '../core/provider-adapter.ts';
import type { Wire } from '../core/provider-kind.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';

/** Any other server that speaks OpenAI's Chat Completions or Responses. Its address is taken as it stands. */
export const compatible = {
  ...OPENAI_SHAPED,
  kind: 'compatible',
  title: 'OpenAI-compatible',
  defaultBaseUrl: null,
  defaultWire: 'chat',
  wires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'api',
  login: { kind: 'api-key', environmentVariable: null },
  dialect: (wire: Wire) => (wire === 'chat' ? 'chat-generic' : 'openai'),
} as const satisfies ProviderAdapter;
