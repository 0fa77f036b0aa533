import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { HOUR_MS, MINUTE_MS } from '../../src/core/units.ts';
import type { ResponseToKeep } from '../../src/gateway/response-store.ts';
import { createResponseStore } from '../../src/gateway/response-store.ts';
import { fakeClock } from '../support/fake-clock.ts';

const user = (text: string): JsonObject => ({ type: 'message', role: 'user', content: text });
const said = (text: string): JsonObject => ({ type: 'message', id: `msg_${text}`, role: 'assistant', content: text });

function answer(id: string, change: Partial<ResponseToKeep> = {}): ResponseToKeep {
  return {
    clientId: 'one', id, previousId: null, input: [user(`ask ${id}`)], output: [said(id)], response: { id, status: 'completed' },
    accountId: 'acc', provider: 'chatgpt', model: 'm', keptUpstream: false, ...change,
  };
}

const LARGE = 'x'.repeat(10_000);
const large = (id: string, change: Partial<ResponseToKeep> = {}): ResponseToKeep => answer(id, { input: [user(LARGE)], ...change });

describe('what a store gives back', () => {
  test('a conversation from its beginning, in order', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    store.keep(answer('r2', { previousId: 'r1' }));
    store.keep(answer('r3', { previousId: 'r2' }));
    const found = store.find('one', 'r3');
    expect(found?.isWhole).toBe(true);
    expect(found?.history()).toEqual([user('ask r1'), said('r1'), user('ask r2'), said('r2'), user('ask r3')]);
    expect(found?.conversation()).toEqual([...(found?.history() ?? []), said('r3')]);
  });

  test('two answers to one are two conversations', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    store.keep(answer('left', { previousId: 'r1' }));
    store.keep(answer('right', { previousId: 'r1' }));
    expect(store.find('one', 'left')?.history()).toEqual([user('ask r1'), said('r1'), user('ask left')]);
    expect(store.find('one', 'right')?.history()).toEqual([user('ask r1'), said('r1'), user('ask right')]);
  });

  test('nothing of another client\'s, under no id and no item', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    expect(store.find('two', 'r1')).toBeUndefined();
    expect(store.findItem('two', 'msg_r1')).toBeUndefined();
    expect(store.forget('two', 'r1')).toBe(false);
    store.keep(answer('r2', { clientId: 'two', previousId: 'r1' }));
    expect(store.find('two', 'r2')).toMatchObject({ isWhole: false });
    expect(store.find('two', 'r2')?.history()).toEqual([user('ask r2')]);
  });

  test('an item by its own id, of the newest answer that has it', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    expect(store.findItem('one', 'msg_r1')).toMatchObject({ item: said('r1'), of: { id: 'r1' } });
    expect(store.findItem('one', 'msg_r2')).toBeUndefined();
    store.forget('one', 'r1');
    expect(store.findItem('one', 'msg_r1')).toBeUndefined();
  });

  test('what continues something unknown is not whole, nor what continues that', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r2', { previousId: 'r1' }));
    store.keep(answer('r3', { previousId: 'r2' }));
    expect(store.find('one', 'r2')?.isWhole).toBe(false);
    expect(store.find('one', 'r3')?.isWhole).toBe(false);
  });

  test('a background run whose end only its upstream knows is not whole', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1', { response: { id: 'r1', status: 'queued' } }));
    expect(store.find('one', 'r1')?.isWhole).toBe(false);
  });

  test('a compaction takes the place of everything before it', () => {
    const store = createResponseStore(fakeClock());
    const compaction: JsonObject = { type: 'compaction', id: 'cmp', encrypted_content: 'sealed' };
    store.keep(answer('r1'));
    store.keep(answer('r2', { previousId: 'r1', output: [said('before'), compaction, said('after')] }));
    store.keep(answer('r3', { previousId: 'r2' }));
    expect(store.find('one', 'r3')?.history()).toEqual([compaction, said('after'), user('ask r3')]);
    expect(store.find('one', 'r2')?.conversation()).toEqual([compaction, said('after')]);
    expect(store.find('one', 'r2')?.history()).toEqual([user('ask r1'), said('r1'), user('ask r2')]);
  });
});

