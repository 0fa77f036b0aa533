import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { compactionItem, summaryIn } from '../../src/wire/compaction.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { Passage } from '../../src/wire/passage.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { AnswerPlan, PreparedRequest, RequestMemory, Target } from '../../src/wire/prepared-request.ts';
import { EMPTY_MEMORY, responsesCall, targetOf } from './request-fixtures.ts';
import { chatStream, chunkOf, planFor, responsesStream, runPassage, testDeps } from './run-passage.ts';

const user = (text: string): JsonObject => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
const CALL = { index: 0, id: 'c', function: { name: 'f', arguments: '{}' } };
const TRIGGER: JsonObject = { type: 'compaction_trigger' };

function compact(body: JsonObject, target: Target, memory: RequestMemory = EMPTY_MEMORY): PreparedRequest {
  return prepareRequest(responsesCall({ model: 'gpt-x', ...body }, { endpoint: 'compact' }), target, memory);
}

function eventsIn(text: string): readonly JsonObject[] {
  const frames = text.split('\n\n').filter((frame) => frame !== '');
  return frames.map((frame) => parseJsonObject(frame.slice(frame.indexOf('data: ') + 6)) ?? {});
}

/** The passage of a summary that a chat upstream streams, unless said otherwise. */
function passageFor(change: Partial<AnswerPlan>): Passage {
  return createPassage(planFor({ clientWire: 'responses', upstreamWire: 'chat', dialect: 'chat-generic', ...change }), testDeps());
}

describe('a compaction an upstream cannot do is asked for as a summary', () => {
  test('the whole history goes along, tools and formats stay behind, and the question comes last', () => {
    const call: JsonObject = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' };
    const { body, answer, changed } = compact({
      instructions: 'Be kind.', input: [user('first'), call, { type: 'function_call_output', call_id: 'c', output: 'done' }],
      tools: [{ type: 'function', name: 'f', parameters: {} }], tool_choice: 'required', text: { format: { type: 'json_object' } },
    }, targetOf('chat-generic'));
    const messages = arrayAt(body, 'messages') ?? [];
    expect(messages.slice(0, 4)).toMatchObject([
      { role: 'system', content: 'Be kind.' }, { role: 'user', content: 'first' }, { role: 'assistant', tool_calls: [{ id: 'c' }] },
      { role: 'tool', tool_call_id: 'c', content: 'done' },
    ]);
    expect(messages.at(-1)).toMatchObject({ role: 'user', content: expect.stringMatching(/summary/) });
    expect(body).not.toHaveProperty('tools');
    expect(body).not.toHaveProperty('response_format');
    expect(changed).toBe(true);
    expect(answer).toMatchObject({ compaction: 'object', upstreamStream: false });
  });

  test('a trigger at the end of the input asks for it too, and is not itself part of the history', () => {
    const { body, answer } = prepareRequest(
      responsesCall({ model: 'gpt-x', stream: true, input: [user('x'), TRIGGER] }), targetOf('chat-generic'), EMPTY_MEMORY,
    );
    expect(answer).toMatchObject({ compaction: 'item', clientStream: true, upstreamStream: true });
    expect(arrayAt(body, 'messages')).toHaveLength(2);
  });

  test('a trigger of an earlier request says nothing to a chat upstream', () => {
    const { body, answer } = prepareRequest(
      responsesCall({ model: 'gpt-x', input: [TRIGGER, user('x')] }), targetOf('chat-generic'), EMPTY_MEMORY,
    );
    expect(answer.compaction).toBeUndefined();
    expect(body['messages']).toEqual([{ role: 'user', content: 'x' }]);
  });

  test('what the conversation continues is written out first', () => {
    const memory: RequestMemory = { ...EMPTY_MEMORY, storedResponse: () => ({ input: [user('before')], output: [] }) };
    const { body } = compact({ previous_response_id: 'resp_1' }, targetOf('chat-generic'), memory);
    expect(arrayAt(body, 'messages')?.[0]).toEqual({ role: 'user', content: 'before' });
  });

  test('an upstream that compacts by itself is left to it; one that only speaks Responses is not', () => {
    const body = { model: 'gpt-x', input: [user('x'), TRIGGER] };
    for (const dialect of ['codex', 'openai'] as const) {
      const prepared = prepareRequest(responsesCall(body), targetOf(dialect), EMPTY_MEMORY);
      expect(prepared.answer.compaction).toBeUndefined();
      expect(arrayAt(prepared.body, 'input')?.at(-1)).toEqual(TRIGGER);
    }
    const asked = compact({ input: 'x' }, targetOf('openai', { compacts: false }));
    expect(asked.answer.compaction).toBe('object');
    expect(arrayAt(asked.body, 'input')).toHaveLength(2);
    expect(asked.body['store']).toBe(false);
  });

  test('the ChatGPT backend gets a list without system, and instructions, also from clients that send neither', () => {
    const { body } = compact({ input: [{ role: 'system', content: 'rules' }, user('x')] }, targetOf('codex'));
    expect(body).toMatchObject({ instructions: '', input: [{ role: 'developer' }, user('x')] });
  });
});

