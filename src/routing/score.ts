import type { QuotaWindow } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import type { EpochMs } from '../core/units.ts';
import { MINUTE_MS } from '../core/units.ts';
import type { Candidate } from './candidate.ts';
import { bucketOfModel } from './cooldowns.ts';
import { headroom, tightestWindow, usedAt } from './quota.ts';

export type Strategy = Config['routing']['strategy'];

/** The inputs of a score, each 0 (worst) to 1 (best). */
export type ScoreParts = {
  /** Unused share of the tightest window. */
  readonly headroom: number;
  /** How near the lapse of unused quota is. */
  readonly lapse: number;
  /** Free share of its slots. */
  readonly load: number;
  /** Time to first token, halved every two seconds. */
  readonly speed: number;
  /** Share of attempts that served. */
  readonly reliability: number;
  readonly cost: number;
};

const BALANCED: ScoreParts = { headroom: 4, lapse: 1, load: 2, speed: 1, reliability: 2, cost: 1 };

/** What each strategy weighs; `priority` and `round-robin` go by rank and use the balanced score to explain themselves. */
const WEIGHTS: Readonly<Record<Strategy, ScoreParts>> = {
  'balanced': BALANCED,
  'drain-soonest': { headroom: 1, lapse: 12, load: 1, speed: 0, reliability: 2, cost: 0 },
  'priority': BALANCED,
  'cheapest': { headroom: 1, lapse: 0, load: 1, speed: 0, reliability: 2, cost: 12 },
  'fastest': { headroom: 1, lapse: 0, load: 3, speed: 12, reliability: 2, cost: 0 },
  'round-robin': BALANCED,
};

const HALVING_MS = 2_000;
/** An unmeasured account is taken for a fairly quick one, so that it gets measured. */
const UNMEASURED_SPEED = 0.7;
/** A price that halves the cost part, USD per million tokens of input and output together. */
const HALVING_USD = 10;
const UNKNOWN_COST = 0.5;

/** A candidate's parts for a model at `now`. */
export function scoreParts(candidate: Candidate, model: string, now: EpochMs): ScoreParts {
  const { health } = candidate;
  const bucket = bucketOfModel(health, model);
  return {
    headroom: headroom(health.quota, now, bucket),
    lapse: lapseOf(health.quota, bucket, now),
    load: Math.max(0, 1 - candidate.inFlight / Math.max(1, candidate.concurrency)),
    speed: health.ttftMs === null ? UNMEASURED_SPEED : HALVING_MS / (HALVING_MS + Math.max(0, health.ttftMs)),
    reliability: 1 - Math.min(1, Math.max(0, health.errorRate)),
    cost: candidate.usdPerMillion === null ? UNKNOWN_COST : HALVING_USD / (HALVING_USD + Math.max(0, candidate.usdPerMillion)),
  };
}

/** The weighted mean of the parts, 0-1. `weights` are the user's, by part name, in place of the strategy's own. */
export function scoreOf(parts: ScoreParts, strategy: Strategy, weights: Readonly<Record<string, number>>): number {
  const own = WEIGHTS[strategy];
  let sum = 0;
  let total = 0;
  for (const name of PART_NAMES) {
    const weight = weights[name] ?? own[name];
    sum += weight * parts[name];
    total += weight;
  }
  return total <= 0 ? 0 : sum / total;
}

/** Parts as a journal keeps them; null where one is missing. */
export function scorePartsFrom(parts: Readonly<Record<string, number>> | undefined): ScoreParts | null {
  const { headroom: room, lapse, load, speed, reliability, cost } = parts ?? {};
  if (room === undefined || lapse === undefined || load === undefined || speed === undefined || reliability === undefined || cost === undefined) return null;
  return { headroom: room, lapse, load, speed, reliability, cost };
}

/** All strategies. */
export const STRATEGIES: readonly Strategy[] = ['balanced', 'drain-soonest', 'priority', 'cheapest', 'fastest', 'round-robin'];

/** The share (0-1) a part has in a score; 0 for a name that is none. */
export function partWeight(part: string, strategy: Strategy, weights: Readonly<Record<string, number>>): number {
  const own = WEIGHTS[strategy];
  const weightOf = (name: keyof ScoreParts): number => weights[name] ?? own[name];
  const total = PART_NAMES.reduce((sum, name) => sum + weightOf(name), 0);
  const name = PART_NAMES.find((known) => known === part);
  return name === undefined || total <= 0 ? 0 : weightOf(name) / total;
}

const PART_NAMES = ['headroom', 'lapse', 'load', 'speed', 'reliability', 'cost'] as const satisfies readonly (keyof ScoreParts)[];

/**
 * How near a bucket's unused quota is to lapsing: the share of its longest window that has passed, 0 when there is
 * nothing left to lose or nothing known. The long window is the one whose unused part is really lost.
 */
function lapseOf(quota: readonly QuotaWindow[], bucket: string, now: EpochMs): number {
  let longest: QuotaWindow | null = null;
  for (const window of quota) {
    if (window.bucket !== bucket || window.resetsAt === null || window.resetsAt <= now) continue;
    if (window.minutes > (longest?.minutes ?? 0)) longest = window;
  }
  if (longest === null || longest.resetsAt === null || usedAt(longest, now) >= 100) return 0;
  const lengthMs = longest.minutes * MINUTE_MS;
  return Math.min(1, Math.max(0, 1 - (longest.resetsAt - now) / lengthMs));
}

/** From here on a quota takes no new sessions while another account has more. */
const DRAIN_PERCENT = 99;
/**
 * Tokens that one percent of a five-hour window is taken to hold, for the fit check: an assumption, deliberately on the
 * low side, since plans differ and none says; longer windows hold more in proportion.
 */
const TOKENS_PER_PERCENT = 50_000;

/**
 * How used up a candidate is for this request: `fresh` takes anything, `draining` (99 % used, or too little left for a
 * request of this size) takes no new session while a fresh one is there, `spent` (100 %) takes none at all then.
 */
export function drainOf(candidate: Candidate, model: string, estimatedTokens: number, now: EpochMs): 'fresh' | 'draining' | 'spent' {
  const window = tightestWindow(candidate.health.quota, now, bucketOfModel(candidate.health, model));
  if (window === null) return 'fresh';
  const used = usedAt(window, now);
  if (used >= 100) return 'spent';
  const fits = estimatedTokens <= (100 - used) * TOKENS_PER_PERCENT * Math.max(1, window.minutes / 300);
  return used >= DRAIN_PERCENT || !fits ? 'draining' : 'fresh';
}
