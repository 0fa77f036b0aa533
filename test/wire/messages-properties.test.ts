import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { RelayError } from '../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { messagesToResponses } from '../../src/wire/messages-to-responses.ts';
import { openThought, sealThought } from '../../src/wire/messages-thinking.ts';
import { eventsIn } from '../support/collect-events.ts';
import { goldenCases, goldenStream } from '../support/golden.ts';
import { messagesPlan } from './messages-fixtures.ts';
import { EMPTY_MEMORY, targetOf } from './request-fixtures.ts';
import { bytesOf, runPassage, testDeps } from './run-passage.ts';

const thinking = fc.constantFrom('shown' as const, 'omitted' as const, 'off' as const);
const stop = fc.constantFrom<readonly string[]>([], ['a'], ['END', '\n\n']);
const wire = fc.constantFrom('chat' as const, 'responses' as const);

/** Every recorded stream of either wire. */
const STREAMS = [...goldenCases('response/'), ...goldenCases('aggregate/')]
  .filter((golden) => typeof golden.input['sse'] === 'string')
  .map((golden) => ({ upstreamWire: golden.direction.includes('chat-to-') ? ('chat' as const) : ('responses' as const), text: goldenStream(golden) }));

const planOf = (plan: Partial<AnswerPlan>, shown: 'shown' | 'omitted' | 'off'): AnswerPlan => messagesPlan(plan, shown);

/** Adds up a stream as a client does: by the letter of the protocol, and failing where it is broken. */
function foldAsClient(text: string): JsonObject {
  let message: JsonObject | undefined;
  let open: { block: JsonObject; json: string } | null = null;
  const content: JsonObject[] = [];
  let over = false;
  for (const { event, json } of eventsIn(text)) {
    if (json === undefined || event !== json['type'] || over) throw new Error(`an event out of order: ${event}`);
    const delta = objectAt(json, 'delta');
    if (json['type'] === 'message_start') {
      if (message !== undefined) throw new Error('it begins twice');
      message = { ...objectAt(json, 'message') };
    } else if (message === undefined) throw new Error('it has not begun');
    else if (json['type'] === 'content_block_start') {
      if (open !== null || json['index'] !== content.length) throw new Error('a block begins inside another');
      open = { block: { ...objectAt(json, 'content_block') }, json: '' };
    } else if (json['type'] === 'content_block_delta') {
      if (open === null || json['index'] !== content.length) throw new Error('a delta belongs to no block');
      addAsClient(open, delta ?? {});
    } else if (json['type'] === 'content_block_stop') {
      if (open === null || json['index'] !== content.length) throw new Error('a block ends that has not begun');
      const input = parseJsonObject(open.json);
      content.push(input ? { ...open.block, input } : open.block);
      open = null;
    } else if (json['type'] === 'message_delta') {
      if (open !== null) throw new Error('the message ends inside a block');
      message = { ...message, ...delta, usage: { ...objectAt(message, 'usage'), ...objectAt(json, 'usage') } };
    } else if (json['type'] === 'message_stop') over = true;
    else throw new Error(`what is ${String(json['type'])}?`);
  }
  if (message === undefined || !over) throw new Error('it has no end');
  return { ...message, content };
}

function addAsClient(open: { block: JsonObject; json: string }, delta: JsonObject): void {
  const { block } = open;
  switch (delta['type']) {
    case 'text_delta':
      block['text'] = `${String(block['text'])}${String(delta['text'])}`;
      return;
    case 'thinking_delta':
      block['thinking'] = `${String(block['thinking'])}${String(delta['thinking'])}`;
      return;
    case 'signature_delta':
      block['signature'] = delta['signature'] ?? '';
      return;
    case 'citations_delta':
      block['citations'] = [...(arrayAt(block, 'citations') ?? []), delta['citation'] ?? null];
      return;
    case 'input_json_delta':
      open.json += stringAt(delta, 'partial_json') ?? '';
      return;
    default:
      throw new Error(`what is ${String(delta['type'])}?`);
  }
}

