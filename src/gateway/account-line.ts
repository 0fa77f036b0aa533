import type { Clock } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';

/** Not every slot comes free by somebody's leaving: cooldowns end, settings change. So the line is looked through this often. */
const LOOK_MS = SECOND_MS;

/** What a try at one's turn gave: the slot itself, nothing yet, or that waiting is of no use any more. */
export type Turn<T> = { readonly kind: 'taken'; readonly slot: T } | { readonly kind: 'not-yet' } | { readonly kind: 'hopeless' };

/** A place in the line. */
export interface Place<T> {
  readonly clientId: string;
  /** Chooses and takes in one step, so that nobody gets in between. Must not wait. */
  readonly tryNow: () => Turn<T>;
  readonly ms: number;
  /** Most of this client's requests that may wait. */
  readonly most: number;
  readonly signal: AbortSignal;
}

/** How waiting ended: with a slot, or without one. */
export type Waited<T> = { readonly kind: 'taken'; readonly slot: T } | { readonly kind: 'hopeless' | 'timed-out' | 'full' | 'aborted' };

/**
 * Requests that wait for a slot at any account, one line a client. Whose turn it is goes by who runs least, then by who
 * was served longest ago, so that a client with fifty requests in line holds up another's single one by nothing.
 */
export interface AccountLine {
  wait<T>(place: Place<T>): Promise<Waited<T>>;
  /** A slot has come free, or may have. */
  look(): void;
  readonly length: number;
}

export interface AccountLineDeps {
  readonly clock: Clock;
  /** Whether any account has a free slot at all: else looking is of no use. */
  readonly hasRoom: () => boolean;
  /** Attempts of a client that are under way. */
  readonly running: (clientId: string) => number;
}

interface Waiting {
  /** Takes the turn if it can; true when this place is free again. */
  readonly step: () => boolean;
}

/** An empty line. */
export function createAccountLine({ clock, hasRoom, running }: AccountLineDeps): AccountLine {
  const lines = new Map<string, Waiting[]>();
  const lastTurn = new Map<string, number>();
  let turns = 0;
  let length = 0;
  let isLooking = false;
  let cancelLook = (): void => {};

  const inTurn = (): readonly string[] =>
    [...lines.keys()].sort((one, other) => running(one) - running(other) || (lastTurn.get(one) ?? 0) - (lastTurn.get(other) ?? 0));

  /** One round: the first who can take a slot does; true when somebody did. */
  const serveOne = (): boolean => {
    for (const clientId of inTurn()) {
      for (const waiting of lines.get(clientId) ?? []) {
        if (!waiting.step()) continue;
        turns += 1;
        lastTurn.set(clientId, turns);
        return true;
      }
    }
    return false;
  };
  const look = (): void => {
    // Taking a slot may itself free one; the round that is under way goes on then.
    if (isLooking) return;
    isLooking = true;
    try {
      let isServing = length > 0;
      while (isServing) isServing = hasRoom() && serveOne();
    } finally {
      isLooking = false;
    }
  };
  const keepLooking = (): void => {
    cancelLook();
    cancelLook = length === 0 ? () => {} : clock.after(LOOK_MS, () => {
      look();
      keepLooking();
    });
  };

  return {
    get length() {
      return length;
    },
    look,
    wait<T>({ clientId, tryNow, ms, most, signal }: Place<T>) {
      const line = lines.get(clientId) ?? [];
      if (line.length >= most) return Promise.resolve<Waited<T>>({ kind: 'full' });
      if (signal.aborted) return Promise.resolve<Waited<T>>({ kind: 'aborted' });
      return new Promise<Waited<T>>((resolve, reject) => {
        const leave = (): void => {
          const at = line.indexOf(waiting);
          if (at >= 0) line.splice(at, 1);
          if (line.length === 0) lines.delete(clientId);
          length -= 1;
          cancelTimer();
          signal.removeEventListener('abort', onAbort);
          if (length === 0) keepLooking();
        };
        const end = (waited: Waited<T>): void => {
          leave();
          resolve(waited);
        };
        const step = (): boolean => {
          try {
            const turn = tryNow();
            if (turn.kind === 'not-yet') return false;
            end(turn);
          } catch (error) {
            leave();
            reject(error instanceof Error ? error : new Error(String(error)));
          }
          return true;
        };
        const waiting: Waiting = { step };
        const onAbort = (): void => end({ kind: 'aborted' });
        const cancelTimer = clock.after(ms, () => end({ kind: 'timed-out' }));
        signal.addEventListener('abort', onAbort, { once: true });
        line.push(waiting);
        lines.set(clientId, line);
        length += 1;
        if (length === 1) keepLooking();
      });
    },
  };
}
