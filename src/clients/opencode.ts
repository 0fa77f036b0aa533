import { CommandError, EXIT } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { objectAt, parseJsonObject } from '../core/json.ts';
import type { Launch, LaunchModel, LaunchRequest } from './launch.ts';
import { KEY_VARIABLE, preferredModel } from './launch.ts';

/** Settings as text in the environment: they go before every file and are written to none (opencode 1.18, observed 2026-11). */
const SETTINGS_VARIABLE = 'OPENCODE_CONFIG_CONTENT';
/** Where an answer's reasoning comes back as items of the Responses API; elsewhere the chat wire is the upstream's own. */
const RESPONSES_PROVIDERS = ['chatgpt', 'openai', 'azure'];
/** Opencode keeps this much of a context for the answer, and without both numbers does not know when to compact. */
const OUTPUT_TOKENS = 32_000;

/**
 * Starts opencode with Relay as one more provider for this process, all of Relay's models in it, and one of them chosen.
 * The user's other settings stay, also those he hands over in the same variable. Throws when Relay serves no model.
 */
export function launchOpencode({ url, key, args, models, env }: LaunchRequest): Launch {
  const model = preferredModel(models);
  if (model === null) {
    throw new CommandError(EXIT.failed, 'opencode has to be told its models, and Relay knows of none; add an account with: relay keys add');
  }
  const own = parseJsonObject(env[SETTINGS_VARIABLE] ?? '') ?? {};
  const chosen = `relay/${model.id}`;
  const settings: JsonObject = {
    ...own,
    provider: {
      ...objectAt(own, 'provider'),
      relay: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Relay',
        options: { baseURL: `${url}/v1`, apiKey: `{env:${KEY_VARIABLE}}` },
        models: Object.fromEntries(models.map((served) => [served.id, describe(served)])),
      },
    },
    model: chosen,
    small_model: chosen,
  };
  return {
    command: 'opencode',
    args,
    env: { [KEY_VARIABLE]: key, [SETTINGS_VARIABLE]: JSON.stringify(settings) },
    install: 'npm install --global opencode-ai',
  };
}

function describe({ id, providers, contextTokens, efforts }: LaunchModel): JsonObject {
  return {
    name: id,
    tool_call: true,
    reasoning: efforts.length > 0,
    ...(providers.some((provider) => RESPONSES_PROVIDERS.includes(provider)) && { provider: { npm: '@ai-sdk/openai' } }),
    ...(contextTokens !== null && { limit: { context: contextTokens, output: Math.min(OUTPUT_TOKENS, Math.floor(contextTokens / 2)) } }),
  };
}
