import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { RequestMemory } from '../../src/wire/prepared-request.ts';
import { sealReasoning } from '../../src/wire/reasoning-envelope.ts';
import { EMPTY_MEMORY, prepareResponses, refusalOf, responsesCall, targetOf } from './request-fixtures.ts';

const user = (text: string): JsonObject => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
const STORED: RequestMemory = {
  ...EMPTY_MEMORY,
  storedResponse: (id) => (id !== 'resp_1' ? undefined : {
    input: [user('first')],
    output: [
      { type: 'reasoning', id: 'rs_lost', summary: [] },
      { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content: [{ type: 'output_text', text: 'A1' }] },
    ],
  }),
};

describe('Codex\'s own request', () => {
  const lite = {
    model: 'gpt-x', stream: true, store: false, tool_choice: 'auto', parallel_tool_calls: false,
    input: [
      {
        type: 'additional_tools', role: 'developer',
        tools: [{ type: 'namespace', name: 'functions', tools: [{ type: 'custom', name: 'exec' }] }],
      },
      { type: 'message', role: 'developer', id: 'msg_1', content: [{ type: 'input_text', text: 'd' }] },
      { type: 'unheard_of', id: 'x', payload: { deep: [1, { a: null }] } },
      { type: 'reasoning', id: 'rs_1', summary: [], content: null, encrypted_content: 'gAAAA' },
    ],
    tools: [{ type: 'tool_search', execution: 'client' }, { type: 'unheard_of' }],
    reasoning: { effort: 'ultra', context: 'all_turns' }, include: ['reasoning.encrypted_content'], client_metadata: { a: 'b' },
    generate: false, unknown_parameter: { x: 1 },
  };

  test('passes to the ChatGPT backend as the very body that came, unknown items, tools and members and all', () => {
    const prepared = prepareRequest(responsesCall(lite, { isCodex: true }), targetOf('codex', { efforts: ['low'] }), EMPTY_MEMORY);
    expect(prepared.body).toBe(lite);
    expect(prepared).toMatchObject({ changed: false, dropped: [], answer: { native: true, clientStream: true, upstreamStream: true } });
  });

  test('is changed in nothing but the model when the model is another', () => {
    const prepared = prepareRequest(responsesCall(lite, { isCodex: true }), targetOf('codex', { model: 'gpt-y' }), EMPTY_MEMORY);
    expect(prepared.body).toEqual({ ...lite, model: 'gpt-y', reasoning: { effort: 'max', context: 'all_turns' } });
    expect(prepared.changed).toBe(true);
  });

  test('leaves behind what Relay sealed for another upstream, which this one could not verify', () => {
    const sealed = { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: sealReasoning({
      reasoningContent: 'r', reasoningDetails: [], thoughtSignatures: {},
    }) };
    const prepared = prepareRequest(
      responsesCall({ ...lite, input: [...lite.input, sealed] }, { isCodex: true }), targetOf('codex'), EMPTY_MEMORY,
    );
    expect(prepared.body).toEqual(lite);
  });
});

