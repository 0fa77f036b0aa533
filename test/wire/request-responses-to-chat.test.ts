import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { sealReasoning } from '../../src/wire/reasoning-envelope.ts';
import { prepareResponses, refusalOf } from './request-fixtures.ts';

const user = (text: string): JsonObject => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
const call = (id: string, name: string): JsonObject => ({ type: 'function_call', call_id: id, name, arguments: '{}' });
const output = (id: string, text: string): JsonObject => ({ type: 'function_call_output', call_id: id, output: text });
const sentCall = (id: string, name: string): JsonObject => ({ id, type: 'function', function: { name, arguments: '{}' } });

const messagesOf = (input: JsonObject[], dialect: 'chat-generic' | 'deepseek' | 'gemini' | 'openai' = 'chat-generic'): unknown =>
  prepareResponses({ input }, dialect, { wire: 'chat' }).body['messages'];

describe('a Responses request for a chat upstream: history', () => {
  test('calls that stand together are one message, joined to the words before them', () => {
    expect(messagesOf([
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'let me look' }] },
      call('a', 'f'), call('b', 'g'), output('b', '2'), output('a', '1'),
    ])).toEqual([
      { role: 'assistant', content: 'let me look', tool_calls: [sentCall('a', 'f'), sentCall('b', 'g')] },
      { role: 'tool', tool_call_id: 'a', content: '1' }, { role: 'tool', tool_call_id: 'b', content: '2' },
    ]);
  });

  test('an id that comes again each turn pairs with its own turn\'s output', () => {
    expect(messagesOf([call('call_0', 'f'), output('call_0', '1'), user('go'), call('call_0', 'f'), output('call_0', '2')])).toMatchObject([
      { tool_calls: [{}] }, { content: '1' }, { role: 'user' }, { tool_calls: [{}] }, { content: '2' },
    ]);
  });

  test('calls of one id that stand together are answered in their order, each in a message of its own', () => {
    expect(messagesOf([call('a', 'f'), call('a', 'g'), output('a', 'first'), output('a', 'second')])).toMatchObject([
      { tool_calls: [{ function: { name: 'f' } }] }, { content: 'first' },
      { tool_calls: [{ function: { name: 'g' } }] }, { content: 'second' },
    ]);
  });

  test('an input that says nothing a chat upstream can be told is refused', () => {
    const input = [{ type: 'reasoning', summary: [] }];
    expect(refusalOf(() => prepareResponses({ input }, 'chat-generic'))).toMatchObject({ param: 'input' });
  });

  test('an output without its call is refused', () => {
    expect(refusalOf(() => prepareResponses({ input: [user('x'), output('z', '1')] },
      'chat-generic'))).toMatchObject({ param: 'input[1].call_id' });
  });

  test('images of a tool follow in a user message, behind all the answers', () => {
    expect(messagesOf([
      call('a', 'f'), call('b', 'f'),
      {
        type: 'function_call_output', call_id: 'a',
        output: [{ type: 'input_text', text: 'see ' }, { type: 'input_image', image_url: 'https://e/x' }],
      },
      output('b', '2'),
    ])).toEqual([
      { role: 'assistant', content: null, tool_calls: [sentCall('a', 'f'), sentCall('b', 'f')] },
      { role: 'tool', tool_call_id: 'a', content: 'see [image omitted]' }, { role: 'tool', tool_call_id: 'b', content: '2' },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://e/x' } }] },
    ]);
  });

  test('images and files of the user go along; original detail is high', () => {
    const input = [{
      role: 'user',
      content: [
        { type: 'input_text', text: 't' }, { type: 'input_image', image_url: 'https://e/x', detail: 'original' },
        { type: 'input_file', filename: 'a.pdf', file_data: 'AAAA' },
      ],
    }];
    expect(messagesOf(input)).toEqual([{
      role: 'user',
      content: [
        { type: 'text', text: 't' }, { type: 'image_url', image_url: { url: 'https://e/x', detail: 'high' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
      ],
    }]);
    expect(refusalOf(() => prepareResponses({ input }, 'deepseek'))).toMatchObject({
      code: 'unsupported_content_type', param: 'input[0].content[2]',
    });
  });

  test('reasoning goes back to those who asked for it, on its own turn, and to nobody else', () => {
    const envelope = sealReasoning({ reasoningContent: 'sealed', reasoningDetails: [{ a: 1 }], thoughtSignatures: { a: 'sig' } });
    const input = [
      { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'told' }], encrypted_content: 'gAAAforeign' },
      { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: envelope }, call('a', 'f'), output('a', '1'),
      { type: 'reasoning', id: 'rs_3', summary: [] }, user('next'), call('b', 'f'), output('b', '2'),
    ];
    const callA = sentCall('a', 'f');
    expect(messagesOf(input, 'deepseek')).toMatchObject([
      { reasoning_content: 'told\n\nsealed', tool_calls: [callA] }, {}, {}, { reasoning_content: '' }, {},
    ]);
    expect(messagesOf(input, 'chat-generic')).toMatchObject([
      { reasoning_content: 'sealed', reasoning_details: [{ a: 1 }] }, {}, {}, {}, {},
    ]);
    expect(messagesOf(input, 'gemini')).toMatchObject([
      { tool_calls: [{ ...callA, extra_content: { google: { thought_signature: 'sig' } } }] }, {}, {},
      { tool_calls: [{ extra_content: { google: { thought_signature: 'skip_thought_signature_validator' } } }] }, {},
    ]);
    expect(messagesOf(input, 'openai')).toMatchObject([{ role: 'assistant', content: null, tool_calls: [callA] }, {}, {}, {}, {}]);
    expect(JSON.stringify(messagesOf(input, 'openai'))).not.toMatch(/sealed|told|sig/);
  });

  test('a summary of Relay\'s is told by the system, another\'s ciphertext is lost and that is said', () => {
    const ours = sealReasoning({ reasoningContent: 'so far', reasoningDetails: [], thoughtSignatures: {} });
    expect(messagesOf([{ type: 'compaction', encrypted_content: ours }, user('x')])).toEqual([
      { role: 'system', content: 'so far' }, { role: 'user', content: 'x' },
    ]);
    expect(prepareResponses({ input: [{ type: 'compaction', encrypted_content: 'gAAA' }, user('x')] },
      'chat-generic').dropped).toEqual(['input:compaction']);
  });

  test('what another upstream ran itself is left out; a change of settings on the way counts', () => {
    const { body } = prepareResponses({
      input: [{ type: 'web_search_call', id: 'ws_1' }, { type: 'configuration_update', reasoning: { effort: 'low' } }, user('x')],
      reasoning: { effort: 'high' },
    }, 'chat-generic');
    expect(body).toMatchObject({ messages: [{ role: 'user', content: 'x' }], reasoning_effort: 'low' });
  });
});

