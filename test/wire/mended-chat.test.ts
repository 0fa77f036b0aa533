import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { PreparedRequest, Target } from '../../src/wire/prepared-request.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import { chatCall, EMPTY_MEMORY, refusalOf, targetOf } from './request-fixtures.ts';
import { chatStream, chunkOf, responsesStream, runPassage, testDeps } from './run-passage.ts';

const LONG_NAME = `mcp__server__${'search_'.repeat(10)}`;
const LONG_ID = `call_${'x'.repeat(60)}`;
const asked = { role: 'user', content: 'x' };

function prepare(members: JsonObject, changes: Partial<Target> = {}): PreparedRequest {
  const body = { model: 'gpt-x', messages: [asked], ...members };
  return prepareRequest(chatCall(body), targetOf(changes.dialect ?? 'openai', { wire: 'chat', ...changes }), EMPTY_MEMORY);
}

/** A request as Cursor sends it: a Responses body on the chat path. */
function cursor(members: JsonObject, changes: Partial<Target> = {}): PreparedRequest {
  const body: JsonObject = { model: 'gpt-x', stream: true, input: [asked], tools: [{ type: 'custom', name: 'ApplyPatch' }], ...members };
  const call = chatCall(body, { bodyWire: 'responses' });
  return prepareRequest(call, targetOf(changes.dialect ?? 'chat-generic', { wire: 'chat', ...changes }), EMPTY_MEMORY);
}

/** The choices of every chunk a client was told, until `[DONE]`. */
function choicesOf(text: string): readonly JsonObject[] {
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  const chunks = text.split('\n\n').filter((frame) => frame !== '' && frame !== 'data: [DONE]').map((frame) => parseJsonObject(frame.slice(6)));
  return chunks.flatMap((chunk) => (arrayAt(chunk, 'choices') ?? []).filter(isJsonObject));
}

function answer(prepared: PreparedRequest, chunks: readonly object[]): readonly JsonObject[] {
  return choicesOf(runPassage(createPassage(prepared.answer, testDeps()), [chatStream(chunks)]).text);
}

/** What a client adds up of one member of the deltas. */
function said(choices: readonly JsonObject[], member: string): string {
  return choices.map((choice) => objectAt(choice, 'delta')?.[member] ?? '').join('');
}

function callPieces(choices: readonly JsonObject[]): readonly JsonObject[] {
  return choices.flatMap((choice) => arrayAt(objectAt(choice, 'delta'), 'tool_calls') ?? []).filter(isJsonObject);
}

const callChunks = (name: string, pieces: readonly string[]): readonly object[] => [
  chunkOf({ role: 'assistant', content: null, tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name, arguments: '' } }] }),
  ...pieces.map((text) => chunkOf({ tool_calls: [{ index: 0, function: { arguments: text } }] })),
  chunkOf({}, 'tool_calls'),
];

describe('names and call ids of a chat request that its chat upstream would refuse', () => {
  const tools = [{ type: 'function', function: { name: LONG_NAME } }];
  const messages = [
    asked, { role: 'assistant', content: null, tool_calls: [{ id: LONG_ID, type: 'function', function: { name: LONG_NAME, arguments: '{}' } }] },
    { role: 'tool', tool_call_id: LONG_ID, content: 'y' },
  ];
  const choice = { type: 'function', function: { name: LONG_NAME } };

  test('are shortened alike in declarations, choice and history', () => {
    const { body } = prepare({ tools, messages, tool_choice: choice });
    const [tool] = arrayAt(body, 'tools') ?? [];
    const name = objectAt(objectAt({ tool: tool ?? null }, 'tool'), 'function')?.['name'];
    expect(name).toMatch(/^mcp__\w{1,59}$/);
    expect(body['tool_choice']).toEqual({ type: 'function', function: { name } });
    const [, calling, answering] = (arrayAt(body, 'messages') ?? []).filter(isJsonObject);
    const [call] = (arrayAt(calling, 'tool_calls') ?? []).filter(isJsonObject);
    expect(call).toMatchObject({ function: { name } });
    expect(String(call?.['id']).length).toBeLessThanOrEqual(40);
    expect(answering?.['tool_call_id']).toBe(call?.['id']);
  });

  test('come back as the client declared them', () => {
    const prepared = prepare({ tools, stream: true });
    const [sent = ''] = Object.keys(prepared.answer.toolNames);
    const pieces = callPieces(answer(prepared, callChunks(sent, ['{"a":', '1}'])));
    expect(pieces[0]).toEqual({ index: 0, id: 'a', type: 'function', function: { name: LONG_NAME, arguments: '' } });
    expect(pieces.map((piece) => objectAt(piece, 'function')?.['arguments']).join('')).toBe('{"a":1}');
  });

  test('pass to a server that documents no limit', () => {
    const body = { model: 'gpt-x', messages, tools };
    expect(prepareRequest(chatCall(body), targetOf('chat-generic'), EMPTY_MEMORY).body).toBe(body);
  });
});

