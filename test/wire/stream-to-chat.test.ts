import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { foldChat, parseFrames } from '../support/golden.ts';
import type { TestEvent } from './run-passage.ts';
import { bytesOf, planFor, responsesStream, runPassage, testDeps } from './run-passage.ts';

const created = { type: 'response.created', response: { id: 'resp_9', model: 'gpt-x', created_at: 1_700_000_000, status: 'in_progress' } };
const usage = {
  input_tokens: 900,
  input_tokens_details: { cached_tokens: 640, cache_write_tokens: 200 },
  output_tokens: 50,
  output_tokens_details: { reasoning_tokens: 12 },
};
function completed(output: readonly object[] = [], more: object = {}) {
  return { type: 'response.completed', response: { id: 'resp_9', model: 'gpt-x', status: 'completed', output, usage, ...more } };
}
function text(delta: string, output_index = 0, content_index = 0) {
  return { type: 'response.output_text.delta', item_id: `msg_${output_index}`, output_index, content_index, delta };
}
function call(name: string, item: object = {}) {
  return { type: 'function_call', id: 'fc_1', call_id: 'call_1', name, arguments: '', status: 'in_progress', ...item };
}

function run(plan: Partial<AnswerPlan>, ...events: readonly TestEvent[]) {
  return runPassage(createPassage(planFor(plan), testDeps()), [responsesStream([created, ...events])]);
}
function chunksIn(sse: string): readonly JsonObject[] {
  return parseFrames(sse)
    .map(({ data }) => parseJsonObject(data))
    .filter((chunk) => chunk !== undefined);
}
function deltasIn(sse: string): readonly unknown[] {
  return chunksIn(sse).flatMap((chunk) => (arrayAt(chunk, 'choices') ?? []).map((choice) => objectAt(choice, 'delta')));
}

function raw(type: string) {
  return { type, output_index: 0, content_index: 0, delta: 'raw' };
}
function summaryDelta(delta: string, summary_index: number) {
  return { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index, delta };
}
function contentWith(stop: readonly string[], ...pieces: readonly string[]) {
  const told = run({ stop }, ...pieces.map((piece) => text(piece)), completed());
  const { content, finish_reason, done } = foldChat(told.text);
  return [content ?? '', finish_reason, done];
}

