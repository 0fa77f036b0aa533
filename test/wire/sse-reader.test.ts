import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { SseEvent } from '../../src/wire/sse-reader.ts';
import { createSseReader } from '../../src/wire/sse-reader.ts';
import type { Frame } from '../../src/wire/splice-framer.ts';
import { createFramer, readFields } from '../../src/wire/splice-framer.ts';
import { joinBytes } from '../../src/wire/sse-writer.ts';
import { bytesOf } from './run-passage.ts';

function read(chunks: readonly Uint8Array[]): readonly SseEvent[] {
  const events: SseEvent[] = [];
  const reader = createSseReader((event) => events.push(event));
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  return events;
}

/** The same events as the splice sees them: framed as bytes, never decoded on the way. */
function frame(chunks: readonly Uint8Array[]): { readonly events: readonly SseEvent[]; readonly bytes: Uint8Array } {
  const events: SseEvent[] = [];
  const pieces: Uint8Array[] = [];
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const take = (whole: Frame): void => {
    const fields = readFields(whole);
    if (!fields) return;
    const name = decoder.decode(fields.bytes.subarray(fields.nameStart, fields.nameEnd));
    events.push({ name: name === '' ? null : name, data: decoder.decode(fields.bytes.subarray(fields.dataStart, fields.dataEnd)) });
  };
  const framer = createFramer((whole) => {
    pieces.push(whole.bytes.subarray(whole.start, whole.end));
    take(whole);
  }, 1_000_000);
  for (const chunk of chunks) framer.push(chunk);
  const rest = framer.rest();
  if (rest) {
    pieces.push(rest);
    take({ bytes: rest, start: 0, end: rest.length, mayHaveCr: true });
  }
  return { events, bytes: joinBytes(pieces) };
}

const line = fc.oneof(
  fc.constantFrom(
    '',
    'data',
    'data:',
    'data: a',
    'data:b',
    'data:  c',
    'event: x',
    'event:',
    'event',
    ': note',
    'id: 7',
    'retry: 10',
    'datas: no',
    ' data: no',
  ),
  fc.string({ unit: 'binary' }).map((text) => `data: ${text.replaceAll(/[\r\n\ufeff]/g, '')}`),
);
const stream = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 30 })
  .map((lines) => lines.map(([text, newline]) => text + newline).join(''));
const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 20 });

function cut(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const sorted = [...new Set(places)].filter((place) => place < bytes.length).toSorted((a, b) => a - b);
  return [0, ...sorted].map((place, index) => bytes.subarray(place, sorted[index] ?? bytes.length));
}

describe('reading events', () => {
  test.each([
    [
      'LF',
      'event: a\ndata: 1\n\ndata: 2\n\n',
      [
        ['a', '1'],
        [null, '2'],
      ],
    ],
    [
      'CR',
      'event: a\rdata: 1\r\rdata: 2\r\r',
      [
        ['a', '1'],
        [null, '2'],
      ],
    ],
    [
      'CRLF',
      'event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n',
      [
        ['a', '1'],
        [null, '2'],
      ],
    ],
    ['a byte order mark', '\ufeffdata: 1\n\n', [[null, '1']]],
    ['comments, ids and retry times', ': hi\n\nretry: 1\nid: 2\ndata: 1\n\n', [[null, '1']]],
    ['several data lines', 'data: 1\ndata:\ndata: 3\n\n', [[null, '1\n\n3']]],
    ['no space behind the colon', 'event:a\ndata:1\n\n', [['a', '1']]],
    ['a line separator inside data', 'data: a\u2028b\u2029\n\n', [[null, 'a\u2028b\u2029']]],
    [
      'a last event without its blank line',
      'data: 1\n\ndata: 2',
      [
        [null, '1'],
        [null, '2'],
      ],
    ],
  ])('U30 takes %s', (_, text, expected) => {
    for (const chunks of [[bytesOf(text)], [...bytesOf(text)].map((byte) => Uint8Array.of(byte))]) {
      expect(read(chunks).map(({ name, data }) => [name, data])).toEqual(expected);
      expect(frame(chunks).events.map(({ name, data }) => [name, data])).toEqual(expected);
    }
  });

  test('U30 any cut of the bytes gives the same events', () => {
    fc.assert(
      fc.property(stream, cuts, (text, places) => {
        const bytes = bytesOf(text);
        expect(read(cut(bytes, places))).toEqual(read([bytes]));
      }),
    );
  });

  test('U30 the splice frames what the reader reads, and loses no byte', () => {
    fc.assert(
      fc.property(stream, cuts, (text, places) => {
        const bytes = bytesOf(text);
        const framed = frame(cut(bytes, places));
        expect(framed.events).toEqual(read([bytes]));
        expect(framed.bytes).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test('no bytes make the reader or the framer throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 }), (chunks) => {
        expect(frame(chunks).bytes).toEqual(joinBytes(chunks));
        expect(read(chunks)).toBeInstanceOf(Array);
      }),
    );
  });

  test('an event over the limit is not kept in memory', () => {
    const events: SseEvent[] = [];
    const reader = createSseReader((event) => events.push(event), 1_000);
    reader.push(bytesOf('data: 1\n\n'));
    for (let count = 0; count < 50; count++) reader.push(bytesOf(`data: ${'x'.repeat(100)}`));
    reader.end();
    expect([events.length, reader.overflowed]).toEqual([1, true]);
  });
});
