import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { ConnectionMemory } from '../../src/server/websocket-memory.ts';
import { createConversationMemory } from '../../src/server/websocket-memory.ts';

const PLENTY = { connectionBytes: 1_000_000, totalBytes: 1_000_000 };

function say(memory: ConnectionMemory, responseId: string, previousId: string | null, text: string, bytes = text.length): void {
  memory.remember({ responseId, previousId, items: [text], bytes });
}

describe('what a connection remembers', () => {
  test('every answer of a conversation can be continued, with all that came before it', () => {
    const memory = createConversationMemory(() => PLENTY).open();
    say(memory, 'r1', null, 'one');
    say(memory, 'r2', 'r1', 'two');
    say(memory, 'r3', 'r1', 'another two');
    expect(memory.recall('r2')).toEqual(['one', 'two']);
    expect(memory.recall('r3')).toEqual(['one', 'another two']);
    expect(memory.recall('r1')).toEqual(['one']);
    expect(memory.recall('r4')).toBeUndefined();
  });

  test('connections know nothing of each other', () => {
    const all = createConversationMemory(() => PLENTY);
    const [mine, yours] = [all.open(), all.open()];
    say(mine, 'r1', null, 'mine');
    expect(yours.recall('r1')).toBeUndefined();
  });

  test('an id taken twice means the newer answer', () => {
    const memory = createConversationMemory(() => PLENTY).open();
    say(memory, 'r1', null, 'old');
    say(memory, 'r1', null, 'new');
    expect(memory.recall('r1')).toEqual(['new']);
  });

  test("a conversation over the connection's share is forgotten whole, and a smaller one is kept", () => {
    const all = createConversationMemory(() => ({ connectionBytes: 100, totalBytes: 1_000 }));
    const memory = all.open();
    say(memory, 'r1', null, 'small', 40);
    say(memory, 'r2', 'r1', 'too much', 70);
    expect([memory.recall('r1'), memory.recall('r2')]).toEqual([undefined, undefined]);
    expect(all.held).toBe(0);
    say(memory, 'r3', null, 'fits', 100);
    expect(memory.recall('r3')).toEqual(['fits']);
  });

  test('when all together hold too much, the conversation unused for longest goes first', () => {
    const all = createConversationMemory(() => ({ connectionBytes: 100, totalBytes: 100 }));
    const [first, second, third] = [all.open(), all.open(), all.open()];
    say(first, 'a', null, 'a', 40);
    say(second, 'b', null, 'b', 40);
    first.recall('a');
    say(third, 'c', null, 'c', 40);
    expect([first.recall('a'), second.recall('b'), third.recall('c')]).toEqual([['a'], undefined, ['c']]);
    expect(all.held).toBe(80);
  });

  test('a closed connection holds nothing', () => {
    const all = createConversationMemory(() => PLENTY);
    const memory = all.open();
    say(memory, 'r1', null, 'one', 10);
    memory.close();
    expect(all.held).toBe(0);
    expect(memory.recall('r1')).toBeUndefined();
  });

  test('however much is said, it holds no more than it may, and what it recalls is what was said', () => {
    const turn = fc.record({
      connection: fc.nat(3),
      continues: fc.option(fc.nat(40), { nil: null }),
      bytes: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 200 }), (turns) => {
        const all = createConversationMemory(() => ({ connectionBytes: 200, totalBytes: 300 }));
        const connections = Array.from({ length: 4 }, () => all.open());
        const said = new Map<string, readonly string[]>();
        for (const [index, { connection, continues, bytes }] of turns.entries()) {
          const memory = connections[connection];
          const previousId = continues === null ? null : `r${continues}`;
          if (memory === undefined || (previousId !== null && memory.recall(previousId) === undefined)) continue;
          said.set(`r${index}`, [...(previousId === null ? [] : (said.get(previousId) ?? [])), `t${index}`]);
          memory.remember({ responseId: `r${index}`, previousId, items: [`t${index}`], bytes });
          expect(all.held).toBeLessThanOrEqual(300);
          for (const [id, items] of said) {
            const recalled = connections.map((one) => one.recall(id)).filter((found) => found !== undefined);
            for (const found of recalled) expect(found).toEqual(items);
            expect(recalled.length).toBeLessThanOrEqual(1);
          }
        }
        for (const memory of connections) memory.close();
        expect(all.held).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