describe('a Responses stream for a chat client', () => {
  test('writes one event at a time, in LF, without event lines', () => {
    const told = run({}, text('a'), text('b'), completed());
    expect(told.pieces.every((piece) => /^data: [^\r\n]+\n\n$/.test(piece))).toBe(true);
    expect(told.pieces).toHaveLength(5);
  });

  test('keeps finish, usage and [DONE] for the end', () => {
    const told = run({ includeUsage: true }, text('a'), completed());
    expect(told.last?.split('\n\n').length).toBe(4);
    expect(foldChat(told.text)).toMatchObject({
      id_prefix: 'chatcmpl-',
      created: 1_700_000_000,
      model: 'gpt-x',
      finish_reason: 'stop',
      done: true,
      usage_chunk_choices_empty: true,
      usage_null_on_other_chunks: true,
      usage: {
        prompt_tokens: 900,
        completion_tokens: 50,
        total_tokens: 950,
        prompt_tokens_details: { cached_tokens: 640, cache_write_tokens: 200 },
        completion_tokens_details: { reasoning_tokens: 12 },
      },
    });
  });

  test('has no usage key for a client that did not ask', () => {
    expect(run({}, text('a'), completed()).text).not.toContain('usage');
  });

  test('tells the tier that served', () => {
    expect(foldChat(run({}, text('a'), completed([], { service_tier: 'priority' })).text)['service_tier']).toBe('priority');
  });

  test('says the role once, with null content where a call comes first', () => {
    const roles = [
      run({}, text('a'), completed()),
      run({}, { type: 'response.output_item.added', output_index: 0, item: call('f') }, completed()),
    ].map(({ text: sse }) => deltasIn(sse).filter((delta) => isJsonObject(delta) && delta['role'] !== undefined));
    expect(roles).toEqual([[{ role: 'assistant', content: '' }], [{ role: 'assistant', content: null }]]);
  });

  test('says the model it was asked for where the upstream names none', () => {
    const sse = runPassage(createPassage(planFor({}), testDeps()), [responsesStream([text('a'), { type: 'response.completed' }])]).text;
    expect(foldChat(sse)).toMatchObject({ model: 'asked', created: 1_700_000_100, id_prefix: 'chatcmpl-' });
  });

  test('is committed by content, not by silence', () => {
    const silent = [created, { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', id: 'rs', summary: [] } }];
    const passage = createPassage(planFor({}), testDeps());
    passage.push(bytesOf(responsesStream(silent)));
    expect(passage.seen.meaningful).toBe(false);
    passage.push(bytesOf(responsesStream([text('a', 1)])));
    expect(passage.seen.meaningful).toBe(true);
  });

  test('tells interleaved calls apart by place, item or call id', () => {
    const told = run(
      {},
      { type: 'response.output_item.added', output_index: 3, item: call('f') },
      { type: 'response.output_item.added', output_index: 7, item: call('g', { id: 'fc_2', call_id: 'call_2' }) },
      { type: 'response.function_call_arguments.delta', item_id: 'fc_2', delta: '{"b":' },
      { type: 'response.function_call_arguments.delta', output_index: 3, delta: '{"a":' },
      { type: 'response.function_call_arguments.delta', call_id: 'call_2', delta: '2}' },
      { type: 'response.function_call_arguments.done', item_id: 'fc_1', arguments: '{"a":1}' },
      completed(),
    );
    expect(foldChat(told.text).tool_calls).toEqual([
      { index: 0, id: 'call_1', type: 'function', name: 'f', arguments: '{"a":1}' },
      { index: 1, id: 'call_2', type: 'function', name: 'g', arguments: '{"b":2}' },
    ]);
  });

  test('sends nothing for a snapshot that contradicts what was sent', () => {
    const told = run(
      {},
      text('abc'),
      { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'xyzxyz' },
      completed(),
    );
    expect(foldChat(told.text).content).toBe('abc');
  });

  test('sends the missing end of a text and of arguments', () => {
    const told = run(
      {},
      text('ab'),
      { type: 'response.output_item.done', output_index: 0, item: { type: 'message', content: [{ type: 'output_text', text: 'abc' }] } },
      { type: 'response.output_item.added', output_index: 1, item: call('f') },
      { type: 'response.function_call_arguments.delta', output_index: 1, delta: '{"a"' },
      completed([
        { type: 'message', id: 'msg_0', content: [{ type: 'output_text', text: 'abc' }] },
        call('f', { arguments: '{"a":1}', status: 'completed' }),
      ]),
    );
    expect(foldChat(told.text)).toMatchObject({ content: 'abc', tool_calls: [{ arguments: '{"a":1}' }], finish_reason: 'tool_calls' });
  });

  test('a finished call without arguments is told as one at once, not only at the end of the answer', () => {
    const passage = createPassage(planFor({}), testDeps());
    const done = { type: 'response.output_item.done', output_index: 0, item: call('f', { status: 'completed' }) };
    const { out, last } = passage.push(bytesOf(responsesStream([created, done])));
    expect(last).toBeNull();
    expect(foldChat(out.map((piece) => new TextDecoder().decode(piece)).join('')).tool_calls[0]?.arguments).toBe('{}');
  });

  test('a finished call without arguments is an empty object, a cut one is not', () => {
    const added = { type: 'response.output_item.added', output_index: 0, item: call('f') };
    const cut = { type: 'response.incomplete', response: { incomplete_details: { reason: 'max_output_tokens' } } };
    expect([completed(), cut].map((end) => foldChat(run({}, added, end).text).tool_calls[0]?.arguments)).toEqual(['{}', '']);
  });

  test.each([
    ['max_output_tokens', 'length'],
    ['max_tokens', 'length'],
    ['content_filter', 'content_filter'],
    ['steered', 'stop'],
    [undefined, 'stop'],
  ])('incomplete for %s finishes as %s, also behind a call', (reason, finish) => {
    const added = { type: 'response.output_item.added', output_index: 0, item: call('f') };
    const told = run({}, added, { type: 'response.incomplete', response: { incomplete_details: { reason }, usage } });
    expect(foldChat(told.text).finish_reason).toBe(finish);
    expect(told.seen.terminal).toBe('incomplete');
  });

  test('parts of reasoning and of text stand apart by a blank line', () => {
    const told = run(
      {},
      summaryDelta('a', 0),
      summaryDelta('b', 0),
      summaryDelta('c', 1),
      text('x', 1, 0),
      text('y', 1, 1),
      text('z', 2, 0),
      completed(),
    );
    expect(foldChat(told.text)).toMatchObject({ reasoning_content: 'ab\n\nc', content: 'x\n\ny\n\nz' });
  });

  test('raw reasoning is told only where there is no summary', () => {
    const summary = { type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index: 0, delta: 'sum' };
    expect(foldChat(run({}, raw('response.reasoning_text.delta'), completed()).text)['reasoning_content']).toBe('raw');
    expect(foldChat(run({}, raw('response.reasoning.delta'), completed()).text)['reasoning_content']).toBe('raw');
    expect(foldChat(run({}, summary, raw('response.reasoning_text.delta'), completed()).text)['reasoning_content']).toBe('sum');
  });

  test('citations count from the start of the whole content', () => {
    const annotation = { type: 'url_citation', url: 'https://a.test', title: 'A', start_index: 0, end_index: 2 };
    const added = { type: 'response.output_text.annotation.added', output_index: 1, content_index: 0, annotation };
    const done = {
      type: 'response.output_item.done',
      output_index: 1,
      item: { type: 'message', content: [{ type: 'output_text', text: 'two', annotations: [annotation] }] },
    };
    const told = run({}, text('one', 0), text('two', 1), added, done, { ...added, annotation: { type: 'file_citation' } }, completed());
    expect(foldChat(told.text)['annotations']).toEqual([
      { type: 'url_citation', url_citation: { url: 'https://a.test', title: 'A', start_index: 5, end_index: 7 } },
    ]);
  });

  test('log probabilities ride on their text', () => {
    const logprobs = [{ token: 'a', logprob: -1, bytes: null, top_logprobs: [] }];
    const told = run({}, { ...text('a'), logprobs }, completed());
    expect(
      chunksIn(told.text)
        .flatMap((chunk) => arrayAt(chunk, 'choices') ?? [])
        .map((choice) => objectAt(choice, 'logprobs'))
        .filter(Boolean),
    ).toEqual([{ content: logprobs, refusal: null }]);
  });

  test('an image is told once', () => {
    const item = { type: 'image_generation_call', id: 'ig', result: 'QUJD', output_format: 'webp' };
    const told = run({}, { type: 'response.output_item.done', output_index: 0, item }, completed([item]));
    expect(told.text.split('data:image/webp;base64,QUJD')).toHaveLength(2);
  });

  test('names and call ids come back as the client gave them, and no tool of Object.prototype is taken for one', () => {
    const plan = { toolNames: { short: { name: 'a_very_long_name', namespace: null } }, callIds: { call_1: 'the-long-id' } };
    const told = run(
      plan,
      { type: 'response.output_item.added', output_index: 0, item: call('short') },
      { type: 'response.output_item.added', output_index: 1, item: call('constructor', { id: 'fc_2', call_id: 'toString' }) },
      completed(),
    );
    expect(foldChat(told.text).tool_calls).toMatchObject([
      { id: 'the-long-id', name: 'a_very_long_name' },
      { id: 'toString', name: 'constructor', type: 'function' },
    ]);
  });

  test('a custom call is native where the tool was declared nested, and a function where it was declared flat', () => {
    const item = { type: 'custom_tool_call', id: 'ctc', call_id: 'call_1', name: 'patch', input: '' };
    const events = [
      { type: 'response.output_item.added', output_index: 0, item },
      { type: 'response.custom_tool_call_input.delta', output_index: 0, delta: '*** ' },
      { type: 'response.output_item.done', output_index: 0, item: { ...item, input: '*** Begin' } },
      completed(),
    ];
    const calls = (['nested', 'flat'] as const).map((kind) =>
      deltasIn(run({ customTools: { patch: kind } }, ...events).text).flatMap((delta) => arrayAt(delta, 'tool_calls') ?? []),
    );
    expect(calls).toEqual([
      [
        { index: 0, id: 'call_1', type: 'custom', custom: { name: 'patch', input: '' } },
        { index: 0, custom: { input: '*** ' } },
        { index: 0, custom: { input: 'Begin' } },
      ],
      [
        { index: 0, id: 'call_1', type: 'function', function: { name: 'patch', arguments: '' } },
        { index: 0, function: { arguments: '*** ' } },
        { index: 0, function: { arguments: 'Begin' } },
      ],
    ]);
  });

  test('a client of 2023 gets one function_call', () => {
    const told = run(
      { legacyFunctions: true },
      { type: 'response.output_item.done', output_index: 0, item: call('f', { arguments: '{"a":1}', status: 'completed' }) },
      { type: 'response.output_item.done', output_index: 1, item: call('g', { id: 'x', call_id: 'y', arguments: '{}' }) },
      completed(),
    );
    expect(deltasIn(told.text)).toEqual([
      { role: 'assistant', content: null },
      { function_call: { name: 'f', arguments: '' } },
      { function_call: { arguments: '{"a":1}' } },
      {},
    ]);
    expect(foldChat(told.text).finish_reason).toBe('function_call');
  });

  test('reasoning items are remembered for the next turn', () => {
    const thought = { type: 'reasoning', id: 'rs', summary: [], encrypted_content: 'gAAA' };
    const passage = createPassage(planFor({}), testDeps());
    runPassage(passage, [
      responsesStream([created, { type: 'response.output_item.done', output_index: 0, item: thought }, text('a', 1), completed()]),
    ]);
    expect(passage.items()).toEqual([thought]);
  });

  test.each([
    [
      'response.failed',
      { response: { error: { code: 'server_error', message: 'boom' } } },
      { message: 'boom', type: 'server_error', param: null, code: 'server_error' },
    ],
    [
      'error',
      { code: 'rate_limit_exceeded', message: 'slow', param: null },
      { message: 'slow', type: 'rate_limit_error', param: null, code: 'rate_limit_exceeded' },
    ],
    ['response.cancelled', {}, { type: 'server_error', code: 'upstream_error' }],
  ])('%s ends the stream with a bare error frame', (type, event, error) => {
    const told = run({}, text('a'), { type, ...event }, completed());
    const [frame] = parseFrames(told.last ?? '');
    expect(parseJsonObject(frame?.data ?? '')).toMatchObject({ error });
    expect(told.last).not.toMatch(/choices|DONE/);
    expect(told.seen.terminal).toBe('failed');
  });

  test('U31 an event that is no JSON ends the answer as an invalid response', () => {
    const told = runPassage(createPassage(planFor({}), testDeps()), [
      responsesStream([created, text('a')]),
      'data: {"type":\n\n',
      responsesStream([completed()]),
    ]);
    expect(told.seen).toMatchObject({ terminal: 'failed', failure: { code: 'upstream_invalid_response' } });
    expect(foldChat(told.text)).toMatchObject({ content: 'a', done: false, error: { code: 'upstream_invalid_response' } });
  });

  test('padding the platform adds against eavesdroppers does not reach the client', () => {
    expect(run({}, { ...text('a'), obfuscation: 'zzzz' }, completed()).text).not.toContain('obfuscation');
  });
});

describe('stop sequences', () => {
  test.each([
    [['END'], ['one E', 'N', 'D two'], 'one '],
    [['END'], ['one EN', 'X'], 'one ENX'],
    [['b', 'abc'], ['xa', 'b'], 'xa'],
    [['\n\n'], ['a\n', '\nb'], 'a'],
    [['END'], ['E'], 'E'],
    [['', 'Z'], ['a'], 'a'],
  ])('%j cuts %j to %j', (stop, pieces, expected) => {
    expect(contentWith(stop, ...pieces)).toEqual([expected, 'stop', true]);
  });

  test('a hit ends the answer at once, so that the upstream can be let go', () => {
    const passage = createPassage(planFor({ stop: ['END'] }), testDeps());
    const { last } = passage.push(bytesOf(responsesStream([created, text('aENDb')])));
    expect(last).not.toBeNull();
    expect(passage.seen.terminal).toBe('completed');
  });

  test('however the text comes in pieces, it is cut at the first sequence', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), { minLength: 1 }), (pieces) => {
        const whole = pieces.join('');
        const hits = ['abc', 'cc'].map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
        expect(contentWith(['abc', 'cc'], ...pieces)[0]).toBe(hits.length > 0 ? whole.slice(0, Math.min(...hits)) : whole);
      }),
    );
  });
});
