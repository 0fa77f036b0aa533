import type { Failure } from '../core/failure.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import type { PastAttempt } from '../routing/next-step.ts';
import type { StickyKey } from '../routing/sticky-key.ts';
import type { Prelude } from './prelude.ts';
import type { Ticket } from './ticket.ts';

/** One request on its way from account to account: what has been tried and what was learned, nothing of what was sent. */
export interface Journey {
  readonly request: RelayRequest;
  readonly ticket: Ticket;
  readonly signal: AbortSignal;
  /** What has gone to the client ahead of the content. */
  readonly prelude: Prelude;
  /** Every name its conversation goes by, strongest first. */
  readonly stickyKeys: readonly StickyKey[];
  readonly attempts: PastAttempt[];
  /** Accounts whose credential was renewed for this request. */
  readonly refreshed: Set<string>;
  ciphertextRemoved: boolean;
  last: { readonly failure: Failure; readonly accountName: string } | null;
}

/** The journey's beginning. */
export function startJourney(start: Pick<Journey, 'request' | 'ticket' | 'signal' | 'prelude' | 'stickyKeys'>): Journey {
  return { ...start, attempts: [], refreshed: new Set(), ciphertextRemoved: false, last: null };
}