describe('a plain Responses request', () => {
  test('passes to the platform as the very body that came, also with a previous response only the platform knows', () => {
    const body = { model: 'gpt-x', input: 'x', previous_response_id: 'resp_theirs', temperature: 1, store: true, surprise: 1 };
    const prepared = prepareRequest(responsesCall(body), targetOf('openai'), STORED);
    expect(prepared.body).toBe(body);
    expect(prepared).toMatchObject({ changed: false, answer: { native: false } });
  });

  test('goes on from a response that Relay keeps, without ids or reasoning that nobody stored', () => {
    for (const dialect of ['openai', 'codex'] as const) {
      const continuing = responsesCall({ model: 'gpt-x', input: 'again', previous_response_id: 'resp_1' });
      const { body, answer } = prepareRequest(continuing, targetOf(dialect), STORED);
      expect(body['previous_response_id']).toBeUndefined();
      expect(body['input']).toEqual([
        user('first'), { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'A1' }] }, user('again'),
      ]);
      expect(answer.echo['previous_response_id']).toBe('resp_1');
    }
  });

  test('resolves references into the response it goes on from, and refuses others', () => {
    const input = [{ type: 'item_reference', id: 'msg_1' }];
    const { body } = prepareRequest(responsesCall({ model: 'm', input, previous_response_id: 'resp_1' }), targetOf('chat-generic'), STORED);
    expect(body['messages']).toEqual([
      { role: 'user', content: 'first' }, { role: 'assistant', content: 'A1' }, { role: 'assistant', content: 'A1' },
    ]);
    expect(refusalOf(() => prepareResponses({ input }, 'codex'))).toMatchObject({ param: 'input[0].id' });
  });

  test.each(['codex', 'chat-generic'] as const)('%s: an unknown previous response is a 400 on which Codex sends all anew', (dialect) => {
    expect(refusalOf(() => prepareResponses({ previous_response_id: 'resp_9' }, dialect))).toEqual({
      message: 'Previous response with id \'resp_9\' not found.', type: 'invalid_request_error', param: 'previous_response_id',
      code: 'previous_response_not_found',
    });
  });

  test('is brought into the terms of the ChatGPT backend', () => {
    const { body, dropped, answer } = prepareResponses({
      input: [{ role: 'system', content: 'S' }, user('x')], max_output_tokens: 9, temperature: 0.5,
      truncation: 'auto', metadata: { a: 'b' },
      store: true, service_tier: 'fast', include: ['message.output_text.logprobs'], background: false, stream_options: {},
      tools: [{ type: 'web_search_preview' }, { type: 'function', name: 'f', strict: null }, { type: 'unheard_of' }],
      tool_choice: { type: 'web_search_preview' }, user: null,
    }, 'codex');
    const { prompt_cache_key: key, ...rest } = body;
    expect(key).toMatch(/^relay-[0-9a-f]{32}$/);
    expect(rest).toEqual({
      model: 'gpt-x', instructions: '', input: [{ role: 'developer', content: 'S' }, user('x')], store: false, stream: true,
      service_tier: 'priority', include: ['message.output_text.logprobs', 'reasoning.encrypted_content'],
      tool_choice: { type: 'web_search' }, tools: [{ type: 'web_search' }, { type: 'function', name: 'f' }, { type: 'unheard_of' }],
    });
    expect(dropped).toEqual(['max_output_tokens', 'metadata', 'store', 'temperature', 'truncation']);
    expect(answer).toMatchObject({ clientStream: false, upstreamStream: true, native: false });
    expect(answer.echo).toMatchObject({ temperature: 0.5, metadata: { a: 'b' }, store: true, max_output_tokens: 9 });
  });

  test('text as input becomes a list for the ChatGPT backend', () => {
    expect(prepareResponses({}, 'codex').body['input']).toEqual([user('x')]);
  });

  test.each<[string, JsonObject, string]>([
    ['a background run', { background: true }, 'background'],
    ['a conversation', { conversation: 'conv_1' }, 'conversation'],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 'prompt'],
    ['no input', { input: null }, 'input'],
    ['an empty input', { input: [] }, 'input'],
    ['input of another type', { input: 7 }, 'input'],
  ])('%s is refused, and the parameter named', (_claim, members, param) => {
    for (const dialect of ['codex', 'chat-generic'] as const) {
      expect(refusalOf(() => prepareResponses(members, dialect))).toMatchObject({ param, type: 'invalid_request_error' });
    }
  });

  test('an effort the model does not take becomes the nearest it does, and that is said', () => {
    const { body, dropped } = prepareResponses({ reasoning: { effort: 'max', summary: 'auto' } }, 'openai', { efforts: ['low', 'high'] });
    expect(body['reasoning']).toEqual({ effort: 'high', summary: 'auto' });
    expect(dropped).toEqual(['reasoning.effort:max->high']);
  });

  test('compaction is forwarded with what it takes, never as a stream', () => {
    const compact = responsesCall({
      model: 'gpt-x', input: 'x', store: false, tools: [], text: {}, instructions: 'i',
    }, { endpoint: 'compact' });
    const { body, answer } = prepareRequest(compact, targetOf('codex'), EMPTY_MEMORY);
    expect(body).toEqual({ model: 'gpt-x', input: [user('x')], instructions: 'i' });
    expect(answer).toMatchObject({ clientStream: false, upstreamStream: false });
  });

  test('a Responses body on the chat path keeps its flat tools; chat\'s own options stay behind', () => {
    const body = {
      model: 'gpt-x', stream: true, stream_options: { include_usage: true }, input: [user('x')],
      tools: [{ type: 'custom', name: 'ApplyPatch' }, { type: 'function', name: 'f' }],
    };
    const prepared = prepareRequest(responsesCall(body, { clientWire: 'chat', endpoint: 'chat' }), targetOf('openai'), EMPTY_MEMORY);
    const { stream_options: _, ...rest } = body;
    expect(prepared.body).toEqual(rest);
    expect(prepared.answer).toMatchObject({ clientWire: 'chat', includeUsage: true, echo: {} });
    expect(prepared.answer.customTools).toEqual({ ApplyPatch: 'flat' });
  });
});