describe('the answer is one compaction item', () => {
  const chat = chatStream([chunkOf({ role: 'assistant', content: 'All ' }), chunkOf({ content: 'of it.' }), chunkOf({}, 'stop'), {
    choices: [], usage: { prompt_tokens: 90, completion_tokens: 7, total_tokens: 97 },
  }]);
  const usage = { input_tokens: 90, output_tokens: 7, total_tokens: 97 };

  test('in a stream: exactly one item, in a response that completes, and nothing before it is whole', () => {
    const passage = passageFor({ compaction: 'item' });
    const half = passage.push(new TextEncoder().encode(chat.slice(0, chat.length / 2)));
    expect(half).toEqual({ out: [], last: null });
    expect(passage.seen.meaningful).toBe(false);
    const told = runPassage(passageFor({ compaction: 'item' }), [chat]);
    const events = eventsIn(told.text);
    expect(events.map(({ type }) => type)).toEqual([
      'response.created', 'response.in_progress', 'response.output_item.added', 'response.output_item.done', 'response.completed',
    ]);
    const output = arrayAt(objectAt(events.at(-1), 'response'), 'output') ?? [];
    const sealed = expect.stringMatching(/^relay1\./);
    expect(output).toEqual([{ type: 'compaction', id: expect.stringMatching(/^cmp_/), encrypted_content: sealed }]);
    expect(summaryIn(output[0] ?? null)).toMatch(/conversation so far:\n\nAll of it\.$/);
    expect(objectAt(events.at(-1), 'response')).toMatchObject({ status: 'completed', usage });
    expect(told.seen).toMatchObject({ terminal: 'completed', meaningful: true, usage: { prompt_tokens: 90 } });
  });

  test('by the endpoint: a response.compaction object with the usage of the summary, from a stream and from a whole answer', () => {
    const message = { role: 'assistant', content: 'All of it.' };
    const completion = JSON.stringify({
      id: 'cc', model: 'm', created: 1_700_000_000, choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: 90, completion_tokens: 7, total_tokens: 97 },
    });
    for (const [upstreamStream, body] of [[true, chat], [false, completion]] as const) {
      const passage = passageFor({ clientStream: false, upstreamStream, compaction: 'object' });
      const told = parseJsonObject(runPassage(passage, [body]).text);
      expect(told).toMatchObject({ object: 'response.compaction', created_at: 1_700_000_000, output: [{ type: 'compaction' }], usage });
      expect(told?.id).toMatch(/^resp_/);
      expect(arrayAt(told, 'output')).toHaveLength(1);
    }
  });

  test('an upstream that speaks Responses and cannot compact is read as well', () => {
    const output = [{ type: 'reasoning', id: 'rs', summary: [{ type: 'summary_text', text: 'not this' }] }, {
      type: 'message', id: 'm', role: 'assistant', content: [{ type: 'output_text', text: 'All of it.' }],
    }];
    const stream = responsesStream([{ type: 'response.created', response: { id: 'resp_up', status: 'in_progress' } }, {
      type: 'response.completed', response: { id: 'resp_up', status: 'completed', output, usage: { input_tokens: 3 } },
    }]);
    const passage = passageFor({ upstreamWire: 'responses', dialect: 'openai', clientStream: false, compaction: 'object' });
    const told = parseJsonObject(runPassage(passage, [stream]).text);
    expect(told).toMatchObject({ object: 'response.compaction', usage: { input_tokens: 3 } });
    expect(summaryIn(arrayAt(told, 'output')?.[0] ?? null)).toMatch(/:\n\nAll of it\.$/);
  });

  test.each([
    ['half a summary', chatStream([chunkOf({ content: 'Half' }), chunkOf({}, 'length')]), /middle of the summary/],
    ['no summary', chatStream([chunkOf({ content: ' ' }), chunkOf({}, 'stop')]), /no summary/],
    ['a call in place of one', chatStream([chunkOf({ tool_calls: [CALL] }), chunkOf({}, 'tool_calls')]), /no summary/],
    ['an error', 'data: {"error":{"message":"on fire","code":500}}\n\n', /on fire/],
  ])('%s is a failure before the commit point, told in the client\'s own form', (_name, stream, message) => {
    for (const clientStream of [true, false]) {
      const passage = passageFor({ clientStream, compaction: clientStream ? 'item' : 'object' });
      const told = runPassage(passage, [stream]);
      expect(told.seen).toMatchObject({ meaningful: false, terminal: 'failed' });
      expect(told.seen.failure?.message).toMatch(message);
      expect(told.text).toMatch(clientStream ? /^event: response\.failed\n/ : /^\{"error":/);
      expect(passage.items()).toEqual([]);
      expect(passage.response()).toBeNull();
    }
  });

  test('a summary that is cut off is a truncation, not a compaction', () => {
    const told = runPassage(passageFor({ compaction: 'item' }), [chat.slice(0, chat.indexOf('data: ', 10))]);
    expect(told).toMatchObject({ text: '', last: null, seen: { terminal: null, meaningful: false } });
  });
});

