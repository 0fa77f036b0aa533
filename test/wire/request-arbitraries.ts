import * as fc from 'fast-check';

import type { JsonObject } from '../../src/core/json.ts';
import type { RequestMemory, Target } from '../../src/wire/prepared-request.ts';
import { EMPTY_MEMORY } from './request-fixtures.ts';

const WORDS = [
  'model', 'messages', 'input', 'role', 'system', 'developer', 'user', 'assistant', 'tool', 'function', 'content', 'type', 'text',
  'message', 'input_text', 'output_text', 'image_url', 'input_image', 'file', 'input_file', 'tools', 'tool_choice', 'custom',
  'namespace', 'name', 'parameters', 'tool_calls', 'tool_call_id', 'call_id', 'id', 'arguments', 'function_call',
  'function_call_output', 'output', 'reasoning', 'encrypted_content', 'summary', 'custom_tool_call', 'apply_patch', 'apply_patch_call',
  'shell_call', 'allowed_tools', 'required', 'response_format', 'json_schema', 'stop', 'n', 'functions', 'previous_response_id',
  'item_reference', 'additional_tools', 'stream_options', 'effort', 'reasoning_effort', 'compaction', 'refusal', 'thinking',
  'web_search', 'service_tier', 'store', '__proto__', 'constructor',
];
const word = fc.constantFrom(...WORDS);
const text = fc.oneof(word, fc.string({ maxLength: 8 }), fc.constant('x'.repeat(80)));

/** JSON that looks enough like a request to get past the first guards. */
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text, fc.boolean(), fc.constant(null), fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(word, fc.string({ maxLength: 4 })), tie('value'), { maxKeys: 6 }),
  ),
}));
const role = fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'function');
const call = fc.record(
  { id: fc.constantFrom('a', 'b', 'c'.repeat(70)), type: word, function: fc.record({ name: text, arguments: json }) },
  { requiredKeys: [] },
);
const message = fc.record(
  { role, content: json, tool_calls: fc.array(call, { maxLength: 2 }), tool_call_id: fc.constantFrom('a', 'b'), function_call: json },
  { requiredKeys: ['role'] },
);
const itemType = fc.constantFrom(
  'message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output', 'reasoning', 'compaction',
  'shell_call', 'shell_call_output', 'additional_tools', 'configuration_update', 'item_reference', 'web_search_call', 'unheard_of',
);
const item = fc.record(
  {
    type: itemType, role, content: json, call_id: fc.constantFrom('a', 'b'), name: text, arguments: json,
    output: json, tools: json, id: text,
  },
  { requiredKeys: [] },
);
const tool = fc.record({
  type: fc.constantFrom('function', 'custom', 'namespace', 'web_search', 'shell'),
  name: text, function: json, tools: json, parameters: json,
}, { requiredKeys: ['type'] });
const parameters = fc.dictionary(word, json, { maxKeys: 8 });
const plainItem = fc.record({
  type: fc.constantFrom('message', 'reasoning', 'web_search_call', 'unheard_of'), role: fc.constant('user'), content: text,
});
const plainMessage = fc.record({ role: fc.constantFrom('user', 'system', 'assistant'), content: text });
/** A request body of any shape, from noise to nearly right. */
export const body = fc.oneof(
  fc.dictionary(fc.oneof(word, fc.string()), json),
  fc.record({ parameters, messages: fc.array(message, { maxLength: 5 }), tools: fc.array(tool, { maxLength: 3 }) })
    .map(({ parameters: members, ...rest }) => ({ ...members, ...rest })),
  fc.record({ parameters, input: fc.array(item, { maxLength: 6 }), tools: fc.array(tool, { maxLength: 3 }) })
    .map(({ parameters: members, ...rest }) => ({ ...members, ...rest })),
  fc.record({ members: parameters, input: fc.array(plainItem, { minLength: 1, maxLength: 6 }) })
    .map(({ members, input }) => ({ ...members, input })),
  fc.record({ members: parameters, messages: fc.array(plainMessage, { minLength: 1, maxLength: 6 }) })
    .map(({ members, messages }) => ({ ...members, messages })),
);

const wire = fc.constantFrom('chat' as const, 'responses' as const);
/** Any upstream. */
export const target: fc.Arbitrary<Target> = fc.record({
  wire, dialect: fc.constantFrom('openai' as const, 'codex' as const, 'chat-generic' as const, 'deepseek' as const, 'gemini' as const),
  model: fc.constantFrom('m', 'n'), streamOnly: fc.boolean(), efforts: fc.constantFrom([], ['low', 'high'], ['strange']),
  strict: fc.boolean(),
});
/** How a call came in, apart from its body. */
export const shape = fc.record({
  clientWire: wire, bodyWire: wire, endpoint: fc.constantFrom('chat' as const, 'responses' as const, 'compact' as const),
  stream: fc.boolean(), isCodex: fc.boolean(),
});
/** A memory that knows some answers, not all of them sound. */
export const memory: RequestMemory = {
  ...EMPTY_MEMORY,
  storedResponse: (id) => (id.length > 4
    ? { input: [{ type: 'message', role: 'user', content: id }], output: [null, 1, { id: 'x' }] } : undefined),
  reasoningFor: (callId) => [{ type: 'reasoning', id: `rs_${callId}`, encrypted_content: 'gAAAA' }, null],
};

/** A Responses history as clients keep it: outputs answer calls before them, some calls are never answered, ids come again. */
export const history: fc.Arbitrary<JsonObject[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('user', 'developer', 'assistant', 'call', 'custom', 'output', 'reasoning'), id: fc.constantFrom('a', 'b', 'c'),
  }),
  { minLength: 1, maxLength: 12 },
).map((steps) => {
  const open: { id: string; type: string }[] = [];
  const items: JsonObject[] = steps.flatMap(({ kind, id }): JsonObject[] => {
    if (kind === 'reasoning') return [{ type: 'reasoning', summary: [] }];
    if (kind !== 'call' && kind !== 'custom' && kind !== 'output') return [{ type: 'message', role: kind, content: 't' }];
    if (kind !== 'output') {
      const type = kind === 'call' ? 'function_call' : 'custom_tool_call';
      open.push({ id, type });
      return [{ type, call_id: id, name: 'f', arguments: '{}', input: '' }];
    }
    const [answered] = open.splice(open.findIndex((one) => one.id === id), 1);
    return answered ? [{ type: `${answered.type}_output`, call_id: answered.id, output: 'o' }] : [];
  });
  return [{ type: 'message', role: 'user', content: 't' }, ...items];
});

/** A chat history as clients keep it, with ids and names of any length. */
export const chatHistory: fc.Arbitrary<JsonObject[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('system', 'user', 'assistant', 'calls'),
    id: fc.constantFrom('a', 'b'.repeat(64), 'c'.repeat(65), 'd'.repeat(200)),
    name: fc.constantFrom('f', `mcp__${'s'.repeat(70)}__go`, 'g'.repeat(99)),
  }),
  { minLength: 1, maxLength: 8 },
).map((steps) => steps.flatMap(({ kind, id, name }, index): JsonObject[] => {
  if (kind !== 'calls') return [{ role: kind, content: 't' }];
  const callId = `${index}${id}`;
  return [
    { role: 'assistant', content: null, tool_calls: [{ id: callId, type: 'function', function: { name, arguments: '{}' } }] },
    { role: 'tool', tool_call_id: callId, content: 'o' },
  ];
}));