describe('any answer to a Messages client', () => {
  test('one object is what a client makes of the stream', () => {
    fc.assert(fc.property(fc.constantFrom(...STREAMS), thinking, stop, ({ upstreamWire, text }, shown, sequences) => {
      const [stream, object] = [true, false].map((clientStream) =>
        runPassage(createPassage(planOf({ upstreamWire, clientStream, stop: sequences }, shown), testDeps()), [text]));
      if (stream?.last === null || stream === undefined || stream.seen.failure) {
        expect(object?.seen.failure?.message).toBe(stream?.seen.failure?.message);
        expect(stream?.text ?? '').not.toContain('message_stop');
        return;
      }
      expect(parseJsonObject(object?.text ?? '')).toEqual(foldAsClient(stream.text));
      expect(object?.seen).toEqual(stream.seen);
    }), { numRuns: 600 });
  });

  test('U30 is the same however the bytes were cut', () => {
    fc.assert(fc.property(fc.constantFrom(...STREAMS), thinking, stop, fc.boolean(), fc.array(fc.nat(), { maxLength: 30 }), ({ upstreamWire, text }, shown, sequences, clientStream, places) => {
      const bytes = bytesOf(text);
      const sorted = [...new Set(places.map((place) => place % bytes.length))].toSorted((left, right) => left - right);
      const cut = [0, ...sorted].map((place, index) => bytes.subarray(place, sorted[index] ?? bytes.length));
      const plan = planOf({ upstreamWire, clientStream, stop: sequences }, shown);
      const [one, many] = [[bytes], cut].map((chunks) => runPassage(createPassage(plan, testDeps()), chunks));
      expect([many?.text, many?.last, many?.seen]).toEqual([one?.text, one?.last, one?.seen]);
    }), { numRuns: 300 });
  });

  test('U28 never ends well where the upstream did not', () => {
    fc.assert(fc.property(fc.constantFrom(...STREAMS), thinking, fc.nat({ max: 100 }), ({ upstreamWire, text }, shown, percent) => {
      const bytes = bytesOf(text);
      const told = runPassage(createPassage(planOf({ upstreamWire }, shown), testDeps()), [bytes.subarray(0, Math.floor((bytes.length * percent) / 100))]);
      if (told.seen.terminal === null) expect(told.text).not.toMatch(/message_delta|message_stop|stop_reason":"/);
    }), { numRuns: 300 });
  });

  const KEYS = ['type', 'delta', 'item', 'response', 'output', 'output_index', 'content_index', 'item_id', 'call_id', 'id', 'name', 'arguments', 'text', 'part', 'content',
    'summary', 'annotation', 'annotations', 'action', 'query', 'sources', 'url', 'encrypted_content', 'usage', 'status', 'error', 'message', 'choices', 'finish_reason',
    'tool_calls', 'function', 'index', 'reasoning_content', '__proto__'];
  const TYPES = ['response.created', 'response.output_item.added', 'response.output_item.done', 'response.output_text.delta', 'response.content_part.done',
    'response.refusal.delta', 'response.reasoning_summary_text.delta', 'response.reasoning_text.delta', 'response.function_call_arguments.delta',
    'response.function_call_arguments.done', 'response.output_text.annotation.added', 'response.completed', 'response.incomplete', 'response.failed', 'error', 'codex.rate_limits'];
  const odd = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.constantFrom<JsonValue>(null, true, 0, -1, 1e300, '', 'a', 'END', 'message', 'reasoning', 'function_call', 'web_search_call', 'url_citation', 'output_text', 'stop'),
      tie('object'), fc.array(tie('value'), { maxLength: 3 })),
    object: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 6 }),
  })).object;
  const frame = fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.option(fc.constantFrom(...TYPES)), odd).map(([type, value]) => `data: ${JSON.stringify({ ...Object(value), ...(type !== null && { type }) })}\n\n`) },
    { weight: 1, arbitrary: fc.constantFrom('data: [DONE]\n\n', ': note\n\n', 'data: {"\n\n', 'data: null\n\n', '\n\n') },
  );

  test('survives whatever an upstream says, and is always well formed', () => {
    fc.assert(fc.property(wire, thinking, stop, fc.array(frame, { maxLength: 14 }), (upstreamWire, shown, sequences, frames) => {
      const told = runPassage(createPassage(planOf({ upstreamWire, stop: sequences }, shown), testDeps()), frames);
      if (told.seen.terminal !== null && told.seen.failure === null) foldAsClient(told.text);
    }), { numRuns: 2_000 });
  });

  test('survives arbitrary bytes', () => {
    fc.assert(fc.property(wire, fc.boolean(), fc.boolean(), fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (upstreamWire, clientStream, upstreamStream, chunks) => {
      const told = runPassage(createPassage(planOf({ upstreamWire, clientStream, upstreamStream }, 'shown'), testDeps()), chunks);
      expect(told.seen.terminal).not.toBe('completed');
    }), { numRuns: 300 });
  });
});

