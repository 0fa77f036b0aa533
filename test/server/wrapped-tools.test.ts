import { expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, parseJsonObject } from '../../src/core/json.ts';
import { ok } from '../../src/mock/steps.ts';
import { parseFrames } from '../support/golden.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { KEY_MODEL, responses, serveInProcess, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';

const PATCH = '*** Begin Patch\n*** End Patch';
const TOOL = { type: 'custom', name: 'apply_patch', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } };
const CALL = { type: 'custom_tool_call', call_id: 'call_1', name: 'apply_patch', input: PATCH };

/** A platform that is said not to know free-form tools: its first answer calls the function it was told instead. */
async function serveWrapped(): Promise<ServedRelay> {
  const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: { providers: { openai: { customTools: 'wrapped' } } } });
  const calls = [{ name: 'apply_patch', kind: 'function' as const, payload: JSON.stringify({ input: PATCH }), callId: 'call_1' }];
  relay.upstream.script('a', [ok({ calls }), ok({ text: 'done' })]);
  return relay;
}

const ask = (change: JsonObject = {}): { readonly body: JsonObject } => ({ body: responses('patch it', { model: KEY_MODEL, tools: [TOOL], ...change }) });

test('a provider said to wrap free-form tools is told functions, and its client streams free-form calls', async () => {
  const relay = await serveWrapped();
  const answer = await relay.ask('/v1/responses', ask({ stream: true, tool_choice: { type: 'custom', name: 'apply_patch' } }));
  expect(answer.status, answer.text).toBe(200);
  expect(relay.sent('a').at(-1)?.body).toMatchObject({
    tools: [{ type: 'function', name: 'apply_patch', strict: false }], tool_choice: { type: 'function', name: 'apply_patch' },
  });
  const events = parseFrames(answer.text).map(({ data }) => parseJsonObject(data) ?? {});
  expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, at) => at));
  expect(events.find(({ type }) => type === 'response.custom_tool_call_input.done')).toMatchObject({ input: PATCH });
  expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { output: [CALL], tools: [TOOL] } });
  expect(answer.text).not.toContain('function_call');
});

test('and the whole answer and the history its client repeats say the same', async () => {
  const relay = await serveWrapped();
  const first = await relay.ask('/v1/responses', ask());
  expect(first.json).toMatchObject({ status: 'completed', output: [CALL], tools: [TOOL] });
  const output = { type: 'custom_tool_call_output', call_id: 'call_1', output: 'applied' };
  const second = await relay.ask('/v1/responses', ask({ input: [{ role: 'user', content: 'patch it' }, ...(arrayAt(first.json, 'output') ?? []), output] }));
  expect(second.status, second.text).toBe(200);
  expect(arrayAt(relay.sent('a').at(-1)?.body, 'input')?.slice(1)).toEqual([
    { type: 'function_call', call_id: 'call_1', name: 'apply_patch', arguments: JSON.stringify({ input: PATCH }), status: 'completed' },
    { type: 'function_call_output', call_id: 'call_1', output: 'applied' },
  ]);
});

test('a chat server said to know free-form tools is told them as they are, and what it says in one is not unwrapped', async () => {
  const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS, config: { providers: { chatty: { customTools: 'native' } } } });
  const input = JSON.stringify({ input: PATCH });
  const calls = [{ name: 'apply_patch', kind: 'custom' as const, payload: input, callId: 'call_1' }];
  relay.upstream.script('a', [ok({ calls }), ok({ calls })]);
  for (const stream of [true, false]) {
    const answer = await relay.ask('/v1/responses', ask({ stream }));
    expect(answer.status, answer.text).toBe(200);
    const told = stream ? parseJsonObject(parseFrames(answer.text).at(-1)?.data ?? '') : { response: answer.json };
    expect(told).toMatchObject({ response: { output: [{ ...CALL, input }] } });
  }
  expect(relay.sent('a').at(-1)?.body).toMatchObject({
    tools: [{ type: 'custom', custom: { name: 'apply_patch', format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "x"' } } } }],
  });
});
