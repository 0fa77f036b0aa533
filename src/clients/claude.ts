import type { Launch, LaunchModel, LaunchRequest } from './launch.ts';

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
 * 2026-11). Its own model names are served by nobody unless an alias says so, hence each is given a model of Relay's.
 */
export function launchClaude({ url, key, args, models }: LaunchRequest): Launch {
  const main = models.find(({ id }) => !isClaude(id)) ?? models[0];
  const small = models.find(({ id }) => SMALL.test(id) && !isClaude(id)) ?? main;
  const large = LARGE_TIERS.map((tier) => {
    return [`ANTHROPIC_DEFAULT_${tier.toUpperCase()}_MODEL`, aliasFor(tier, models) ?? main?.id] as const;
  });
  const haiku = aliasFor('haiku', models) ?? small?.id;
  return {
    command: 'claude',
    args,
    env: {
      ...OTHER_WAYS_IN,
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: key,
      // Without it an address or a key in the user's own settings would win over this process's.
      CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST: '1',
      ...known({
        ...Object.fromEntries(large),
        ANTHROPIC_MODEL: models.find(({ id }) => isClaude(id))?.id ?? main?.id,
        ANTHROPIC_DEFAULT_HAIKU_MODEL: haiku,
        ANTHROPIC_SMALL_FAST_MODEL: haiku,
        // It takes a model it does not know for one of a million tokens, and would shorten nothing in time.
        CLAUDE_CODE_AUTO_COMPACT_WINDOW: main?.contextTokens?.toString(),
      }),
    },
    install: 'npm install --global @anthropic-ai/claude-code',
  };
}

/** The user's own alias for one of Claude's tiers: `claude-opus-4-8` and the like. */
function aliasFor(tier: string, models: readonly LaunchModel[]): string | undefined {
  return models.find(({ id }) => isClaude(id) && id.includes(tier))?.id;
}

function isClaude(id: string): boolean {
  return id.startsWith('claude-');
}

function known(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
