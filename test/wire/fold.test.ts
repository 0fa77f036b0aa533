import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { foldChat, parseFrames } from '../support/golden.ts';
import type { TestEvent } from './run-passage.ts';
import { bytesOf, chatStream, chunkOf, planFor, responsesStream, runPassage, testDeps } from './run-passage.ts';

function tell(plan: Partial<AnswerPlan>, body: string): JsonObject {
  return parseJsonObject(runPassage(createPassage(planFor(plan), testDeps()), [body]).text) ?? {};
}

/** What one run made up: ids and times that differ between two ways to the same answer. */
function withoutMadeUp(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member: unknown) => (['id', 'created', 'created_at'].includes(key) ? undefined : member)));
}

const words = fc.string({ unit: fc.constantFrom('a', 'é', '世', '🙂', '\n', '"'), minLength: 1, maxLength: 6 });
const jsonText = fc.constantFrom('{}', '{"a":1}', '{"path":"a\\nb"}');
const item = fc.oneof(
  fc.array(words, { minLength: 1, maxLength: 3 }).map((parts) => ({
    type: 'message',
    status: 'completed',
    role: 'assistant',
    content: parts.map((text) => ({ type: 'output_text', text, annotations: [], logprobs: [] })),
  })),
  fc
    .array(words, { minLength: 1, maxLength: 3 })
    .map((parts) => ({ type: 'reasoning', summary: parts.map((text) => ({ type: 'summary_text', text })) })),
  jsonText.map((text) => ({ type: 'function_call', name: 'f', arguments: text, status: 'completed' })),
  words.map((input) => ({ type: 'custom_tool_call', name: 'patch', input, status: 'completed' })),
  words.map((refusal) => ({ type: 'message', status: 'completed', role: 'assistant', content: [{ type: 'refusal', refusal }] })),
);
const output = fc.array(item, { minLength: 1, maxLength: 5 }).map((items) =>
  items.map((given, index): JsonObject => ({
    ...given,
    id: `item_${index}`,
    ...(given.type.endsWith('_call') && { call_id: `call_${index}` }),
  })),
);
const ending = fc.constantFrom('completed', 'incomplete');

function responseOf(items: readonly JsonObject[], status: string): JsonObject {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1_700_000_000,
    model: 'gpt-x',
    status,
    error: null,
    service_tier: 'default',
    output: [...items],
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    usage: {
      input_tokens: 1,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 2,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 3,
    },
  };
}

/** How an upstream streams a response: texts in single characters, and `output` left empty at the end. */
function eventsOf(response: JsonObject, tells: 'items' | 'deltas'): readonly TestEvent[] {
  const items = (arrayAt(response, 'output') ?? []).filter(isJsonObject);
  return [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [], usage: null } },
    ...items.flatMap((value, index) => [
      { type: 'response.output_item.added', output_index: index, item: emptied(value) },
      ...deltasOf(value, index),
      ...(tells === 'items' ? [{ type: 'response.output_item.done', output_index: index, item: value }] : []),
    ]),
    { type: `response.${String(response['status'])}`, response: { ...response, output: [] } },
  ];
}
function emptied(value: JsonObject): JsonObject {
  return {
    ...value,
    ...(value['content'] && { content: [] }),
    ...(value['summary'] && { summary: [] }),
    ...(value['arguments'] && { arguments: '' }),
    ...(value['input'] && { input: '' }),
  };
}
function deltasOf(value: JsonObject, output_index: number): readonly TestEvent[] {
  const spell = (type: string, text: string, more: object): readonly TestEvent[] =>
    [...text].map((delta) => ({ type, item_id: value['id'], output_index, ...more, delta }));
  const parts = [...(arrayAt(value, 'content') ?? []).entries()].flatMap(([content_index, part]) =>
    stringAt(part, 'refusal') === undefined
      ? spell('response.output_text.delta', stringAt(part, 'text') ?? '', { content_index })
      : spell('response.refusal.delta', stringAt(part, 'refusal') ?? '', { content_index }),
  );
  const summaries = [...(arrayAt(value, 'summary') ?? []).entries()].flatMap(([summary_index, part]) =>
    spell('response.reasoning_summary_text.delta', stringAt(part, 'text') ?? '', { summary_index }),
  );
  return [
    ...parts,
    ...summaries,
    ...spell('response.function_call_arguments.delta', stringAt(value, 'arguments') ?? '', {}),
    ...spell('response.custom_tool_call_input.delta', stringAt(value, 'input') ?? '', {}),
  ];
}

