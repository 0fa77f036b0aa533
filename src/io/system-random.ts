import { randomBytes } from 'node:crypto';

import type { Random } from '../core/ports.ts';

/** The machine's randomness: `next` for jitter and ties, `bytes` from the kernel for keys. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (count) => new Uint8Array(randomBytes(count)),
};
