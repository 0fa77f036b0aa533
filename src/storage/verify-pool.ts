import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { errorCode } from './error-code.ts';
import { homePaths } from './home.ts';
import type { Extent } from './segments.ts';
import { listExtents } from './segments.ts';
import type { LedgerReport, SegmentReport, VerifyProgress } from './verify.ts';
import { joinReports, verifySegment } from './verify.ts';

/** How a whole journal is checked. */
export interface CheckOptions {
  readonly onProgress?: (progress: VerifyProgress) => void;
  /** Threads to check segments on; as many as the machine can run at once, at most four. */
  readonly threads?: number;
}

/** Below this a second thread takes longer to start than it saves. */
const WORTH_A_THREAD_BYTES = 32 << 20;
const MOST_THREADS = 4;
/** This very file's kind: TypeScript where Relay runs from its source, JavaScript where it was built. */
const WORKER = new URL(`./verify-worker${extname(import.meta.url)}`, import.meta.url);

/**
 * Checks every line's number and hash and every join between segments, several segments at a time. Memory stays the same
 * whatever the journal's size. A daemon may write and prune meanwhile. Rejects with Node's error when a file cannot be read.
 */
export async function checkLedger(home: string, options: CheckOptions = {}): Promise<LedgerReport> {
  const { journal } = homePaths(home);
  try {
    return await checkOnce(journal, options);
  } catch (error) {
    // A segment was pruned between being listed and being read; what is left now is what counts.
    if (errorCode(error) !== 'ENOENT') throw error;
    return checkOnce(journal, options);
  }
}

async function checkOnce(journal: string, { onProgress, threads = Math.min(availableParallelism(), MOST_THREADS) }: CheckOptions): Promise<LedgerReport> {
  const extents = await listExtents(journal);
  const bytes = extents.reduce((sum, { end }) => sum + end, 0);
  const wanted = Math.min(threads, extents.length, Math.ceil(bytes / WORTH_A_THREAD_BYTES));
  const checkers = wanted > 1 ? Array.from({ length: wanted }, () => threadChecker(journal)) : [hereChecker(journal)];
  try {
    return joinReports(extents, await checkAll(extents, checkers, onProgress));
  } finally {
    await Promise.all(checkers.map((checker) => checker.close()));
  }
}

/** Checks one segment at a time. */
interface Checker {
  check(extent: Extent): Promise<SegmentReport>;
  close(): Promise<void>;
}

function hereChecker(folder: string): Checker {
  return { check: (extent) => verifySegment(folder, extent), close: () => Promise.resolve() };
}

interface Failed {
  readonly failed: { readonly message: string; readonly code: string | null };
}

function threadChecker(folder: string): Checker {
  const worker = new Worker(WORKER);
  let asked: PromiseWithResolvers<SegmentReport> | null = null;
  worker.on('message', (answer: SegmentReport | Failed) => {
    if ('failed' in answer) asked?.reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
    else asked?.resolve(answer);
  });
  worker.on('error', (error) => asked?.reject(error));
  worker.on('exit', (code) => asked?.reject(new Error(`a checking thread ended with ${code}`)));
  return {
    check(extent) {
      asked = Promise.withResolvers();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      worker.postMessage({ folder, extent });
      return asked.promise;
    },
    async close() {
      await worker.terminate();
    },
  };
}

/** Each checker takes the next segment as it is done with one; the reports come back in chain order. */
async function checkAll(extents: readonly Extent[], checkers: readonly Checker[], onProgress: CheckOptions['onProgress']): Promise<SegmentReport[]> {
  const reports: (SegmentReport | undefined)[] = extents.map(() => undefined);
  let [next, done, lines] = [0, 0, 0];
  const work = async ({ check }: Checker): Promise<void> => {
    for (let place = next++; place < extents.length; place = next++) {
      const extent = extents[place];
      if (extent === undefined) return;
      const report = await check(extent);
      reports[place] = report;
      done += 1;
      lines += report.lines;
      onProgress?.({ segments: done, ofSegments: extents.length, lines });
    }
  };
  await Promise.all(checkers.map(work));
  return reports.filter((report) => report !== undefined);
}
