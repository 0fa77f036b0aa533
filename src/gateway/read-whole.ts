import type { ByteSource } from '../core/byte-source.ts';
import type { Clock } from '../core/ports.ts';

/** What was read of a body: all of it, or as much as the bounds allowed. */
export interface WholeBody {
  readonly bytes: Uint8Array;
  readonly complete: boolean;
}

export interface ReadBounds {
  readonly maxBytes: number;
  readonly deadlineMs: number;
  readonly clock: Clock;
}

/** Reads a body to its end, a byte limit or a deadline, whichever comes first. Never rejects. */
export function readWhole(source: ByteSource, { maxBytes, deadlineMs, clock }: ReadBounds): Promise<WholeBody> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const finish = (complete: boolean): void => {
      cancelDeadline();
      if (!complete) source.destroy();
      resolve({ bytes: Buffer.concat(chunks), complete });
    };
    const cancelDeadline = clock.after(deadlineMs, () => finish(false));
    source.start({
      onBytes(chunk) {
        const room = maxBytes - length;
        chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
        length += Math.min(chunk.length, room);
        if (chunk.length > room) finish(false);
      },
      onEnd: () => finish(true),
      onFailure: () => finish(false),
    });
  });
}