describe('any Messages body', () => {
  const block: fc.Arbitrary<JsonValue> = fc.oneof(
    fc.record({ type: fc.constant('text'), text: fc.string() }),
    fc.record({ type: fc.constantFrom('thinking', 'redacted_thinking'), thinking: fc.string(), signature: fc.string(), data: fc.string() }),
    fc.record({ type: fc.constant('tool_use'), id: fc.constantFrom('a', 'b', 'x'.repeat(70)), name: fc.constantFrom('f', 'constructor', 'y'.repeat(90)), input: fc.dictionary(fc.string(), fc.string()) }),
    fc.record({ type: fc.constant('tool_result'), tool_use_id: fc.constantFrom('a', 'b', 'x'.repeat(70)), content: fc.oneof(fc.string(), fc.constant(null)), is_error: fc.boolean() }),
    fc.jsonValue() as fc.Arbitrary<JsonValue>,
  );
  const body: fc.Arbitrary<JsonObject> = fc.record({
    model: fc.constantFrom<JsonValue>('m', '', 3),
    max_tokens: fc.constantFrom<JsonValue>(100, 1, null, 'x'),
    system: fc.oneof(fc.string(), fc.array(block, { maxLength: 2 }), fc.constant(null)),
    messages: fc.oneof({ weight: 8, arbitrary: fc.array(fc.record({
      role: fc.constantFrom('user', 'assistant', 'system', 'nobody'), content: fc.oneof(fc.string(), fc.array(block, { maxLength: 4 })),
    }), { maxLength: 5 }) }, { weight: 1, arbitrary: fc.jsonValue() as fc.Arbitrary<JsonValue> }),
    tools: fc.oneof(fc.constant(null), fc.array(fc.oneof(
      fc.record({ name: fc.constantFrom('f', 'constructor', 'y'.repeat(90)), input_schema: fc.constantFrom<JsonValue>({}, { type: 'object' }, 3), type: fc.constantFrom('custom', 'bash_20250124', 'web_search_20250305', 'odd') }),
      fc.jsonValue() as fc.Arbitrary<JsonValue>,
    ), { maxLength: 3 })),
    thinking: fc.constantFrom<JsonValue>(null, { type: 'adaptive' }, { type: 'enabled', budget_tokens: 5 }, { type: 'odd' }, 3),
    tool_choice: fc.constantFrom<JsonValue>(null, { type: 'any' }, { type: 'tool', name: 'f' }, { type: 'odd' }),
  }, { requiredKeys: [] });

  test('is put into the hub\'s words, or refused with its fault; never changed, never a crash', () => {
    const dialects = fc.constantFrom('codex' as const, 'openai' as const, 'chat-generic' as const, 'deepseek' as const, 'gemini' as const);
    fc.assert(fc.property(body, dialects, fc.boolean(), (given, dialect, strict) => {
      const before = JSON.stringify(given);
      try {
        const { body: hub, origin } = messagesToResponses(given, EMPTY_MEMORY.digest);
        expect(origin.inputTokens).toBeGreaterThan(0);
        prepareRequest({ clientWire: 'messages', bodyWire: 'responses', endpoint: 'messages', body: hub, stream: true, isCodex: false, messages: origin }, targetOf(dialect, { strict }), EMPTY_MEMORY);
      } catch (error) {
        if (!(error instanceof RelayError)) throw error;
        expect(error.status).toBe(400);
      }
      expect(JSON.stringify(given)).toBe(before);
    }), { numRuns: 1_500 });
  });

  test('a thought that was sealed is opened to the same item', () => {
    const id = fc.stringMatching(/^[\w-]{1,40}$/);
    fc.assert(fc.property(id, fc.string({ minLength: 1 }), fc.string(), (itemId, ciphertext, text) => {
      const item = { type: 'reasoning', id: itemId, summary: [], encrypted_content: ciphertext };
      expect(openThought(sealThought(item), text)).toEqual({ ...item, summary: text === '' ? [] : [{ type: 'summary_text', text }] });
    }));
    fc.assert(fc.property(fc.string(), (foreign) => {
      expect(openThought(foreign, 'x')).toBeUndefined();
    }));
  });
});
