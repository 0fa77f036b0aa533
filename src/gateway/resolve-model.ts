import type { Config } from '../core/config.ts';

/** A model to try, with the parameters an alias fixes. */
export interface ModelChoice {
  readonly id: string;
  readonly effort: string | null;
  readonly tier: string | null;
}

export interface ResolvedModel {
  /** In the order to try: the model asked for, then its fallbacks. Empty when nobody knows the name. */
  readonly choices: readonly ModelChoice[];
  readonly policy: 'ordered' | 'cheapest' | 'fastest' | 'available';
}

/** What the resolution has to know of the world. */
export interface KnownModels {
  /** Whether some account serves a model of this id, or might (it has no list). */
  serves(id: string): boolean;
}

const EFFORT_SUFFIX = /^(.+)-(none|minimal|low|medium|high|xhigh|max)$/;
const TIER_SUFFIX = /^(.+)-fast$/;
/** An alias may name an alias; deeper than this is a loop. */
const ALIAS_DEPTH = 5;

/**
 * Finds what a model's name means: the environment's alias, the user's alias, a model by that very name, or a model
 * with an effort suffix (`gpt-6-sol-high`, `gpt-5.5-xhigh-fast`). Fallbacks follow in their order, each model once.
 */
export function resolveModel(asked: string, env: string | null, models: Config['models'], known: KnownModels): ResolvedModel {
  const first = expand(asked, env, models, known, 0);
  const choices = [...first.choices];
  for (const choice of first.choices) {
    for (const fallback of models.fallbacks[choice.id] ?? models.fallbacks[asked] ?? []) {
      choices.push(...expand(fallback, env, models, known, 0).choices);
    }
  }
  const seen = new Set<string>();
  return { policy: first.policy, choices: choices.filter(({ id }) => !seen.has(id) && seen.add(id)) };
}

function expand(name: string, env: string | null, models: Config['models'], known: KnownModels, depth: number): ResolvedModel {
  const forEnvironment = env === null ? undefined : models.environments[env]?.[name];
  const alias = forEnvironment ?? models.aliases[name];
  if (alias !== undefined && alias !== name && depth < ALIAS_DEPTH) {
    const set = typeof alias === 'string' ? { models: [alias] } : Array.isArray(alias) ? { models: alias } : alias;
    const choices = set.models.flatMap((model) => expand(model, env, models, known, depth + 1).choices);
    const effort = 'effort' in set ? (set.effort ?? null) : null;
    const tier = 'tier' in set ? (set.tier ?? null) : null;
    return {
      policy: 'policy' in set ? set.policy : 'ordered',
      choices: choices.map((choice) => ({ id: choice.id, effort: effort ?? choice.effort, tier: tier ?? choice.tier })),
    };
  }
  return { policy: 'ordered', choices: byName(name, known) };
}

function byName(name: string, known: KnownModels): readonly ModelChoice[] {
  if (known.serves(name)) return [{ id: name, effort: null, tier: null }];
  const tiered = TIER_SUFFIX.exec(name)?.[1];
  const tier = tiered === undefined ? null : 'priority';
  const base = tiered ?? name;
  if (tiered !== undefined && known.serves(tiered)) return [{ id: tiered, effort: null, tier }];
  const suffixed = EFFORT_SUFFIX.exec(base);
  if (suffixed?.[1] !== undefined && known.serves(suffixed[1])) return [{ id: suffixed[1], effort: suffixed[2] ?? null, tier }];
  return [];
}

/** Whether a glob over model ids (`gpt-6-*`) matches; letter case does not matter, so that it cannot be walked around. */
export function matchesGlob(glob: string, id: string): boolean {
  const pattern = glob.toLowerCase().split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')).join('.*');
  return new RegExp(`^${pattern}$`).test(id.toLowerCase());
}
