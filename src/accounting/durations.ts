import { bucketOfValue, LAST_BUCKET, middleOf } from './histogram.ts';

/**
 * How long many requests took: a histogram of the same buckets as `histogram.ts`, kept as a short text while nobody adds to
 * it, since a ledger of years has thousands of them. The text is also its JSON: gaps between buckets, each with its count
 * behind a star where it is not one, in base 36: `42*2 2 c*1a`.
 */
export class Durations {
  /** The text, while it is up to date. */
  #packed: string | null;
  /** Counts by bucket, while it is being added to. */
  #counts: Uint32Array | null = null;

  /** `packed` must be one that {@link isPackedDurations} knows. */
  constructor(packed = '') {
    this.#packed = packed;
  }

  /** Adds one duration in ms. Values under 1 count as 1; what is not a number is left out. */
  add(value: number): void {
    if (Number.isNaN(value)) return;
    const counts = this.#unpack();
    const bucket = bucketOfValue(value);
    counts[bucket] = Math.min((counts[bucket] ?? 0) + 1, MOST_COUNT);
  }

  /** Adds all of another. */
  addAll(other: Durations): void {
    if (this.isEmpty) {
      this.#packed = other.pack();
      return;
    }
    const counts = this.#unpack();
    other.#each((bucket, count) => {
      counts[bucket] = Math.min((counts[bucket] ?? 0) + count, MOST_COUNT);
    });
  }

  get isEmpty(): boolean {
    return this.#packed === '';
  }

  copy(): Durations {
    return new Durations(this.pack());
  }

  /** The value below or at which the share `p` (0-1) of all lies, by nearest rank, within 5 %. Null when it is empty. */
  percentile(p: number): number | null {
    let count = 0;
    this.#each((_, each) => {
      count += each;
    });
    let left = Math.max(1, Math.ceil(Math.min(Math.max(p, 0), 1) * count));
    let found: number | null = null;
    this.#each((bucket, each) => {
      left -= each;
      if (left <= 0) found ??= middleOf(bucket);
    });
    return found;
  }

  /** Lets go of what makes adding fast; gives back the text. */
  pack(): string {
    if (this.#packed === null) {
      const parts: string[] = [];
      let last = 0;
      this.#each((bucket, count) => {
        parts.push(count === 1 ? (bucket - last).toString(36) : `${(bucket - last).toString(36)}*${count.toString(36)}`);
        last = bucket;
      });
      this.#packed = parts.join(' ');
    }
    this.#counts = null;
    return this.#packed;
  }

  toJSON(): string {
    return this.pack();
  }

  #unpack(): Uint32Array {
    if (this.#counts === null) {
      const counts = new Uint32Array(LAST_BUCKET + 1);
      eachEntry(this.#packed ?? '', (bucket, count) => {
        counts[bucket] = count;
      });
      this.#counts = counts;
    }
    this.#packed = null;
    return this.#counts;
  }

  /** Visits the buckets that hold something, lowest first. */
  #each(visit: (bucket: number, count: number) => void): void {
    if (this.#counts === null) return eachEntry(this.#packed ?? '', visit);
    for (let bucket = 0; bucket <= LAST_BUCKET; bucket += 1) {
      const count = this.#counts[bucket] ?? 0;
      if (count > 0) visit(bucket, count);
    }
  }
}

const MOST_COUNT = 0xffff_ffff;

/** True for the text of some durations, as {@link Durations} writes it. */
export function isPackedDurations(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  if (value === '') return true;
  if (!/^[0-9a-z]{1,7}(?:\*[0-9a-z]{1,7})?(?: [0-9a-z]{1,7}(?:\*[0-9a-z]{1,7})?)*$/.test(value)) return false;
  let last = -1;
  let isGood = true;
  eachEntry(value, (bucket, count) => {
    isGood &&= bucket > last && bucket <= LAST_BUCKET && count >= 1 && count <= MOST_COUNT;
    last = bucket;
  });
  return isGood;
}

const [SPACE, STAR, ZERO, LETTERS] = [0x20, 0x2a, 0x30, 0x57];

/** Reads the text a character at a time: a report reads megabytes of it. */
function eachEntry(packed: string, visit: (bucket: number, count: number) => void): void {
  if (packed === '') return;
  let bucket = 0;
  let gap = 0;
  let count = 0;
  let isCount = false;
  for (let index = 0; index <= packed.length; index += 1) {
    const code = index === packed.length ? SPACE : packed.charCodeAt(index);
    if (code === SPACE) {
      bucket += gap;
      visit(bucket, isCount ? count : 1);
      gap = 0;
      count = 0;
      isCount = false;
    } else if (code === STAR) {
      isCount = true;
    } else {
      const digit = code < LETTERS ? code - ZERO : code - LETTERS;
      if (isCount) count = count * 36 + digit;
      else gap = gap * 36 + digit;
    }
  }
}
