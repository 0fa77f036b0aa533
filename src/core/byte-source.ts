import type { Failure } from './failure.ts';

/**
 * Bytes as they arrive, pushed, with back-pressure: the shape undici's dispatch has, so that nothing stands between
 * a socket and a socket. Paused until `start`; a second `start` hands the rest over to another sink.
 */
export interface ByteSource {
  start(sink: ByteSink): void;
  pause(): void;
  resume(): void;
  /**
   * Nothing more is wanted of an answer that has said all it had to; the sink hears nothing more. The end of the body is
   * still awaited for a moment, so that the connection can serve the next call.
   */
  release(): void;
  /** Ends the transfer and the connection it came over; the sink hears nothing more. */
  destroy(): void;
}

/** Where a {@link ByteSource} delivers. After `onEnd` or `onFailure` nothing follows. */
export interface ByteSink {
  onBytes(chunk: Uint8Array): void;
  onEnd(): void;
  /** A reset, a timeout or an abort while the body came. */
  onFailure(failure: TransportFailure): void;
}

/** What the transport can say of a failure; the gateway makes a {@link Failure} of it with the phase. */
export interface TransportFailure {
  readonly kind: Extract<Failure['kind'], 'unreachable' | 'certificate-invalid' | 'cut' | 'timed-out' | 'invalid-response' | 'client-gone'>;
  /** `connect_refused`, `dns`, `connect_timeout`, `headers_timeout`, `idle_timeout`, `reset`, `eof`, … */
  readonly code: string;
  /** One sentence for people; no secret. */
  readonly message: string;
}
