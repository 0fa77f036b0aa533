import { describe, expect, test } from 'vitest';

import { createSlots } from '../../src/gateway/slots.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { within } from '../support/wait-for.ts';

const never = new AbortController().signal;

describe('slots', () => {
  test('A11: a full line of one client is no other client\'s', async () => {
    const slots = createSlots(fakeClock(), () => ({ queue: 2, queueMs: 1_000 }));
    const leave = await slots.enter('greedy', 1, never);
    const waiting = [slots.enter('greedy', 1, never), slots.enter('greedy', 1, never)];
    await expect(slots.enter('greedy', 1, never)).rejects.toMatchObject({ code: 'concurrency_limit', status: 429 });
    const modest = await within(slots.enter('modest', 1, never));
    const second = slots.enter('modest', 1, never);
    expect(slots.waiting).toBe(3);
    modest();
    (await within(second))();
    leave();
    for (const place of waiting) (await within(place))();
    expect({ held: slots.held, waiting: slots.waiting }).toEqual({ held: 0, waiting: 0 });
  });

  test('go in the order they were asked for, and come back whatever ends a wait', async () => {
    const clock = fakeClock();
    const slots = createSlots(clock, () => ({ queue: 9, queueMs: 1_000 }));
    const order: string[] = [];
    const leave = await slots.enter('a', 1, never);
    const gone = new AbortController();
    const left = slots.enter('a', 1, gone.signal);
    const first = slots.enter('a', 1, never).then((give) => (order.push('first'), give));
    const second = slots.enter('a', 1, never).then((give) => (order.push('second'), give));
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'concurrency_limit' });
    leave();
    leave();
    (await within(first))();
    const last = await within(second);
    expect({ order, held: slots.held }).toEqual({ order: ['first', 'second'], held: 1 });
    const late = slots.enter('a', 1, never);
    clock.advance(1_000);
    await expect(late).rejects.toMatchObject({ code: 'concurrency_limit', details: { retryAfterSeconds: 1 } });
    last();
    expect({ held: slots.held, waiting: slots.waiting, timers: clock.pending }).toEqual({ held: 0, waiting: 0, timers: 0 });
  });
});
