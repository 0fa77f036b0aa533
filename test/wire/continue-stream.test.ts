import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { beginStream } from '../../src/wire/continue-stream.ts';
import type { Passage } from '../../src/wire/passage.ts';
import { nothingSeen } from '../../src/wire/passage.ts';
import { toBytes } from '../../src/wire/sse-writer.ts';

/** A passage that hands its bytes on, and ends with the last piece of a push that says so. */
function plainPassage(): Passage {
  const seen = nothingSeen();
  return {
    seen, items: () => [], response: () => ({ id: 'resp_second', object: 'response' }), errorFrame: () => toBytes('unused'),
    push: (chunk) => ({ out: [chunk], last: null }),
    end: () => ({ out: [], last: [toBytes(frame({ type: 'response.completed', sequence_number: 9, response: { id: 'resp_second', status: 'completed' } }))] }),
  };
}

function frame(event: JsonObject): string {
  return `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`;
}

function eventsIn(pieces: readonly Uint8Array[]): JsonObject[] {
  const text = pieces.map((piece) => new TextDecoder().decode(piece)).join('');
  return text.split('\n\n').filter((part) => part !== '' && !part.includes('[DONE]')).map((part) => JSON.parse(part.slice(part.indexOf('data: ') + 6)) as JsonObject);
}

const CREATED = { type: 'response.created', sequence_number: 0, response: { id: 'resp_first', created_at: 7, status: 'in_progress' } };
const IN_PROGRESS = { type: 'response.in_progress', sequence_number: 1, response: { id: 'resp_first' } };

describe('a Responses stream whose beginning was sent', () => {
  const second: readonly JsonObject[] = [
    { type: 'response.created', sequence_number: 0, response: { id: 'resp_second' } },
    { type: 'response.in_progress', sequence_number: 1, response: { id: 'resp_second' } },
    { type: 'response.output_item.added', sequence_number: 2, output_index: 0, item: { id: 'msg_1', type: 'message' } },
    { type: 'response.output_text.delta', sequence_number: 3, item_id: 'msg_1', delta: 'Hi' },
  ];

  test('goes on with another answer under its own id and with its own numbers, and begins once', () => {
    const begun = beginStream('responses');
    begun.note([toBytes(frame(CREATED)), toBytes(': comment\n\n'), toBytes(frame(IN_PROGRESS))]);
    const passage = begun.goOn(plainPassage());
    const out = eventsIn(second.flatMap((event) => passage.push(toBytes(frame(event))).out));
    expect(out.map(({ type, sequence_number: number }) => [type, number])).toEqual([['response.output_item.added', 2], ['response.output_text.delta', 3]]);
    const last = eventsIn(passage.end().last ?? []);
    expect(last).toEqual([{ type: 'response.completed', sequence_number: 4, response: { id: 'resp_first', status: 'completed' } }]);
    expect(passage.response()).toMatchObject({ id: 'resp_first' });
    expect(passage.seen.responseId).toBe('resp_first');
  });

  test('is never ahead of what it told: numbers rise by one over any number of accounts', () => {
    const begun = beginStream('responses');
    begun.note([toBytes(frame(CREATED))]);
    const numbers = [1, 2, 3].flatMap(() => {
      const passage = begun.goOn(plainPassage());
      return eventsIn(second.flatMap((event) => passage.push(toBytes(frame(event))).out)).map(({ sequence_number: number }) => number);
    });
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('ends in an error of its own: the response it began, and the next number', () => {
    const begun = beginStream('responses');
    begun.note([toBytes(frame(CREATED)), toBytes(frame(IN_PROGRESS))]);
    const [error] = eventsIn([begun.errorFrame({ message: 'Nobody is left.', type: 'server_error', param: null, code: 'overloaded' })]);
    expect(error).toMatchObject({ type: 'response.failed', sequence_number: 2, response: { id: 'resp_first', status: 'failed', error: { code: 'overloaded' } } });
  });

  test('that had only comments takes the next answer whole', () => {
    const begun = beginStream('responses');
    begun.note([toBytes(': OPENROUTER PROCESSING\n\n')]);
    const passage = begun.goOn(plainPassage());
    const out = eventsIn(second.flatMap((event) => passage.push(toBytes(frame(event))).out));
    expect(out.map(({ type }) => type)).toEqual(second.map(({ type }) => type));
    expect(out[0]).toMatchObject({ response: { id: 'resp_second' } });
  });
});

describe('a chat stream whose beginning was sent', () => {
  const chunk = (delta: JsonObject, more: JsonObject = {}): JsonObject => ({
    id: 'chatcmpl-second', object: 'chat.completion.chunk', created: 99, model: 'm', choices: [{ index: 0, delta, finish_reason: null }], ...more,
  });
  const write = (event: JsonObject): Uint8Array => toBytes(`data: ${JSON.stringify(event)}\n\n`);

  test('goes on under its own id and time, and says once who speaks', () => {
    const begun = beginStream('chat');
    begun.note([write({ ...chunk({ role: 'assistant', content: '' }), id: 'chatcmpl-first', created: 7 })]);
    const passage = begun.goOn(plainPassage());
    const out = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hi' }), chunk({}, { choices: [], usage: { total_tokens: 3 } })]
      .flatMap((event) => passage.push(write(event)).out);
    expect(eventsIn(out)).toEqual([
      { ...chunk({ content: 'Hi' }), id: 'chatcmpl-first', created: 7 },
      { ...chunk({}, { choices: [], usage: { total_tokens: 3 } }), id: 'chatcmpl-first', created: 7 },
    ]);
  });

  test('keeps a first chunk that says more than who speaks, and the end of the stream', () => {
    const begun = beginStream('chat');
    begun.note([write({ ...chunk({ role: 'assistant' }), id: 'chatcmpl-first' })]);
    const passage = begun.goOn(plainPassage());
    expect(eventsIn(passage.push(write(chunk({ role: 'assistant', content: 'Hi' }))).out)).toHaveLength(1);
    expect(new TextDecoder().decode(passage.push(toBytes('data: [DONE]\n\n')).out[0])).toBe('data: [DONE]\n\n');
  });

  test('ends in a bare error', () => {
    const begun = beginStream('chat');
    begun.note([write(chunk({ role: 'assistant' }))]);
    expect(eventsIn([begun.errorFrame({ message: 'Gone.', type: 'server_error', param: null, code: 'overloaded' })])).toEqual([
      { error: { message: 'Gone.', type: 'server_error', param: null, code: 'overloaded' } },
    ]);
  });
});
