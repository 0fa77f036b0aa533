import type { Launch, LaunchModel, LaunchRequest } from './launch.ts';
import { preferredModel } from './launch.ts';

/** Words by which vendors name their smaller models. */
const SMALL = /(?:^|[^a-z])(?:mini|nano|luna|haiku|flash|lite|small|fast)(?:[^a-z]|$)/i;
/** What Claude Code calls its models by, beside the one for small tasks. */
const LARGE_TIERS = ['opus', 'sonnet', 'fable'] as const;

/** Other ways in that the user may have set up: emptied, since Claude Code would take them instead of ours or beside it. */
const OTHER_WAYS_IN = {
  ANTHROPIC_API_KEY: '', CLAUDE_CODE_OAUTH_TOKEN: '', CLAUDE_CODE_USE_BEDROCK: '', CLAUDE_CODE_USE_VERTEX: '', CLAUDE_CODE_USE_FOUNDRY: '',
};

/**
 * Starts Claude Code against Relay's Messages endpoint, for this process only, through its environment (2.1.330, observed
 * 2026-11). Nobody serves the names it calls its models by, unless an alias says so: each is given a model of Relay's.
 */
export function launchClaude({ url, key, args, models, env }: LaunchRequest): Launch {
  const others = models.filter(({ id }) => !isClaude(id));
  const served = (id: string | undefined): LaunchModel | undefined => models.find((model) => model.id === id);
  const main = served(env['ANTHROPIC_MODEL']) ?? models.find(({ id }) => isClaude(id)) ?? preferredModel(others);
  const usual = preferredModel(others) ?? main;
  const named = served(env['ANTHROPIC_DEFAULT_HAIKU_MODEL'] ?? env['ANTHROPIC_SMALL_FAST_MODEL']);
  const small = named ?? aliasFor('haiku', models) ?? smallest(others, usual);
  return {
    command: 'claude',
    args,
    env: {
      ...OTHER_WAYS_IN,
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: key,
      // Without it an address or a key in the user's own settings would win over this process's.
      CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST: '1',
      ...known(LARGE_TIERS.map((tier) => [`ANTHROPIC_DEFAULT_${tier.toUpperCase()}_MODEL`, (aliasFor(tier, models) ?? usual)?.id])),
      ...known([
        ['ANTHROPIC_MODEL', main?.id],
        ['ANTHROPIC_DEFAULT_HAIKU_MODEL', small?.id],
        ['ANTHROPIC_SMALL_FAST_MODEL', small?.id],
        // It takes a model it does not know for one of a million tokens, and would shorten nothing in time.
        ['CLAUDE_CODE_AUTO_COMPACT_WINDOW', main?.contextTokens?.toString()],
      ]),
    },
    install: 'npm install --global @anthropic-ai/claude-code',
  };
}

/** The user's own alias for one of Claude's tiers: `claude-opus-4-8` and the like. */
function aliasFor(tier: string, models: readonly LaunchModel[]): LaunchModel | undefined {
  return models.find(({ id }) => isClaude(id) && id.includes(tier));
}

/** A small model of the usual one's own provider, so that small tasks cost no other account anything. */
function smallest(models: readonly LaunchModel[], usual: LaunchModel | null): LaunchModel | null {
  return models.find(({ id, providers }) => SMALL.test(id) && providers.some((provider) => usual?.providers.includes(provider))) ?? usual;
}

function isClaude(id: string): boolean {
  return id.startsWith('claude-');
}

function known(variables: readonly (readonly [name: string, value: string | undefined])[]): Record<string, string> {
  return Object.fromEntries(variables.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
