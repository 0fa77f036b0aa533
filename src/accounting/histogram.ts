/**
 * Counts in buckets that grow by a constant factor: bucket `i` holds values up to `GROWTH ** i`. As JSON it is a small
 * object of bucket numbers, `{"172":3}`. Merging adds counts, so the order of merging does not show.
 */
export type Histogram = Record<string, number>;

/** With it the middle of a bucket is within 2 % of everything in the bucket; rounding to whole units stays within 5 %. */
const GROWTH = 1.02 / 0.98;
const LOG_GROWTH = Math.log(GROWTH);
/** Longest duration told apart: about 11 days of milliseconds. */
const LARGEST = 1e9;
/** The bucket of the longest duration that is told apart. */
export const LAST_BUCKET = Math.ceil(Math.log(LARGEST) / LOG_GROWTH);

/** Adds one value (ms, tokens) in place. Values under 1 count as 1; what is not a number is left out. */
export function addToHistogram(histogram: Histogram, value: number): void {
  if (Number.isNaN(value)) return;
  const bucket = bucketOfValue(value);
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

/** The bucket of a value that is a number. */
export function bucketOfValue(value: number): number {
  return Math.ceil(Math.log(Math.min(Math.max(value, 1), LARGEST)) / LOG_GROWTH);
}

/** How many values it holds. */
export function countOf(histogram: Readonly<Histogram>): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0);
}

/**
 * The value below or at which the share `p` (0-1) of all values lies, by nearest rank, as a whole number within 5 % of
 * the true one. Null when it is empty.
 */
export function percentile(histogram: Readonly<Histogram>, p: number): number | null {
  const count = countOf(histogram);
  if (count === 0) return null;
  let left = Math.max(1, Math.ceil(Math.min(Math.max(p, 0), 1) * count));
  const buckets = Object.keys(histogram).map(Number).sort((a, b) => a - b);
  for (const bucket of buckets) {
    left -= histogram[bucket] ?? 0;
    if (left <= 0) return middleOf(bucket);
  }
  return middleOf(buckets.at(-1) ?? 0);
}

/** The whole number that stands for all values of a bucket. */
export function middleOf(bucket: number): number {
  return Math.round((2 * GROWTH ** bucket) / (GROWTH + 1));
}
