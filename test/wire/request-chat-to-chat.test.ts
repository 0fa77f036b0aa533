import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import { chatCall, EMPTY_MEMORY, prepareChat, targetOf } from './request-fixtures.ts';

const call = (id: string, name: string): JsonObject => ({ id, type: 'function', function: { name, arguments: '{}' } });
const asked = { role: 'user', content: 'x' };

describe('a chat request for a chat upstream', () => {
  const plain = { model: 'gpt-x', messages: [{ role: 'developer', content: 'd' }, asked], temperature: 1, n: 2, surprise: [1] };

  test('passes as the very body that came where nothing has to change', () => {
    const prepared = prepareRequest(chatCall(plain), targetOf('openai', { wire: 'chat' }), EMPTY_MEMORY);
    expect(prepared.body).toBe(plain);
    expect(prepared).toMatchObject({ changed: false, dropped: [] });
  });

  test('passes so to a local upstream too', () => {
    const ordinary = { model: 'gpt-x', messages: [asked], tools: [{ type: 'function', function: { name: 'f' } }] };
    expect(prepareRequest(chatCall(ordinary), targetOf('chat-generic'), EMPTY_MEMORY).body).toBe(ordinary);
  });

  test('is always asked for its usage when it streams, and the plan says whether the client did', () => {
    const stream = prepareRequest(chatCall({ ...plain, stream: true }), targetOf('openai', { wire: 'chat' }), EMPTY_MEMORY);
    expect(stream.body).toEqual({ ...plain, stream: true, stream_options: { include_usage: true } });
    expect(stream.answer.includeUsage).toBe(false);
    const asking = { ...plain, stream: true, stream_options: { include_usage: true } };
    const untouched = prepareRequest(chatCall(asking), targetOf('openai', { wire: 'chat' }), EMPTY_MEMORY);
    expect(untouched).toMatchObject({ changed: false, answer: { includeUsage: true } });
  });

  test('is given the model as this upstream calls it, and a stream where there is nothing else', () => {
    const { body } = prepareRequest(chatCall(plain), targetOf('chat-generic', { model: 'llama3', streamOnly: true }), EMPTY_MEMORY);
    expect(body).toMatchObject({ model: 'llama3', stream: true, stream_options: { include_usage: true } });
  });

  test('local upstreams are told the developer\'s words as the system\'s', () => {
    expect(prepareChat({ messages: plain.messages }, 'chat-generic').body['messages']).toEqual([{ role: 'system', content: 'd' }, asked]);
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['none switches thinking off', { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
    ['minimal is low', { reasoning_effort: 'minimal' }, { reasoning_effort: 'low' }],
    ['xhigh is high', { reasoning_effort: 'xhigh' }, { reasoning_effort: 'high' }],
    ['max is its own word', { reasoning_effort: 'max' }, { reasoning_effort: 'max' }],
    ['the cap has its old name', { max_completion_tokens: 9 }, { max_tokens: 9 }],
  ])('DeepSeek: %s', (_claim, members, sent) => {
    const { body, dropped } = prepareChat(members, 'deepseek');
    const { model: _, messages: __, ...rest } = body;
    expect(rest).toEqual(sent);
    expect(dropped).toEqual([]);
  });

  test('DeepSeek gets its reasoning back on every tool turn, empty where it is lost', () => {
    const messages = [
      asked, { role: 'assistant', tool_calls: [call('a', 'f')] }, { role: 'tool', tool_call_id: 'a', content: '' },
      { role: 'assistant', reasoning: 'why', tool_calls: [call('b', 'f')] }, { role: 'tool', tool_call_id: 'b', content: '' },
    ];
    expect(prepareChat({ messages }, 'deepseek').body['messages']).toMatchObject([
      {}, { reasoning_content: '' }, {}, { reasoning_content: 'why' }, {},
    ]);
    expect(prepareChat({ messages, reasoning_effort: 'none' }, 'deepseek').body['messages']).toEqual(messages);
  });

  test('DeepSeek refuses a forced tool while it thinks, so the force is taken off and said', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const { body, dropped } = prepareChat({ tools, tool_choice: 'required', reasoning_effort: 'high' }, 'deepseek');
    expect(body['tool_choice']).toBe('auto');
    expect(dropped).toEqual(['tool_choice:required->auto']);
    expect(prepareChat({ tools, tool_choice: 'required' }, 'deepseek').body['tool_choice']).toBe('required');
  });

  test('Gemini gets a signature on the first of each turn\'s calls: the client\'s, the remembered, or the word for none', () => {
    const signed = { ...call('a', 'f'), extra_content: { google: { thought_signature: 'sig' } } };
    const messages = [
      asked, { role: 'assistant', tool_calls: [signed, call('b', 'f')] },
      { role: 'assistant', tool_calls: [call('c', 'f'), call('d', 'f')] },
    ];
    const sent = prepareChat({ messages }, 'gemini').body['messages'];
    expect(sent).toEqual([
      asked, messages[1],
      {
        role: 'assistant',
        tool_calls: [
          { ...call('c', 'f'), extra_content: { google: { thought_signature: 'skip_thought_signature_validator' } } }, call('d', 'f'),
        ],
      },
    ]);
  });

  test('Gemini is not sent what it does not know; what matters of it is said', () => {
    const { body, dropped } = prepareChat({
      store: false, prompt_cache_key: 'k', metadata: { a: 'b' }, reasoning_effort: 'xhigh',
    }, 'gemini');
    expect(body).toEqual({ model: 'gpt-x', messages: [asked], reasoning_effort: 'high' });
    expect(dropped).toEqual(['metadata', 'reasoning_effort:xhigh->high']);
  });

  test('tools declared flat are nested, an empty list goes with its choice', () => {
    const flat = [
      { type: 'function', name: 'f', parameters: { type: 'object' }, strict: null },
      { type: 'custom', name: 'g', format: { type: 'grammar', syntax: 'regex', definition: 'a+' } },
    ];
    const { body } = prepareChat({ tools: flat, tool_choice: { type: 'function', name: 'f' } }, 'chat-generic');
    expect(body['tools']).toEqual([
      { type: 'function', function: { name: 'f', parameters: { type: 'object' } } },
      { type: 'custom', custom: { name: 'g', format: { type: 'grammar', grammar: { syntax: 'regex', definition: 'a+' } } } },
    ]);
    expect(body['tool_choice']).toEqual({ type: 'function', function: { name: 'f' } });
    expect(prepareChat({ tools: [], tool_choice: 'auto', parallel_tool_calls: true }, 'chat-generic').body).toEqual({
      model: 'gpt-x', messages: [asked],
    });
  });
});
