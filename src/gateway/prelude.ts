import type { RelayRequest } from '../core/relay-request.ts';
import type { BegunStream } from '../wire/continue-stream.ts';
import { beginStream } from '../wire/continue-stream.ts';

/** Takes bytes that go to the client before any content is committed; the first of them commits the status. */
export type PreludeSink = (piece: Uint8Array) => void;

/**
 * The beginning of a stream that could not be held back any longer: status and first events are the client's, its content is
 * not decided, and failover goes on underneath.
 */
export interface Prelude {
  /** The stream as the client has it so far; null while nothing was sent. */
  readonly begun: BegunStream | null;
  /** Whether a beginning can be sent at all: streams of the two wires, where the server takes one. */
  readonly isTaken: boolean;
  send(pieces: readonly Uint8Array[]): void;
}

/** A prelude of which nothing has been sent. */
export function createPrelude({ stream, clientWire }: RelayRequest, sink: PreludeSink | undefined): Prelude {
  const wire = clientWire === 'chat' || clientWire === 'responses' ? clientWire : null;
  let begun: BegunStream | null = null;
  return {
    get begun() {
      return begun;
    },
    isTaken: stream && sink !== undefined && wire !== null,
    send(pieces) {
      if (sink === undefined || wire === null) return;
      begun ??= beginStream(wire);
      begun.note(pieces);
      for (const piece of pieces) sink(piece);
    },
  };
}
