/** The vendors Relay has an adapter for. A provider in `config.json` names one of them as its `kind`. */
export const PROVIDER_KINDS = [
  'chatgpt', 'openai', 'deepseek', 'gemini', 'openrouter', 'azure',
  'ollama', 'lmstudio', 'llamacpp', 'vllm', 'compatible', 'mock',
] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/** The two protocols Relay is written for. `responses` is the hub: a third one goes through it. */
export type Wire = 'chat' | 'responses';

/** What a client may speak: Anthropic Messages goes through the hub, and no upstream is spoken to in it. */
export type ClientWire = Wire | 'messages';

/**
 * What an upstream's dialect of its wire accepts, as the translators need to know it:
 * `codex` the ChatGPT backend, `openai` the platform, the others speak chat.
 */
export type Dialect = 'openai' | 'codex' | 'chat-generic' | 'deepseek' | 'gemini';