describe('a fold of a Responses stream', () => {
  test('is the response the stream tells, from finished items as from deltas alone', () => {
    fc.assert(
      fc.property(output, ending, fc.constantFrom('items' as const, 'deltas' as const), (items, status, tells) => {
        const finished = items.map((value) => ({ ...value, ...(value['status'] !== undefined && tells === 'deltas' && { status }) }));
        const response = responseOf(finished, status);
        const plan = { clientWire: 'responses', upstreamWire: 'responses', clientStream: false } as const;
        expect(tell(plan, responsesStream(eventsOf(response, tells)))).toEqual(response);
      }),
    );
  });

  test('for a chat client is the completion of the same response without streaming', () => {
    fc.assert(
      fc.property(output, ending, fc.constantFrom('items' as const, 'deltas' as const), (items, status, tells) => {
        const response = responseOf(items, status);
        const folded = tell({ clientStream: false }, responsesStream(eventsOf(response, tells)));
        expect(folded).toEqual(tell({ clientStream: false, upstreamStream: false }, JSON.stringify(response)));
      }),
    );
  });

  test('for a chat client adds up to what a streaming client gets', () => {
    fc.assert(
      fc.property(output, (items) => {
        const sse = responsesStream(eventsOf(responseOf(items, 'completed'), 'items'));
        const streamed = foldChat(runPassage(createPassage(planFor({}), testDeps()), [sse]).text);
        const message = objectAt(arrayAt(tell({ clientStream: false }, sse), 'choices')?.[0], 'message');
        expect([streamed.content, streamed['refusal'] ?? null, streamed['reasoning_content']]).toEqual([
          message?.['content'],
          message?.['refusal'],
          message?.['reasoning_content'],
        ]);
        expect(streamed.tool_calls.map(({ id }) => id)).toEqual((arrayAt(message, 'tool_calls') ?? []).map((call) => stringAt(call, 'id')));
      }),
    );
  });

  test('has the keys a chat completion must have', () => {
    const message = { type: 'message', id: 'm', content: [{ type: 'output_text', text: 'a', annotations: [] }] };
    const response = { ...responseOf([message], 'completed'), service_tier: 'priority' };
    expect(tell({ clientStream: false }, responsesStream(eventsOf(response, 'items')))).toEqual({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_700_000_000,
      model: 'gpt-x',
      service_tier: 'priority',
      choices: [
        { index: 0, message: { role: 'assistant', content: 'a', refusal: null, annotations: [] }, logprobs: null, finish_reason: 'stop' },
      ],
      usage: {
        prompt_tokens: 1,
        completion_tokens: 2,
        total_tokens: 3,
        prompt_tokens_details: { cached_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  test('keeps the output of a terminal event, and fills in ids it lacks', () => {
    const told = tell(
      { clientWire: 'responses', upstreamWire: 'responses', clientStream: false },
      responsesStream([
        { type: 'response.output_item.done', output_index: 0, item: { type: 'message', id: 'msg_1', content: [] } },
        {
          type: 'response.completed',
          response: { id: 'r', status: 'completed', output: [{ type: 'message', content: [{ type: 'output_text', text: 'a' }] }] },
        },
      ]),
    );
    expect(told['output']).toEqual([{ type: 'message', id: 'msg_1', content: [{ type: 'output_text', text: 'a' }] }]);
  });

  test('U36 a failure is an envelope and routed on', () => {
    const told = runPassage(createPassage(planFor({ clientStream: false }), testDeps()), [
      responsesStream([{ type: 'response.failed', response: { error: { code: 'context_length_exceeded', message: 'long' } } }]),
    ]);
    expect(told.seen).toMatchObject({ terminal: 'failed', failure: { code: 'context_length_exceeded' } });
    expect(parseJsonObject(told.text)).toEqual({
      error: { message: 'long', type: 'invalid_request_error', param: null, code: 'context_length_exceeded' },
    });
  });
});

describe('a fold of a chat stream', () => {
  const delta = fc.oneof(
    words.map((content) => ({ content })),
    words.map((reasoning_content) => ({ reasoning_content })),
    words.map((refusal) => ({ refusal })),
  );
  const calls = fc.array(jsonText, { maxLength: 3 });

  test('for a Responses client is the response of the same completion without streaming', () => {
    fc.assert(
      fc.property(words, words, calls, fc.constantFrom('stop', 'length', 'content_filter'), (thought, content, texts, finish) => {
        const tool_calls = texts.map((text, index) => ({ id: `c${index}`, type: 'function', function: { name: 'f', arguments: text } }));
        const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
        const completion = {
          id: 'cc',
          object: 'chat.completion',
          created: 1_700_000_000,
          model: 'm',
          usage,
          choices: [
            {
              index: 0,
              message: { role: 'assistant', reasoning_content: thought, content, ...(texts.length > 0 && { tool_calls }) },
              finish_reason: finish,
            },
          ],
        };
        const pieces = tool_calls.flatMap((call, index) => [
          chunkOf({ tool_calls: [{ index, id: call.id, type: 'function', function: { name: 'f', arguments: '' } }] }),
          ...[...call.function.arguments].map((piece) => chunkOf({ tool_calls: [{ index, function: { arguments: piece } }] })),
        ]);
        const sse = chatStream([
          ...[...thought].map((piece) => chunkOf({ reasoning_content: piece })),
          ...[...content].map((piece) => chunkOf({ content: piece })),
          ...pieces,
          chunkOf({}, finish),
          { choices: [], usage },
        ]);
        const plan = { clientWire: 'responses', upstreamWire: 'chat', clientStream: false } as const;
        const folded = tell(plan, sse);
        expect(withoutMadeUp(folded)).toEqual(withoutMadeUp(tell({ ...plan, upstreamStream: false }, JSON.stringify(completion))));
        const streamed = runPassage(createPassage(planFor({ ...plan, clientStream: true }), testDeps()), [sse]);
        expect(withoutMadeUp(objectAt(parseJsonObject(parseFrames(streamed.text).at(-1)?.data ?? ''), 'response'))).toEqual(
          withoutMadeUp(folded),
        );
      }),
    );
  });

  test('for a chat client adds up every choice', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 1 }), delta), { minLength: 1 }), (pieces) => {
        const chunks = pieces.map(([index, given]) => ({ choices: [{ index, delta: given, finish_reason: null }] }));
        const ends = [0, 1].map((index) => ({ choices: [{ index, delta: {}, finish_reason: 'stop' }] }));
        const told = tell({ clientWire: 'chat', upstreamWire: 'chat', clientStream: false }, chatStream([...chunks, ...ends]));
        for (const index of [0, 1]) {
          const said = (key: string) =>
            pieces
              .filter(([at]) => at === index)
              .map(([, given]) => stringAt(given, key) ?? '')
              .join('');
          const message = objectAt(arrayAt(told, 'choices')?.[index], 'message');
          expect([message?.['content'] ?? '', message?.['refusal'] ?? '', message?.['reasoning_content'] ?? '']).toEqual([
            said('content'),
            said('refusal'),
            said('reasoning_content'),
          ]);
        }
      }),
    );
  });

  test('for a chat client keeps calls of the same index and another id apart', () => {
    const told = tell(
      { clientWire: 'chat', upstreamWire: 'chat', clientStream: false },
      chatStream([
        chunkOf(
          {
            tool_calls: [
              { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{' } },
              { index: 0, function: { arguments: '}' } },
              {
                index: 0,
                id: 'b',
                type: 'function',
                function: { name: 'g', arguments: '{}' },
                extra_content: { google: { thought_signature: 'S' } },
              },
            ],
          },
          'tool_calls',
        ),
      ]),
    );
    expect(arrayAt(told, 'choices')).toMatchObject([
      {
        finish_reason: 'tool_calls',
        message: {
          content: null,
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
            { id: 'b', type: 'function', function: { name: 'g', arguments: '{}' }, extra_content: { google: { thought_signature: 'S' } } },
          ],
        },
      },
    ]);
  });

  test('U29 without a finish reason is a truncation and says nothing', () => {
    const sse = chatStream([chunkOf({ content: 'a' })]).replace('data: [DONE]\n\n', '');
    const told = runPassage(createPassage(planFor({ clientWire: 'chat', upstreamWire: 'chat', clientStream: false }), testDeps()), [sse]);
    expect([told.text, told.last, told.seen.terminal]).toEqual(['', null, null]);
  });
});

