import { describe, expect, test } from 'vitest';

import type { ByteSink, TransportFailure } from '../../src/core/byte-source.ts';
import { RelayError } from '../../src/core/errors.ts';
import type { RelayedAnswer } from '../../src/gateway/relayed-answer.ts';
import type { AnswerEnd } from '../../src/gateway/ticket.ts';
import { carry } from '../../src/server/carry.ts';
import type { Reply } from '../../src/server/reply.ts';
import { nothingSeen } from '../../src/wire/passage.ts';

const CANCELLED: TransportFailure = { kind: 'client-gone', code: 'aborted', message: 'The call was cancelled.' };
const RESET: TransportFailure = { kind: 'cut', code: 'reset', message: 'The connection was reset.' };

/** A committed stream under way, with the ends of it in the test's hands. */
function underWay() {
  const cut = new AbortController();
  const ends: AnswerEnd[] = [];
  const blamed: unknown[] = [];
  const sinks: ByteSink[] = [];
  const sent: string[] = [];
  let onGone = (): void => {};
  const reply: Reply = {
    begun: true, closed: false, begin() {}, signOfLife() {}, write: () => true, onDrain() {}, end: () => Promise.resolve(),
    destroy: (chunks) => {
      sent.push(...chunks.map((chunk) => Buffer.from(chunk).toString('utf8')));
      return Promise.resolve();
    },
    onGone: (callback) => void (onGone = callback),
  };
  const answer: RelayedAnswer = {
    headers: {}, held: [], last: null,
    passage: {
      seen: nothingSeen(), push: () => ({ out: [], last: null }), end: () => ({ out: [], last: null }), items: () => [], response: () => null,
      errorFrame: ({ code }) => Buffer.from(`error: ${code}`),
    },
    rest: { start: (sink) => void sinks.push(sink), pause() {}, resume() {}, release() {}, destroy() {} },
    firstOutput() {},
    broken(failure) {
      blamed.push(failure);
      return new RelayError('upstream_stream_truncated', 'The upstream broke off.');
    },
    settle(end) {
      ends.push(end);
      return Promise.resolve();
    },
  };
  // The transfer hears of an abort before the carrying does: its listener is the older one.
  let onCut = (): void => {};
  cut.signal.addEventListener('abort', () => onCut());
  const done = carry(answer, { reply, waiting: { saw() {}, stop() {} }, cut: cut.signal });
  return {
    done, ends, blamed, sent, cut,
    clientLeaves: () => onGone(),
    transportFails: (failure: TransportFailure) => sinks[0]?.onFailure(failure),
    cancelsWithDrain: () => void (onCut = () => sinks[0]?.onFailure(CANCELLED)),
  };
}

describe('a stream whose transfer is cancelled under it', () => {
  test('the cancellation of a call whose client has left settles as that, and blames nobody', async () => {
    const stream = underWay();
    stream.transportFails(CANCELLED);
    stream.clientLeaves();
    await stream.done;
    expect(stream.ends).toEqual([{ kind: 'client-gone' }]);
    expect(stream.blamed).toEqual([]);
  });

  test('the cancellation of a drain ends the stream with the drain\'s own error, and blames nobody', async () => {
    const stream = underWay();
    const error = new RelayError('draining', 'Relay is shutting down.');
    stream.cancelsWithDrain();
    stream.cut.abort(error);
    await stream.done;
    expect(stream.ends).toEqual([{ kind: 'failed', error }]);
    expect(stream.sent).toEqual(['error: draining']);
    expect(stream.blamed).toEqual([]);
  });

  test('a transfer the upstream breaks off is the upstream\'s failure', async () => {
    const stream = underWay();
    stream.transportFails(RESET);
    await stream.done;
    expect(stream.ends).toMatchObject([{ kind: 'failed' }]);
    expect(stream.blamed).toMatchObject([{ kind: 'cut', phase: 'committed' }]);
  });
});
