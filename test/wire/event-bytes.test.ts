import { describe, expect, test } from 'vitest';

import { createEventBytes } from '../../src/wire/event-bytes.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('bytes of events', () => {
  test.each([
    [': a comment\n\n', false], [':\r\n\r\n', false], ['\n\n\r\r', false], ['', false], [': data: {"x":1}\n', false],
    ['data: x', true], [': comment\ndata', true], ['event: x\n', true], ['\n:c\n\nretry: 5\n', true], [' : not a comment', true],
  ])('%j: %s', (text, expected) => {
    expect(createEventBytes()(bytes(text))).toBe(expected);
    const oneByOne = createEventBytes();
    expect([...text].map((character) => oneByOne(bytes(character))).includes(true)).toBe(expected);
  });

  test('the rest of a line that was begun belongs to it', () => {
    const holds = createEventBytes();
    expect([holds(bytes('da')), holds(bytes('ta: ')), holds(bytes('\n')), holds(bytes(': c')), holds(bytes('omment')), holds(bytes('\nd'))]).toEqual([true, true, false, false, false, true]);
  });
});
