import type { TokenCounts } from '../core/record.ts';
import type { Histogram } from './histogram.ts';
import { addToHistogram, countOf, percentile } from './histogram.ts';
import { LARGEST_COUNT, estimateTokens } from './tokens.ts';

/** Output tokens reserved while nothing was learned yet. */
export const FIRST_OUTPUT_GUESS = 4_000;
/** Answers seen before what was learned is trusted. */
const ENOUGH = 20;
/** Answers after which old ones count half, so that a habit can change. */
const FORGET_AFTER = 500;

/** How long the answers of one client and model have been, in output tokens. Null: none seen. */
export type OutputHabit = Readonly<Histogram> | null;

/** The habit with one more answer in it. */
export function learnOutput(habit: OutputHabit, outputTokens: number): OutputHabit {
  const next: Histogram = {};
  const isFull = habit !== null && countOf(habit) >= FORGET_AFTER;
  for (const [bucket, count] of Object.entries(habit ?? {})) {
    const kept = isFull ? Math.floor(count / 2) : count;
    if (kept > 0) next[bucket] = kept;
  }
  addToHistogram(next, outputTokens);
  return next;
}

/** Output tokens to expect: 95 % of this client's answers from this model were no longer; 4,000 until enough were seen. */
export function expectOutput(habit: OutputHabit): number {
  if (!habit || countOf(habit) < ENOUGH) return FIRST_OUTPUT_GUESS;
  return percentile(habit, 0.95) ?? FIRST_OUTPUT_GUESS;
}

/** What a reservation is made from. */
export interface Asked {
  readonly inputBytes: number;
  /** The request's own cap on output tokens; null where it set none, or the upstream ignores caps. */
  readonly outputCap: number | null;
  /** `n`: answers asked for at once. */
  readonly choices: number;
  readonly habit: OutputHabit;
}

/** The tokens to reserve for a request before it is sent: its size, and the output it asked for or is expected to have. */
export function estimateReservation({ inputBytes, outputCap, choices, habit }: Asked): TokenCounts {
  const each = outputCap ?? expectOutput(habit);
  const { input } = estimateTokens({ inputBytes, outputCharacters: 0 });
  const output = Math.min(Math.max(1, each) * Math.max(1, choices), LARGEST_COUNT);
  return { input, cached: 0, cacheWrite: 0, output: Math.ceil(output), reasoning: 0, estimated: true };
}
