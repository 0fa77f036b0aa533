import { parentPort } from 'node:worker_threads';

import type { Extent } from './segments.ts';
import { verifySegment } from './verify.ts';

/** A segment to check, as `verify-pool.ts` hands it over. */
export interface VerifyTask {
  readonly folder: string;
  readonly extent: Extent;
}

parentPort?.on('message', ({ folder, extent }: VerifyTask) => {
  verifySegment(folder, extent).then(
    (report) => parentPort?.postMessage(report),
    // Thrown here it would lose its code: an error crosses between threads as its message alone.
    (error: NodeJS.ErrnoException) => parentPort?.postMessage({ failed: { message: error.message, code: error.code ?? null } }),
  );
});
