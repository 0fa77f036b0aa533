import type { Model } from '../core/model.ts';

const TO_XHIGH = ['low', 'medium', 'high', 'xhigh'];
const TO_MAX = [...TO_XHIGH, 'max'];
const TO_ULTRA = [...TO_MAX, 'ultra'];

/** Slug, name, context window, efforts and the usual effort. */
const CATALOGUE: readonly (readonly [string, string, number, readonly string[], string])[] = [
  ['gpt-6.1-sol', 'GPT-6.1-Sol', 272_000, TO_ULTRA, 'low'],
  ['gpt-6-astra', 'GPT-6-Astra', 272_000, TO_ULTRA, 'low'],
  ['gpt-6-sol', 'GPT-6-Sol', 272_000, TO_ULTRA, 'medium'],
  ['gpt-6-luna', 'GPT-6-Luna', 272_000, TO_MAX, 'medium'],
  ['gpt-5.6-sol', 'GPT-5.6-Sol', 272_000, TO_ULTRA, 'low'],
  ['gpt-6.1-terra', 'GPT-6.1 Terra', 500_000, TO_ULTRA, 'low'],
  ['gpt-5.6-terra', 'GPT-5.6-Terra', 272_000, TO_ULTRA, 'medium'],
  ['gpt-5.6-luna', 'GPT-5.6-Luna', 272_000, TO_MAX, 'medium'],
  ['gpt-daybreak-blue-latest', 'Daybreak Blue', 272_000, TO_ULTRA, 'low'],
  ['gpt-daybreak-red-latest', 'Daybreak Red', 372_000, TO_ULTRA, 'medium'],
  ['gpt-5.5', 'GPT-5.5', 272_000, TO_XHIGH, 'medium'],
  ['codex-auto-review', 'Codex Auto Review', 272_000, TO_MAX, 'medium'],
];

/**
 * The catalogue that Codex 0.169.0 ships with (2026-11-21): what a ChatGPT account is taken to serve until its own
 * catalogue has been fetched. `raw` is null, since a trimmed entry would not satisfy Codex.
 */
export const CODEX_MODELS: readonly Model[] = CATALOGUE.map(([id, displayName, contextTokens, efforts, defaultEffort]) => ({
  id, displayName, contextTokens, efforts, defaultEffort, inputModalities: ['text', 'image'], raw: null,
}));

/** The catalogue hides models from clients older than they are, so Relay names the newest one it knows. */
export const CODEX_CLIENT_VERSION = '0.169.0';