describe('a Responses request for a chat upstream: tools and parameters', () => {
  test('a namespace is flattened, the first of a name wins, and the plan knows the way back', () => {
    const { body, answer } = prepareResponses({
      tools: [
        {
          type: 'namespace', name: 'crm',
          tools: [{ type: 'function', name: 'find' }, { type: 'custom', name: 'exec' }, { type: 'function', name: 'mcp__x' }],
        },
        { type: 'function', name: 'crm__find', description: 'another' },
        { type: 'function', name: 'f', strict: null, defer_loading: true }, { type: 'function', name: 'f', description: 'second' },
      ],
      input: [{ ...call('a', 'find'), namespace: 'crm' }, output('a', '1')],
      tool_choice: { type: 'function', name: 'f' },
    }, 'chat-generic');
    expect(body['tools']).toMatchObject([
      { function: { name: 'crm__find_2' } }, { function: { name: 'crm__exec', parameters: { required: ['input'] } } },
      { function: { name: 'mcp__x' } }, { function: { name: 'crm__find', description: 'another' } },
      { function: { name: 'f', parameters: { type: 'object', properties: {} } } },
    ]);
    expect(JSON.stringify(body['tools'])).not.toMatch(/strict|defer_loading|second/);
    expect(body['messages']).toMatchObject([{ tool_calls: [{ function: { name: 'crm__find_2' } }] }, {}]);
    expect(body['tool_choice']).toEqual({ type: 'function', function: { name: 'f' } });
    expect(answer.toolNames).toEqual({
      crm__find_2: { name: 'find', namespace: 'crm' }, crm__exec: { name: 'exec', namespace: 'crm' },
      mcp__x: { name: 'mcp__x', namespace: 'crm' },
    });
    expect(answer.customTools).toEqual({ crm__exec: 'wrapped' });
  });

  test('a call that leaves its namespace out means the tool in it, as Codex replays its own', () => {
    const { body } = prepareResponses({
      input: [
        {
          type: 'additional_tools', role: 'developer',
          tools: [{ type: 'namespace', name: 'functions', tools: [{ type: 'custom', name: 'exec' }] }],
        },
        { type: 'custom_tool_call', call_id: 'a', name: 'exec', input: 'await x()' },
        { type: 'custom_tool_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'ok' }] },
      ],
    }, 'chat-generic');
    expect(body['tools']).toMatchObject([{ function: { name: 'functions__exec' } }]);
    expect(body['messages']).toMatchObject([
      { tool_calls: [{ function: { name: 'functions__exec', arguments: '{"input":"await x()"}' } }] }, { content: 'ok' },
    ]);
  });

  test('a free-form tool becomes a function that is told the grammar', () => {
    const format = { type: 'grammar', syntax: 'lark', definition: 'start: "x"' };
    const { body } = prepareResponses({ tools: [{ type: 'custom', name: 'p', description: 'Patches.', format }] }, 'chat-generic');
    expect(body['tools']).toMatchObject([{
      function: { description: 'Patches.\n\nSend the raw text in `input`.\n\nIt must match this lark grammar:\nstart: "x"' },
    }]);
  });

  test('tools the client runs itself become functions, in the declarations, the choice and the history', () => {
    const { body, answer } = prepareResponses({
      tools: [{ type: 'apply_patch' }, { type: 'local_shell' }, { type: 'shell' }], tool_choice: { type: 'apply_patch' },
      input: [
        { type: 'apply_patch_call', call_id: 'a', operation: { type: 'delete_file', path: 'x' } },
        { type: 'local_shell_call', call_id: 'b', action: { type: 'exec', command: ['ls'], env: {} } },
        { type: 'shell_call', call_id: 'c', action: { commands: ['ls'] } },
        { type: 'apply_patch_call_output', call_id: 'a', status: 'completed', output: 'done' },
        { type: 'local_shell_call_output', id: 'b', output: '{"output":"x"}' },
        { type: 'shell_call_output', call_id: 'c', output: [{ stdout: 'x', stderr: '', outcome: { type: 'exit', exit_code: 0 } }] },
      ],
    }, 'chat-generic');
    expect(answer.hostedTools).toEqual({ apply_patch: 'apply_patch', local_shell: 'local_shell', shell: 'shell' });
    expect(body['tool_choice']).toEqual({ type: 'function', function: { name: 'apply_patch' } });
    expect(body['messages']).toEqual([
      {
        role: 'assistant', content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'apply_patch', arguments: '{"type":"delete_file","path":"x"}' } },
          { id: 'b', type: 'function', function: { name: 'local_shell', arguments: '{"command":["ls"],"env":{}}' } },
          { id: 'c', type: 'function', function: { name: 'shell', arguments: '{"commands":["ls"]}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'a', content: 'done' }, { role: 'tool', tool_call_id: 'b', content: '{"output":"x"}' },
      { role: 'tool', tool_call_id: 'c', content: '{"stdout":"x","stderr":"","outcome":{"type":"exit","exit_code":0}}' },
    ]);
  });

  test('a choice of a tool that is not there goes with it; the other tools stay', () => {
    const { body, dropped } = prepareResponses({
      tools: [{ type: 'web_search' }, { type: 'function', name: 'f' }], tool_choice: { type: 'web_search' }, parallel_tool_calls: false,
    }, 'chat-generic');
    expect(body).toMatchObject({ tools: [{ function: { name: 'f' } }], parallel_tool_calls: false });
    expect(body['tool_choice']).toBeUndefined();
    expect(dropped).toEqual(['tools:web_search']);
  });

  test('allowed tools: OpenAI knows the word, others are given those tools alone', () => {
    const members = {
      tools: [{ type: 'function', name: 'f' }, { type: 'function', name: 'g' }],
      tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] },
    };
    const g = { type: 'function', function: { name: 'g' } };
    expect(prepareResponses(members, 'openai', { wire: 'chat' }).body).toMatchObject({
      tools: [{}, {}], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [g] } },
    });
    expect(prepareResponses(members, 'chat-generic').body).toMatchObject({ tools: [g], tool_choice: 'required' });
    const none = { ...members, tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'mcp' }] } };
    expect(prepareResponses(none, 'chat-generic').body).toMatchObject({ tools: [{}, {}], tool_choice: 'none' });
  });

  test('a required tool that nobody can run is refused', () => {
    expect(refusalOf(() => prepareResponses({ tools: [{ type: 'mcp' }], tool_choice: 'required' }, 'chat-generic'))).toMatchObject({
      code: 'unsupported_tool', param: 'tools[0].type',
    });
  });

  test('OpenAI\'s own chat endpoint keeps what only it knows', () => {
    const { body, dropped } = prepareResponses({
      max_output_tokens: 9, service_tier: 'flex', prompt_cache_key: 'k', text: { verbosity: 'low' },
        include: ['message.output_text.logprobs'],
      top_logprobs: 2, safety_identifier: 's',
    }, 'openai', { wire: 'chat' });
    expect(body).toEqual({
      model: 'gpt-x', messages: [{ role: 'user', content: 'x' }], max_completion_tokens: 9, service_tier: 'flex', prompt_cache_key: 'k',
      verbosity: 'low', logprobs: true, top_logprobs: 2, safety_identifier: 's',
    });
    expect(dropped).toEqual([]);
  });

  test('in strict mode a tool nobody can run and a parameter without counterpart are refused', () => {
    expect(refusalOf(() => prepareResponses({ tools: [{ type: 'web_search' }] }, 'chat-generic', { strict: true }))).toMatchObject({
      param: 'tools[0].type',
    });
    expect(refusalOf(() => prepareResponses({ text: { verbosity: 'low' } }, 'chat-generic',
      { strict: true }))).toMatchObject({ param: 'text.verbosity' });
  });

  test('the plan echoes what a Responses object repeats of its request, as the client said it', () => {
    const echoed = {
      instructions: 'i', temperature: 0.1, metadata: { a: 'b' }, tools: [{ type: 'function', name: 'f' }], truncation: 'auto',
    };
    expect(prepareResponses({ ...echoed, surprise: 1, user: null }, 'chat-generic').answer.echo).toEqual(echoed);
  });
});
