import type { Duplex } from 'node:stream';

import type { WebSocket } from 'ws';

/** The sending half of a connection: messages out, with back-pressure. */
export interface Outlet {
  readonly isOpen: boolean;
  /** Sends one text message; false when the client reads too slowly: wait for `onDrain`. Without effect once closed. */
  send(message: Uint8Array | string): boolean;
  /** Sends what the work sends in as few writes as possible. */
  together(work: () => void): void;
  /** Calls back once when the client has caught up. */
  onDrain(callback: () => void): void;
  /** Resolves when everything sent so far was handed to the system, or the client left. */
  flushed(): Promise<void>;
  /** Calls back when the connection ends; the returned function forgets the callback. */
  onGone(callback: () => void): () => void;
  /** Ends the connection because an answer could not be told to its end. */
  fail(): void;
}

/** Bytes waiting for a slow client before its upstream is paused, and when it goes on. */
const HIGH_WATER = 65_536;
const LOW_WATER = 16_384;

/** The outlet of a socket; `raw` is what it runs over. */
export function createOutlet(socket: WebSocket, raw: Duplex): Outlet {
  const gone = new Set<() => void>();
  const waiting = new Set<() => void>();
  let unsent = 0;
  const callAll = (callbacks: Set<() => void>): void => {
    const called = [...callbacks];
    callbacks.clear();
    for (const callback of called) callback();
  };
  const flushing = new Set<() => void>();
  const sent = (): void => {
    unsent -= 1;
    if (waiting.size > 0 && socket.bufferedAmount <= LOW_WATER) callAll(waiting);
    if (unsent === 0) callAll(flushing);
  };
  const isOpen = (): boolean => socket.readyState === socket.OPEN;
  socket.once('close', () => {
    waiting.clear();
    callAll(gone);
    callAll(flushing);
  });

  return {
    get isOpen() {
      return isOpen();
    },
    send(message) {
      if (!isOpen()) return true;
      unsent += 1;
      socket.send(message, { binary: false }, sent);
      return socket.bufferedAmount < HIGH_WATER;
    },
    together(work) {
      raw.cork();
      try {
        work();
      } finally {
        raw.uncork();
      }
    },
    onDrain(callback) {
      waiting.add(callback);
    },
    flushed: () => (unsent === 0 || !isOpen() ? Promise.resolve() : new Promise((resolve) => flushing.add(resolve))),
    onGone(callback) {
      gone.add(callback);
      return () => gone.delete(callback);
    },
    fail() {
      if (isOpen()) socket.close(1011, 'the answer broke off');
    },
  };
}
