import { RelayError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

/** Bounds of a waiting line. */
export interface QueueLimits {
  /** Requests that may wait, for each key. */
  readonly queue: number;
  readonly queueMs: number;
}

interface Waiting {
  readonly admit: () => void;
}

/**
 * Slots by key (a client, an account): at most `limit` holders each, the rest waits in line, first come first served.
 * Each key has its own line, so that a greedy one holds up nobody else.
 */
export interface Slots {
  /** Resolves with the function that gives the slot back. Throws `concurrency_limit` when the line is full or the wait too long. */
  enter(key: string, limit: number, signal: AbortSignal): Promise<() => void>;
  inUse(key: string): number;
  /** Over all keys. */
  readonly held: number;
  /** Requests in line, over all keys. */
  readonly waiting: number;
}

/** Slots with bounded lines; `limits` is asked at each call so that settings take effect at once. */
export function createSlots(clock: Clock, limits: () => QueueLimits): Slots {
  const held = new Map<string, number>();
  const lines = new Map<string, Waiting[]>();
  let waiting = 0;

  const leave = (key: string): void => {
    const next = lines.get(key)?.shift();
    if (next) {
      next.admit();
      return;
    }
    const left = (held.get(key) ?? 1) - 1;
    if (left > 0) held.set(key, left);
    else held.delete(key);
  };
  const leaveOnce = (key: string): (() => void) => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leave(key);
    };
  };

  return {
    inUse: (key) => held.get(key) ?? 0,
    get waiting() {
      return waiting;
    },
    get held() {
      return [...held.values()].reduce((sum, count) => sum + count, 0);
    },
    enter(key, limit, signal) {
      const inUse = held.get(key) ?? 0;
      if (inUse < limit) {
        held.set(key, inUse + 1);
        return Promise.resolve(leaveOnce(key));
      }
      const { queue, queueMs } = limits();
      if ((lines.get(key)?.length ?? 0) >= queue) return Promise.reject(full(limit));
      waiting += 1;
      return new Promise((resolve, reject) => {
        const line = lines.get(key) ?? [];
        lines.set(key, line);
        const entry: Waiting = {
          admit: () => {
            stopWaiting();
            resolve(leaveOnce(key));
          },
        };
        const giveUp = (error: RelayError): void => {
          const place = line.indexOf(entry);
          if (place >= 0) line.splice(place, 1);
          stopWaiting();
          reject(error);
        };
        const onAbort = (): void => giveUp(new RelayError('concurrency_limit', 'The client left while it waited for a slot.'));
        const cancelTimer = clock.after(queueMs, () => giveUp(full(limit)));
        const stopWaiting = (): void => {
          waiting -= 1;
          cancelTimer();
          signal.removeEventListener('abort', onAbort);
          if (line.length === 0 && lines.get(key) === line) lines.delete(key);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        line.push(entry);
      });
    },
  };
}

function full(limit: number): RelayError {
  return new RelayError('concurrency_limit', `This client already runs ${limit} requests at once (relay clients set NAME --concurrency N).`, { retryAfterSeconds: 1 });
}
