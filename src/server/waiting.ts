import type { Clock } from '../core/ports.ts';
import type { ClientWire } from '../core/provider-kind.ts';
import { SECOND_MS } from '../core/units.ts';

/** How long a stream may be silent toward its client before it hears that it is still alive. */
const SILENCE_MS = 10 * SECOND_MS;

const COMMENT = new TextEncoder().encode(': keepalive\n\n');
/** Codex's idle timer counts parsed events only, so it gets one of a type it ignores as well (observed 2026-11). */
const CODEX_EVENT = new TextEncoder().encode(': keepalive\n\nevent: codex.keepalive\ndata: {"type":"codex.keepalive"}\n\n');
/** What the Messages API itself sends meanwhile; its clients count events only. */
const PING = new TextEncoder().encode('event: ping\ndata: {"type":"ping"}\n\n');

/** Keeps a silent stream's client patient, while the upstream thinks or failover goes on underneath. */
export interface Waiting {
  /** Bytes went to the client: the silence begins anew behind them. */
  saw(chunk: Uint8Array): void;
  /** A comment, where one may stand now; null inside an event. */
  sign(): Uint8Array | null;
  stop(): void;
}

export interface WaitingOptions {
  readonly clock: Clock;
  readonly isCodex: boolean;
  readonly clientWire: ClientWire;
  /** Sends the keepalive; the first one commits the status. */
  readonly send: (keepalive: Uint8Array) => void;
}

/** Starts the watch; it ends at `stop`. */
export function startWaiting({ clock, isCodex, clientWire, send }: WaitingOptions): Waiting {
  const keepalive = clientWire === 'messages' ? PING : isCodex ? CODEX_EVENT : COMMENT;
  let lastAt = clock.now();
  let isBetweenEvents = true;
  let cancel = (): void => {};
  const watch = (ms: number): void => {
    cancel = clock.after(ms, () => {
      const silentMs = clock.now() - lastAt;
      if (silentMs < SILENCE_MS) {
        watch(SILENCE_MS - silentMs);
        return;
      }
      // Inside an event a comment would become part of it.
      if (isBetweenEvents) send(keepalive);
      lastAt = clock.now();
      watch(SILENCE_MS);
    });
  };
  watch(SILENCE_MS);
  let [third, second, last] = [0, 0, 0];
  return {
    saw(chunk) {
      if (chunk.length === 0) return;
      lastAt = clock.now();
      // Pieces can be single bytes, so the end of the one before counts.
      for (let at = Math.max(0, chunk.length - 3); at < chunk.length; at++) [third, second, last] = [second, last, chunk[at] ?? 0];
      isBetweenEvents = isBlankLine(third, second, last);
    },
    sign: () => (isBetweenEvents ? COMMENT : null),
    stop: () => cancel(),
  };
}

const LF = 10;
const CR = 13;

/** Whether a stream that ends so stands behind a blank line, in any of the three spellings of a line's end. */
function isBlankLine(third: number, second: number, last: number): boolean {
  if (last === LF) return second === LF || (second === CR && third === LF);
  return last === CR && second === CR;
}
