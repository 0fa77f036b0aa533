import type { ProviderAdapter } from '../core/provider-adapter.ts';
import type { ProviderKind } from '../core/provider-kind.ts';
import { azure } from './azure.ts';
import { chatgpt } from './chatgpt.ts';
import { compatible } from './compatible.ts';
import { deepseek } from './deepseek.ts';
import { gemini } from './gemini.ts';
import { llamacpp, lmstudio, ollama, vllm } from './local.ts';
import { mock } from './mock.ts';
import { openai } from './openai.ts';
import { openrouter } from './openrouter.ts';

/** Every vendor Relay speaks to, by its kind. */
export const ADAPTERS: Readonly<Record<ProviderKind, ProviderAdapter>> = {
  chatgpt, openai, deepseek, gemini, openrouter, azure, ollama, lmstudio, llamacpp, vllm, compatible, mock,
};

/** The adapter for a kind; every kind has one. */
export function adapterFor(kind: ProviderKind): ProviderAdapter {
  return ADAPTERS[kind];
}
