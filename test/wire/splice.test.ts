import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { numberAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { parseFrames } from '../support/golden.ts';
import { bytesOf, chatStream, chunkOf, planFor, responsesStream, runPassage, testDeps } from './run-passage.ts';

const chatPlan = planFor({ clientWire: 'chat', upstreamWire: 'chat', dialect: 'chat-generic', includeUsage: true });
const nativePlan = planFor({ clientWire: 'responses', upstreamWire: 'responses', dialect: 'codex', native: true });
const plainPlan = planFor({ clientWire: 'responses', upstreamWire: 'responses', dialect: 'codex' });
const platformPlan = planFor({ clientWire: 'responses', upstreamWire: 'responses' });

const usageChunk = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const chatAnswer = chatStream([
  chunkOf({ role: 'assistant', content: '' }),
  chunkOf({ content: 'Grüße "usage" 世界' }),
  chunkOf({ content: '🙂\n' }),
  chunkOf({}, 'stop'),
  usageChunk,
]);
const message = { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content: [{ type: 'output_text', text: 'Hé' }] };
const usage = { input_tokens: 10, output_tokens: 7, total_tokens: 17 };
const responseEvents = [
  { type: 'codex.rate_limits', plan_type: 'plus', rate_limits: { primary: { used_percent: 42 } } },
  { type: 'response.created', response: { id: 'resp_1', model: 'gpt-x', status: 'in_progress', output: [] } },
  { type: 'response.in_progress', response: { id: 'resp_1', status: 'in_progress' } },
  { type: 'response.output_item.added', output_index: 0, item: { ...message, status: 'in_progress', content: [] } },
  { type: 'response.output_text.delta', item_id: 'msg_1', output_index: 0, content_index: 0, delta: 'H\\"é' },
  { type: 'response.output_item.done', output_index: 0, item: message },
  {
    type: 'response.completed',
    response: { id: 'resp_1', model: 'gpt-x', status: 'completed', output: [], service_tier: 'default', usage },
  },
];
const responseAnswer = responsesStream(responseEvents);

function run(plan: AnswerPlan, ...chunks: readonly string[]) {
  return runPassage(createPassage(plan, testDeps()), chunks);
}

/** Cuts bytes at the places given. */
function cutAt(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
  return [0, ...sorted].map((place, index) => bytes.subarray(place, sorted[index] ?? bytes.length));
}

describe('a splice', () => {
  const framings = { LF: '\n', CRLF: '\r\n', CR: '\r' };
  const answers: readonly (readonly [string, AnswerPlan, string])[] = [
    ['chat', chatPlan, chatAnswer],
    ['native responses', nativePlan, responseAnswer],
    ['platform responses', platformPlan, responseAnswer],
  ];
  for (const [name, plan, answer] of answers) {
    for (const [framing, newline] of Object.entries(framings)) {
      const framed = `: hello${newline}${newline}${answer.replaceAll('\n', newline)}`;
      test(`U30 hands on ${name} byte for byte, cut anywhere, framed with ${framing}`, () => {
        fc.assert(
          fc.property(fc.array(fc.nat()), (places) => {
            const told = runPassage(createPassage(plan, testDeps()), cutAt(bytesOf(framed), places));
            expect(told.text).toBe(framed);
            expect(told.seen.terminal).toBe('completed');
          }),
          { numRuns: 60 },
        );
      });
    }
    test(`U30 hands on ${name} byte for byte when every byte comes alone`, () => {
      const told = runPassage(
        createPassage(plan, testDeps()),
        [...bytesOf(answer)].map((byte) => Uint8Array.of(byte)),
      );
      expect(told.text).toBe(answer);
    });
    test(`${name} in one chunk goes out in one piece before its end`, () => {
      expect(createPassage(plan, testDeps()).push(bytesOf(answer)).out).toHaveLength(1);
    });
  }

  test('says only whole events, so that an error frame behind it begins cleanly', () => {
    const passage = createPassage(chatPlan, testDeps());
    const [first = ''] = chatAnswer.split('\n\n');
    expect(passage.push(bytesOf(first)).out).toEqual([]);
    expect(new TextDecoder().decode(passage.push(bytesOf('\n\ndata: {"cho')).out[0])).toBe(`${first}\n\n`);
    expect(passage.end()).toEqual({ out: [], last: null });
    expect(passage.seen.terminal).toBeNull();
  });

  test('a byte order mark hides nothing of the first event', () => {
    const told = run(chatPlan, `\ufeff${chatAnswer}`);
    expect([told.text, told.seen.outputCharacters]).toEqual([`\ufeff${chatAnswer}`, run(chatPlan, chatAnswer).seen.outputCharacters]);
  });

  test('U30 joins several data lines before it reads an event', () => {
    const told = run(
      chatPlan,
      'data: {"choices":[{"index":0,"delta":{"content":"a"},\ndata: "finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    );
    expect(told.seen).toMatchObject({ terminal: 'completed', outputCharacters: 1 });
  });

  test('takes a last event that lacks its blank line and ends it', () => {
    const told = run(platformPlan, responseAnswer.trimEnd());
    expect(told.text).toBe(responseAnswer);
    expect(told.seen.terminal).toBe('completed');
  });

  test('takes an event of 16 MB', () => {
    const big = chatStream([chunkOf({ content: 'x'.repeat(16 * 1024 * 1024) }), chunkOf({}, 'stop')]);
    const told = runPassage(
      createPassage(chatPlan, testDeps()),
      cutAt(
        bytesOf(big),
        Array.from({ length: 64 }, (_, n) => n * 262_143),
      ),
    );
    expect(told.text.length).toBe(big.length);
    expect(told.seen.outputCharacters).toBe(16 * 1024 * 1024);
  });

  test('ends as a failure when an event has no end', () => {
    const passage = createPassage(chatPlan, testDeps());
    const piece = bytesOf(`data: ${'x'.repeat(1024 * 1024)}`);
    const steps = Array.from({ length: 40 }, () => passage.push(piece));
    expect(passage.seen.failure?.code).toBe('upstream_invalid_response');
    expect(steps.filter(({ last }) => last !== null)).toHaveLength(1);
  });
});

describe('the chat splice', () => {
  test('a quoted quote in one member does not hide the next', () => {
    const told = run(chatPlan, chatStream([chunkOf({ note: 'say " once \\' }), chunkOf({ note: 'a "', content: 'b' })]));
    expect(told.seen).toMatchObject({ meaningful: true, outputEvents: 1, outputCharacters: 1 });
  });

  test('keeps the finish chunk, usage and [DONE] for the end', () => {
    const told = run(chatPlan, chatAnswer);
    expect(parseFrames(told.last ?? '').map(({ data }) => (data === '[DONE]' ? data : parseJsonObject(data)?.['choices']))).toEqual([
      [{ index: 0, delta: {}, finish_reason: 'stop' }],
      [],
      '[DONE]',
    ]);
    expect(told.out).not.toContain('"finish_reason":"stop"');
  });

  test('learns usage, model and output without parsing deltas', () => {
    expect(run(chatPlan, chatAnswer).seen).toMatchObject({
      meaningful: true,
      terminal: 'completed',
      model: 'm',
      responseId: 'cc',
      usage: { total_tokens: 5 },
      outputEvents: 2,
      outputCharacters: 18,
      failure: null,
      events: 6,
    });
  });

  test('leaves out the usage chunk for a client that did not ask', () => {
    const told = run({ ...chatPlan, includeUsage: false }, chatAnswer);
    expect(told.text).toBe(
      chatAnswer
        .split('\n\n')
        .filter((event) => !event.includes('"choices":[]'))
        .join('\n\n'),
    );
    expect(told.seen.usage).toEqual(usageChunk.usage);
  });

  test('keeps a chunk that carries usage beside choices', () => {
    const answer = chatStream([{ ...chunkOf({ content: 'a' }, 'stop'), usage: usageChunk.usage }]);
    expect(run({ ...chatPlan, includeUsage: false }, answer).text).toBe(answer);
  });

  test('a second choice that still speaks releases what was held', () => {
    const second = { choices: [{ index: 1, delta: { content: 'b' }, finish_reason: null }] };
    const answer = chatStream([
      chunkOf({ content: 'a' }),
      chunkOf({}, 'stop'),
      second,
      { choices: [{ index: 1, delta: {}, finish_reason: 'stop' }] },
    ]);
    const told = run(chatPlan, answer);
    expect(told.text).toBe(answer);
    expect(told.out).toContain('"finish_reason":"stop"');
    expect(told.last).not.toContain('"content":"b"');
  });

  test('adds [DONE] where the upstream ends after its finish chunk without one', () => {
    const bare = chatAnswer.replace('data: [DONE]\n\n', '');
    expect(run(chatPlan, bare).text).toBe(chatAnswer);
  });

  test('U29 an end without finish reason and [DONE] is a truncation', () => {
    const told = run(chatPlan, chatStream([chunkOf({ content: 'a' })]).replace('data: [DONE]\n\n', ''));
    expect([told.last, told.seen.terminal]).toEqual([null, null]);
  });

  test('U31 passes a broken delta without judging it', () => {
    const broken = `data: {"choices":[{"delta":{"content":"a"\n\n${chatAnswer}`;
    expect(run(chatPlan, broken).text).toBe(broken);
  });

  test('U38 ignores whatever follows [DONE]', () => {
    expect(run(chatPlan, chatAnswer, chatAnswer).text).toBe(chatAnswer);
  });

  const meaningful: readonly (readonly [string, object, boolean])[] = [
    ['the role alone', { role: 'assistant', content: '' }, false],
    ['content', { content: 'a' }, true],
    ['reasoning_content', { reasoning_content: 'hm' }, true],
    ['reasoning', { reasoning: 'hm' }, true],
    ['a refusal', { refusal: 'no' }, true],
    ['the head of a call', { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }] }, true],
    ['an old function call', { function_call: { name: 'f' } }, true],
    ['empty lists and nulls', { content: null, tool_calls: [], function_call: null }, false],
    ['text that quotes an envelope', { role: 'assistant', content: '', x: '{"content":"a"}' }, false],
  ];
  test.each(meaningful)('%s is meaningful: %3$s', (_, delta, expected) => {
    const passage = createPassage(chatPlan, testDeps());
    passage.push(bytesOf(chatStream([chunkOf(delta)]).replace('data: [DONE]\n\n', '')));
    expect(passage.seen.meaningful).toBe(expected);
  });

  test.each([
    ['an error chunk', { error: { code: 429, message: 'slow', type: 'rate_limit_error' } }, { status: 429, code: null, message: 'slow' }],
    [
      'an error beside choices',
      { ...chunkOf({ content: '' }, 'error'), error: { code: 502, message: 'gone' } },
      { status: 502, message: 'gone' },
    ],
    ['an error as text', { error: 'boom' }, { message: 'boom' }],
    ['a finish reason of error', chunkOf({}, 'error'), { code: null }],
    ['a detail', { detail: 'Unauthorized' }, { message: 'Unauthorized' }],
  ])('%s is a failure, told without choices', (_, chunk, failure) => {
    const told = run(chatPlan, `data: ${JSON.stringify(chunk)}\n\n`);
    expect(told.seen).toMatchObject({ terminal: 'failed', failure, meaningful: false });
    expect(parseFrames(told.text).map(({ data }) => Object.keys(parseJsonObject(data) ?? {}))).toEqual([['error']]);
  });
});

