import type { Reply } from './reply.ts';

/** Ends a call's work early. */
export interface CallSignal {
  /** Aborted without a reason of its own when the client leaves, with `cut`'s RelayError when Relay goes down. */
  readonly signal: AbortSignal;
  /** Lets `cut` go: call it when the call is over, since `cut` outlives every call. */
  release(): void;
}

/** One signal for both ways a call can end early. By hand: `AbortSignal.any` takes 16 us, and the lasting signal keeps a note of each until a collection. */
export function openCallSignal(reply: Pick<Reply, 'closed' | 'onGone'>, cut: AbortSignal): CallSignal {
  const call = new AbortController();
  const onCut = (): void => call.abort(cut.reason);
  reply.onGone(() => call.abort());
  // A client that left before is not heard of again.
  if (reply.closed) call.abort();
  if (cut.aborted) onCut();
  else cut.addEventListener('abort', onCut, { once: true });
  return { signal: call.signal, release: () => cut.removeEventListener('abort', onCut) };
}
