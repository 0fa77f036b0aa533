import type { ClientWire } from '../core/provider-kind.ts';
import type { RequestMemory, Target } from './prepared-request.ts';
import type { RequestNotes } from './request-notes.ts';

/** What every step of one request's translation may look at. */
export interface Translation {
  readonly target: Target;
  readonly memory: RequestMemory;
  readonly notes: RequestNotes;
  readonly clientWire: ClientWire;
  /** The upstream is asked for a stream. */
  readonly upstreamStream: boolean;
}
