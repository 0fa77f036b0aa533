import { describe, expect, test } from 'vitest';

import { createLive, FRAME_MS } from '../../src/tui/live.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { busySnapshot, fixtureSource, NOW, runningRequest } from '../support/tui-fixture.ts';

function watched(first = busySnapshot({ running: [] })) {
  const clock = fakeClock(NOW);
  const source = fixtureSource(first);
  const live = createLive(source, clock);
  const states: ReturnType<typeof live.get>[] = [];
  const stop = live.subscribe(() => states.push(live.get()));
  return { clock, source, live, states, stop, first };
}

describe('a source is made calm', () => {
  test('the first snapshot is shown at once', () => {
    const { states, first } = watched();
    expect(states.map(({ snapshot }) => snapshot)).toEqual([first]);
  });

  test('a thousand snapshots in a second make ten states, and the last one is shown', () => {
    const { clock, source, states, live } = watched();
    const sent = Array.from({ length: 1_000 }, () => busySnapshot({ running: [], accounts: [] }));
    for (const snapshot of sent) {
      clock.advance(1);
      source.publish(snapshot);
    }
    clock.advance(FRAME_MS);
    expect(states.length).toBeLessThanOrEqual(12);
    expect(states.length).toBeGreaterThanOrEqual(9);
    expect(live.get().snapshot).toBe(sent.at(-1));
  });

  test('the same again is nothing new', () => {
    const { clock, source, states, first } = watched();
    clock.advance(FRAME_MS * 2);
    source.publish({ ...first, accounts: structuredClone(first.accounts), daemon: { ...first.daemon } });
    clock.advance(FRAME_MS * 2);
    expect(states).toHaveLength(1);
  });

  test('a daemon that goes away is something new', () => {
    const { clock, source, states, first } = watched();
    clock.advance(FRAME_MS);
    source.publish({ ...first, daemon: { state: 'stopped' } });
    expect(states.at(-1)?.snapshot?.daemon.state).toBe('stopped');
  });

  test('time goes on twice a second while a request runs', () => {
    const { clock, states } = watched(busySnapshot({ running: [runningRequest()] }));
    clock.advance(5_000);
    expect(states).toHaveLength(11);
    expect(states.at(-1)?.now).toBe(NOW + 5_000);
  });

  test('and hardly when nothing runs: every 15 s, every second while a countdown tells seconds', () => {
    const resting = watched(busySnapshot({ running: [], accounts: [] }));
    resting.clock.advance(60_000);
    expect(resting.states).toHaveLength(5);
    // One of the accounts is back in 24 s.
    const counting = watched();
    counting.clock.advance(20_000);
    expect(counting.states).toHaveLength(21);
  });

  test('a clock set back does not silence it', () => {
    const { clock, source, live } = watched();
    clock.set(NOW - 3_600_000);
    const next = busySnapshot({ running: [], accounts: [] });
    source.publish(next);
    clock.advance(FRAME_MS);
    expect(live.get().snapshot).toBe(next);
  });

  test('nobody listening leaves nothing behind', () => {
    const { clock, source, stop } = watched(busySnapshot());
    source.publish(busySnapshot({ accounts: [] }));
    stop();
    expect(source.subscribers).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
