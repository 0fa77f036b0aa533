import { describe, expect, test } from 'vitest';

import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { objectAt } from '../../src/core/json.ts';
import { sealReasoning } from '../../src/wire/reasoning-envelope.ts';
import { itemsOf, prepareMessages, refusal, toHub } from './messages-fixtures.ts';
import { EMPTY_MEMORY } from './request-fixtures.ts';

const asked = { role: 'user', content: 'x' };
const use = (id: string, name = 'f', input: JsonObject = {}): JsonObject => ({ type: 'tool_use', id, name, input });
const result = (id: string, content: JsonValue, members: JsonObject = {}): JsonObject => ({ type: 'tool_result', tool_use_id: id, content, ...members });
const assistant = (...content: JsonValue[]): JsonObject => ({ role: 'assistant', content });
const user = (...content: JsonValue[]): JsonObject => ({ role: 'user', content });
const said = (role: string, ...texts: string[]): JsonObject => ({
  type: 'message', role, content: texts.map((text) => ({ type: role === 'assistant' ? 'output_text' : 'input_text', text })),
});
const PIXEL = { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' };
const seen = (url: string): JsonObject => ({ type: 'input_image', image_url: url, detail: 'auto' });

describe('a Messages conversation as input items', () => {
  test.each<[string, JsonValue[], JsonObject, JsonValue[]]>([
    ['text', [asked], {}, [said('user', 'x')]],
    ['a system prompt goes first', [asked], { system: 'Be brief.' }, [said('system', 'Be brief.'), said('user', 'x')]],
    ['system blocks keep their places, and lose their cache marks', [asked],
      { system: [{ type: 'text', text: 'One.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Two.' }] },
      [said('system', 'One.', 'Two.'), said('user', 'x')]],
    ['Claude Code\'s billing line is told to nobody', [asked],
      { system: [{ type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.330.b2c;' }, { type: 'text', text: 'Two.' }] },
      [said('system', 'Two.'), said('user', 'x')]],
    ['a system message in the middle stays there', [asked, { role: 'system', content: 'The folder changed.' }, asked], {},
      [said('user', 'x'), said('system', 'The folder changed.'), said('user', 'x')]],
    ['an image of base64, and one behind an address', [user({ type: 'image', source: PIXEL }, { type: 'image', source: { type: 'url', url: 'https://a/b.png' } })], {},
      [{ type: 'message', role: 'user', content: [seen('data:image/png;base64,iVBORw0KGgo='), seen('https://a/b.png')] }]],
    ['a PDF under its title', [user({ type: 'document', title: 'A report', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERg==' } })], {},
      [{ type: 'message', role: 'user', content: [{ type: 'input_file', filename: 'A report.pdf', file_data: 'data:application/pdf;base64,JVBERg==' }] }]],
    ['a document behind an address', [user({ type: 'document', source: { type: 'url', url: 'https://a/b.pdf' } })], {},
      [{ type: 'message', role: 'user', content: [{ type: 'input_file', file_url: 'https://a/b.pdf' }] }]],
    ['a document of text', [user({ type: 'document', title: 'T', context: 'C', source: { type: 'text', media_type: 'text/plain', data: 'words' } })], {},
      [said('user', 'T\nC', 'words')]],
    ['a document of blocks', [user({ type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'a' }, { type: 'image', source: PIXEL }] } })], {},
      [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'a' }, seen('data:image/png;base64,iVBORw0KGgo=')] }]],
    ['a search result', [user({ type: 'search_result', title: 'T', source: 'https://a', content: [{ type: 'text', text: 'found' }] })], {},
      [said('user', 'T\nhttps://a\nfound')]],
    ['empty text says nothing', [user({ type: 'text', text: '' }, { type: 'text', text: 'x' })], {}, [said('user', 'x')]],
  ])('%s', (_claim, messages, members, items) => {
    expect(itemsOf(messages, members)).toEqual(items);
  });

  test('a tool round: words, calls in order, results by their id, and what the user adds', () => {
    expect(itemsOf([
      asked, assistant({ type: 'text', text: 'Looking.' }, use('a', 'read', { path: '/x' }), use('b')),
      user(result('a', 'one'), result('b', [{ type: 'text', text: 'two' }, { type: 'text', text: 'three' }]), { type: 'text', text: 'Go on' }),
    ])).toEqual([
      said('user', 'x'), said('assistant', 'Looking.'),
      { type: 'function_call', call_id: 'a', name: 'read', arguments: '{"path":"/x"}' }, { type: 'function_call', call_id: 'b', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'one' }, { type: 'function_call_output', call_id: 'b', output: 'two\nthree' }, said('user', 'Go on'),
    ]);
  });

  test.each<[string, JsonObject, JsonValue]>([
    ['no content', { type: 'tool_result', tool_use_id: 'a' }, ''],
    ['a failure is said', result('a', 'no such file', { is_error: true }), 'Error: no such file'],
    ['a failure that says so itself is not said twice', result('a', '<tool_use_error>no</tool_use_error>', { is_error: true }), '<tool_use_error>no</tool_use_error>'],
    ['an image stays one', result('a', [{ type: 'text', text: 'a shot' }, { type: 'image', source: PIXEL }]),
      [{ type: 'input_text', text: 'a shot' }, seen('data:image/png;base64,iVBORw0KGgo=')]],
    ['a failure with an image', result('a', [{ type: 'image', source: PIXEL }], { is_error: true }),
      [{ type: 'input_text', text: 'Error:' }, seen('data:image/png;base64,iVBORw0KGgo=')]],
    ['a found tool', result('a', [{ type: 'tool_reference', tool_name: 'WebSearch' }]), 'The tool WebSearch is loaded and can be called now.'],
  ])('a tool result: %s', (_claim, block, output) => {
    expect(itemsOf([asked, assistant(use('a')), user(block)])).toMatchObject([{}, {}, { type: 'function_call_output', call_id: 'a', output }]);
  });

  test('thinking comes back as the reasoning item it was, with its id; another vendor\'s stays behind', () => {
    const thinking = { type: 'thinking', thinking: 'hm', signature: 'relay-thought1.rs_1.gAAAA.x=' };
    const redacted = { type: 'redacted_thinking', data: 'relay-thought1.rs_2.gBBBB' };
    const foreign = [{ type: 'thinking', thinking: 'mine', signature: 'EqQBCkgIARABGAIiQL' }, { type: 'redacted_thinking', data: 'EmwKAhgB' }];
    const lost = { type: 'thinking', thinking: 'never sealed', signature: 'relay-thought1.rs_3.' };
    expect(itemsOf([asked, assistant(thinking, redacted, ...foreign, lost, use('a')), user(result('a', 'one'))])).toEqual([
      said('user', 'x'),
      { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }], encrypted_content: 'gAAAA.x=' },
      { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'gBBBB' },
      { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }, { type: 'function_call_output', call_id: 'a', output: 'one' },
    ]);
  });

  test('calls that Anthropic\'s API ran itself are left out without a word', () => {
    const search = { type: 'server_tool_use', id: 's', name: 'web_search', input: {} };
    const found = { type: 'web_search_tool_result', tool_use_id: 's', content: [] };
    const { body, origin } = toHub({ messages: [asked, assistant(search, found, { type: 'text', text: 'It is.' }), asked] });
    expect(body['input']).toEqual([said('user', 'x'), said('assistant', 'It is.'), said('user', 'x')]);
    expect(origin.dropped).toEqual([]);
  });

  test('a beginning put into the assistant\'s mouth is no beginning elsewhere, and that is said', () => {
    expect(toHub({ messages: [asked, assistant({ type: 'text', text: '{' })] }).origin.dropped).toEqual(['messages:prefill']);
  });

  test('a content nobody knows is left out, and said', () => {
    expect(toHub({ messages: [user({ type: 'hologram' }, { type: 'text', text: 'x' })] }).origin.dropped).toEqual(['content:hologram']);
  });

  test.each<[string, JsonObject, string]>([
    ['no messages', { messages: [] }, 'messages'],
    ['messages that are none', { messages: 'x' }, 'messages'],
    ['a role nobody has', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    ['no role', { messages: [{ content: 'x' }] }, 'messages[0].role'],
    ['content that is a number', { messages: [{ role: 'user', content: 3 }] }, 'messages[0].content'],
    ['a block that is a word', { messages: [user('x')] }, 'messages[0].content[0]'],
    ['text that is none', { messages: [user({ type: 'text', text: 1 })] }, 'messages[0].content[0].text'],
    ['an image of a file id', { messages: [user({ type: 'image', source: { type: 'file', file_id: 'f' } })] }, 'messages[0].content[0].source.type'],
    ['an image without data', { messages: [user({ type: 'image', source: { type: 'base64', media_type: 'image/png' } })] }, 'messages[0].content[0].source.data'],
    ['a result that answers nothing', { messages: [user(result('a', 'x'))] }, 'messages[0].content[0].tool_use_id'],
    ['a call without a name', { messages: [asked, assistant({ type: 'tool_use', id: 'a', input: {} })] }, 'messages[1].content[0].name'],
    ['a container', { messages: [user({ type: 'container_upload', file_id: 'f' })] }, 'messages[0].content[0]'],
    ['a system prompt that is a number', { system: 4 }, 'system'],
    ['a limit of half a token', { max_tokens: 0.5 }, 'max_tokens'],
    ['a temperature in words', { temperature: 'hot' }, 'temperature'],
    ['stop sequences that are a word', { stop_sequences: 'END' }, 'stop_sequences'],
    ['a thinking nobody knows', { thinking: { type: 'deep' } }, 'thinking.type'],
    ['a format nobody knows', { output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
    ['a choice nobody knows', { tools: [{ name: 'f' }], tool_choice: { type: 'maybe' } }, 'tool_choice.type'],
    ['a tool without a name', { tools: [{ input_schema: {} }] }, 'tools[0].name'],
    ['a computer', { tools: [{ type: 'computer_20251124', name: 'computer' }] }, 'tools[0].type'],
  ])('%s is refused by its name', (_claim, members, param) => {
    expect(refusal(() => toHub(members)).param).toBe(param);
  });
});

describe('tools of a Messages request', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] };
  const tool = (name: string, members: JsonObject = {}): JsonObject => ({ name, description: 'd', input_schema: schema, ...members });
  const sent = (members: JsonObject): JsonObject => toHub(members).body;

  test('a tool of the client\'s is a function, with its schema as it is and never made strict by silence', () => {
    expect(sent({ tools: [tool('f', { cache_control: { type: 'ephemeral' }, type: 'custom' }), tool('g', { strict: true })] })['tools']).toEqual([
      { type: 'function', name: 'f', description: 'd', parameters: schema, strict: false },
      { type: 'function', name: 'g', description: 'd', parameters: schema, strict: true },
    ]);
  });

  test.each<[string, JsonObject, JsonObject]>([
    ['auto', { type: 'auto' }, { tool_choice: 'auto' }],
    ['any', { type: 'any' }, { tool_choice: 'required' }],
    ['none', { type: 'none' }, { tool_choice: 'none' }],
    ['one by name', { type: 'tool', name: 'f' }, { tool_choice: { type: 'function', name: 'f' } }],
    ['one call at a time', { type: 'auto', disable_parallel_tool_use: true }, { tool_choice: 'auto', parallel_tool_calls: false }],
  ])('a choice: %s', (_claim, choice, members) => {
    const { tool_choice, parallel_tool_calls } = sent({ tools: [tool('f')], tool_choice: choice });
    expect({ tool_choice, ...(parallel_tool_calls !== undefined && { parallel_tool_calls }) }).toEqual(members);
  });

  test('no tool is no list, no choice and no parallelism', () => {
    expect(Object.keys(sent({ tools: [], tool_choice: { type: 'auto', disable_parallel_tool_use: true } }))).not.toContain('tool_choice');
    expect(Object.keys(sent({ tools: [] }))).not.toContain('tools');
  });

  test('a long name is shortened, and told back; so is a long id', () => {
    const name = `mcp__${'server'.repeat(12)}__look`;
    const id = `toolu_${'x'.repeat(80)}`;
    const { body, origin } = toHub({ tools: [tool(name)], tool_choice: { type: 'tool', name }, messages: [asked, assistant(use(id, name)), user(result(id, 'y'))] });
    expect(body).toMatchObject({ tools: [{ name: 'mcp__look' }], tool_choice: { type: 'function', name: 'mcp__look' } });
    expect(origin.toolNames).toEqual({ mcp__look: name });
    const [short = ''] = Object.keys(origin.callIds);
    expect(short.length).toBeLessThanOrEqual(64);
    expect(origin.callIds).toEqual({ [short]: id });
    expect(body['input']).toMatchObject([{}, { name: 'mcp__look', call_id: short }, { call_id: short }]);
  });

  test('a tool that loads later is told once it was found, its placeholder never', () => {
    const tools = [tool('Search'), tool('Web', { defer_loading: true }), tool('Placeholder', { defer_loading: true })];
    const names = (messages: JsonValue[]): unknown => (sent({ tools, messages })['tools'] as JsonObject[]).map(({ name }) => name);
    expect(names([asked])).toEqual(['Search']);
    const found = result('a', [{ type: 'tool_reference', tool_name: 'Web' }]);
    expect(names([asked, assistant(use('a', 'Search')), user(found)])).toEqual(['Search', 'Web']);
  });

  test('a search over tools that Anthropic\'s API runs tells all of them instead', () => {
    const tools = [{ type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' }, tool('Web', { defer_loading: true })];
    expect(sent({ tools })['tools']).toMatchObject([{ name: 'Web' }]);
    expect(toHub({ tools }).origin.dropped).toEqual([]);
  });

  test.each([['bash_20250124', 'bash', ['command']], ['text_editor_20250728', 'str_replace_based_edit_tool', ['command', 'path']], ['memory_20250818', 'memory', ['command']]])(
    '%s, which the client runs, is said out as a function', (type, name, members) => {
      const [made] = sent({ tools: [{ type, name }] })['tools'] as JsonObject[];
      expect(made).toMatchObject({ type: 'function', name, strict: false, description: expect.stringMatching(/\w{3}/) });
      expect(Object.keys(objectAt(objectAt(made, 'parameters'), 'properties') ?? {})).toEqual(expect.arrayContaining(members));
    },
  );

  test('web search is the hub\'s own, with what it can keep; the rest is said', () => {
    const search = {
      type: 'web_search_20260209', name: 'web_search', max_uses: 8, allowed_domains: ['a.b'], blocked_domains: ['c.d'],
      user_location: { type: 'approximate', city: 'Rome', region: null },
    };
    const { body, origin } = toHub({ tools: [search], tool_choice: { type: 'tool', name: 'web_search' } });
    expect(body['tools']).toEqual([{ type: 'web_search', filters: { allowed_domains: ['a.b'] }, user_location: { type: 'approximate', city: 'Rome' } }]);
    expect(body['tool_choice']).toEqual({ type: 'web_search' });
    expect(origin.dropped).toEqual(['tools:blocked_domains']);
  });

  test('a tool nobody else runs goes with the choice of it, and is named; where one was demanded it is refused', () => {
    const tools = [{ type: 'code_execution_20250825', name: 'code_execution' }];
    const { body, origin } = toHub({ tools: [...tools, tool('f')], tool_choice: { type: 'tool', name: 'code_execution' } });
    expect([body['tools'], body['tool_choice'], origin.dropped]).toMatchObject([[{ name: 'f' }], undefined, ['tools:code_execution_20250825']]);
    expect(refusal(() => toHub({ tools, tool_choice: { type: 'any' } })).code).toBe('unsupported_tool');
  });
});

describe('parameters of a Messages request', () => {
  test.each<[string, JsonObject, JsonObject, readonly string[]]>([
    ['a limit', { max_tokens: 2_000 }, { max_output_tokens: 2_000 }, []],
    ['sampling', { temperature: 0.2, top_p: 0.9 }, { temperature: 0.2, top_p: 0.9 }, []],
    ['sampling as it comes anyway', { temperature: 1, top_p: 1 }, { temperature: undefined, top_p: undefined }, []],
    ['top_k has no counterpart', { top_k: 5 }, {}, ['top_k']],
    ['an effort', { output_config: { effort: 'max' } }, { reasoning: { effort: 'max' }, include: ['reasoning.encrypted_content'] }, []],
    ['a small budget', { thinking: { type: 'enabled', budget_tokens: 1_024 } }, { reasoning: { effort: 'low' } }, []],
    ['a budget', { thinking: { type: 'enabled', budget_tokens: 10_000 } }, { reasoning: { effort: 'medium' } }, []],
    ['a large budget', { thinking: { type: 'enabled', budget_tokens: 31_999 } }, { reasoning: { effort: 'high' } }, []],
    ['an effort wins over a budget', { thinking: { type: 'enabled', budget_tokens: 1_024 }, output_config: { effort: 'high' } }, { reasoning: { effort: 'high' } }, []],
    ['adaptive thinking leaves the effort to the upstream', { thinking: { type: 'adaptive' } }, { reasoning: undefined, include: ['reasoning.encrypted_content'] }, []],
    ['a summary is asked for by name', { thinking: { type: 'adaptive', display: 'summarized' } }, { reasoning: { summary: 'auto' } }, []],
    ['no thinking', { thinking: { type: 'disabled' }, output_config: { effort: 'high' } }, { reasoning: { effort: 'none' }, include: undefined }, []],
    ['nothing said of thinking', {}, { reasoning: undefined, include: undefined }, []],
    ['the tier that comes anyway', { service_tier: 'auto' }, { service_tier: undefined }, []],
    ['no better tier', { service_tier: 'standard_only' }, { service_tier: 'default' }, []],
    ['speed', { speed: 'fast' }, { service_tier: 'priority' }, []],
    ['Claude Code\'s session names the conversation', { metadata: { user_id: '{"device_id":"d","session_id":"5cf364fc-073f-4567-9270-be7df729ece0"}' } },
      { prompt_cache_key: '5cf364fc-073f-4567-9270-be7df729ece0', metadata: undefined, user: undefined }, []],
    ['so does an older one\'s', { metadata: { user_id: 'user_ab_account__session_5cf364fc-073f-4567-9270-be7df729ece0' } },
      { prompt_cache_key: '5cf364fc-073f-4567-9270-be7df729ece0' }, []],
    ['a user\'s id goes nowhere', { metadata: { user_id: 'somebody' } }, { prompt_cache_key: undefined, metadata: undefined, safety_identifier: undefined }, []],
    ['caching and editing are without effect', { cache_control: { type: 'ephemeral' }, context_management: { edits: [] }, betas: ['x'] }, {}, []],
    ['servers of the user\'s cannot be reached from elsewhere', { mcp_servers: [{ url: 'https://a' }] }, {}, ['mcp_servers']],
    ['an empty list of servers is no loss', { mcp_servers: [] }, {}, []],
    ['an unknown parameter is said', { surprise: 1 }, {}, ['surprise']],
    ['nothing is stored', {}, { store: false }, []],
  ])('%s', (_claim, members, contains, dropped) => {
    const { body, origin } = toHub(members);
    for (const [name, value] of Object.entries(contains)) expect(body[name], name).toEqual(value);
    expect(origin.dropped).toEqual(dropped);
  });

  test.each<[string, JsonObject, boolean]>([
    ['closed and whole', { type: 'object', additionalProperties: false, properties: { a: { type: 'string' } }, required: ['a'] }, true],
    ['with a member that may be left out', { type: 'object', additionalProperties: false, properties: { a: { type: 'string' } } }, false],
    ['open inside', { type: 'object', additionalProperties: false, properties: { a: { type: 'object', properties: {} } }, required: ['a'] }, false],
    ['of a list', { type: 'array', items: { type: 'object', additionalProperties: false, properties: {} } }, true],
  ])('a schema %s is told as strict: %s', (_claim, schema, strict) => {
    const format = { type: 'json_schema', name: 'answer', schema, strict };
    expect(toHub({ output_config: { format: { type: 'json_schema', schema } } }).body['text']).toEqual({ format });
    expect(toHub({ output_format: { type: 'json_schema', schema } }).body['text']).toEqual({ format });
  });

  test('stop sequences stay here, where the answer is cut', () => {
    const { body, origin } = toHub({ stop_sequences: ['END'] });
    expect([origin.stop, body['stop']]).toEqual([['END'], undefined]);
  });
});

describe('a Messages request at its upstream', () => {
  test('the ChatGPT backend is asked in its own terms; what it cannot keep is named in the client\'s', () => {
    const { body, dropped, changed, answer } = prepareMessages(
      { system: 'Be brief.', temperature: 0, top_k: 3, thinking: { type: 'adaptive' }, output_config: { effort: 'minimal' }, stop_sequences: ['END'] },
      'codex', { efforts: ['low', 'high'] },
    );
    expect(body).toMatchObject({
      model: 'gpt-x', stream: true, store: false, instructions: '', include: ['reasoning.encrypted_content'], reasoning: { effort: 'low', summary: 'auto' },
      input: [{ role: 'developer' }, { role: 'user' }],
    });
    for (const lost of ['max_output_tokens', 'temperature', 'top_k', 'stop']) expect(body).not.toHaveProperty(lost);
    expect(dropped).toEqual(['max_tokens', 'output_config.effort:minimal->low', 'temperature', 'top_k']);
    expect(changed).toBe(true);
    expect(answer).toMatchObject({ clientWire: 'messages', upstreamWire: 'responses', stop: ['END'], native: false, messages: { thinking: 'shown' } });
  });

  test('thinking that is hidden is asked for without a summary', () => {
    expect(prepareMessages({ thinking: { type: 'adaptive', display: 'omitted' } }, 'codex').body['reasoning']).toBeUndefined();
  });

  test('the platform is asked for a summary only by name, and for no less than it takes', () => {
    const { body, dropped } = prepareMessages({ max_tokens: 1, thinking: { type: 'adaptive' } }, 'openai');
    expect([body['reasoning'], body['max_output_tokens'], dropped]).toEqual([undefined, 16, ['max_tokens:1->16']]);
    expect(prepareMessages({ thinking: { type: 'adaptive', display: 'summarized' } }, 'openai').body['reasoning']).toEqual({ summary: 'auto' });
  });

  test('a chat upstream gets chat, its results behind their calls', () => {
    const { body, answer } = prepareMessages({
      system: 'Be brief.', max_tokens: 9, tools: [{ name: 'f', input_schema: {} }], stream: true,
      messages: [asked, assistant(use('a')), user(result('a', 'one'), { type: 'text', text: 'and?' })],
    }, 'chat-generic');
    expect(body).toMatchObject({
      max_tokens: 9, stream: true, stream_options: { include_usage: true }, tools: [{ type: 'function', function: { name: 'f' } }],
      messages: [
        { role: 'system', content: 'Be brief.' }, { role: 'user', content: 'x' }, { role: 'assistant', tool_calls: [{ id: 'a' }] },
        { role: 'tool', tool_call_id: 'a', content: 'one' }, { role: 'user', content: 'and?' },
      ],
    });
    expect(answer).toMatchObject({ clientWire: 'messages', upstreamWire: 'chat', clientStream: true });
  });

  test('reasoning that a chat upstream had sealed comes back to it, and to no other', () => {
    const sealed = sealReasoning({ reasoningContent: 'deep', reasoningDetails: [], thoughtSignatures: {} });
    const messages = [asked, assistant({ type: 'thinking', thinking: 'deep', signature: `relay-thought1.rs_1.${sealed}` }, use('a')), user(result('a', 'one'))];
    expect(prepareMessages({ messages }, 'deepseek').body['messages']).toMatchObject([{}, { reasoning_content: 'deep' }, {}]);
    expect(JSON.stringify(prepareMessages({ messages }, 'codex').body)).not.toContain('reasoning"');
  });

  test.each<[string, Parameters<typeof prepareMessages>, unknown, readonly string[]]>([
    ['a local server of which nobody knows', [{ output_config: { effort: 'high' } }, 'chat-generic'], undefined, ['output_config.effort']],
    ['one that lists its efforts', [{ output_config: { effort: 'high' } }, 'chat-generic', { efforts: ['low', 'high'] }], 'high', []],
    ['DeepSeek, in its own words', [{ output_config: { effort: 'medium' } }, 'deepseek'], 'high', []],
    ['a server that need not be told to stay silent', [{ thinking: { type: 'disabled' } }, 'chat-generic'], undefined, []],
  ])('an effort is said to those who know it: %s', (_claim, given, effort, dropped) => {
    const prepared = prepareMessages(...given);
    expect([prepared.body['reasoning_effort'], prepared.dropped]).toEqual([effort, dropped]);
  });

  test('the platform is told to stay silent only where its model is known to understand it', () => {
    expect(prepareMessages({ thinking: { type: 'disabled' } }, 'openai').body['reasoning']).toBeUndefined();
    expect(prepareMessages({ thinking: { type: 'disabled' } }, 'openai', { efforts: ['none', 'low'] }).body['reasoning']).toEqual({ effort: 'none' });
  });

  test('strict refuses what would be lost', () => {
    expect(refusal(() => prepareMessages({ top_k: 1 }, 'openai', { strict: true }))).toMatchObject({ param: 'top_k', code: 'unsupported_parameter' });
  });

  test('a client that gets no thinking still has its reasoning put back before the call, once', () => {
    const thought = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' };
    const memory = { ...EMPTY_MEMORY, reasoningFor: (id: string) => (id === 'other' ? undefined : [thought]) };
    const messages = [asked, assistant(use('a'), use('b'), use('other')), user(result('a', '1'), result('b', '2'), result('other', '3'))];
    const types = (members: JsonObject): unknown => (prepareMessages({ messages, ...members }, 'codex', {}, memory).body['input'] as JsonObject[]).map(({ type }) => type);
    expect(types({})).toEqual(['message', 'reasoning', 'function_call', 'function_call', 'function_call', ...Array.from({ length: 3 }, () => 'function_call_output')]);
    expect(types({ thinking: { type: 'adaptive' } })).not.toContain('reasoning');
  });
});

describe('a count of tokens', () => {
  const count = (members: JsonObject): number => toHub(members).origin.inputTokens;
  const text = (length: number): JsonObject => ({ messages: [{ role: 'user', content: 'word '.repeat(length / 5) }] });

  test('grows with the text, about four characters a token', () => {
    expect(count(text(40_000)) / 10_000).toBeGreaterThan(0.9);
    expect(count(text(40_000)) / 10_000).toBeLessThan(1.1);
  });

  test('counts other scripts for more', () => {
    const japanese = count({ messages: [{ role: 'user', content: '日本語'.repeat(1_000) }] });
    expect(japanese).toBeGreaterThan(1_500);
    expect(japanese).toBeLessThan(3_500);
  });

  test('counts an image for what it is worth, not for its letters', () => {
    const picture = (length: number): number => count({ messages: [user({ type: 'image', source: { ...PIXEL, data: 'A'.repeat(length) } })] });
    expect(picture(1_000_000)).toBe(picture(1_000));
    expect(picture(1_000)).toBeGreaterThan(1_000);
  });

  test('counts tools and the system prompt, not signatures', () => {
    const bare = count({});
    expect(count({ system: 'word '.repeat(100) })).toBeGreaterThan(bare + 100);
    expect(count({ tools: [{ name: 'f', description: 'word '.repeat(100), input_schema: {} }] })).toBeGreaterThan(bare + 100);
    const sealed = { type: 'redacted_thinking', data: 'relay-thought1.rs_1.'.padEnd(9_000, 'A') };
    expect(count({ messages: [asked, assistant(sealed, { type: 'text', text: 'y' }), asked] })).toBeLessThan(bare + 100);
  });

  test('a nesting without end is no harm', () => {
    let deep: JsonValue = 'x';
    for (let depth = 0; depth < 5_000; depth++) deep = { a: deep };
    expect(count({ tools: [{ name: 'f', input_schema: { type: 'object', properties: { a: deep } } }] })).toBeGreaterThan(0);
  });
});
