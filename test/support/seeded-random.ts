import type { Random } from '../../src/core/ports.ts';

/** Randomness that repeats: the same seed gives the same numbers and bytes (mulberry32). */
export function seededRandom(seed = 1): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
}

/** Randomness that always gives the same number: 0 for the lowest jitter, 0.999 for nearly the highest. */
export function fixedRandom(value = 0.5): Random {
  return { next: () => value, bytes: (count) => new Uint8Array(count).fill(Math.floor(value * 256)) };
}