describe('a chat request of 2023 at an upstream that knows tools only', () => {
  const legacy: JsonObject = {
    functions: [{ name: 'f', parameters: { type: 'object', properties: {} } }], function_call: { name: 'f' },
    messages: [
      asked, { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } }, { role: 'function', name: 'f', content: '1' },
    ],
  };

  test('is told as tools, its history paired by made-up ids', () => {
    const { body } = prepare(legacy, { dialect: 'chat-generic' });
    expect(body).toEqual({
      model: 'gpt-x',
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
      messages: [
        asked,
        { role: 'assistant', content: null, tool_calls: [{ id: 'call_legacy_0', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'call_legacy_0', content: '1' },
      ],
    });
  });

  test('is answered in its own words, streamed and whole', () => {
    const streamed = answer(prepare({ ...legacy, stream: true }, { dialect: 'chat-generic' }), callChunks('f', ['{"a"', ':1}']));
    const calls = streamed.map((choice) => objectAt(objectAt(choice, 'delta'), 'function_call')).filter((call) => call !== undefined);
    expect(calls[0]).toEqual({ name: 'f', arguments: '' });
    expect(calls.map((call) => call['arguments']).join('')).toBe('{"a":1}');
    expect(streamed.at(-1)).toMatchObject({ finish_reason: 'function_call' });
    expect(callPieces(streamed)).toEqual([]);

    const completion = {
      id: 'c', object: 'chat.completion', created: 1, model: 'm',
      choices: [{ index: 0, finish_reason: 'tool_calls', message: {
        role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      } }],
    };
    const whole = runPassage(createPassage(prepare(legacy, { dialect: 'chat-generic' }).answer, testDeps()), [JSON.stringify(completion)]);
    expect(parseJsonObject(whole.text)).toMatchObject({
      object: 'chat.completion',
      choices: [{ finish_reason: 'function_call', message: { content: null, function_call: { name: 'f', arguments: '{}' } } }],
    });
    expect(whole.text).not.toContain('tool_calls"');
  });

  test('passes as it is where the upstream knows it', () => {
    const body = { model: 'gpt-x', ...legacy };
    const prepared = prepareRequest(chatCall(body), targetOf('openai', { wire: 'chat' }), EMPTY_MEMORY);
    expect(prepared.body).toBe(body);
    expect(prepared.answer.legacyFunctions).toBe(false);
  });

  test('an answer to no call is refused', () => {
    const messages = [asked, { role: 'function', name: 'g', content: '1' }];
    expect(refusalOf(() => prepare({ messages }, { dialect: 'chat-generic' }))).toMatchObject({ param: 'messages[1].name' });
  });
});

describe('Cursor at a chat upstream', () => {
  const pieces = ['{"inp', 'ut":"*** Begin', '\\nPatch"}'];

  test('gets a free-form call as raw text in a function\'s envelope', () => {
    const calls = callPieces(answer(cursor({}), callChunks('ApplyPatch', pieces)));
    expect(calls[0]).toEqual({ index: 0, id: 'a', type: 'function', function: { name: 'ApplyPatch', arguments: '' } });
    expect(calls.map((call) => objectAt(call, 'function')?.['arguments']).join('')).toBe('*** Begin\nPatch');
  });

  test('gets a native call where its settings say so', () => {
    const calls = callPieces(answer(cursor({}, { compat: { customTools: 'custom' } }), callChunks('ApplyPatch', pieces)));
    expect(calls).toEqual([
      { index: 0, id: 'a', type: 'custom', custom: { name: 'ApplyPatch', input: '' } }, { index: 0, custom: { input: '*** Begin\nPatch' } },
    ]);
  });

  test('gets the same in one object', () => {
    const completion = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, finish_reason: 'tool_calls', message: {
      role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'ApplyPatch', arguments: pieces.join('') } }],
    } }] };
    const told = runPassage(createPassage(cursor({ stream: false }).answer, testDeps()), [JSON.stringify(completion)]);
    expect(parseJsonObject(told.text)).toMatchObject({ choices: [{ finish_reason: 'tool_calls', message: {
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'ApplyPatch', arguments: '*** Begin\nPatch' } }],
    } }] });
  });

  const replay = [
    asked, { type: 'function_call', call_id: 'a', name: 'ApplyPatch', arguments: '*** Begin' },
    { type: 'function_call_output', call_id: 'a', output: 'done' },
  ];

  test('replays the raw text, and the upstream is told what it said', () => {
    const [, calling] = (arrayAt(cursor({ input: replay }).body, 'messages') ?? []).filter(isJsonObject);
    expect(calling?.['tool_calls']).toEqual([{ id: 'a', type: 'function', function: { name: 'ApplyPatch', arguments: '{"input":"*** Begin"}' } }]);
  });

  test.each(['codex', 'openai'] as const)('replays the raw text to %s as the free-form call it was', (dialect) => {
    const { body } = cursor({ input: replay }, { wire: 'responses', dialect });
    expect((arrayAt(body, 'input') ?? []).slice(1)).toEqual([
      { type: 'custom_tool_call', call_id: 'a', name: 'ApplyPatch', input: '*** Begin' },
      { type: 'custom_tool_call_output', call_id: 'a', output: 'done' },
    ]);
  });
});

