import type { TransportFailure } from '../core/byte-source.ts';
import { RelayError } from '../core/errors.ts';
import type { Failure } from '../core/failure.ts';
import type { RelayedAnswer } from '../gateway/relayed-answer.ts';
import type { Passed } from '../wire/passage.ts';
import type { Reply } from './reply.ts';
import type { Waiting } from './waiting.ts';

/** Where an answer is carried to. */
export interface CarryInto {
  readonly reply: Reply;
  readonly waiting: Pick<Waiting, 'saw' | 'stop'>;
  /** Aborted with a RelayError when Relay goes down and this stream has had its time. */
  readonly cut: AbortSignal;
}

/**
 * Carries a committed stream to the client: what was held back, then the upstream's bytes as they come, at the speed
 * the client reads. The end is sent after settlement; a failure becomes an event in the client's protocol and a
 * broken connection. Resolves when the exchange is over.
 */
export function carry(answer: RelayedAnswer, { reply, waiting, cut }: CarryInto): Promise<void> {
  const { passage, rest } = answer;
  return new Promise((resolve) => {
    let over = false;
    let paused = false;
    const finish = (work: Promise<void>): void => {
      over = true;
      waiting.stop();
      cut.removeEventListener('abort', onCut);
      void work.then(resolve, resolve);
    };
    const write = (chunk: Uint8Array): void => {
      waiting.saw(chunk);
      if (reply.write(chunk) || paused) return;
      paused = true;
      rest.pause();
      reply.onDrain(() => {
        paused = false;
        rest.resume();
      });
    };
    const breakOff = async (failure: Failure | null): Promise<void> => {
      const error = answer.broken(failure);
      await answer.settle({ kind: 'failed', error });
      await reply.destroy([passage.errorFrame(error.body)]);
    };
    const onCut = (): void => {
      if (over) return;
      rest.destroy();
      finish(endEarly());
    };
    /** The call was cancelled by our own signal, whose listeners may hear of it first: the drain or the client's leaving is behind it. */
    const onCancelled = (): void => {
      if (cut.aborted) return onCut();
      finish(answer.settle({ kind: 'client-gone' }));
    };
    const endEarly = async (): Promise<void> => {
      const error = cut.reason instanceof RelayError ? cut.reason : new RelayError('draining', 'Relay is shutting down.');
      await answer.settle({ kind: 'failed', error });
      await reply.destroy([passage.errorFrame(error.body)]);
    };
    const close = async (last: readonly Uint8Array[]): Promise<void> => {
      if (passage.seen.terminal === 'failed') {
        // The upstream's own error event is passed on, and the connection broken behind it as behind our own.
        await answer.settle({ kind: 'failed', error: answer.broken(null) });
        await reply.destroy(last);
        return;
      }
      await answer.settle({ kind: 'served' });
      await reply.end(last);
    };
    const take = ({ out, last }: Passed): void => {
      for (const chunk of out) write(chunk);
      if (last === null) return;
      rest.release();
      finish(close(last));
    };

    reply.onGone(() => {
      if (over) return;
      rest.destroy();
      finish(answer.settle({ kind: 'client-gone' }));
    });
    cut.addEventListener('abort', onCut, { once: true });
    if (cut.aborted) {
      onCut();
      return;
    }
    if (reply.closed) {
      rest.destroy();
      finish(answer.settle({ kind: 'client-gone' }));
      return;
    }
    if (answer.held.length > 0 || answer.last !== null) answer.firstOutput();
    for (const chunk of answer.held) write(chunk);
    if (answer.last !== null) {
      finish(close(answer.last));
      return;
    }
    rest.start({
      onBytes(chunk) {
        if (!over) take(passage.push(chunk));
      },
      onEnd() {
        if (over) return;
        take(passage.end());
        if (!over) finish(breakOff(null));
      },
      onFailure(failure) {
        if (over) return;
        if (failure.kind === 'client-gone') onCancelled();
        else finish(breakOff(committed(failure)));
      },
    });
  });
}

function committed({ kind, code, message }: TransportFailure): Failure {
  return { kind, phase: 'committed', status: null, code, message, param: null, retryAt: null, bucket: null, planType: null, upstreamRequestId: null };
}
