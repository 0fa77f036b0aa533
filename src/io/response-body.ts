import type { ByteSink, ByteSource, TransportFailure } from '../core/byte-source.ts';

/** The reins of one response, as undici's dispatch controller has them. */
export interface BodyControl {
  pause(): void;
  resume(): void;
  /** Ends the exchange and frees the socket. */
  abort(): void;
  /** Calls back once after `ms`; the returned function cancels. */
  after(ms: number, callback: () => void): () => void;
}

/** How long, and for how many bytes, the end of a released body is awaited before its connection is given up. */
const LEFTOVER_MS = 2_000;
const LEFTOVER_BYTES = 65_536;

/** A {@link ByteSource} together with the side the transport feeds. */
export interface ResponseBody extends ByteSource {
  receive(chunk: Uint8Array): void;
  finish(): void;
  fail(failure: TransportFailure): void;
  /** False while whoever reads has asked for nothing: then silence is no sign of anything. */
  readonly isFlowing: boolean;
  /** Like `fail`, but ahead of bytes that wait: for an abort, which nobody wants to read on from. */
  cut(failure: TransportFailure): void;
}

type Ending = { readonly kind: 'end' } | { readonly kind: 'failure'; readonly failure: TransportFailure };

/**
 * Holds a response back until a sink is there, then hands every chunk on as it came. Bytes only wait here while
 * the sink is paused or changing, and then the socket is paused too, so what waits is at most a socket buffer.
 * `onClosed` is called once, when the transfer is over for any reason.
 */
export function createResponseBody(control: BodyControl, onClosed: () => void): ResponseBody {
  const waiting: Uint8Array[] = [];
  let sink: ByteSink | null = null;
  let state: 'paused' | 'flowing' | 'closed' = 'paused';
  let ending: Ending | null = null;
  let delivering = false;
  let transferOver = false;
  /** Set while a released body runs out: what it may still say, and the end of the wait. */
  let leftover: { bytes: number; readonly cancel: () => void } | null = null;

  const leaveTransfer = (): void => {
    if (transferOver) return;
    transferOver = true;
    onClosed();
  };

  const nextChunk = (): Uint8Array | undefined => (state === 'flowing' && sink !== null ? waiting.shift() : undefined);

  const deliver = (): void => {
    if (delivering) return;
    delivering = true;
    try {
      for (let chunk = nextChunk(); chunk !== undefined; chunk = nextChunk()) sink?.onBytes(chunk);
      if (state === 'flowing' && sink !== null && ending !== null) sayEnding(sink, ending);
    } finally {
      delivering = false;
    }
  };

  const sayEnding = (listener: ByteSink, how: Ending): void => {
    state = 'closed';
    if (how.kind === 'end') listener.onEnd();
    else listener.onFailure(how.failure);
  };

  const endLeftover = (): void => {
    if (leftover === null) return;
    leftover.cancel();
    leftover = null;
    leaveTransfer();
  };
  const giveUpLeftover = (): void => {
    if (leftover === null) return;
    endLeftover();
    control.abort();
  };

  // Resuming in a microtask: undici's parser is one per process and may be inside another response's bytes right now.
  const flowSoon = (): void => queueMicrotask(() => {
    deliver();
    if (state === 'flowing' && ending === null) control.resume();
  });

  const conclude = (how: Ending): void => {
    endLeftover();
    if (state === 'closed' || ending !== null) return;
    ending = how;
    leaveTransfer();
    deliver();
  };

  return {
    get isFlowing() {
      return state === 'flowing';
    },
    start(next) {
      if (state === 'closed') return;
      sink = next;
      state = 'flowing';
      flowSoon();
    },
    pause() {
      if (state !== 'flowing') return;
      state = 'paused';
      if (ending === null) control.pause();
    },
    resume() {
      if (state !== 'paused' || sink === null) return;
      state = 'flowing';
      flowSoon();
    },
    release() {
      if (state === 'closed') return;
      state = 'closed';
      waiting.length = 0;
      if (ending !== null) return leaveTransfer();
      leftover = { bytes: LEFTOVER_BYTES, cancel: control.after(LEFTOVER_MS, giveUpLeftover) };
      queueMicrotask(() => {
        if (leftover !== null) control.resume();
      });
    },
    destroy() {
      giveUpLeftover();
      if (state === 'closed') return;
      state = 'closed';
      waiting.length = 0;
      if (ending === null) control.abort();
      leaveTransfer();
    },
    receive(chunk) {
      if (leftover !== null) {
        leftover.bytes -= chunk.length;
        if (leftover.bytes < 0) giveUpLeftover();
      }
      if (state === 'closed') return;
      waiting.push(chunk);
      deliver();
    },
    finish: () => conclude({ kind: 'end' }),
    fail: (failure) => conclude({ kind: 'failure', failure }),
    cut(failure) {
      if (state === 'closed') return;
      waiting.length = 0;
      ending = { kind: 'failure', failure };
      leaveTransfer();
      if (sink === null) return;
      sayEnding(sink, ending);
    },
  };
}
