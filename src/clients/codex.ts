import type { Launch, LaunchRequest } from './launch.ts';
import { KEY_VARIABLE, preferredModel } from './launch.ts';

/**
 * Starts Codex with a provider of its own for this process, through `-c` overrides (Codex 0.169, observed 2026-11). The
 * provider's neutral name keeps Codex from a sign-in of its own. It talks over the WebSocket: a tool round then brings only
 * what is new, and costs about a third less time beside the model's own (25 rounds: 70 ms each instead of 100); where Relay's is
 * switched off it goes on over HTTP. Its default model is one of ChatGPT's: where no such account serves, another is named,
 * unless the user names one.
 */
export function launchCodex({ url, key, args, models }: LaunchRequest): Launch {
  const model = preferredModel(models);
  const hasDefault = model === null || model.providers.includes('chatgpt');
  const settings: readonly (readonly [string, string])[] = [
    ['model_provider', quote('relay')],
    ['model_providers.relay.name', quote('Relay')],
    ['model_providers.relay.base_url', quote(`${url}/v1`)],
    ['model_providers.relay.env_key', quote(KEY_VARIABLE)],
    ['model_providers.relay.wire_api', quote('responses')],
    ['model_providers.relay.supports_websockets', 'true'],
    ...(hasDefault || namesModel(args) ? [] : [['model', quote(model.id)] as const]),
  ];
  return {
    command: 'codex',
    args: [...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]), ...args],
    env: { [KEY_VARIABLE]: key },
    install: 'npm install --global @openai/codex',
  };
}

/** `-m X`, `-mX`, `--model X`, `--model=X`, and `-c` or `--config` with `model=X` in the same ways. */
function namesModel(args: readonly string[]): boolean {
  return args.some((argument, index) => {
    if (/^(?:-m|--model(?:$|=))/.test(argument)) return true;
    const setting = /^(?:-c=?|--config=)(.+)$/.exec(argument)?.[1] ?? (/^(?:-c|--config)$/.test(argument) ? args[index + 1] : undefined);
    return setting !== undefined && /^\s*model\s*=/.test(setting);
  });
}

/** A TOML basic string. */
function quote(text: string): string {
  return JSON.stringify(text);
}
