import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { Target } from '../../src/wire/prepared-request.ts';
import { parseFrames } from '../support/golden.ts';
import { EMPTY_MEMORY, prepareResponses, responsesCall, targetOf } from './request-fixtures.ts';
import { chatStream, chunkOf, runPassage, testDeps } from './run-passage.ts';

const GRAMMAR = { syntax: 'lark', definition: 'start: "x"' };
const PATCH = { type: 'custom', name: 'apply_patch', description: 'Edits files.', format: { type: 'grammar', ...GRAMMAR } };
const PLAIN = { type: 'function', name: 'plain', parameters: { type: 'object', properties: {} } };
/** Looks like a wrapped one, and is not: it must come back as it is. */
const RAW = '{"input":"x"}';
const OWN_CHAT: Partial<Target> = { wire: 'chat' };

function prepare(body: JsonObject, change: Partial<Target> = {}): JsonObject {
  return prepareResponses({ tools: [PATCH, PLAIN], ...body }, 'openai', { ...OWN_CHAT, ...change }).body;
}

describe('free-form tools of a Responses client at OpenAI\'s own chat endpoint', () => {
  test('are declared as what they are', () => {
    expect(prepare({})['tools']).toEqual([
      { type: 'custom', custom: { name: 'apply_patch', description: 'Edits files.', format: { type: 'grammar', grammar: GRAMMAR } } },
      { type: 'function', function: { name: 'plain', parameters: { type: 'object', properties: {} } } },
    ]);
    expect(prepare({ tools: [{ type: 'custom', name: 'exec', defer_loading: true }] })['tools']).toEqual([{ type: 'custom', custom: { name: 'exec' } }]);
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['by name', { type: 'custom', name: 'apply_patch' }, { type: 'custom', custom: { name: 'apply_patch' } }],
    [
      'out of a list', { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'custom', name: 'apply_patch' }, { type: 'function', name: 'plain' }] },
      {
        type: 'allowed_tools',
        allowed_tools: { mode: 'auto', tools: [{ type: 'custom', custom: { name: 'apply_patch' } }, { type: 'function', function: { name: 'plain' } }] },
      },
    ],
  ])('are chosen %s as what they are', (_name, asked, sent) => {
    expect(prepare({ tool_choice: asked })['tool_choice']).toEqual(sent);
  });

  test('are called in the history as what they are, a function beside them as a function', () => {
    const { messages } = prepare({ input: [
      { type: 'custom_tool_call', call_id: 'call_1', name: 'apply_patch', input: RAW },
      { type: 'function_call', call_id: 'call_2', name: 'plain', arguments: '{}' },
      { type: 'custom_tool_call_output', call_id: 'call_1', output: 'done' },
      { type: 'function_call_output', call_id: 'call_2', output: 'ok' },
    ] });
    expect(messages).toEqual([
      { role: 'assistant', content: null, tool_calls: [
        { id: 'call_1', type: 'custom', custom: { name: 'apply_patch', input: RAW } },
        { id: 'call_2', type: 'function', function: { name: 'plain', arguments: '{}' } },
      ] },
      { role: 'tool', tool_call_id: 'call_1', content: 'done' }, { role: 'tool', tool_call_id: 'call_2', content: 'ok' },
    ]);
  });

  test('are wrapped where the provider is said to need it, and for a chat client that posts a Responses body', () => {
    const wrapped = { tools: [{ type: 'function', function: { name: 'apply_patch' } }, { type: 'function' }] };
    expect(prepare({}, { customTools: 'wrapped' })).toMatchObject(wrapped);
    const cursor = responsesCall({ model: 'gpt-x', input: 'x', tools: [PATCH, PLAIN] }, { clientWire: 'chat', endpoint: 'chat' });
    expect(prepareRequest(cursor, targetOf('openai', OWN_CHAT), EMPTY_MEMORY).body).toMatchObject(wrapped);
  });

  test('are told as what they are to another server that is said to know them', () => {
    expect(prepareResponses({ tools: [PATCH] }, 'chat-generic', { customTools: 'native' }).body).toMatchObject({ tools: [{ type: 'custom' }] });
    expect(prepareResponses({ tools: [PATCH] }, 'chat-generic').body).toMatchObject({ tools: [{ type: 'function' }] });
  });
});

describe('their calls', () => {
  const prepared = (stream: boolean) => prepareResponses({ tools: [PATCH], stream }, 'openai', OWN_CHAT).answer;
  const item = { type: 'custom_tool_call', call_id: 'call_1', name: 'apply_patch', input: RAW, status: 'completed' };

  test('stream piece by piece and stay as they are', () => {
    const call = (custom: object, head: object = {}): object => chunkOf({ tool_calls: [{ index: 0, ...head, custom }] });
    const { text } = runPassage(createPassage(prepared(true), testDeps()), [chatStream([
      call({ name: 'apply_patch', input: '' }, { id: 'call_1', type: 'custom' }), call({ input: '{"input":' }), call({ input: '"x"}' }), chunkOf({}, 'tool_calls'),
    ])]);
    const events = parseFrames(text).map(({ data }) => parseJsonObject(data) ?? {});
    expect(events.map(({ type, delta }) => delta ?? type)).toEqual([
      'response.created', 'response.in_progress', 'response.output_item.added', '{"input":', '"x"}',
      'response.custom_tool_call_input.done', 'response.output_item.done', 'response.completed',
    ]);
    expect(events.filter(({ delta }) => delta !== undefined).map(({ type }) => type)).toEqual(Array(2).fill('response.custom_tool_call_input.delta'));
    expect(objectAt(events.at(-1), 'response')).toMatchObject({ output: [item] });
  });

  test('come whole and stay as they are', () => {
    const { text } = runPassage(createPassage(prepared(false), testDeps()), [JSON.stringify({
      id: 'cc', object: 'chat.completion', created: 1, model: 'm', choices: [{
        index: 0, finish_reason: 'tool_calls',
        message: { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'custom', custom: { name: 'apply_patch', input: RAW } }] },
      }],
    })]);
    expect(parseJsonObject(text)).toMatchObject({ output: [item] });
  });
});
