import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { RequestMemory } from '../../src/wire/prepared-request.ts';
import { chatCall, EMPTY_MEMORY, prepareChat, refusalOf, targetOf } from './request-fixtures.ts';

const call = (id: string, name: string, args = '{}'): JsonObject => ({ id, type: 'function', function: { name, arguments: args } });
const asked = { role: 'user', content: 'x' };
const long = (tail: string): string => `mcp__${'server'.repeat(12)}__${tail}`;
const cacheKeyOf = (messages: JsonObject[]): unknown => prepareChat({ messages }, 'codex').body['prompt_cache_key'];

describe('a chat request for a Responses upstream: parameters', () => {
  test.each<[string, JsonObject, JsonObject, readonly string[]]>([
    ['the ChatGPT backend refuses sampling, so it is left out and said',
      { temperature: 0, top_p: 1, seed: 1, metadata: { a: 'b' }, user: 'u' }, {}, ['metadata', 'seed', 'temperature', 'top_p', 'user']],
    ['a cap is left out under the name it came with', { max_tokens: 32_000 }, {}, ['max_tokens']],
    ['a tier other than priority is left out', { service_tier: 'flex' }, {}, ['service_tier']],
    ['the tier that comes anyway is no loss', { service_tier: 'auto' }, {}, []],
    ['store is a loss only when it was wanted', { store: true }, { store: false }, ['store']],
    ['store: false is what happens anyway', { store: false }, { store: false }, []],
    ['log probabilities are left out', { logprobs: true, top_logprobs: 2 }, {}, ['logprobs', 'top_logprobs']],
    ['obfuscation is nobody\'s loss', { stream: true, stream_options: { include_obfuscation: true } }, { stream: true }, []],
    ['foreign thinking becomes an effort', { thinking: { type: 'enabled', budget_tokens: 9 } },
      { reasoning: { effort: 'medium', summary: 'auto' } }, []],
    ['the standard effort wins over a foreign one', { reasoning_effort: 'high', enable_thinking: false },
      { reasoning: { effort: 'high', summary: 'auto' } }, []],
    ['an effort of OpenRouter\'s shape is read', { reasoning: { effort: 'low' } }, { reasoning: { effort: 'low', summary: 'auto' } }, []],
    ['ultra is a client\'s word for max', { reasoning_effort: 'ultra' }, { reasoning: { effort: 'max', summary: 'auto' } }, []],
    ['an unknown parameter is left out and said', { surprise: 1 }, {}, ['surprise']],
  ])('codex: %s', (_claim, members, contains, dropped) => {
    const prepared = prepareChat(members, 'codex');
    expect(prepared.body).toMatchObject(contains);
    expect(prepared.dropped).toEqual(dropped);
    for (const name of dropped) expect(prepared.body[name]).toBe(name === 'store' ? false : undefined);
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['log probabilities are included by name', { logprobs: true, top_logprobs: 3 },
      { include: ['message.output_text.logprobs'], top_logprobs: 3 }],
    ['reasoning is asked for in a form that can be replayed', { reasoning_effort: 'low' },
      { include: ['reasoning.encrypted_content'], reasoning: { effort: 'low' } }],
    ['obfuscation is the upstream\'s to switch', { stream: true, stream_options: { include_usage: true, include_obfuscation: false } },
      { stream: true, stream_options: { include_obfuscation: false } }],
    ['JSON without a schema stays JSON without a schema', { response_format: { type: 'json_object' } },
      { text: { format: { type: 'json_object' } } }],
    ['moderation and cache hints pass', { moderation: { a: 1 }, prompt_cache_retention: '24h' },
      { moderation: { a: 1 }, prompt_cache_retention: '24h' }],
  ])('platform: %s', (_claim, members, contains) => {
    const prepared = prepareChat(members, 'openai');
    expect(prepared.body).toMatchObject(contains);
    expect(prepared.dropped).toEqual([]);
  });

  test.each<[string, JsonObject, string, string]>([
    ['two answers in one', { n: 2 }, 'n', 'unsupported_value'],
    ['a voice', { audio: { voice: 'alloy' } }, 'audio', 'unsupported_value'],
    ['a format nobody knows', { response_format: { type: 'xml' } }, 'response_format.type', 'unsupported_value'],
    ['a stop that is no text', { stop: [1] }, 'stop[0]', 'invalid_type'],
    ['no messages', { messages: [] }, 'messages', 'invalid_type'],
    ['messages that are none', { messages: 'hi' }, 'messages', 'invalid_type'],
    ['a message without a role', { messages: [{ content: 'x' }] }, 'messages[0].role', 'missing_required_parameter'],
    ['a role nobody plays', { messages: [{ role: 'king', content: 'x' }] }, 'messages[0].role', 'unsupported_value'],
    ['an answer to no call', { messages: [asked, { role: 'tool', tool_call_id: 'z', content: '' }] },
      'messages[1].tool_call_id', 'invalid_request_error'],
    ['a spoken turn', { messages: [{ role: 'assistant', audio: { id: 'a' } }] }, 'messages[0].audio', 'unsupported_content_type'],
    ['a tool without a name', { tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name', 'missing_required_parameter'],
    ['a function answered before it is called', { messages: [{ role: 'function', name: 'f', content: '' }] },
      'messages[0].name', 'invalid_request_error'],
  ])('%s is refused, and the parameter named', (_claim, members, param, code) => {
    expect(refusalOf(() => prepareChat(members, 'openai'))).toMatchObject({ param, code, type: 'invalid_request_error' });
  });

  test('a file id is refused by the ChatGPT backend, which never saw the file', () => {
    const messages = [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file_1' } }] }];
    expect(refusalOf(() => prepareChat({ messages }, 'codex'))).toMatchObject({ param: 'messages[0].content[0].file.file_id' });
    expect(prepareChat({ messages }, 'openai').body['input']).toMatchObject([{ content: [{ type: 'input_file', file_id: 'file_1' }] }]);
  });

  test('in strict mode what would be left out is refused', () => {
    expect(refusalOf(() => prepareChat({ temperature: 1 }, 'codex', { strict: true }))).toMatchObject({
      param: 'temperature', code: 'unsupported_parameter',
    });
    expect(refusalOf(() => prepareChat({ max_tokens: 5 }, 'openai', { strict: true }))).toMatchObject({ param: 'max_tokens' });
    expect(refusalOf(() => prepareChat({ messages: [{ ...asked, name: 'al' }] }, 'openai', { strict: true }))).toMatchObject({
      param: 'messages[0].name',
    });
  });

  test('reasoning that the platform stores itself is not asked for sealed', () => {
    expect(prepareChat({ reasoning_effort: 'low', store: true }, 'openai').body['include']).toBeUndefined();
    expect(prepareChat({ reasoning_effort: 'none' }, 'openai').body['include']).toBeUndefined();
  });

  test.each<[string, readonly string[], string]>([
    ['medium', ['low', 'high'], 'low'], ['none', ['low', 'high'], 'low'], ['xhigh', ['low', 'high'], 'high'],
    ['max', ['low', 'max'], 'max'],
    ['ultra', ['ultra'], 'ultra'], ['strange', ['low'], 'strange'], ['low', ['strange'], 'low'],
  ])('effort %s where %j are served is %s', (asking, efforts, sent) => {
    expect(prepareChat({ reasoning_effort: asking }, 'openai', { efforts }).body['reasoning']).toEqual({ effort: sent });
  });

  test('stop sequences go into the plan of the answer, since no Responses upstream has them', () => {
    const prepared = prepareChat({ stop: ['END', '\n\n'] }, 'codex');
    expect(prepared.answer.stop).toEqual(['END', '\n\n']);
    expect(prepared.dropped).toEqual([]);
    expect(prepareChat({ stop: 'END' }, 'openai').answer.stop).toEqual(['END']);
  });

  test('the cache key of a conversation on the ChatGPT backend stays, and differs from another\'s', () => {
    const system = { role: 'system', content: 's' };
    const later = [{ role: 'assistant', content: 'y' }, { role: 'user', content: 'more' }];
    expect(cacheKeyOf([system, asked])).toBe(cacheKeyOf([system, asked, ...later]));
    expect(cacheKeyOf([system, asked])).not.toBe(cacheKeyOf([system, { role: 'user', content: 'z' }]));
    expect(prepareChat({ prompt_cache_key: 'mine' }, 'codex').body['prompt_cache_key']).toBe('mine');
  });
});

describe('a chat request for a Responses upstream: messages and tools', () => {
  test('data URLs are tidied, bare file data gets its type', () => {
    const { body } = prepareChat({
      messages: [{
        role: 'user',
        content: [
          { type: 'image_url', image_url: 'data:image/png;base64,A_-\nA' },
          { type: 'file', file: { filename: 'notes.md', file_data: 'AAA' } },
          { type: 'image_url', image_url: { url: 'https://e/x', detail: 'original' } },
        ],
      }],
    }, 'openai');
    expect(body['input']).toMatchObject([{
      content: [
        { type: 'input_image', image_url: 'data:image/png;base64,A/+A', detail: 'auto' },
        { type: 'input_file', filename: 'notes.md', file_data: 'data:text/markdown;base64,AAA=' },
        { type: 'input_image', image_url: 'https://e/x', detail: 'original' },
      ],
    }]);
  });

  test('a refusal is repeated as one, text parts of a tool become one text, an image keeps the list', () => {
    const { body } = prepareChat({
      messages: [
        { role: 'assistant', content: null, refusal: 'no' },
        { role: 'assistant', tool_calls: [call('a', 'f'), call('b', 'f')] },
        { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: '{"a":' }, { type: 'text', text: '1}' }] },
        { role: 'tool', toolCallId: 'b', content: [{ type: 'text', text: 't' }, { type: 'image_url', image_url: { url: 'https://e/x' } }] },
      ],
    }, 'openai');
    expect(body['input']).toEqual([
      { type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' },
      { type: 'function_call', call_id: 'b', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: '{"a":1}' },
      {
        type: 'function_call_output', call_id: 'b',
        output: [{ type: 'input_text', text: 't' }, { type: 'input_image', image_url: 'https://e/x', detail: 'auto' }],
      },
    ]);
  });

  test('thinking of another vendor in an assistant\'s parts stays behind, its words go on', () => {
    const content = [{ type: 'thinking', thinking: 'hm', signature: 's' }, { type: 'text', text: 'yes' }];
    const messages = [asked, { role: 'assistant', content, reasoning_content: 'hm' }];
    expect(prepareChat({ messages }, 'openai').body['input']).toMatchObject([
      {}, { role: 'assistant', content: [{ type: 'output_text', text: 'yes' }] },
    ]);
  });

  test('a free-form tool declared flat is replayed in a function\'s envelope and goes on as the custom call it was', () => {
    const { body, answer } = prepareChat({
      tools: [{ type: 'custom', name: 'ApplyPatch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } }],
      messages: [
        asked, { role: 'assistant', content: [], tool_calls: [call('a', 'ApplyPatch', '*** Begin Patch')] },
        { role: 'tool', tool_call_id: 'a', content: 'done' },
      ],
    }, 'codex');
    expect(body['tools']).toEqual([
      { type: 'custom', name: 'ApplyPatch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } },
    ]);
    expect(body['input']).toMatchObject([
      { role: 'user' }, { type: 'custom_tool_call', call_id: 'a', name: 'ApplyPatch', input: '*** Begin Patch' },
      { type: 'custom_tool_call_output', call_id: 'a', output: 'done' },
    ]);
    expect(answer.customTools).toEqual({ ApplyPatch: 'flat' });
  });

  test('the functions of 2023 pair by order and are answered as functions', () => {
    const { body, answer } = prepareChat({
      functions: [{ name: 'f' }], function_call: { name: 'f' },
      messages: [
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
        { role: 'function', name: 'f', content: '1' },
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":2}' } },
        { role: 'function', name: 'f', content: '2' },
      ],
    }, 'openai');
    expect(body['tools']).toEqual([{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false }]);
    expect(body['tool_choice']).toEqual({ type: 'function', name: 'f' });
    const input = JSON.parse(JSON.stringify(body['input']));
    const [first, second] = [input[0].call_id, input[2].call_id];
    expect(input.map((item: JsonObject) => item['call_id'])).toEqual([first, first, second, second]);
    expect(first).not.toBe(second);
    expect(answer.legacyFunctions).toBe(true);
  });

  test('names too long for the upstream are shortened everywhere alike, apart from each other, and given back', () => {
    const { body, answer } = prepareChat({
      tools: [long('go'), `other${long('x')}`, 'mcp__go'].map((name) => ({ type: 'function', function: { name } })),
      tool_choice: {
        type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: long('go') } }] },
      },
      messages: [asked, { role: 'assistant', tool_calls: [call('a', long('go'))] }, { role: 'tool', tool_call_id: 'a', content: '' }],
    }, 'openai');
    expect(body['tools']).toMatchObject([{ name: 'mcp__go_2' }, { name: `other${long('x')}`.slice(0, 64) }, { name: 'mcp__go' }]);
    expect(body['tool_choice']).toEqual({ type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'mcp__go_2' }] });
    expect(body['input']).toMatchObject([{}, { name: 'mcp__go_2' }, {}]);
    expect(answer.toolNames['mcp__go_2']).toEqual({ name: long('go'), namespace: null });
    expect(answer.toolNames['mcp__go']).toBeUndefined();
  });

  test('a character the upstream refuses in a name is replaced, and given back', () => {
    const tools = ['fs.read', 'fs_read'].map((name) => ({ type: 'function', function: { name } }));
    const { body, answer } = prepareChat({ tools }, 'codex');
    expect(body['tools']).toMatchObject([{ name: 'fs_read_2' }, { name: 'fs_read' }]);
    expect(answer.toolNames).toEqual({ fs_read_2: { name: 'fs.read', namespace: null } });
  });

  test('a call id too long for the upstream is shortened, and the plan knows the client\'s own', () => {
    const id = 'c'.repeat(90);
    const { answer } = prepareChat({
      messages: [asked, { role: 'assistant', tool_calls: [call(id, 'f')] }, { role: 'tool', tool_call_id: id, content: '' }],
    }, 'codex');
    expect(Object.values(answer.callIds)).toEqual([id]);
  });

  test('reasoning kept from before goes in front of its call, once, and never what was sealed for another upstream', () => {
    const memory: RequestMemory = {
      ...EMPTY_MEMORY,
      reasoningFor: (callId) => (callId === 'c' ? [{ type: 'reasoning', id: 'rs_2', encrypted_content: 'relay1.e30' }]
        : [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' }]),
    };
    const messages = [
      asked, { role: 'assistant', content: 'hm', tool_calls: [call('a', 'f'), call('b', 'f'), call('c', 'f')] },
      ...['a', 'b', 'c'].map((id) => ({ role: 'tool', tool_call_id: id, content: '' })),
    ];
    const { body } = prepareRequest(chatCall({ model: 'gpt-x', messages }), targetOf('codex'), memory);
    expect(body['input']).toMatchObject([
      { role: 'user' }, { role: 'assistant' }, { type: 'reasoning', id: 'rs_1' }, { call_id: 'a' }, { call_id: 'b' }, { call_id: 'c' },
      {}, {}, {},
    ]);
  });

  test('the breakpoints of a prompt cache pass to the platform and are left out for the ChatGPT backend', () => {
    const messages = [{ role: 'user', content: [{ type: 'text', text: 'x', prompt_cache_breakpoint: { mode: 'explicit' } }] }];
    expect(prepareChat({ messages }, 'openai').body['input']).toMatchObject([
      { content: [{ prompt_cache_breakpoint: { mode: 'explicit' } }] },
    ]);
    const onCodex = prepareChat({ messages }, 'codex');
    expect(JSON.stringify(onCodex.body['input'])).not.toContain('breakpoint');
    expect(onCodex.dropped).toEqual(['prompt_cache_breakpoint']);
  });

  test('a client that wants one object from an upstream that only streams is planned as such', () => {
    expect(prepareChat({}, 'codex').answer).toMatchObject({
      clientStream: false, upstreamStream: true, clientWire: 'chat', upstreamWire: 'responses',
    });
    expect(prepareChat({}, 'openai').answer).toMatchObject({ clientStream: false, upstreamStream: false });
  });
});