describe('what a store forgets', () => {
  test('what was asked to be forgotten, while what continued it stays whole', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    store.keep(answer('r2', { previousId: 'r1' }));
    expect(store.forget('one', 'r1')).toBe(true);
    expect(store.find('one', 'r1')).toBeUndefined();
    expect(store.find('one', 'r2')?.history()).toEqual([user('ask r1'), said('r1'), user('ask r2')]);
    expect(store.bytes).toBeGreaterThan(0);
    store.forget('one', 'r2');
    expect([store.size, store.bytes]).toEqual([0, 0]);
  });

  test('what was not used for an hour, also when nobody calls any more', () => {
    const clock = fakeClock();
    const store = createResponseStore(clock);
    store.keep(answer('r1'));
    clock.advance(40 * MINUTE_MS);
    store.keep(answer('r2'));
    expect(store.find('one', 'r1')).toBeDefined();
    clock.advance(50 * MINUTE_MS);
    store.find('one', 'r1');
    clock.advance(11 * MINUTE_MS);
    expect(store.find('one', 'r1')).toBeDefined();
    expect(store.find('one', 'r2')).toBeUndefined();
    clock.advance(2 * HOUR_MS);
    expect([store.size, store.bytes]).toEqual([0, 0]);
    expect(clock.pending).toBe(0);
  });

  test('the least recently used, once there are too many', () => {
    const store = createResponseStore(fakeClock(), { count: 3, bytes: 1e9, idleMs: HOUR_MS });
    for (const id of ['r1', 'r2', 'r3']) store.keep(answer(id));
    store.find('one', 'r1');
    store.keep(answer('r4'));
    expect(['r1', 'r2', 'r3', 'r4'].map((id) => store.find('one', id) !== undefined)).toEqual([true, false, true, true]);
  });

  test('the client that holds most loses first, so that no other is pushed out', () => {
    const store = createResponseStore(fakeClock(), { count: 1_000, bytes: 60_000, idleMs: HOUR_MS });
    store.keep(large('mine', { clientId: 'modest' }));
    for (let index = 0; index < 50; index += 1) store.keep(large(`r${index}`, { clientId: 'greedy' }));
    expect(store.find('modest', 'mine')).toBeDefined();
    expect(store.find('greedy', 'r49')).toBeDefined();
    expect(store.find('greedy', 'r0')).toBeUndefined();
    expect(store.bytes).toBeLessThanOrEqual(60_000);
  });

  test('what is too large for it is not kept at all', () => {
    const store = createResponseStore(fakeClock(), { count: 10, bytes: 20_000, idleMs: HOUR_MS });
    store.keep(answer('small'));
    store.keep(large('large'));
    expect(store.find('one', 'large')).toBeUndefined();
    expect(store.find('one', 'small')).toBeDefined();
  });

  test('an answer kept twice is there once', () => {
    const store = createResponseStore(fakeClock());
    store.keep(answer('r1'));
    const { bytes } = store;
    store.keep(answer('r1'));
    expect([store.size, store.bytes]).toEqual([1, bytes]);
  });

  test('whatever happens, its bounds hold, and it comes back to nothing', () => {
    const step = fc.record({
      client: fc.constantFrom('a', 'b', 'c'), id: fc.nat(20), previous: fc.option(fc.nat(20)), act: fc.nat(9), size: fc.nat(4_000),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const clock = fakeClock();
      const store = createResponseStore(clock, { count: 12, bytes: 40_000, idleMs: HOUR_MS });
      for (const { client, id, previous, act, size } of steps) {
        if (act === 0) store.forget(client, `r${id}`);
        else if (act === 1) clock.advance(10 * MINUTE_MS);
        else if (act === 2) store.find(client, `r${id}`)?.history();
        else {
          const previousId = previous === null ? null : `r${previous}`;
          store.keep(answer(`r${id}`, { clientId: client, previousId, input: [user('x'.repeat(size))] }));
        }
        expect(store.size).toBeLessThanOrEqual(12);
        expect(store.bytes).toBeLessThanOrEqual(40_000);
        expect(store.bytes).toBeGreaterThanOrEqual(0);
      }
      clock.advance(3 * HOUR_MS);
      expect([store.size, store.bytes]).toEqual([0, 0]);
    }), { numRuns: 60 });
  });
});
