import { describe, expect, test } from 'vitest';

import type { AccountLine, Waited } from '../../src/gateway/account-line.ts';
import { createAccountLine } from '../../src/gateway/account-line.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { within } from '../support/wait-for.ts';

/** A line in front of so many slots; requests are named by their client and a number. */
function lineOf(slots: number) {
  const clock = fakeClock();
  const running = new Map<string, number>();
  const served: string[] = [];
  const inUse = (): number => [...running.values()].reduce((sum, count) => sum + count, 0);
  const line: AccountLine = createAccountLine({ clock, hasRoom: () => inUse() < slots, running: (client) => running.get(client) ?? 0 });
  const take = (client: string, name: string): (() => void) => {
    running.set(client, (running.get(client) ?? 0) + 1);
    served.push(name);
    return () => {
      running.set(client, (running.get(client) ?? 1) - 1);
      line.look();
    };
  };
  const wait = (client: string, name: string, change: { ms?: number; most?: number; signal?: AbortSignal } = {}): Promise<Waited<() => void>> =>
    line.wait<() => void>({
      clientId: client, ms: 30_000, most: 64, signal: new AbortController().signal, ...change,
      tryNow: () => (inUse() < slots ? { kind: 'taken', slot: take(client, name) } : { kind: 'not-yet' }),
    });
  return { clock, line, served, take, wait };
}

describe('whose turn it is', () => {
  test('A11: a client with fifty in line holds up a single request of another by nothing', async () => {
    const { served, take, wait } = lineOf(2);
    const leave = [take('greedy', 'g-1'), take('greedy', 'g-2')];
    for (let number = 3; number <= 52; number += 1) void wait('greedy', `g-${number}`);
    const single = wait('modest', 'm-1');
    leave[0]?.();
    expect((await within(single)).kind).toBe('taken');
    expect(served).toEqual(['g-1', 'g-2', 'm-1']);
  });

  test('among clients that run equally much it goes round, and first come first served within each', async () => {
    const { served, take, wait } = lineOf(1);
    let leave = take('other', 'first');
    const waiting = ['a-1', 'a-2', 'b-1', 'b-2', 'c-1'].map((name) => wait(name.charAt(0), name));
    for (let turn = 0; turn < 5; turn += 1) {
      leave();
      const taken = await within(Promise.race(waiting.map((place, index) => place.then((result) => ({ result, index })))));
      waiting.splice(taken.index, 1);
      if (taken.result.kind === 'taken') leave = taken.result.slot;
    }
    expect(served).toEqual(['first', 'a-1', 'b-1', 'c-1', 'a-2', 'b-2']);
  });

  test('one that cannot use the free slot does not keep it from the next', async () => {
    const { line, clock } = lineOf(1);
    const signal = new AbortController().signal;
    const picky = line.wait({ clientId: 'a', ms: 5_000, most: 9, signal, tryNow: () => ({ kind: 'not-yet' }) });
    const easy = line.wait({ clientId: 'a', ms: 5_000, most: 9, signal, tryNow: () => ({ kind: 'taken', slot: 'here' }) });
    line.look();
    expect(await within(easy)).toEqual({ kind: 'taken', slot: 'here' });
    clock.advance(5_000);
    expect(await within(picky)).toEqual({ kind: 'timed-out' });
  });
});

describe('how waiting ends', () => {
  test('with the time, with the client, and at once where the client\'s line is full', async () => {
    const { clock, take, wait } = lineOf(1);
    take('a', 'running');
    const gone = new AbortController();
    const [timed, left] = [wait('a', 'timed', { ms: 1_500 }), wait('a', 'left', { signal: gone.signal })];
    expect(await within(wait('a', 'third', { most: 2 }))).toEqual({ kind: 'full' });
    expect((await within(Promise.race([wait('b', 'other', { most: 2 }), Promise.resolve('waits')])))).toBe('waits');
    gone.abort();
    expect(await within(left)).toEqual({ kind: 'aborted' });
    clock.advance(1_500);
    expect(await within(timed)).toEqual({ kind: 'timed-out' });
  });

  test('at once where nothing can be hoped for any more', async () => {
    const line = createAccountLine({ clock: fakeClock(), hasRoom: () => true, running: () => 0 });
    const waiting = line.wait({ clientId: 'a', ms: 9_000, most: 9, signal: new AbortController().signal, tryNow: () => ({ kind: 'hopeless' }) });
    line.look();
    expect(await within(waiting)).toEqual({ kind: 'hopeless' });
    expect(line.length).toBe(0);
  });

  test('a slot that came free without anybody leaving is found within a second', async () => {
    const clock = fakeClock();
    let isFree = false;
    const line = createAccountLine({ clock, hasRoom: () => isFree, running: () => 0 });
    const waiting = line.wait({
      clientId: 'a', ms: 30_000, most: 9, signal: new AbortController().signal,
      tryNow: () => (isFree ? { kind: 'taken', slot: 1 } : { kind: 'not-yet' }),
    });
    clock.advance(10_000);
    isFree = true;
    clock.advance(1_000);
    expect(await within(waiting)).toEqual({ kind: 'taken', slot: 1 });
    expect({ length: line.length, timers: clock.pending }).toEqual({ length: 0, timers: 0 });
  });

  test('a fault while choosing is the waiting request\'s own, and the line goes on', async () => {
    const clock = fakeClock();
    const line = createAccountLine({ clock, hasRoom: () => true, running: () => 0 });
    const signal = new AbortController().signal;
    const broken = line.wait({ clientId: 'a', ms: 9_000, most: 9, signal, tryNow: () => { throw new Error('no'); } });
    const next = line.wait({ clientId: 'a', ms: 9_000, most: 9, signal, tryNow: () => ({ kind: 'taken', slot: 1 }) });
    line.look();
    await expect(within(broken)).rejects.toThrow('no');
    expect((await within(next)).kind).toBe('taken');
  });
});