describe('where a chat client is told reasoning', () => {
  const chunks = [chunkOf({ role: 'assistant', content: '' }), chunkOf({ reasoning: 'hm' }), chunkOf({ reasoning: 'm' }), chunkOf({ content: 'A' }), chunkOf({}, 'stop')];
  const events = responsesStream([
    { type: 'response.created', response: { id: 'resp_1', created_at: 1, model: 'm' } },
    { type: 'response.reasoning_summary_text.delta', item_id: 'r', output_index: 0, summary_index: 0, delta: 'hm' },
    { type: 'response.reasoning_summary_text.delta', item_id: 'r', output_index: 0, summary_index: 0, delta: 'm' },
    { type: 'response.output_text.delta', item_id: 'm', output_index: 1, content_index: 0, delta: 'A' },
    { type: 'response.completed', response: { id: 'resp_1', status: 'completed', output: [] } },
  ]);
  const told = (field: NonNullable<Target['compat']>['reasoningField'], members: JsonObject = {}): readonly (readonly JsonObject[])[] => {
    const compat = { reasoningField: field };
    const translated = prepare({ stream: true, ...members }, { wire: 'responses', compat });
    return [
      answer(prepare({ stream: true, ...members }, { dialect: 'chat-generic', compat }), chunks),
      choicesOf(runPassage(createPassage(translated.answer, testDeps()), [events]).text),
    ];
  };

  test.each<[NonNullable<Target['compat']>['reasoningField'], { reasoning_content: string; reasoning: string; content: string }]>([
    ['reasoning_content', { reasoning_content: 'hmm', reasoning: '', content: 'A' }],
    ['reasoning', { reasoning_content: '', reasoning: 'hmm', content: 'A' }],
    ['both', { reasoning_content: 'hmm', reasoning: 'hmm', content: 'A' }],
    ['none', { reasoning_content: '', reasoning: '', content: 'A' }],
    ['think-tags', { reasoning_content: '', reasoning: '', content: '<think>hmm</think>\n\nA' }],
  ])('%s, from either kind of upstream', (field, expected) => {
    for (const choices of told(field)) {
      expect({ reasoning_content: said(choices, 'reasoning_content'), reasoning: said(choices, 'reasoning'), content: said(choices, 'content') })
        .toEqual(expected);
      expect(choices.at(-1)).toMatchObject({ finish_reason: 'stop' });
    }
  });

  test('think tags never stand in an answer that is to be JSON', () => {
    for (const choices of told('think-tags', { response_format: { type: 'json_object' } })) {
      expect({ reasoning_content: said(choices, 'reasoning_content'), content: said(choices, 'content') })
        .toEqual({ reasoning_content: 'hmm', content: 'A' });
    }
  });

  test('a thought is closed also where only a call, or nothing, comes behind it', () => {
    const prepared = prepare({ stream: true }, { dialect: 'chat-generic', compat: { reasoningField: 'think-tags' } });
    expect(said(answer(prepared, [chunkOf({ reasoning_content: 'hm' }), ...callChunks('f', ['{}'])]), 'content')).toBe('<think>hm</think>\n\n');
    expect(said(answer(prepared, [chunkOf({ reasoning_content: 'hm' }), chunkOf({}, 'length')]), 'content')).toBe('<think>hm</think>\n\n');
  });

  test('a chat upstream\'s bytes pass untouched where nothing was said', () => {
    const stream = chatStream(chunks);
    expect(runPassage(createPassage(prepare({ stream: true }, { dialect: 'chat-generic' }).answer, testDeps()), [stream]).text).toBe(stream);
  });
});

test('a template that takes one system message gets all of them joined, at the beginning', () => {
  const messages = [{ role: 'system', content: 'A' }, asked, { role: 'developer', content: [{ type: 'text', text: 'B' }] }];
  const { body } = prepare({ messages }, { dialect: 'chat-generic', systemFirst: true });
  expect(body['messages']).toEqual([{ role: 'system', content: 'A\n\nB' }, asked]);
});

test('stop sequences that an upstream refused are cut on the way back', () => {
  const { answer: plan } = prepare({ stream: true, stop: ['END'] }, { dialect: 'chat-generic' });
  const told = runPassage(createPassage({ ...plan, stop: ['END'] }, testDeps()), [chatStream([chunkOf({ content: 'abE' }), chunkOf({ content: 'NDcd' }), chunkOf({ content: 'never' })])]);
  const choices = choicesOf(told.text);
  expect(said(choices, 'content')).toBe('ab');
  expect(choices.at(-1)).toMatchObject({ finish_reason: 'stop' });
});
