import type { ServerResponse } from 'node:http';

import type { Headers } from '../core/relay-request.ts';

const BASE_HEADERS: Headers = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
};

/** Headers of an event stream: nothing on the way may hold it back or change it. */
export const STREAM_HEADERS: Headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

/**
 * The raw answer to one client: bytes go from the upstream's socket to this one with back-pressure and nothing in
 * between. After `end` or `destroy` every call is without effect.
 */
export interface Reply {
  readonly begun: boolean;
  /** True once the client has gone or the answer is over. */
  readonly closed: boolean;
  begin(status: number, headers: Headers): void;
  /** Says how a stream asks a client that has stopped sending whether it still reads. */
  signOfLife(sign: Sign): void;
  /** False when the client reads too slowly: wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  onDrain(callback: () => void): void;
  /** Ends cleanly and resolves when the last byte was handed to the system, or the client left. */
  end(chunks: readonly Uint8Array[]): Promise<void>;
  /** Writes the last bytes, then breaks the connection, so that no client takes the end for a success. */
  destroy(chunks: readonly Uint8Array[]): Promise<void>;
  /** Calls back once when the client leaves before the answer was over. */
  onGone(callback: () => void): void;
}

/** What may be written into a begun answer to see whether anybody is there; null where nothing may be now. */
export type Sign = () => Uint8Array | null;

/** Wraps node's response. `extra` headers (CORS for an allowed origin) are sent with every answer. */
export function createReply(outgoing: ServerResponse, extra: Headers): Reply {
  let over = false;
  let sign: Sign = () => null;
  const isClosed = (): boolean => over || outgoing.destroyed || outgoing.writableEnded;

  /**
   * The client sends nothing more. Either it closed only its sending side and waits for the answer, or it has gone: what is
   * written then is answered with a reset, which the next write meets. Nothing but writing tells the two apart.
   */
  const onHalfClosed = (): void => {
    if (knock()) setImmediate(knock);
  };
  const knock = (): boolean => {
    if (isClosed()) return false;
    if (!outgoing.headersSent) {
      if (outgoing.req.httpVersionMinor >= 1) outgoing.writeProcessing();
      return true;
    }
    const bytes = sign();
    // In the middle of an event nothing may be added: a client that closed there is taken for gone.
    if (bytes === null) outgoing.destroy();
    else outgoing.write(bytes);
    return bytes !== null;
  };
  const { socket } = outgoing.req;
  socket.once('end', onHalfClosed);
  outgoing.once('close', () => socket.off('end', onHalfClosed));

  return {
    get begun() {
      return outgoing.headersSent;
    },
    get closed() {
      return isClosed();
    },
    begin(status, headers) {
      if (isClosed() || outgoing.headersSent) return;
      outgoing.writeHead(status, { ...BASE_HEADERS, ...extra, ...headers });
    },
    signOfLife(next) {
      sign = next;
    },
    write(chunk) {
      return isClosed() ? true : outgoing.write(chunk);
    },
    onDrain(callback) {
      outgoing.once('drain', callback);
    },
    end(chunks) {
      if (isClosed()) return Promise.resolve();
      over = true;
      const settled = closedOrFinished(outgoing);
      outgoing.end(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      return settled;
    },
    async destroy(chunks) {
      if (isClosed()) return;
      over = true;
      if (chunks.length > 0) await writeOut(outgoing, Buffer.concat(chunks));
      outgoing.destroy();
    },
    onGone(callback) {
      outgoing.once('close', () => {
        if (!over && !outgoing.writableFinished) callback();
      });
    },
  };
}

function closedOrFinished(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('finish', resolve);
    outgoing.once('close', resolve);
  });
}

/** Resolves when the bytes reached the system or the client left, so that a following destroy does not eat them. */
function writeOut(outgoing: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    outgoing.once('close', resolve);
    outgoing.write(bytes, () => resolve());
  });
}