describe('the Responses splice', () => {
  test('ends with the terminal event and learns from it', () => {
    const told = run(platformPlan, responseAnswer);
    expect(parseFrames(told.last ?? '').map(({ event }) => event)).toEqual(['response.completed']);
    expect(told.seen).toMatchObject({
      terminal: 'completed',
      usage,
      model: 'gpt-x',
      tier: 'default',
      responseId: 'resp_1',
      outputEvents: 1,
      outputCharacters: 4,
      events: 7,
      rateLimits: { plan_type: 'plus' },
    });
  });

  test('gives a plain client of the ChatGPT backend no private events and a whole terminal event', () => {
    const told = run(plainPlan, responseAnswer);
    expect(parseFrames(told.text).map(({ event }) => event)).toEqual(responseEvents.slice(1).map(({ type }) => type));
    const last = objectAt(parseJsonObject(parseFrames(told.last ?? '')[0]?.data ?? ''), 'response');
    expect(last).toMatchObject({ output: [message], usage, status: 'completed' });
    expect(told.seen.rateLimits).toMatchObject({ plan_type: 'plus' });
  });

  test('leaves a terminal event that has its output untouched', () => {
    const whole = responsesStream(
      responseEvents
        .slice(1)
        .map((event) => (event.type === 'response.completed' ? { ...event, response: { ...event.response, output: [message] } } : event)),
    );
    expect(run(plainPlan, whole).text).toBe(whole);
  });

  test.each([0, 7])('numbers behind a response.created of its own keep rising, from %i on', (from) => {
    const events = [
      { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'a' },
      { type: 'response.output_item.done', output_index: 0, item: { type: 'message', id: 'm' } },
      { type: 'response.completed', response: { id: 'resp_1', status: 'completed', output: [] } },
    ].map((event, index) => ({ ...event, sequence_number: from + index }));
    const passage = createPassage(plainPlan, testDeps());
    const told = runPassage(passage, [responsesStream(events)]).text;
    const numbers = parseFrames(told).map(({ data }) => numberAt(parseJsonObject(data), 'sequence_number'));
    expect(parseFrames(told).map(({ event }) => event)).toEqual(['response.created', ...events.map(({ type }) => type)]);
    expect(numbers).toEqual(from === 0 ? [0, 1, 2, 3] : [6, 7, 8, 9]);
  });

  test('begins with response.created where the ChatGPT backend left it out', () => {
    const [first, ...rest] = parseFrames(run(plainPlan, responsesStream(responseEvents.slice(3))).text);
    expect(first?.event).toBe('response.created');
    expect(objectAt(parseJsonObject(first?.data ?? ''), 'response')).toMatchObject({
      id: 'resp_test1',
      model: 'asked',
      status: 'in_progress',
    });
    expect(rest.map(({ event }) => event)).toEqual(responseEvents.slice(3).map(({ type }) => type));
  });

  const kinds: readonly (readonly [string, boolean])[] = [
    ['response.created', false],
    ['response.queued', false],
    ['response.in_progress', false],
    ['response.metadata', false],
    ['codex.rate_limits', false],
    ['codex.keepalive', false],
    ['keepalive', false],
    ['response.output_item.added', true],
    ['response.reasoning_summary_text.delta', true],
    ['response.some_future_event', true],
  ];
  test.each(kinds)('%s is meaningful: %s', (type, expected) => {
    for (const framed of [responsesStream([{ type }]), `data: {"type": "${type}"}\n\n`, `data: {"x":1,"type":"${type}"}\n\n`]) {
      const passage = createPassage(nativePlan, testDeps());
      passage.push(bytesOf(framed));
      expect([framed, passage.seen.meaningful]).toEqual([framed, expected]);
    }
  });

  const errors: readonly (readonly [string, object, object])[] = [
    [
      'a flat error',
      { type: 'error', code: 'server_error', message: 'm', param: null },
      { code: 'server_error', message: 'm', status: null },
    ],
    [
      'a nested error',
      {
        type: 'error',
        status: 429,
        headers: { 'x-codex-primary-used-percent': '100' },
        error: { type: 'usage_limit_reached', message: 'limit', plan_type: 'plus', resets_at: 1_795_000_000 },
      },
      { status: 429, type: 'usage_limit_reached', raw: { resets_at: 1_795_000_000, headers: { 'x-codex-primary-used-percent': '100' } } },
    ],
    [
      'a failed response',
      {
        type: 'response.failed',
        response: { id: 'r', status: 'failed', error: { code: 'rate_limit_exceeded', message: 'try again in 1.9s' } },
      },
      { code: 'rate_limit_exceeded', message: 'try again in 1.9s' },
    ],
    ['a cancelled response', { type: 'response.cancelled', response: { id: 'r' } }, { message: 'The upstream cancelled the response.' }],
  ];
  test.each(errors)('%s is a failure and reaches the client as response.failed', (_, error, failure) => {
    for (const plan of [nativePlan, plainPlan, platformPlan]) {
      const told = run(plan, responsesStream([...responseEvents.slice(1, 4), { type: 'error', ...error }]));
      expect(told.seen).toMatchObject({ terminal: 'failed', failure });
      const [frame] = parseFrames(told.last ?? '');
      const event = parseJsonObject(frame?.data ?? '');
      expect([frame?.event, event?.['type'], event?.['sequence_number']]).toEqual(['response.failed', 'response.failed', 3]);
      expect(stringAt(objectAt(objectAt(event, 'response'), 'error'), 'message')).toBe(told.seen.failure?.message);
    }
  });

  test('U36 a failure before any output is not meaningful', () => {
    const told = run(platformPlan, responsesStream([{ type: 'error', code: 'context_length_exceeded', message: 'too long' }]));
    expect(told.seen).toMatchObject({ meaningful: false, failure: { code: 'context_length_exceeded' } });
  });

  test.each(['message', ''])('events named "%s" are each told apart by what they say of themselves', (name) => {
    const head = name === '' ? '' : `event: ${name}\n`;
    const events = [{ type: 'message' }, { type: 'message', note: 'again' }, ...responseEvents.slice(1)].map((event) => `${head}data: ${JSON.stringify(event)}\n\n`);
    const { seen, text } = run(platformPlan, ...events);
    expect(seen).toMatchObject({ terminal: 'completed', responseId: 'resp_1', model: 'gpt-x', usage, outputEvents: 1 });
    expect(text).toBe(events.join(''));
  });

  test('U31 an unreadable terminal event is a truncation', () => {
    const told = run(
      platformPlan,
      `${responsesStream(responseEvents.slice(1, 4))}event: response.completed\ndata: {"type":"response.comp\n\n`,
    );
    expect([told.last, told.seen.terminal]).toEqual([null, null]);
    expect(told.text).not.toContain('response.comp');
  });

  test('U29 a missing terminal event is a truncation', () => {
    expect(run(nativePlan, responsesStream(responseEvents.slice(0, 5))).seen.terminal).toBeNull();
  });

  test('U38 the first terminal event wins', () => {
    expect(run(platformPlan, responseAnswer, responseAnswer).text).toBe(responseAnswer);
  });

  test('an error frame takes the next number and keeps the response', () => {
    const passage = createPassage(platformPlan, testDeps());
    passage.push(bytesOf(responsesStream(responseEvents.slice(1, 5))));
    const frame = new TextDecoder().decode(
      passage.errorFrame({ message: 'cut', type: 'server_error', param: null, code: 'upstream_stream_truncated' }),
    );
    expect(frame.startsWith('event: response.failed\ndata: ')).toBe(true);
    expect(parseJsonObject(parseFrames(frame)[0]?.data ?? '')).toMatchObject({
      sequence_number: 4,
      response: { id: 'resp_1', status: 'failed', error: { code: 'upstream_stream_truncated', message: 'cut' }, output: [] },
    });
  });

  test('an error frame counts on from the number the upstream itself gave', () => {
    const passage = createPassage(platformPlan, testDeps());
    passage.push(bytesOf(responsesStream([{ type: 'response.output_text.delta', sequence_number: 40, delta: 'a' }])));
    const frame = new TextDecoder().decode(passage.errorFrame({ message: 'm', type: 't', param: null, code: null }));
    expect(parseJsonObject(parseFrames(frame)[0]?.data ?? '')?.['sequence_number']).toBe(41);
  });

  test('an error frame before anything came is a whole response', () => {
    const frame = new TextDecoder().decode(
      createPassage(platformPlan, testDeps()).errorFrame({ message: 'm', type: 't', param: null, code: null }),
    );
    const event = parseJsonObject(parseFrames(frame)[0]?.data ?? '');
    expect(event?.['sequence_number']).toBe(0);
    expect(Object.keys(objectAt(event, 'response') ?? {})).toHaveLength(31);
  });

  test('keeps finished items for a plain client and none for Codex', () => {
    const items = [plainPlan, nativePlan].map((plan) => {
      const passage = createPassage(plan, testDeps());
      runPassage(passage, [responseAnswer]);
      return passage.items();
    });
    expect(items).toEqual([[message], []]);
  });
});
