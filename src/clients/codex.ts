/** How a client program is started so that it talks to Relay: nothing is written anywhere. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment; the key travels here and not in the arguments, which others can read. */
  readonly env: Readonly<Record<string, string>>;
  /** Said when the program is not there. */
  readonly install: string;
}

/** What a launch is made from. */
export interface LaunchRequest {
  /** Relay's address, without `/v1`. */
  readonly url: string;
  readonly key: string;
  /** The user's own arguments. */
  readonly args: readonly string[];
  /** A model to name when the user names none and the client's own default is not served; null leaves it alone. */
  readonly fallbackModel: string | null;
}

/** The variable the key travels in. */
const KEY_VARIABLE = 'RELAY_KEY';

/**
 * Starts Codex with a provider of its own for this process, through `-c` overrides (Codex 0.169, observed 2026-11). The
 * provider's neutral name keeps Codex to plain HTTP requests, without a sign-in of its own.
 */
export function launchCodex({ url, key, args, fallbackModel }: LaunchRequest): Launch {
  const settings: readonly (readonly [string, string])[] = [
    ['model_provider', quote('relay')],
    ['model_providers.relay.name', quote('Relay')],
    ['model_providers.relay.base_url', quote(`${url}/v1`)],
    ['model_providers.relay.env_key', quote(KEY_VARIABLE)],
    ['model_providers.relay.wire_api', quote('responses')],
    ['model_providers.relay.supports_websockets', 'false'],
    ...(fallbackModel !== null && !namesModel(args) ? [['model', quote(fallbackModel)] as const] : []),
  ];
  return {
    command: 'codex',
    args: [...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]), ...args],
    env: { [KEY_VARIABLE]: key },
    install: 'npm install --global @openai/codex',
  };
}

function namesModel(args: readonly string[]): boolean {
  return args.some((argument, index) => {
    if (argument === '-m' || argument === '--model' || argument.startsWith('--model=')) return true;
    const setting = argument === '-c' || argument === '--config' ? args[index + 1] : undefined;
    return setting?.startsWith('model=') ?? false;
  });
}

/** A TOML basic string. */
function quote(text: string): string {
  return JSON.stringify(text);
}
