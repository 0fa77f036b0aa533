import { getEventListeners } from 'node:events';

import { describe, expect, test } from 'vitest';

import { RelayError } from '../../src/core/errors.ts';
import { openCallSignal } from '../../src/server/call-signal.ts';

function aCall(closed = false) {
  const callbacks: (() => void)[] = [];
  return { reply: { closed, onGone: (callback: () => void) => void callbacks.push(callback) }, leave: () => callbacks.forEach((callback) => callback()) };
}

describe('the signal of a call', () => {
  test('is aborted when the client leaves, without a reason of Relay\'s', () => {
    const { reply, leave } = aCall();
    const { signal } = openCallSignal(reply, new AbortController().signal);
    expect(signal.aborted).toBe(false);
    leave();
    expect(signal.aborted).toBe(true);
    expect(signal.reason).not.toBeInstanceOf(RelayError);
  });

  test('is aborted from the start for a client that left while its body was read', () => {
    expect(openCallSignal(aCall(true).reply, new AbortController().signal).signal.aborted).toBe(true);
  });

  test('is aborted with the drain\'s own error, also when the drain came first', () => {
    const cut = new AbortController();
    const { signal } = openCallSignal(aCall().reply, cut.signal);
    const error = new RelayError('draining', 'Relay is shutting down.');
    cut.abort(error);
    expect(signal.reason).toBe(error);
    expect(openCallSignal(aCall().reply, cut.signal).signal.reason).toBe(error);
  });

  test('leaves nothing at the lasting signal once the call is over', () => {
    const cut = new AbortController();
    const calls = Array.from({ length: 3 }, () => openCallSignal(aCall().reply, cut.signal));
    expect(getEventListeners(cut.signal, 'abort')).toHaveLength(3);
    for (const { release } of calls) release();
    expect(getEventListeners(cut.signal, 'abort')).toHaveLength(0);
  });
});
