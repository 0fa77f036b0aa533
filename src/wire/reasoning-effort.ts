import type { Dialect } from '../core/provider-kind.ts';

/** The words of the OpenAI SDK 7.57 (2026-11), weakest first. */
const RANKS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

/** What each dialect takes where no catalogue says; the rest pass every word. */
const DIALECT_EFFORTS: Readonly<Partial<Record<Dialect, readonly string[]>>> = {
  gemini: ['none', 'minimal', 'low', 'medium', 'high'],
};

/**
 * The effort to ask for: the one wanted where it is served, else the nearest that is, the weaker of two as near.
 * `ultra` is a word of clients only and means `max`. Words nobody ranks pass as they are.
 */
export function servedEffort(wanted: string, efforts: readonly string[], dialect: Dialect): string {
  const served = efforts.length > 0 ? efforts : (DIALECT_EFFORTS[dialect] ?? []);
  const word = wanted === 'ultra' && !efforts.includes('ultra') ? 'max' : wanted;
  const rank = RANKS.indexOf(word);
  if (served.length === 0 || served.includes(word) || rank < 0) return word;
  const nearest = served
    .filter((effort) => RANKS.includes(effort))
    .toSorted((left, right) => distance(left, rank) - distance(right, rank) || RANKS.indexOf(left) - RANKS.indexOf(right));
  return nearest[0] ?? word;
}

function distance(effort: string, rank: number): number {
  return Math.abs(RANKS.indexOf(effort) - rank);
}

/** DeepSeek's own three words (its thinking guide, 2026); undefined where thinking is to be switched off. */
export function deepseekEffort(effort: string): string | undefined {
  if (effort === 'none') return undefined;
  if (effort === 'minimal') return 'low';
  if (effort === 'medium' || effort === 'xhigh') return 'high';
  return effort;
}
