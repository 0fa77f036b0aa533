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
  /** What Relay serves now, in its order. */
  readonly models: readonly LaunchModel[];
  /** The user's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A served model, as far as a client is told of it. */
export interface LaunchModel {
  readonly id: string;
  /** Names of the providers that serve it; none for an alias. */
  readonly providers: readonly string[];
  readonly contextTokens: number | null;
  /** Reasoning efforts it takes; empty when it has none. */
  readonly efforts: readonly string[];
}

/** The variable a client's key travels in. */
export const KEY_VARIABLE = 'RELAY_KEY';

/** The model to name where the user names none: of a ChatGPT sign-in, else of the OpenAI API, else the first; null without any. */
export function preferredModel(models: readonly LaunchModel[]): LaunchModel | null {
  const servedBy = (provider: string): LaunchModel | undefined => models.find(({ providers }) => providers.includes(provider));
  return servedBy('chatgpt') ?? servedBy('openai') ?? models[0] ?? null;
}
