import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import { REASONING_FIELDS } from '../../src/wire/reasoning-field.ts';
import { joinBytes } from '../../src/wire/sse-writer.ts';
import { goldenCases, goldenStream } from '../support/golden.ts';
import { bytesOf, planFor, runPassage, testDeps } from './run-passage.ts';

const wire = fc.constantFrom('chat' as const, 'responses' as const);
const plan: fc.Arbitrary<AnswerPlan> = fc
  .record({
    clientWire: wire,
    upstreamWire: wire,
    dialect: fc.constantFrom('openai' as const, 'codex' as const, 'gemini' as const),
    clientStream: fc.boolean(),
    upstreamStream: fc.boolean(),
    native: fc.boolean(),
    includeUsage: fc.boolean(),
    legacyFunctions: fc.boolean(),
    stop: fc.constantFrom([], ['a'], ['END', '\n\n']),
    reasoningField: fc.constantFrom(undefined, ...REASONING_FIELDS),
    customTools: fc.constantFrom<AnswerPlan['customTools']>({}, { f: 'wrapped', a: 'wrapped-nested' }, { f: 'nested', a: 'flat' }),
  })
  .map((drawn) => planFor(drawn));

const TYPES = [
  'response.created',
  'response.output_item.added',
  'response.output_item.done',
  'response.output_text.delta',
  'response.output_text.done',
  'response.content_part.done',
  'response.refusal.delta',
  'response.reasoning_summary_text.delta',
  'response.function_call_arguments.delta',
  'response.function_call_arguments.done',
  'response.custom_tool_call_input.delta',
  'response.output_text.annotation.added',
  'response.completed',
  'response.incomplete',
  'response.failed',
  'error',
  'codex.rate_limits',
];
const KEYS = [
  'choices',
  'delta',
  'content',
  'reasoning',
  'reasoning_details',
  'tool_calls',
  'function',
  'function_call',
  'name',
  'arguments',
  'index',
  'id',
  'finish_reason',
  'usage',
  'error',
  'message',
  'code',
  'response',
  'output',
  'item',
  'output_index',
  'content_index',
  'item_id',
  'call_id',
  'type',
  'text',
  'summary',
  'annotations',
  'logprobs',
  '__proto__',
  'status',
  'model',
  'annotation',
  'part',
  'refusal',
  'extra_content',
  'google',
];
/** Objects that look like events and mean anything. */
const odd = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 0, -1, 1e300, '', 'a', 'stop', 'function_call', 'message', 'constructor', ...TYPES),
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
  object: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
})).object;
const event = fc
  .tuple(fc.option(fc.constantFrom(...TYPES)), odd)
  .map(
    ([type, value]) =>
      `${type === null ? '' : `event: ${type}\n`}data: ${JSON.stringify(type === null ? value : { type, ...Object(value) })}\n\n`,
  );
const piece = fc.oneof(
  { weight: 6, arbitrary: event },
  { weight: 1, arbitrary: fc.constantFrom('data: [DONE]\n\n', ': note\n\n', 'data: {"\n\n', 'data: null\n\n', '\n\n') },
  { weight: 1, arbitrary: fc.string() },
);

describe('every passage', () => {
  test('survives whatever an upstream says, and says nothing after its end', () => {
    fc.assert(
      fc.property(plan, fc.array(piece, { maxLength: 12 }), (drawn, pieces) => {
        const passage = createPassage(drawn, testDeps());
        runPassage(passage, pieces);
        expect(passage.items()).toBeInstanceOf(Array);
        expect(passage.errorFrame({ message: 'm', type: 'server_error', param: null, code: null }).length).toBeGreaterThan(0);
        expect(passage.seen.failure === null || passage.seen.terminal !== 'completed').toBe(true);
      }),
      { numRuns: 1_500 },
    );
  });

  test('survives arbitrary bytes', () => {
    fc.assert(
      fc.property(plan, fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (drawn, chunks) => {
        expect(runPassage(createPassage(drawn, testDeps()), chunks).seen.terminal).not.toBe('completed');
      }),
      { numRuns: 300 },
    );
  });

  test('U30 gives the same answer however the bytes were cut', () => {
    const streams = [...goldenCases('response/'), ...goldenCases('aggregate/')]
      .filter((golden) => typeof golden.input['sse'] === 'string')
      .map((golden) => ({
        upstreamWire: golden.direction.includes('chat-to-') ? ('chat' as const) : ('responses' as const),
        bytes: bytesOf(goldenStream(golden)),
      }));
    fc.assert(
      fc.property(plan, fc.constantFrom(...streams), fc.array(fc.nat(), { maxLength: 30 }), (drawn, { upstreamWire, bytes }, places) => {
        const whole = { ...drawn, upstreamWire, upstreamStream: true };
        const sorted = [...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
        const cut = [0, ...sorted].map((place, index) => bytes.subarray(place, sorted[index] ?? bytes.length));
        const [one, many] = [[bytes], cut].map((chunks) => runPassage(createPassage(whole, testDeps()), chunks));
        expect([many?.out, many?.last, many?.seen]).toEqual([one?.out, one?.last, one?.seen]);
      }),
      { numRuns: 400 },
    );
  });

  test('never tells a client that streams a success the upstream did not tell', () => {
    const streams = [...goldenCases('response/responses-to-chat-stream'), ...goldenCases('response/chat-to-responses-stream')]
      .filter((golden) => typeof golden.input['sse'] === 'string')
      .map((golden) => ({
        upstreamWire: golden.direction.includes('chat-to-') ? ('chat' as const) : ('responses' as const),
        text: goldenStream(golden),
      }));
    fc.assert(
      fc.property(wire, fc.constantFrom(...streams), fc.nat({ max: 100 }), (clientWire, { upstreamWire, text }, percent) => {
        const bytes = bytesOf(text);
        const told = runPassage(createPassage(planFor({ clientWire, upstreamWire }), testDeps()), [
          bytes.subarray(0, Math.floor((bytes.length * percent) / 100)),
        ]);
        if (told.seen.terminal !== null) return;
        expect(told.text).not.toMatch(/\[DONE\]|response\.completed|"finish_reason":"/);
      }),
      { numRuns: 400 },
    );
  });

  test('a writer that joins pieces loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        expect([...joinBytes(pieces)]).toEqual(pieces.flatMap((bytes) => [...bytes]));
      }),
    );
  });
});