describe('a whole body', () => {
  const completion = {
    id: 'x',
    object: 'chat.completion',
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1 },
  };
  const whole = { clientStream: false, upstreamStream: false } as const;

  test('on the same wire keeps its very bytes', () => {
    for (const [wire, body] of [
      ['chat', completion],
      ['responses', responseOf([], 'completed')],
    ] as const) {
      const text = `  ${JSON.stringify(body, null, 3)}\n`;
      const passage = createPassage(planFor({ clientWire: wire, upstreamWire: wire, ...whole }), testDeps());
      const told = runPassage(
        passage,
        [...bytesOf(text)].map((byte) => Uint8Array.of(byte)),
      );
      expect([told.out, told.last]).toEqual(['', text]);
      expect(told.seen).toMatchObject({ terminal: 'completed', meaningful: true, model: body.model, usage: body.usage });
    }
  });

  test.each([
    ['not JSON', '<html>', 'upstream_invalid_response'],
    ['a list', '[]', 'upstream_invalid_response'],
    ['nothing', '', 'upstream_invalid_response'],
    ['an error', '{"error":{"code":"x","message":"m"}}', 'x'],
  ])('U34 %s is a failure on every pair of wires', (_, text, code) => {
    for (const clientWire of ['chat', 'responses'] as const) {
      for (const upstreamWire of ['chat', 'responses'] as const) {
        const told = runPassage(createPassage(planFor({ clientWire, upstreamWire, ...whole }), testDeps()), [text]);
        expect(told.seen).toMatchObject({ terminal: 'failed', failure: { code } });
      }
    }
  });

  test('for a chat client that streams is told as chunks', () => {
    const told = runPassage(
      createPassage(planFor({ clientWire: 'chat', upstreamWire: 'chat', upstreamStream: false, includeUsage: true }), testDeps()),
      [JSON.stringify(completion)],
    );
    expect(foldChat(told.text)).toMatchObject({
      content: 'a',
      finish_reason: 'stop',
      done: true,
      role_first: true,
      usage: { prompt_tokens: 1 },
    });
  });

  test('for a Responses client that streams is told as events that add up to it', () => {
    fc.assert(
      fc.property(output, ending, (items, status) => {
        const response = responseOf(items, status);
        const plan = { clientWire: 'responses', upstreamWire: 'responses' } as const;
        const told = runPassage(createPassage(planFor({ ...plan, upstreamStream: false }), testDeps()), [JSON.stringify(response)]);
        const events = parseFrames(told.text).map(({ data }) => parseJsonObject(data));
        expect(events.map((event) => event?.['sequence_number'])).toEqual(events.map((_, index) => index));
        const bare = told.text.replace(
          /event: response\.(completed|incomplete)\n.*\n\n$/,
          responsesStream([{ type: `response.${status}`, response: { ...response, output: [] } }]),
        );
        expect(tell({ ...plan, clientStream: false }, bare)).toEqual(response);
      }),
    );
  });
});