describe('Relay\'s own compaction is understood again', () => {
  const ours = compactionItem('cmp_1', 'We built a shed.');

  test('by a chat upstream as the system\'s words, by a Responses upstream as the developer\'s', () => {
    const body = { model: 'gpt-x', input: [ours, user('go on')] };
    const chat = prepareRequest(responsesCall(body), targetOf('chat-generic'), EMPTY_MEMORY);
    expect(arrayAt(chat.body, 'messages')?.[0]).toEqual({ role: 'system', content: expect.stringContaining('We built a shed.') });
    for (const dialect of ['codex', 'openai'] as const) {
      const { body: sent } = prepareRequest(responsesCall(body), targetOf(dialect), EMPTY_MEMORY);
      expect(arrayAt(sent, 'input')).toMatchObject([
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: expect.stringContaining('We built a shed.') }] },
        { role: 'user' },
      ]);
      expect(JSON.stringify(sent)).not.toContain('relay1.');
    }
  });

  test('Codex itself gets it back to the ChatGPT backend in the open, too', () => {
    const call = responsesCall({ model: 'gpt-x', stream: true, store: false, input: [ours, user('go on')] }, { isCodex: true });
    const { body } = prepareRequest(call, targetOf('codex'), EMPTY_MEMORY);
    expect(stringAt(arrayAt(body, 'input')?.[0], 'role')).toBe('developer');
  });

  test('an upstream\'s own compaction is not taken for one of ours', () => {
    const theirs: JsonObject = { type: 'compaction', id: 'cmp_2', encrypted_content: 'gAAAA' };
    expect(summaryIn(theirs)).toBeUndefined();
    const { body } = prepareRequest(responsesCall({ model: 'gpt-x', input: [theirs, user('x')] }), targetOf('openai'), EMPTY_MEMORY);
    expect((arrayAt(body, 'input') ?? []).filter(isJsonObject)[0]).toBe(theirs);
  });
});
