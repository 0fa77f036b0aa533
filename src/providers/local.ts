import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { Model } from '../core/model.ts';
import type { ProviderAdapter } from '../core/provider-adapter.ts';
import type { Wire } from '../core/provider-kind.ts';
import { parseModelList, plainModel } from './model-list.ts';
import { OPENAI_SHAPED } from './openai-shaped.ts';

/**
 * Servers on the user's own machine. They cost nothing and want no key, though one is sent where the user gave one.
 * Their Responses endpoints differ with the version (2026-11), so chat is spoken unless chosen otherwise.
 */
const LOCAL_SERVER = {
  ...OPENAI_SHAPED,
  apiRoot: '/v1',
  defaultWire: 'chat',
  wires: ['chat', 'responses'],
  defaultPriority: 20,
  billing: 'local',
  login: { kind: 'none' },
  dialect: (wire: Wire) => (wire === 'chat' ? 'chat-generic' : 'openai'),
} as const;

/** Ollama (docs.ollama.com, read 2026-11). */
export const ollama = {
  ...LOCAL_SERVER, kind: 'ollama', title: 'Ollama', defaultBaseUrl: 'http://127.0.0.1:11434/v1', parseModels: parseOllamaModels,
} as const satisfies ProviderAdapter;

/** LM Studio (lmstudio.ai/docs, read 2026-11). */
export const lmstudio = {
  ...LOCAL_SERVER, kind: 'lmstudio', title: 'LM Studio', defaultBaseUrl: 'http://127.0.0.1:1234/v1',
} as const satisfies ProviderAdapter;

/** The server of llama.cpp (its README, read 2026-11). */
export const llamacpp = {
  ...LOCAL_SERVER, kind: 'llamacpp', title: 'llama.cpp', defaultBaseUrl: 'http://127.0.0.1:8080/v1',
} as const satisfies ProviderAdapter;

/** vLLM (docs.vllm.ai, read 2026-11). */
export const vllm = {
  ...LOCAL_SERVER, kind: 'vllm', title: 'vLLM', defaultBaseUrl: 'http://127.0.0.1:8000/v1',
} as const satisfies ProviderAdapter;

/** OpenAI's list, or Ollama's own `{"models": [{"name": …}]}` where an older server or a proxy gives that. */
function parseOllamaModels(body: unknown): readonly Model[] | null {
  const own = arrayAt(body, 'models');
  if (own === undefined || arrayAt(body, 'data') !== undefined) return parseModelList(body);
  return own.filter(isJsonObject).flatMap((entry) => {
    const id = stringAt(entry, 'model') ?? stringAt(entry, 'name');
    return id === undefined || id === '' ? [] : [plainModel(id)];
  });
}
