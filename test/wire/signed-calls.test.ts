import { describe, expect, test } from 'vitest';

import { stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { openReasoning } from '../../src/wire/reasoning-envelope.ts';
import { chatStream, chunkOf, planFor, runPassage, testDeps } from './run-passage.ts';

const signature = { google: { thought_signature: 'sig' } };
const calls = [
  { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' }, extra_content: signature },
  { index: 1, id: 'call_2', type: 'function', function: { name: 'g', arguments: '{}' } },
];
const stream = chatStream([chunkOf({ role: 'assistant', content: 'so' }), chunkOf({ tool_calls: calls }), chunkOf({}, 'tool_calls')]);
const message = { role: 'assistant', content: null, tool_calls: calls };
const whole = JSON.stringify({ id: 'cc', model: 'm', choices: [{ index: 0, message, finish_reason: 'tool_calls' }] });

describe('Gemini\'s thought signatures are gathered on their way to a chat client', () => {
  test.each<[string, Partial<AnswerPlan>, string]>([
    ['in a stream that passes untouched', {}, stream],
    ['in a whole answer', { clientStream: false, upstreamStream: false }, whole],
    ['in a stream folded to an object', { clientStream: false }, stream],
  ])('%s', (_name, plan, answer) => {
    const passage = createPassage(planFor({ upstreamWire: 'chat', dialect: 'gemini', ...plan }), testDeps());
    expect(runPassage(passage, [answer]).text).toContain('"thought_signature"');
    const [thought, ...kept] = passage.items();
    expect(openReasoning(stringAt(thought, 'encrypted_content'))?.thoughtSignatures).toEqual({ call_1: 'sig' });
    expect(kept).toEqual([{ type: 'function_call', call_id: 'call_1' }]);
  });

  test('elsewhere a spliced call is not looked into', () => {
    const passage = createPassage(planFor({ upstreamWire: 'chat', dialect: 'chat-generic' }), testDeps());
    expect(runPassage(passage, [stream]).text).toBe(stream);
    expect(passage.items()).toEqual([]);
  });
});
