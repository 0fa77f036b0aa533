import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { PreparedRequest } from '../../src/wire/prepared-request.ts';
import { foldChat, parseFrames } from '../support/golden.ts';
import { chatCall, EMPTY_MEMORY, prepareResponses, responsesCall, targetOf } from './request-fixtures.ts';
import type { TestEvent, Told } from './run-passage.ts';
import { responsesStream, runPassage, testDeps } from './run-passage.ts';

const GRAMMAR = { type: 'grammar', syntax: 'lark', definition: 'start: "x"' };
const PATCH = { type: 'custom', name: 'apply_patch', description: 'Edits files.', format: GRAMMAR };
const PLAIN = { type: 'function', name: 'plain', parameters: { type: 'object', properties: {} }, strict: false };
const RAW = '*** Begin Patch\n{"a": "b"}\n*** End Patch';
const WRAPPED = JSON.stringify({ input: RAW });
const PARAMETERS = { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] };

function prepare(body: JsonObject): PreparedRequest {
  return prepareResponses({ tools: [PATCH, PLAIN], ...body }, 'openai', { customTools: 'wrapped' });
}

function tell(prepared: PreparedRequest, chunks: readonly string[]): Told {
  return runPassage(createPassage(prepared.answer, testDeps()), chunks);
}

const eventsIn = (text: string): readonly JsonObject[] =>
  parseFrames(text).map(({ data }) => parseJsonObject(data)).filter((event) => event !== undefined);

const CALL = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'apply_patch' };
const OTHER = { type: 'function_call', id: 'fc_2', call_id: 'call_2', name: 'plain', arguments: '{"input":"x"}', status: 'completed' };
const TOLD = { type: 'custom_tool_call', id: 'ctc_1', call_id: 'call_1', name: 'apply_patch', input: RAW, status: 'completed' };
const DONE = { ...CALL, arguments: WRAPPED, status: 'completed' };
const [HEAD, TAIL] = [WRAPPED.slice(0, 9), WRAPPED.slice(9)];

function answerOf(change: { readonly without?: readonly string[] } = {}): string {
  const response = { id: 'resp_1', object: 'response', model: 'm', status: 'in_progress', output: [], tools: [{ type: 'function', name: 'apply_patch' }] };
  const events: readonly TestEvent[] = [
    { type: 'response.created', response },
    { type: 'response.output_item.added', output_index: 0, item: { ...CALL, arguments: '', status: 'in_progress' } },
    { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: HEAD },
    { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: TAIL },
    { type: 'response.function_call_arguments.done', item_id: 'fc_1', output_index: 0, name: 'apply_patch', arguments: WRAPPED },
    { type: 'response.output_item.done', output_index: 0, item: DONE },
    { type: 'response.output_item.added', output_index: 1, item: { ...OTHER, arguments: '', status: 'in_progress' } },
    { type: 'response.function_call_arguments.delta', item_id: 'fc_2', output_index: 1, delta: '{"input":"x"}' },
    { type: 'response.function_call_arguments.done', item_id: 'fc_2', output_index: 1, name: 'plain', arguments: '{"input":"x"}' },
    { type: 'response.output_item.done', output_index: 1, item: OTHER },
    { type: 'response.completed', response: { ...response, status: 'completed', output: [DONE, OTHER], usage: null } },
  ];
  return responsesStream(events.filter(({ type }) => change.without?.includes(type) !== true));
}

