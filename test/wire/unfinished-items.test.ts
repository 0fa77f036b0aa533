import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { FrameFields } from '../../src/wire/splice-framer.ts';
import { createUnfinishedItems } from '../../src/wire/unfinished-items.ts';
import { parseFrames } from '../support/golden.ts';
import type { TestEvent } from './run-passage.ts';
import { bytesOf, planFor, responsesStream, runPassage, testDeps } from './run-passage.ts';

const MESSAGE = { type: 'message', id: 'msg_1', role: 'assistant', status: 'in_progress', content: [] };
const CALL = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'run', arguments: '', status: 'in_progress' };
const TEXT = [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }];
const MESSAGE_DONE = { ...MESSAGE, status: 'completed', content: TEXT };
const CALL_DONE = { ...CALL, status: 'completed', arguments: '{"a":1}' };

const added = (output_index: number, item: object): TestEvent => ({ type: 'response.output_item.added', output_index, item });
const done = (output_index: number, item: object): TestEvent => ({ type: 'response.output_item.done', output_index, item });
const text = (delta: string, output_index = 0): TestEvent =>
  ({ type: 'response.output_text.delta', output_index, content_index: 0, item_id: 'msg_1', delta });
const words = (delta: string, output_index = 1): TestEvent =>
  ({ type: 'response.function_call_arguments.delta', output_index, item_id: 'fc_1', delta });
const whole = [added(0, MESSAGE), text('Hel'), text('lo'), added(1, CALL), words('{"a"'), words(':1}')];

function told(events: readonly TestEvent[], end: object = {}): { readonly output: unknown; readonly stored: unknown } {
  const response = { id: 'resp_1', object: 'response', model: 'm', status: 'completed', output: [], ...end };
  const passage = createPassage(planFor({ clientWire: 'responses', dialect: 'codex' }), testDeps());
  const stream = responsesStream([{ type: 'response.created', response: { id: 'resp_1', output: [] } }, ...events, { type: `response.${response.status}`, response }]);
  const { last } = runPassage(passage, [stream.slice(0, 400), stream.slice(400)]);
  const terminal = parseJsonObject(parseFrames(last ?? '')[0]?.data ?? '');
  return { output: objectAt(terminal, 'response')?.['output'], stored: passage.response()?.['output'] };
}

describe('the empty output of a terminal event of the ChatGPT backend, told to a plain client', () => {
  test.each<readonly [string, readonly TestEvent[], readonly JsonObject[]]>([
    ['is filled with the items that were finished', [...whole, done(0, MESSAGE_DONE), done(1, CALL_DONE)], [MESSAGE_DONE, CALL_DONE]],
    ['and with those whose end never came, from their deltas', whole, [MESSAGE_DONE, CALL_DONE]],
    ['and with both in their order, the first unfinished', [...whole, done(1, CALL_DONE)], [MESSAGE_DONE, CALL_DONE]],
    ['and with both in their order, the last unfinished', [...whole, done(0, MESSAGE_DONE)], [MESSAGE_DONE, CALL_DONE]],
    ['also where items were never opened', [text('Hel'), text('lo')], [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: TEXT }]],
    ['and a finished item is what its end says, whatever its deltas were', [added(0, MESSAGE), text('other'), done(0, MESSAGE_DONE), text('late')], [MESSAGE_DONE]],
  ])('%s', (_name, events, output) => {
    expect(told(events)).toEqual({ output, stored: output });
  });

  test('an item of an answer that was cut is cut as well', () => {
    expect(told([added(1, CALL), words('{"a"')], { status: 'incomplete' }).output).toEqual([{ ...CALL, status: 'incomplete', arguments: '{"a"' }]);
  });

  test('a list that is told wins', () => {
    expect(told(whole, { output: [MESSAGE_DONE] }).output).toEqual([MESSAGE_DONE]);
  });
});

describe('what is kept of unfinished items', () => {
  const fieldsOf = (event: TestEvent): FrameFields => {
    const bytes = bytesOf(JSON.stringify(event));
    return { bytes, nameStart: 0, nameEnd: 0, dataStart: 0, dataEnd: bytes.length };
  };

  test('is nothing once all that were opened are finished', () => {
    const items = createUnfinishedItems();
    items.opened(fieldsOf(added(0, MESSAGE)));
    items.delta(fieldsOf(text('x')));
    items.finished(parseJsonObject(JSON.stringify(done(0, MESSAGE_DONE))) ?? {});
    expect(items.rest('completed')).toEqual([]);
  });

  test('is bounded: past the bound nothing is rebuilt, and the next item is kept again', () => {
    const items = createUnfinishedItems(1_000);
    items.opened(fieldsOf(added(0, MESSAGE)));
    items.delta(fieldsOf(text('x'.repeat(1_000))));
    items.delta(fieldsOf(text('y')));
    expect(items.rest('completed')).toEqual([]);
    items.finished(parseJsonObject(JSON.stringify(done(0, MESSAGE_DONE))) ?? {});
    items.opened(fieldsOf(added(1, CALL)));
    items.delta(fieldsOf(words('{"a":1}')));
    expect(items.rest('completed')).toEqual([done(1, CALL_DONE)]);
  });
});
