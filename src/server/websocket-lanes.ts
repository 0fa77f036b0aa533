import { RelayError } from '../core/errors.ts';

/** Answers at once and named lanes of one connection, as OpenAI's WebSocket mode has them (2026-11). */
const RUNNING = 16;
const NAMED = 32;
/** Messages that may wait for their turn. */
const WAITING = 64;

/** The order of one connection's answers: one lane's come one after the other, those of different lanes side by side. */
export interface Lanes {
  /** Does the work when its turn has come. Throws `websocket_stream_limit_reached` where there is no room for it. */
  run(lane: string | null, work: () => Promise<void>): void;
  /** Pieces of work that run or wait. */
  readonly pending: number;
}

/** Lanes in which nothing runs. `onIdle` is called whenever the last piece of work is done; work must not reject. */
export function createLanes(onIdle: () => void): Lanes {
  const tails = new Map<string | null, Promise<void>>();
  const named = new Set<string>();
  let pending = 0;
  return {
    get pending() {
      return pending;
    },
    run(lane, work) {
      if (lane !== null && !named.has(lane) && named.size >= NAMED) throw limit(`A connection has at most ${NAMED} lanes; open another.`);
      const tail = tails.get(lane);
      if (tail === undefined && tails.size >= RUNNING) throw limit(`A connection runs at most ${RUNNING} answers at once; open another.`);
      if (pending >= WAITING) throw limit(`At most ${WAITING} messages wait for their turn on a connection.`);
      if (lane !== null) named.add(lane);
      pending += 1;
      const mine = (tail ?? Promise.resolve()).then(work).finally(() => {
        pending -= 1;
        if (tails.get(lane) === mine) tails.delete(lane);
        if (pending === 0) onIdle();
      });
      tails.set(lane, mine);
    },
  };
}

function limit(message: string): RelayError {
  return new RelayError('websocket_stream_limit_reached', message, { param: 'stream_id' });
}