describe('a request to a Responses upstream that does not know free-form tools', () => {
  test('declares them as functions with one string, and tells the grammar in words', () => {
    const { body, changed, answer } = prepare({});
    expect(changed).toBe(true);
    expect(body['tools']).toEqual([
      {
        type: 'function', name: 'apply_patch', parameters: PARAMETERS, strict: false,
        description: 'Edits files.\n\nSend the raw text in `input`.\n\nIt must match this lark grammar:\nstart: "x"',
      },
      PLAIN,
    ]);
    expect(answer).toMatchObject({ wrappedTools: [{ name: 'apply_patch', namespace: null }], echo: { tools: [PATCH, PLAIN] } });
  });

  test('also those of a namespace and of `additional_tools` items', () => {
    const space = { type: 'namespace', name: 'ns', tools: [{ type: 'custom', name: 'exec' }, PLAIN] };
    const { body, answer } = prepare({ tools: [space], input: [{ type: 'additional_tools', role: 'developer', tools: [PATCH] }] });
    expect(body).toMatchObject({
      tools: [{ type: 'namespace', name: 'ns', tools: [{ type: 'function', name: 'exec', parameters: PARAMETERS }, PLAIN] }],
      input: [{ type: 'additional_tools', role: 'developer', tools: [{ type: 'function', name: 'apply_patch' }] }],
    });
    expect(answer.wrappedTools).toEqual([{ name: 'exec', namespace: 'ns' }, { name: 'apply_patch', namespace: null }]);
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['by name', { type: 'custom', name: 'apply_patch' }, { type: 'function', name: 'apply_patch' }],
    [
      'out of a list', { type: 'allowed_tools', mode: 'required', tools: [{ type: 'custom', name: 'apply_patch' }, { type: 'function', name: 'plain' }] },
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'apply_patch' }, { type: 'function', name: 'plain' }] },
    ],
  ])('chooses them %s as what they were declared', (_name, asked, sent) => {
    expect(prepare({ tool_choice: asked }).body['tool_choice']).toEqual(sent);
  });

  test('tells earlier calls and their outputs as a function\'s, without the ids of the other kind', () => {
    const { body } = prepare({ input: [
      { type: 'custom_tool_call', id: 'ctc_1', call_id: 'call_1', name: 'apply_patch', input: RAW, status: 'completed' },
      { type: 'custom_tool_call_output', id: 'ctco_1', call_id: 'call_1', output: 'done' }, OTHER,
    ] });
    expect(body['input']).toEqual([
      { type: 'function_call', call_id: 'call_1', name: 'apply_patch', arguments: WRAPPED, status: 'completed' },
      { type: 'function_call_output', call_id: 'call_1', output: 'done' }, OTHER,
    ]);
  });

  test.each(['native', undefined] as const)('is the very body that came where the provider is %s', (customTools) => {
    const given = { model: 'gpt-x', input: 'x', tools: [PATCH], tool_choice: { type: 'custom', name: 'apply_patch' } };
    const { body, changed } = prepareRequest(responsesCall(given), targetOf('openai', { customTools }), EMPTY_MEMORY);
    expect([body, changed]).toEqual([given, false]);
  });

  test('is the very body that came where it has none', () => {
    const given: JsonObject = { model: 'gpt-x', input: [{ role: 'user', content: 'x' }], tools: [PLAIN], tool_choice: { type: 'function', name: 'plain' } };
    expect(prepareRequest(responsesCall(given), targetOf('openai', { customTools: 'wrapped' }), EMPTY_MEMORY).body).toBe(given);
  });
});

