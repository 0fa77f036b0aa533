import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { openReasoning } from '../../src/wire/reasoning-envelope.ts';
import { parseFrames } from '../support/golden.ts';
import { bytesOf, chatStream, chunkOf, planFor, runPassage, testDeps } from './run-passage.ts';

const wires = { clientWire: 'responses', upstreamWire: 'chat', dialect: 'chat-generic' } as const;

function run(plan: Partial<AnswerPlan>, ...chunks: readonly object[]) {
  return runPassage(createPassage(planFor({ ...wires, ...plan }), testDeps()), [chatStream(chunks)]);
}
function eventsIn(sse: string): readonly JsonObject[] {
  return parseFrames(sse)
    .map(({ data }) => parseJsonObject(data))
    .filter((event) => event !== undefined);
}
function finalOf(sse: string): JsonObject {
  return objectAt(eventsIn(sse).at(-1), 'response') ?? {};
}
function outputOf(sse: string) {
  return arrayAt(finalOf(sse), 'output') ?? [];
}
function typesIn(sse: string): readonly string[] {
  return eventsIn(sse).map((event) => (stringAt(event, 'type') ?? '').replace('response.', ''));
}
function callDelta(call: object): object {
  return chunkOf({ tool_calls: [call] });
}

describe('a chat stream for a Responses client', () => {
  test('writes one event at a time, named by its type, numbered from 0', () => {
    const told = run({}, chunkOf({ content: 'a' }), chunkOf({}, 'stop'));
    expect(told.pieces.every((piece) => /^event: (\S+)\ndata: \{"type":"\1",[^\r\n]+\n\n$/.test(piece))).toBe(true);
    expect(eventsIn(told.text).map((event) => event['sequence_number'])).toEqual(told.pieces.map((_, index) => index));
    expect(told.last).toMatch(/^event: response\.completed\n/);
  });

  test('an image inside the answer is an item of its own, told once; an address elsewhere is none', () => {
    const image = (url: string): object => ({ type: 'image_url', image_url: { url } });
    const told = run({}, chunkOf({ content: 'here' }), chunkOf({ images: [image('data:image/webp;base64,AAAA'), image('https://images.test/i.png')] }),
      chunkOf({ images: [image('data:image/webp;base64,AAAA')] }, 'stop'));
    expect(outputOf(told.text)).toMatchObject([
      { type: 'message', content: [{ text: 'here' }] },
      { type: 'image_generation_call', id: expect.stringMatching(/^ig_/), status: 'completed', output_format: 'webp', result: 'AAAA' },
    ]);
    expect(outputOf(told.text)).toHaveLength(2);
    expect(typesIn(told.text).filter((type) => type.startsWith('image'))).toEqual(['image_generation_call.completed']);
  });

  test('the response has every member of the contract and echoes the request', () => {
    const tools = [{ type: 'function', name: 'f' }, { type: 'web_search' }];
    const echo = {
      instructions: 'be brief',
      tools,
      metadata: { a: 'b' },
      temperature: 0.2,
      reasoning: { effort: 'low' },
      text: { verbosity: 'low' },
    };
    const response = finalOf(run({ echo }, chunkOf({ content: 'a' }, 'stop')).text);
    expect(Object.keys(response)).toHaveLength(31);
    expect(response).toMatchObject({
      object: 'response',
      instructions: 'be brief',
      metadata: { a: 'b' },
      temperature: 0.2,
      top_p: 1,
      model: 'm',
      created_at: 1_700_000_000,
      completed_at: 1_700_000_100,
      reasoning: { effort: 'low', summary: null },
      text: { format: { type: 'text' }, verbosity: 'low' },
      tools: [{ type: 'function', name: 'f', description: null, parameters: null, strict: null }, { type: 'web_search' }],
    });
  });

  test('reasoning, text and calls become items in the order they came', () => {
    const told = run(
      {},
      chunkOf({ reasoning_content: 'hm' }),
      chunkOf({ content: 'a' }),
      callDelta({ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '{}' } }),
      chunkOf({ content: 'b' }),
      chunkOf({}, 'tool_calls'),
    );
    expect(outputOf(told.text)).toMatchObject([
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] },
      { type: 'message', status: 'completed', content: [{ type: 'output_text', text: 'a' }] },
      { type: 'function_call', call_id: 'x', name: 'f', arguments: '{}', status: 'completed' },
      { type: 'message', content: [{ text: 'b' }] },
    ]);
    const indexes = eventsIn(told.text)
      .filter((event) => event['type'] === 'response.output_item.added')
      .map((event) => event['output_index']);
    expect(indexes).toEqual([0, 1, 2, 3]);
  });

  test('an item has one id from its first event to the terminal one', () => {
    const told = run(
      {},
      chunkOf({ content: 'a' }),
      callDelta({ index: 0, id: 'x', function: { name: 'f', arguments: '{}' } }),
      chunkOf({}, 'tool_calls'),
    );
    const ids = new Map<unknown, Set<unknown>>();
    for (const event of eventsIn(told.text)) {
      const id = event['item_id'] ?? objectAt(event, 'item')?.['id'];
      if (id !== undefined) ids.set(event['output_index'], (ids.get(event['output_index']) ?? new Set()).add(id));
    }
    expect([...ids.values()].map((set) => [...set])).toEqual(outputOf(told.text).map((item) => [stringAt(item, 'id')]));
  });

  test('reasoning travels sealed, with details and thought signatures, for the next turn', () => {
    const details = [{ type: 'reasoning.text', text: 'hm', signature: 's' }];
    const told = run(
      { dialect: 'gemini' },
      chunkOf({ reasoning: 'hm', reasoning_details: details }),
      callDelta({ index: 0, id: 'x', function: { name: 'f', arguments: '{}' }, extra_content: { google: { thought_signature: 'SIG' } } }),
      chunkOf({}, 'stop'),
    );
    expect(openReasoning(stringAt(outputOf(told.text)[0], 'encrypted_content'))).toEqual({
      reasoningContent: 'hm',
      reasoningDetails: details,
      thoughtSignatures: { x: 'SIG' },
    });
  });

  test('a signature without reasoning is kept for the store and not told', () => {
    const passage = createPassage(planFor({ ...wires, dialect: 'gemini' }), testDeps());
    const told = runPassage(passage, [
      chatStream([
        callDelta({ index: 0, id: 'x', function: { name: 'f', arguments: '{}' }, extra_content: { google: { thought_signature: 'SIG' } } }),
        chunkOf({}, 'stop'),
      ]),
    ]);
    expect(outputOf(told.text)).toHaveLength(1);
    const [thought, call] = passage.items();
    expect(openReasoning(stringAt(thought, 'encrypted_content'))?.thoughtSignatures).toEqual({ x: 'SIG' });
    expect(call).toMatchObject({ type: 'function_call', call_id: 'x' });
  });

  test('sealed details that have no readable text are an item without a summary', () => {
    const told = run(
      {},
      chunkOf({ reasoning: 'hm' }),
      chunkOf({ reasoning_details: [{ type: 'reasoning.encrypted', data: 'E' }] }),
      chunkOf({ content: 'a' }, 'stop'),
    );
    expect(openReasoning(stringAt(outputOf(told.text)[0], 'encrypted_content'))?.reasoningDetails).toEqual([
      { type: 'reasoning.encrypted', data: 'E' },
    ]);
  });

  const keyed: readonly (readonly [string, readonly object[], readonly (readonly [string, string])[]])[] = [
    [
      'the same index with another id',
      [
        { index: 0, id: 'a', function: { name: 'f', arguments: '1' } },
        { index: 0, id: 'b', function: { name: 'g', arguments: '2' } },
      ],
      [
        ['f', '1'],
        ['g', '2'],
      ],
    ],
    [
      'no index, by id',
      [
        { id: 'a', function: { name: 'f', arguments: '1' } },
        { id: 'b', function: { name: 'g', arguments: '2' } },
        { id: 'a', function: { arguments: '3' } },
      ],
      [
        ['f', '13'],
        ['g', '2'],
      ],
    ],
    [
      'interleaved indexes',
      [
        { index: 0, id: 'a', function: { name: 'f' } },
        { index: 1, id: 'b', function: { name: 'g' } },
        { index: 0, function: { arguments: '1' } },
        { index: 1, function: { arguments: '2' } },
      ],
      [
        ['f', '1'],
        ['g', '2'],
      ],
    ],
    [
      'a name that comes late',
      [
        { index: 0, id: 'a', function: { arguments: '{"x"' } },
        { index: 0, function: { name: 'f', arguments: ':1}' } },
      ],
      [['f', '{"x":1}']],
    ],
    [
      'neither index nor id, whole calls',
      [{ function: { name: 'f', arguments: '1' } }, { function: { name: 'g', arguments: '2' } }],
      [
        ['f', '1'],
        ['g', '2'],
      ],
    ],
    ['arguments as an object', [{ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }], [['f', '{"x":1}']]],
    [
      'a name that never comes',
      [
        { index: 0, id: 'a', function: { arguments: '{}' } },
        { index: 1, id: 'b', function: { name: 'g', arguments: '2' } },
      ],
      [['g', '2']],
    ],
  ];
  test.each(keyed)('calls are told apart: %s', (_, calls, expected) => {
    const told = run({}, ...calls.map(callDelta), chunkOf({}, 'tool_calls'));
    const items = outputOf(told.text).filter((item) => stringAt(item, 'type') === 'function_call');
    expect(items.map((item) => [stringAt(item, 'name'), stringAt(item, 'arguments')])).toEqual(expected);
    for (const [index, item] of items.entries()) {
      const place = eventsIn(told.text).filter((event) => event['item_id'] === stringAt(item, 'id'));
      const deltas = place.filter((event) => event['type'] === 'response.function_call_arguments.delta').map((event) => event['delta']);
      expect(deltas.join('')).toBe(expected[index]?.[1]);
    }
  });

  test('an upstream of 2023 calls by function_call', () => {
    const told = run(
      {},
      chunkOf({ function_call: { name: 'f', arguments: '{"a"' } }),
      chunkOf({ function_call: { arguments: ':1}' } }),
      chunkOf({}, 'function_call'),
    );
    expect(outputOf(told.text)).toMatchObject([{ type: 'function_call', call_id: 'call_test2', name: 'f', arguments: '{"a":1}' }]);
  });

  test('names, namespaces and call ids come back as the client gave them', () => {
    const told = run(
      { toolNames: { fs__read: { name: 'read', namespace: 'fs' } }, callIds: { short: 'the-long-id' } },
      callDelta({ index: 0, id: 'short', function: { name: 'fs__read', arguments: '{}' } }),
      chunkOf({}, 'tool_calls'),
    );
    expect(outputOf(told.text)).toMatchObject([{ type: 'function_call', call_id: 'the-long-id', name: 'read', namespace: 'fs' }]);
  });

  test.each([
    ['{"input":"raw"}', 'raw'],
    ['{"patch":"raw"}', 'raw'],
    ['raw', 'raw'],
    ['{"a":"x","b":"y"}', '{"a":"x","b":"y"}'],
    ['{"input":1}', '{"input":1}'],
    ['', ''],
  ])('a wrapped custom call of %s unwraps to %s', (given, input) => {
    const told = run(
      { customTools: { patch: 'wrapped' } },
      callDelta({ index: 0, id: 'x', function: { name: 'patch', arguments: given } }),
      chunkOf({}, 'tool_calls'),
    );
    expect(outputOf(told.text)).toMatchObject([{ type: 'custom_tool_call', call_id: 'x', name: 'patch', input, status: 'completed' }]);
    expect(typesIn(told.text).filter((type) => type === 'custom_tool_call_input.delta')).toHaveLength(1);
  });

  test.each([
    [
      'local_shell',
      '{"command":["ls"],"timeout_ms":5}',
      { type: 'local_shell_call', action: { type: 'exec', command: ['ls'], env: {}, timeout_ms: 5 } },
    ],
    ['local_shell', '{"command":"ls -l"}', { type: 'local_shell_call', action: { command: ['bash', '-lc', 'ls -l'] } }],
    ['shell', '{"commands":["ls"]}', { type: 'shell_call', action: { commands: ['ls'] } }],
    ['apply_patch', '{"type":"delete_file","path":"a"}', { type: 'apply_patch_call', operation: { type: 'delete_file', path: 'a' } }],
    ['apply_patch', 'not json', { type: 'apply_patch_call', operation: {} }],
  ] as const)('a hosted %s call of %s becomes its own item', (tool, given, item) => {
    const told = run(
      { hostedTools: { hosted: tool } },
      callDelta({ index: 0, id: 'x', function: { name: 'hosted', arguments: given } }),
      chunkOf({}, 'tool_calls'),
    );
    expect(outputOf(told.text)).toMatchObject([{ call_id: 'x', status: 'completed', ...item }]);
  });

  test.each([
    ['stop', 'completed', null],
    ['tool_calls', 'completed', null],
    ['function_call', 'completed', null],
    ['eos', 'completed', null],
    ['length', 'incomplete', { reason: 'max_output_tokens' }],
    ['max_tokens', 'incomplete', { reason: 'max_output_tokens' }],
    ['content_filter', 'incomplete', { reason: 'content_filter' }],
  ])('finish reason %s ends as %s', (finish, status, incomplete_details) => {
    const told = run({}, chunkOf({ content: 'a' }), chunkOf({}, finish));
    expect(finalOf(told.text)).toMatchObject({ status, incomplete_details });
    expect(told.seen.terminal).toBe(status);
  });

  test('a cut call keeps half its arguments and is incomplete', () => {
    const told = run({}, callDelta({ index: 0, id: 'x', function: { name: 'f', arguments: '{"a' } }), chunkOf({}, 'length'));
    expect(outputOf(told.text)).toMatchObject([{ arguments: '{"a', status: 'incomplete' }]);
    expect(outputOf(run({}, callDelta({ index: 0, id: 'x', function: { name: 'f' } }), chunkOf({}, 'length')).text)).toMatchObject([
      { arguments: '' },
    ]);
    expect(outputOf(run({}, callDelta({ index: 0, id: 'x', function: { name: 'f' } }), chunkOf({}, 'stop')).text)).toMatchObject([
      { arguments: '{}' },
    ]);
  });

  test('usage that comes last counts, and details are always there', () => {
    const usage = { prompt_tokens: 9, completion_tokens: 4, prompt_cache_hit_tokens: 5 };
    const told = run({}, chunkOf({ content: 'a' }), chunkOf({}, 'stop'), { choices: [], usage });
    expect(finalOf(told.text)['usage']).toEqual({
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 5 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 13,
    });
    expect(told.seen.usage).toEqual(usage);
  });

  test('U37 usage that is no count is zero for the client, raw for the account book, and null where none came', () => {
    const odd = { prompt_tokens: -3, completion_tokens: 1e300, total_tokens: 1.5 };
    const told = run({}, chunkOf({ content: 'a' }, 'stop'), { choices: [], usage: odd });
    expect(finalOf(told.text)['usage']).toMatchObject({ input_tokens: 0, output_tokens: Number.MAX_SAFE_INTEGER, total_tokens: 1 });
    expect([told.seen.usage, run({}, chunkOf({ content: 'a' }, 'stop')).seen.usage]).toEqual([odd, null]);
  });

  test('is committed by the first output, not by the role', () => {
    const passage = createPassage(planFor(wires), testDeps());
    const [role = '', content = ''] = chatStream([chunkOf({ role: 'assistant', content: '' }), chunkOf({ content: 'a' })]).split(
      /(?<=\n\n)/,
    );
    passage.push(bytesOf(role));
    expect(passage.seen.meaningful).toBe(false);
    passage.push(bytesOf(content));
    expect(passage.seen.meaningful).toBe(true);
  });

  test('citations, log probabilities and refusals keep their place in the message', () => {
    const logprobs = [{ token: 'a', logprob: -1, bytes: null, top_logprobs: [] }];
    const told = run(
      {},
      { choices: [{ index: 0, delta: { content: 'a' }, logprobs: { content: logprobs } }] },
      chunkOf({
        annotations: [{ type: 'url_citation', url_citation: { url: 'https://a.test', title: 'A', start_index: 0, end_index: 1 } }],
      }),
      chunkOf({ refusal: 'no' }),
      chunkOf({}, 'stop'),
    );
    expect(outputOf(told.text)).toMatchObject([
      {
        content: [
          {
            type: 'output_text',
            text: 'a',
            logprobs,
            annotations: [{ type: 'url_citation', url: 'https://a.test', title: 'A', start_index: 0, end_index: 1 }],
          },
          { type: 'refusal', refusal: 'no' },
        ],
      },
    ]);
    expect(typesIn(told.text)).toContain('output_text.annotation.added');
  });

  test('parts of content that think are reasoning', () => {
    const told = run(
      {},
      chunkOf({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] }),
      chunkOf({ content: [{ type: 'text', text: 'a' }] }, 'stop'),
    );
    expect(outputOf(told.text)).toMatchObject([{ summary: [{ text: 'hm' }] }, { content: [{ text: 'a' }] }]);
  });

  test('chunks without choices and other choices are not the answer', () => {
    const told = run({}, { choices: [] }, {}, { choices: [{ index: 1, delta: { content: 'b' } }] }, chunkOf({ content: 'a' }, 'stop'));
    expect(outputOf(told.text)).toMatchObject([{ content: [{ text: 'a' }] }]);
  });

  test('U29 the end of the body is fine after a finish reason and a truncation before', () => {
    const open = [chunkOf({ content: 'a' })];
    const ended = [...open, chunkOf({}, 'stop')];
    const terminals = [open, ended].map((chunks) => {
      const sse = chatStream(chunks).replace('data: [DONE]\n\n', '');
      return runPassage(createPassage(planFor(wires), testDeps()), [sse]).seen.terminal;
    });
    expect(terminals).toEqual([null, 'completed']);
  });

  test('U38 what follows [DONE] is ignored', () => {
    const answer = chatStream([chunkOf({ content: 'a' }, 'stop')]);
    const told = runPassage(createPassage(planFor(wires), testDeps()), [answer + answer]);
    expect(typesIn(told.text).filter((type) => type === 'completed')).toHaveLength(1);
  });

  test.each([
    ['an error chunk', { error: { code: 429, message: 'slow' } }, { code: 'server_error', message: 'slow' }],
    [
      'a code of its own',
      { error: { code: 'context_length_exceeded', message: 'long' } },
      { code: 'context_length_exceeded', message: 'long' },
    ],
    ['a finish reason of error', chunkOf({}, 'error'), { code: 'server_error' }],
  ])('%s ends as response.failed and keeps what came', (_, chunk, error) => {
    const told = run({}, chunkOf({ content: 'a' }), callDelta({ index: 0, id: 'x', function: { name: 'f', arguments: '{}' } }), chunk);
    expect(finalOf(told.text)).toMatchObject({ status: 'failed', error, output: [{ type: 'message' }] });
    expect(typesIn(told.last ?? '')).toEqual(['failed']);
  });

  test('an error frame takes the next number', () => {
    const passage = createPassage(planFor(wires), testDeps());
    const { out } = passage.push(bytesOf(chatStream([chunkOf({ content: 'a' })]).replace('data: [DONE]\n\n', '')));
    const frame = new TextDecoder().decode(
      passage.errorFrame({ message: 'm', type: 'server_error', param: null, code: 'upstream_timeout' }),
    );
    expect(eventsIn(frame)).toMatchObject([
      { type: 'response.failed', sequence_number: out.length, response: { error: { code: 'upstream_timeout' } } },
    ]);
  });
});
