import { randomBytes, randomFillSync } from 'node:crypto';

import type { Random } from '../core/ports.ts';

/** Ids take a few bytes each, several times a request: the kernel is asked for many at once. */
const POOL_BYTES = 4_096;
const SMALL_BYTES = 16;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** The machine's randomness: `next` for jitter and ties, `bytes` from the kernel for keys. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => (count <= SMALL_BYTES ? drawSmall(count) : new Uint8Array(randomBytes(count))),
};

/** What was drawn is blotted out, so that it stands in memory only where it was asked for. */
function drawSmall(count: number): Uint8Array {
  if (used + count > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const drawn = new Uint8Array(pool.subarray(used, used + count));
  pool.fill(0, used, used + count);
  used += count;
  return drawn;
}