describe('its answer', () => {
  const inSteps = [...answerOf()].map((_, at, all) => (at % 7 === 0 ? all.slice(at, at + 7).join('') : '')).filter((piece) => piece !== '');

  test.each([['in one piece', [answerOf()]], ['in small pieces', inSteps]])('streams the call as the free-form call it is, %s', (_name, chunks) => {
    const told = tell(prepare({ stream: true }), chunks);
    const events = eventsIn(told.text);
    expect(events.map(({ type }) => type)).toEqual([
      'response.created', 'response.output_item.added', 'response.custom_tool_call_input.delta', 'response.custom_tool_call_input.done',
      'response.output_item.done', 'response.output_item.added', 'response.function_call_arguments.delta',
      'response.function_call_arguments.done', 'response.output_item.done', 'response.completed',
    ]);
    expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, at) => at));
    expect(events.slice(1, 5)).toMatchObject([
      { output_index: 0, item: { type: 'custom_tool_call', id: 'ctc_1', input: '', status: 'in_progress' } },
      { output_index: 0, item_id: 'ctc_1', delta: RAW }, { output_index: 0, item_id: 'ctc_1', input: RAW }, { item: TOLD },
    ]);
    expect(objectAt(events.at(-1), 'response')).toMatchObject({ output: [TOLD, OTHER], tools: [PATCH, PLAIN] });
    expect(told.seen).toMatchObject({ terminal: 'completed', responseId: 'resp_1', meaningful: true });
  });

  test.each<readonly [string, readonly string[]]>([
    ['the input\'s end was never told', ['response.function_call_arguments.done']],
    ['no piece of it was told', ['response.function_call_arguments.delta', 'response.function_call_arguments.done']],
  ])('tells the whole input once where %s', (_name, without) => {
    const events = eventsIn(tell(prepare({ stream: true }), [answerOf({ without })]).text);
    expect(events.filter(({ type }) => String(type).startsWith('response.custom_tool_call_input')).map(({ delta, input }) => delta ?? input)).toEqual([RAW, RAW]);
    expect(events).toContainEqual(expect.objectContaining({ type: 'response.output_item.done', item: TOLD }));
  });

  test('is folded and given whole in the same words', () => {
    const streamOnly = prepareResponses({ tools: [PATCH, PLAIN] }, 'openai', { customTools: 'wrapped', streamOnly: true });
    const folded = parseJsonObject(tell(streamOnly, [answerOf()]).text);
    const whole = parseJsonObject(tell(prepare({}), [JSON.stringify({
      id: 'resp_1', object: 'response', status: 'completed', output: [DONE, OTHER], tools: [{ type: 'function', name: 'apply_patch' }],
    })]).text);
    for (const response of [folded, whole]) expect(response).toMatchObject({ id: 'resp_1', output: [TOLD, OTHER], tools: [PATCH, PLAIN] });
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['nested', { type: 'custom', custom: { name: 'apply_patch' } }, { type: 'custom', custom: { name: 'apply_patch', input: RAW } }],
    ['flat', { type: 'custom', name: 'apply_patch' }, { type: 'function', function: { name: 'apply_patch', arguments: RAW } }],
  ])('reaches a chat client that declared it %s as it wants it', (_name, tool, call) => {
    const body = { model: 'gpt-x', messages: [{ role: 'user', content: 'x' }], tools: [tool] };
    const whole = parseJsonObject(tell(prepareRequest(chatCall(body), targetOf('openai', { customTools: 'wrapped' }), EMPTY_MEMORY), [
      JSON.stringify({ id: 'resp_1', object: 'response', status: 'completed', output: [DONE] }),
    ]).text);
    expect(whole).toMatchObject({ choices: [{ finish_reason: 'tool_calls', message: { tool_calls: [{ id: 'call_1', ...call }] } }] });
    const streamed = tell(prepareRequest(chatCall({ ...body, stream: true }), targetOf('openai', { customTools: 'wrapped' }), EMPTY_MEMORY), [answerOf()]);
    expect(foldChat(streamed.text)).toMatchObject({ done: true, finish_reason: 'tool_calls' });
    expect(streamed.text).toContain(JSON.stringify(RAW).slice(1, -1));
  });

  test('a failure inside the stream and one that breaks off are told as ever', () => {
    const failed = tell(prepare({ stream: true }), [responsesStream([
      { type: 'response.created', response: { id: 'resp_1', output: [] } },
      { type: 'response.failed', response: { id: 'resp_1', status: 'failed', error: { code: 'server_error', message: 'no' } } },
    ])]);
    expect(failed.seen).toMatchObject({ terminal: 'failed', failure: { code: 'server_error' } });
    const whole = answerOf();
    const cut = tell(prepare({ stream: true }), [whole.slice(0, whole.indexOf('response.completed') + 60)]);
    expect([cut.last, cut.seen.terminal]).toEqual([null, null]);
    expect(cut.text).not.toContain('response.completed');
  });
});
