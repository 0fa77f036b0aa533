import { describe, expect, test } from 'vitest';

import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { isJsonObject, objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { eventsIn } from '../support/collect-events.ts';
import { messagesPlan } from './messages-fixtures.ts';
import type { TestEvent, Told } from './run-passage.ts';
import { chatStream, chunkOf, responsesStream, runPassage, testDeps } from './run-passage.ts';

const usage = { input_tokens: 100, input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 }, output_tokens: 20, output_tokens_details: { reasoning_tokens: 5 } };
const created: TestEvent = { type: 'response.created', response: { id: 'resp_1', model: 'gpt-x-1', service_tier: 'auto' } };
const completed = (response: object = {}): TestEvent => ({ type: 'response.completed', response: { id: 'resp_1', status: 'completed', output: [], usage, ...response } });
const added = (output_index: number, item: object): TestEvent => ({ type: 'response.output_item.added', output_index, item });
const done = (output_index: number, item: object): TestEvent => ({ type: 'response.output_item.done', output_index, item });
const text = (delta: string, output_index = 0): TestEvent => ({ type: 'response.output_text.delta', output_index, content_index: 0, delta });
const message = (words: string, members: object = {}): object => ({ type: 'message', id: 'msg_u', role: 'assistant', content: [{ type: 'output_text', text: words, annotations: [] }], ...members });
const call = (id: string, args: string, members: object = {}): object => ({ type: 'function_call', id: `fc_${id}`, call_id: id, name: 'f', arguments: args, status: 'completed', ...members });
const args = (delta: string, output_index = 0): TestEvent => ({ type: 'response.function_call_arguments.delta', output_index, delta });
const summary = (delta: string, summary_index = 0): TestEvent => ({ type: 'response.reasoning_summary_text.delta', output_index: 0, summary_index, delta });
const reasoning = (members: object = {}): object => ({ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA=', ...members });

function stream(events: readonly TestEvent[], plan: Partial<AnswerPlan> = {}, thinking?: 'shown' | 'omitted' | 'off'): Told {
  return runPassage(createPassage(messagesPlan(plan, thinking), testDeps()), [responsesStream(events)]);
}

const eventsOf = (told: Told): readonly JsonObject[] => eventsIn(told.text).map(({ json }) => json ?? {});

/** A stream in short: what each event does, and what it holds. */
function shortly(told: Told): readonly unknown[] {
  return eventsOf(told).map((event) => {
    switch (event['type']) {
      case 'content_block_start':
        return ['start', event['index'], event['content_block']];
      case 'content_block_delta': {
        const { type, ...delta } = objectAt(event, 'delta') ?? {};
        return ['delta', event['index'], type, ...Object.values(delta)];
      }
      case 'content_block_stop':
        return ['stop', event['index']];
      case 'message_delta':
        return ['end', objectAt(event, 'delta')?.['stop_reason']];
      default:
        return event['type'];
    }
  });
}

/** The same answer for a client that wants one object. */
function whole(events: readonly TestEvent[], plan: Partial<AnswerPlan> = {}, thinking?: 'shown' | 'omitted' | 'off'): JsonObject {
  return parseJsonObject(stream(events, { clientStream: false, ...plan }, thinking).text) ?? {};
}

const TEXT = { type: 'text', text: '' };
const THINKING = { type: 'thinking', thinking: '', signature: '' };
const TOOL = { type: 'tool_use', id: 'call_1', name: 'f', input: {} };
const SIGNATURE = 'relay-thought1.rs_1.gAAAA=';

describe('a Responses stream told as Messages', () => {
  test('text: a start with an estimate, a block, an end with the usage', () => {
    const told = stream([created, added(0, message('', { content: [] })), text('Hel'), text('lo'), done(0, message('Hello')), completed()]);
    expect(eventsOf(told)).toEqual([
      { type: 'message_start', message: {
        id: 'msg_test1', type: 'message', role: 'assistant', model: 'gpt-x-1', content: [], stop_reason: null, stop_sequence: null,
        usage: { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0, service_tier: 'standard' },
      } },
      { type: 'content_block_start', index: 0, content_block: TEXT },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { input_tokens: 30, cache_creation_input_tokens: 10, cache_read_input_tokens: 60, output_tokens: 20 } },
      { type: 'message_stop' },
    ]);
    expect(eventsIn(told.text).every(({ event, json }) => event === json?.['type'])).toBe(true);
    expect(told.seen).toMatchObject({ meaningful: true, terminal: 'completed', outputCharacters: 5, outputEvents: 2, model: 'gpt-x-1', usage });
  });

  test('the end is held back until the request is settled', () => {
    expect(eventsIn(stream([created, text('a'), completed()]).last ?? '').map(({ event }) => event)).toEqual(['message_delta', 'message_stop']);
  });

  test('a tool loop\'s turn: thinking with its signature, words, two calls', () => {
    const told = stream([
      created, added(0, reasoning()), summary('I '), summary('see'), summary('Then', 1), done(0, reasoning()),
      added(1, message('', { content: [] })), text('Looking.', 1), done(1, message('Looking.')),
      added(2, call('call_1', '', { status: 'in_progress' })), args('{"a"', 2), args(':1}', 2), done(2, call('call_1', '{"a":1}')),
      added(3, call('call_2', '', { status: 'in_progress' })), done(3, call('call_2', '{}')), completed(),
    ]);
    expect(shortly(told)).toEqual([
      'message_start',
      ['start', 0, THINKING], ['delta', 0, 'thinking_delta', 'I '], ['delta', 0, 'thinking_delta', 'see'], ['delta', 0, 'thinking_delta', '\n\nThen'],
      ['delta', 0, 'signature_delta', SIGNATURE], ['stop', 0],
      ['start', 1, TEXT], ['delta', 1, 'text_delta', 'Looking.'], ['stop', 1],
      ['start', 2, TOOL], ['delta', 2, 'input_json_delta', '{"a"'], ['delta', 2, 'input_json_delta', ':1}'], ['stop', 2],
      ['start', 3, { ...TOOL, id: 'call_2' }], ['delta', 3, 'input_json_delta', '{}'], ['stop', 3],
      ['end', 'tool_use'], 'message_stop',
    ]);
  });

  test('calls told at once are written one after another', () => {
    const told = stream([
      created, added(0, call('call_1', '')), added(1, call('call_2', '')), args('{"b":2}', 1), args('{"a":1}', 0),
      done(1, call('call_2', '{"b":2}')), done(0, call('call_1', '{"a":1}')), completed(),
    ]);
    expect(shortly(told)).toEqual([
      'message_start', ['start', 0, TOOL], ['delta', 0, 'input_json_delta', '{"a":1}'], ['stop', 0],
      ['start', 1, { ...TOOL, id: 'call_2' }], ['delta', 1, 'input_json_delta', '{"b":2}'], ['stop', 1], ['end', 'tool_use'], 'message_stop',
    ]);
  });

  test.each<[string, readonly TestEvent[], 'shown' | 'omitted' | 'off', readonly unknown[]]>([
    ['hidden by request: a signature without text', [summary('I see'), done(0, reasoning())], 'omitted', [['start', 0, THINKING], ['delta', 0, 'signature_delta', SIGNATURE], ['stop', 0]]],
    ['unreadable: redacted', [done(0, reasoning())], 'shown', [['start', 0, { type: 'redacted_thinking', data: SIGNATURE }], ['stop', 0]]],
    ['not asked for: nothing', [summary('I see'), done(0, reasoning())], 'off', []],
    ['neither text nor ciphertext: nothing', [done(0, reasoning({ encrypted_content: undefined }))], 'shown', []],
    ['text only at the end', [done(0, reasoning({ summary: [{ type: 'summary_text', text: 'I see' }] }))], 'shown',
      [['start', 0, THINKING], ['delta', 0, 'thinking_delta', 'I see'], ['delta', 0, 'signature_delta', SIGNATURE], ['stop', 0]]],
    ['raw reasoning beside its summary: the first of the two', [summary('I see'), { type: 'response.reasoning_text.delta', output_index: 0, content_index: 0, delta: 'raw' }, done(0, reasoning())], 'shown',
      [['start', 0, THINKING], ['delta', 0, 'thinking_delta', 'I see'], ['delta', 0, 'signature_delta', SIGNATURE], ['stop', 0]]],
    ['without a word of its end', [summary('I see')], 'shown',
      [['start', 0, THINKING], ['delta', 0, 'thinking_delta', 'I see'], ['delta', 0, 'signature_delta', 'relay-thought1..'], ['stop', 0]]],
  ])('thinking %s', (_claim, events, thinking, blocks) => {
    const told = shortly(stream([created, ...events, completed()], {}, thinking));
    expect(told.slice(1, -2)).toEqual(blocks);
  });

  test('silent reasoning commits nothing, words do', () => {
    const passage = (events: readonly TestEvent[], thinking: 'shown' | 'off'): boolean => stream([created, ...events], {}, thinking).seen.meaningful;
    expect(passage([added(0, reasoning()), done(0, reasoning())], 'shown')).toBe(false);
    expect(passage([summary('I see')], 'off')).toBe(false);
    expect(passage([summary('I see')], 'shown')).toBe(true);
    expect(passage([text('a')], 'off')).toBe(true);
    expect(passage([added(0, call('call_1', ''))], 'off')).toBe(true);
  });

  test.each<[string, readonly TestEvent[], string, string]>([
    ['a limit', [text('a'), { type: 'response.incomplete', response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage } }], 'max_tokens', 'incomplete'],
    ['a limit inside a call', [added(0, call('call_1', '')), args('{"a'), { type: 'response.incomplete', response: { incomplete_details: { reason: 'max_output_tokens' } } }], 'max_tokens', 'incomplete'],
    ['a filter', [text('a'), { type: 'response.incomplete', response: { incomplete_details: { reason: 'content_filter' } } }], 'refusal', 'incomplete'],
    ['a refusal', [{ type: 'response.refusal.delta', output_index: 0, content_index: 0, delta: 'I will not.' }, completed()], 'refusal', 'completed'],
    ['the old word for an end', [text('a'), { type: 'response.done', response: {} }], 'end_turn', 'completed'],
  ])('%s has its stop reason', (_claim, events, reason, terminal) => {
    const told = stream([created, ...events]);
    expect(shortly(told).at(-2)).toEqual(['end', reason]);
    expect(told.seen.terminal).toBe(terminal);
  });

  test.each<[string, readonly TestEvent[]]>([
    ['deltas that never end', [text('Hello')]],
    ['only the item', [done(0, message('Hello'))]],
    ['only the part', [{ type: 'response.content_part.done', output_index: 0, content_index: 0, part: { type: 'output_text', text: 'Hello' } }]],
    ['only the text', [{ type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hello' }]],
    ['everything twice', [text('Hello'), { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hello' }, done(0, message('Hello'))]],
    ['half of it, then all', [text('Hel'), done(0, message('Hello'))]],
  ])('text that an upstream tells by %s is told once', (_claim, events) => {
    const answer = whole([created, ...events, completed({ output: [message('Hello')] })]);
    expect(answer['content']).toEqual([{ type: 'text', text: 'Hello' }]);
  });

  test('a call whose name comes late waits for it', () => {
    const told = stream([created, args('{"a"'), args(':1}'), done(0, call('call_1', '{"a":1}')), completed()]);
    expect(shortly(told).slice(1, -2)).toEqual([['start', 0, TOOL], ['delta', 0, 'input_json_delta', '{"a":1}'], ['stop', 0]]);
  });

  test('names and ids are the client\'s own', () => {
    const plan = { toolNames: { f: { name: 'the_long_name', namespace: null } }, callIds: { call_1: 'toolu_long' } };
    expect(whole([created, done(0, call('call_1', '{}')), completed()], plan)['content']).toEqual([{ type: 'tool_use', id: 'toolu_long', name: 'the_long_name', input: {} }]);
  });

  test('two messages, and two parts of one, are blocks of their own', () => {
    const parts = { content: [{ type: 'output_text', text: 'one' }, { type: 'output_text', text: 'two' }] };
    const answer = whole([created, done(0, message('', parts)), done(1, message('three', { id: 'msg_v' })), completed()]);
    expect(answer['content']).toEqual(['one', 'two', 'three'].map((words) => ({ type: 'text', text: words })));
  });

  test('the ChatGPT backend\'s own events are nobody\'s answer, but its limits are noted', () => {
    const limits = { type: 'codex.rate_limits', rate_limits: { primary: { used_percent: 5 } } };
    const told = stream([limits, created, { type: 'codex.keepalive' }, text('a'), completed()]);
    expect(shortly(told)).toEqual(['message_start', ['start', 0, TEXT], ['delta', 0, 'text_delta', 'a'], ['stop', 0], ['end', 'end_turn'], 'message_stop']);
    expect(told.seen.rateLimits).toMatchObject(limits);
    expect(eventsOf(told)[0]).toMatchObject({ message: { model: 'gpt-x-1' } });
  });

  test('a usage that was all cache keeps one token outside, since clients take 0 for not told', () => {
    const all = { input_tokens: 100, input_tokens_details: { cached_tokens: 60, cache_write_tokens: 40 }, output_tokens: 1 };
    expect(whole([created, text('a'), completed({ usage: all })])['usage']).toMatchObject({ input_tokens: 1, cache_read_input_tokens: 60, cache_creation_input_tokens: 39 });
  });

  test('priority is told as such', () => {
    expect(whole([{ ...created, response: { service_tier: 'priority' } }, completed()])['usage']).toMatchObject({ service_tier: 'priority' });
  });
});

describe('stop sequences of a Messages client', () => {
  test.each<[string, readonly string[], string]>([
    ['inside a piece', ['one END two'], 'one '],
    ['across pieces', ['one E', 'N', 'D two'], 'one '],
    ['the first of several', ['one STOP END'], 'one '],
    ['at once', ['END'], ''],
  ])('%s: the answer is cut there, and says where', (_claim, pieces, kept) => {
    const told = stream([created, ...pieces.map((piece) => text(piece)), done(0, message('rest')), completed()], { stop: ['END', 'STOP'] });
    const end = eventsOf(told).at(-2);
    expect(end).toMatchObject({ delta: { stop_reason: 'stop_sequence', stop_sequence: pieces.join('').includes('STOP') ? 'STOP' : 'END' } });
    expect(eventsOf(told).map((event) => objectAt(event, 'delta')?.['text'] ?? '').join('')).toBe(kept);
    expect(told.seen).toMatchObject({ terminal: 'completed', usage: null });
    expect(end?.['usage']).toMatchObject({ input_tokens: 7, output_tokens: Math.ceil(kept.length / 4) });
  });

  test('what only looked like one is told in the end', () => {
    expect(whole([created, text('the EN'), completed()], { stop: ['END'] })['content']).toEqual([{ type: 'text', text: 'the EN' }]);
  });

  test('arguments of a call are not cut', () => {
    const answer = whole([created, done(0, call('call_1', '{"a":"END"}')), completed()], { stop: ['END'] });
    expect(answer).toMatchObject({ stop_reason: 'tool_use', content: [{ input: { a: 'END' } }] });
  });
});

describe('web searches of the upstream', () => {
  const search = (members: object = {}): object => ({ type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'weather' }, ...members });
  const citation = { type: 'url_citation', url: 'https://a', title: 'A', start_index: 0, end_index: 5 };
  const annotated: TestEvent = { type: 'response.output_text.annotation.added', output_index: 1, content_index: 0, annotation: citation };
  const cited = { type: 'web_search_result_location', url: 'https://a', title: 'A', encrypted_index: '', cited_text: '' };
  const found = (url: string, title: string): JsonObject => ({ type: 'web_search_result', url, title, encrypted_content: '', page_age: null });

  test('are told as Anthropic\'s own, with the pages that were cited', () => {
    const answer = whole([created, done(0, search()), text('Sunny.', 1), annotated, done(1, message('Sunny.', { content: [{ type: 'output_text', text: 'Sunny.', annotations: [citation] }] })), completed()]);
    expect(answer).toMatchObject({
      stop_reason: 'end_turn', usage: { server_tool_use: { web_search_requests: 1 } },
      content: [
        { type: 'server_tool_use', id: 'srvtoolu_test2', name: 'web_search', input: { query: 'weather' } },
        { type: 'text', text: 'Sunny.', citations: [cited] },
        { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_test2', content: [found('https://a', 'A')] },
      ],
    });
  });

  test('that list their sources have them right behind', () => {
    const listed = search({ action: { type: 'search', queries: ['weather'], sources: [{ type: 'url', url: 'https://b' }] } });
    const answer = whole([created, done(0, listed), text('Sunny.', 1), completed()]);
    expect((answer['content'] as JsonObject[]).map(({ type }) => type)).toEqual(['server_tool_use', 'web_search_tool_result', 'text']);
    expect(answer).toMatchObject({ content: [{ input: { query: 'weather' } }, { content: [found('https://b', 'https://b')] }, {}] });
  });

  test('a page that was opened is no search', () => {
    expect(whole([created, done(0, search({ action: { type: 'open_page', url: 'https://a' } })), text('a', 1), completed()])['content']).toHaveLength(1);
  });
});

describe('a failing upstream, to a Messages client', () => {
  test.each<[string, TestEvent, JsonObject]>([
    ['overload', { type: 'response.failed', response: { error: { code: 'server_is_overloaded', message: 'Busy.' } } }, { type: 'overloaded_error', message: 'Busy.' }],
    ['a limit', { type: 'error', error: { type: 'usage_limit_reached', message: 'Spent.' } }, { type: 'rate_limit_error', message: 'Spent.' }],
    ['a context too long', { type: 'response.failed', response: { error: { code: 'context_length_exceeded', message: 'Your input exceeds the context window.' } } },
      { type: 'invalid_request_error', message: 'prompt is too long: Your input exceeds the context window.' }],
    ['anything else', { type: 'response.failed', response: { error: { code: 'server_error', message: 'Oops.' } } }, { type: 'api_error', message: 'Oops.' }],
  ])('%s is an error event, and no end', (_claim, event, error) => {
    const told = stream([created, text('half'), event]);
    expect(eventsIn(told.last ?? '').map(({ event: name, json }) => [name, json])).toEqual([['error', { type: 'error', error }]]);
    expect(told.text).not.toContain('message_stop');
    expect(told.seen.terminal).toBe('failed');
  });

  test('U28 a stream that just ends has no end', () => {
    const told = stream([created, text('half')]);
    expect([told.last, told.seen.terminal]).toEqual([null, null]);
    expect(told.text).not.toMatch(/message_delta|message_stop/);
  });

  test('an error of Relay\'s own comes in the same words', () => {
    const frame = createPassage(messagesPlan(), testDeps()).errorFrame({ message: 'm', type: 'server_error', param: null, code: 'upstream_timeout' });
    expect(eventsIn(new TextDecoder().decode(frame))).toMatchObject([{ event: 'error', json: { type: 'error', error: { type: 'timeout_error', message: 'm' } } }]);
  });

  test('one object is an error in the envelope', () => {
    expect(whole([created, { type: 'error', error: { code: 'rate_limit_exceeded', message: 'Wait.' } }])).toEqual({ type: 'error', error: { type: 'rate_limit_error', message: 'Wait.' } });
  });
});

describe('a chat upstream told as Messages', () => {
  const chat = (chunks: readonly object[], plan: Partial<AnswerPlan> = {}, thinking?: 'shown' | 'omitted' | 'off'): Told =>
    runPassage(createPassage(messagesPlan({ upstreamWire: 'chat', dialect: 'chat-generic', ...plan }, thinking), testDeps()), [chatStream(chunks)]);
  const toolDelta = (index: number, members: object): object => chunkOf({ tool_calls: [{ index, ...members }] });
  const spent = { choices: [], usage: { prompt_tokens: 50, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 20 } } };

  test('reasoning, text and parallel calls come block after block, the usage with the end', () => {
    const told = chat([
      chunkOf({ reasoning_content: 'hm' }), chunkOf({ content: 'Hello' }), toolDelta(0, { id: 'a', function: { name: 'f', arguments: '{"x"' } }),
      toolDelta(1, { id: 'b', function: { name: 'g', arguments: '' } }), toolDelta(0, { function: { arguments: ':1}' } }), toolDelta(1, { function: { arguments: '{}' } }),
      chunkOf({}, 'tool_calls'), spent,
    ]);
    expect(shortly(told)).toEqual([
      'message_start', ['start', 0, THINKING], ['delta', 0, 'thinking_delta', 'hm'], ['delta', 0, 'signature_delta', expect.stringMatching(/^relay-thought1\.rs_test\d\.relay1\./)], ['stop', 0],
      ['start', 1, TEXT], ['delta', 1, 'text_delta', 'Hello'], ['stop', 1],
      ['start', 2, { ...TOOL, id: 'a' }], ['delta', 2, 'input_json_delta', '{"x"'], ['delta', 2, 'input_json_delta', ':1}'], ['stop', 2],
      ['start', 3, { ...TOOL, id: 'b', name: 'g' }], ['delta', 3, 'input_json_delta', '{}'], ['stop', 3], ['end', 'tool_use'], 'message_stop',
    ]);
    expect(eventsOf(told).at(-2)?.['usage']).toEqual({ input_tokens: 30, cache_creation_input_tokens: 0, cache_read_input_tokens: 20, output_tokens: 5 });
    expect(told.seen.usage).toMatchObject({ prompt_tokens: 50 });
  });

  test('reasoning that the client does not get commits nothing', () => {
    const told = runPassage(createPassage(messagesPlan({ upstreamWire: 'chat' }, 'off'), testDeps()), [`data: ${JSON.stringify(chunkOf({ reasoning_content: 'hm' }))}\n\n`]);
    expect([told.seen.meaningful, told.seen.terminal]).toEqual([false, null]);
    expect(shortly(told)).toEqual(['message_start']);
  });

  test.each([['length', 'max_tokens', 'incomplete'], ['content_filter', 'refusal', 'incomplete'], ['stop', 'end_turn', 'completed']])('%s ends as %s', (finish, reason, terminal) => {
    const told = chat([chunkOf({ content: 'a' }), chunkOf({}, finish)]);
    expect([shortly(told).at(-2), told.seen.terminal]).toEqual([['end', reason], terminal]);
  });

  test('a usage that was never told is estimated, not nothing', () => {
    const told = chat([chunkOf({ content: 'four' }), chunkOf({}, 'stop')]);
    expect(eventsOf(told).at(-2)?.['usage']).toMatchObject({ input_tokens: 7, output_tokens: 1 });
    expect(told.seen.usage).toBeNull();
  });

  test('is cut at a stop sequence too', () => {
    const told = chat([chunkOf({ content: 'one EN' }), chunkOf({ content: 'D two' }), chunkOf({}, 'stop')], { stop: ['END'] });
    expect(eventsOf(told).at(-2)).toMatchObject({ delta: { stop_reason: 'stop_sequence', stop_sequence: 'END' } });
    expect(told.text).not.toContain('two');
  });

  test('an error chunk, and a body that ends without a reason, are no success', () => {
    expect(eventsIn(chat([chunkOf({ content: 'a' }), { error: { message: 'Wait.', type: 'rate_limit_error' } }]).last ?? '')).toMatchObject([{ event: 'error', json: { error: { type: 'rate_limit_error' } } }]);
    const cut = runPassage(createPassage(messagesPlan({ upstreamWire: 'chat' }), testDeps()), [`data: ${JSON.stringify(chunkOf({ content: 'a' }))}\n\n`]);
    expect([cut.last, cut.seen.terminal]).toEqual([null, null]);
  });

  test('an answer of nothing is a message without content', () => {
    expect(parseJsonObject(chat([chunkOf({}, 'stop')], { clientStream: false }).text)).toMatchObject({ content: [], stop_reason: 'end_turn' });
  });
});

describe('a whole answer told as Messages', () => {
  const told = (body: JsonValue, plan: Partial<AnswerPlan>): JsonObject => {
    const passage = createPassage(messagesPlan({ clientStream: false, upstreamStream: false, ...plan }), testDeps());
    return parseJsonObject(runPassage(passage, [JSON.stringify(body)]).text) ?? {};
  };

  test('a response', () => {
    const body = { id: 'r', status: 'completed', model: 'gpt-x-1', usage, output: [reasoning(), message('Hello'), call('call_1', '{"a":1}')] } as JsonObject;
    expect(told(body, {})).toEqual({
      id: 'msg_test1', type: 'message', role: 'assistant', model: 'gpt-x-1', stop_reason: 'tool_use', stop_sequence: null,
      content: [{ type: 'redacted_thinking', data: SIGNATURE }, { type: 'text', text: 'Hello' }, { ...TOOL, input: { a: 1 } }],
      usage: { input_tokens: 30, cache_creation_input_tokens: 10, cache_read_input_tokens: 60, output_tokens: 20, service_tier: 'standard' },
    });
  });

  test('a completion', () => {
    const body = { id: 'c', model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 1 } };
    expect(told(body, { upstreamWire: 'chat', dialect: 'chat-generic' })).toMatchObject({ content: [{ type: 'text', text: 'Hello' }], stop_reason: 'end_turn', usage: { input_tokens: 3, output_tokens: 1 } });
  });

  test('arguments that are no object stay out of the input', () => {
    const body = { id: 'r', status: 'completed', output: [call('call_1', '[1'), call('call_2', '"x"')] } as JsonObject;
    expect((told(body, {})['content'] as JsonObject[]).filter(isJsonObject).map(({ input }) => input)).toEqual([{}, {}]);
  });
});
