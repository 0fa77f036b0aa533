import { describe, expect, test } from 'vitest';

import type { JsonValue } from '../../src/core/json.ts';
import { frameOf, garbageEvent, hang, ok } from '../../src/mock/steps.ts';
import { codexBody } from '../support/fake-upstream.ts';
import { commentsIn, eventsIn, textOf, typesOf } from '../support/collect-events.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import {
  chat,
  expectError,
  KEY_MODEL,
  responses,
  runOn,
  serveInProcess,
  serveTimed,
  TWO_CHAT_KEYS,
  TWO_PLATFORM_KEYS,
} from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const stream = (relay: ServedRelay, wire: 'chat' | 'responses', model?: string): Promise<Answer> =>
  wire === 'chat'
    ? relay.ask('/v1/chat/completions', { body: chat('Say broken', { stream: true, ...(model !== undefined && { model }) }) })
    : relay.ask('/v1/responses', { body: responses('Say broken', { stream: true, ...(model !== undefined && { model }) }) });

const CREATED = frameOf('response.created', {
  type: 'response.created',
  sequence_number: 0,
  response: { id: 'resp_1', object: 'response', status: 'in_progress', model: 'gpt-5.5', output: [] },
});
const delta = (text: string): string =>
  frameOf('response.output_text.delta', {
    type: 'response.output_text.delta',
    item_id: 'msg_1',
    output_index: 0,
    content_index: 0,
    delta: text,
  });
const completed = (usage: JsonValue): string =>
  frameOf('response.completed', {
    type: 'response.completed',
    response: { id: 'resp_1', object: 'response', status: 'completed', model: 'gpt-5.5', output: [], usage },
  });
const USAGE = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };

describe('silence', () => {
  test('U26 an upstream that takes a request and says nothing is 504, after one replay, its sockets closed', async () => {
    const relay = await serveTimed();
    for (const name of ['a', 'b']) relay.upstream.script(name, [hang('before-headers'), hang('before-headers')]);
    const asked = relay.ask('/v1/chat/completions', { body: chat('Say nothing') });
    await waitFor(() => relay.sent('a').length === 1 && relay.sent('a')[0]?.text !== '', 'the first call');
    await waitFor(
      () => (relay.clock.advance(relay.clock.nextIn ?? 0), relay.sent('b').length === 1 && relay.sent('b')[0]?.text !== ''),
      'the replay',
    );
    const answer = await runOn(relay.clock, asked);
    expectError(answer, 504, 'upstream_timeout');
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'failed',
      attempts: [
        { account: 'a', error: 'headers_timeout' },
        { account: 'b', error: 'headers_timeout' },
      ],
    });
    await waitFor(() => relay.sent().every(({ state }) => state === 'aborted'), 'the sockets to close');
  });

  test('U26 headers without any event are a timeout of their own', async () => {
    const relay = await serveTimed({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
    relay.upstream.script('a', [hang('after-headers'), hang('after-headers')]);
    const asked = relay.ask('/v1/responses', { body: responses('Say nothing') });
    await waitFor(() => relay.sent()[0]?.status === 200, 'the headers');
    const answer = await runOn(relay.clock, asked);
    expectError(answer, 504, 'upstream_timeout');
    expect((await relay.line(answer.id)).attempts[0]).toMatchObject({ error: 'first_event_timeout' });
  });

  test('U27 a stream that falls silent in its middle ends in an error of its own', async () => {
    const relay = await serveInProcess({ config: { timeouts: { idleMs: 400 } } });
    relay.upstream.script('a', [hang({ afterDeltas: 2 })]);
    const answer = await stream(relay, 'responses');
    expect(answer.broken).toBe(true);
    expect(eventsIn(answer.text).at(-1)?.json).toMatchObject({
      type: 'response.failed',
      response: { error: { code: 'upstream_timeout' } },
    });
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'broken_stream',
      error: { code: 'upstream_timeout' },
      tokens: { estimated: true },
    });
    await waitFor(() => relay.sent('a')[0]?.state === 'aborted', 'the upstream call to be cancelled');
    expect(relay.sent('b')).toHaveLength(0);
  });

  test('U28 a stream of a byte every two seconds is served to its end, however long that takes', async () => {
    const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [ok({ text: 'slow but sure', drip: { bytes: 1, everyMs: 2_000 } })]);
    const before = relay.clock.now();
    const asked = stream(relay, 'chat', KEY_MODEL);
    await waitFor(() => relay.sent('a')[0]?.status === 200, 'the headers');
    const answer = await runOn(relay.clock, asked, 2_000);
    expect({ broken: answer.broken, text: textOf(eventsIn(answer.text)) }).toEqual({ broken: false, text: 'slow but sure' });
    expect(relay.clock.now() - before).toBeGreaterThan(20 * 60_000);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok' });
  });
});

test('U26 an upstream that sends comments and no event is silent all the same', async () => {
  const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
  relay.upstream.script('a', [ok({ frames: Array.from({ length: 40 }, () => ': PROCESSING\n\n'), paceMs: 10_000 })]);
  const asked = stream(relay, 'chat', KEY_MODEL);
  await waitFor(() => relay.sent('a')[0]?.status === 200, 'the headers');
  const answer = await runOn(relay.clock, asked, 5_000);
  expect(textOf(eventsIn(answer.text))).toContain('Say broken');
  expect((await relay.line(answer.id)).attempts).toMatchObject([
    { account: 'a', error: 'first_event_timeout' },
    { account: 'b', error: null },
  ]);
});

describe('U30 framing', () => {
  const spelled: readonly (readonly [string, (frames: string) => string])[] = [
    ['LF', (text) => text],
    ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
    ['CR', (text) => text.replaceAll('\n', '\r')],
    ['a byte order mark', (text) => `\uFEFF${text}`],
    ['comments and retries', (text) => `: hello\n\nretry: 10\n\n${text.replaceAll('\n\nevent', '\n\n: ping\n\nevent')}`],
    ['no space after the colon', (text) => text.replaceAll('data: ', 'data:').replaceAll('event: ', 'event:')],
  ];
  // Its list of items is told, so nothing of it has to be made whole.
  const said = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'grüße an 世界 🌍' }] };
  const end = completed(USAGE).replace('"output":[]', `"output":[${JSON.stringify(said)}]`);
  const whole = CREATED + delta('grüße ') + delta('an 世界 🌍') + end;

  test.each(spelled)(
    'a byte at a time, in %s: the client of the same wire gets the very bytes, the other one the meaning',
    async (_what, spell) => {
      const relay = await serveInProcess();
      const frames = [spell(whole)];
      relay.upstream.script('a', [ok({ frames, drip: { bytes: 1, everyMs: 0 } }), ok({ frames, drip: { bytes: 1, everyMs: 0 } })]);
      const spliced = await stream(relay, 'responses');
      expect(spliced.text.replace(/^\uFEFF/, '')).toBe(frames[0]?.replace(/^\uFEFF/, ''));
      const translated = await stream(relay, 'chat');
      expect(textOf(eventsIn(translated.text))).toBe('grüße an 世界 🌍');
      expect(translated.text).toContain('[DONE]');
      for (const { id } of [spliced, translated])
        expect(await relay.line(id)).toMatchObject({ outcome: 'ok', tokens: { input: 10, output: 5, estimated: false } });
    },
  );
});

describe('U31 events that cannot be read', () => {
  test('a broken delta passes on the same wire', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [garbageEvent({ afterDeltas: 1 })]);
    const answer = await stream(relay, 'responses');
    expect(answer.broken).toBe(false);
    expect(answer.text).toContain('"type":"response.output_text.de\n');
    expect(typesOf(eventsIn(answer.text)).at(-1)).toBe('response.completed');
    expect((await relay.line(answer.id)).outcome).toBe('ok');
  });

  test('on another wire it is 502 before the commit point, which the next account may mend', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [garbageEvent('after-headers')]);
    expect((await stream(relay, 'chat')).headers.get('x-relay-account')).toBe('b');
    for (const name of ['a', 'b']) relay.upstream.script(name, [garbageEvent('after-headers')]);
    expectError(await stream(relay, 'chat'), 502, 'upstream_invalid_response');
  });

  test('on another wire, after the commit point, it is an error in the stream', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [garbageEvent({ afterDeltas: 2 })]);
    const answer = await stream(relay, 'chat');
    expect(answer.broken).toBe(true);
    expect(eventsIn(answer.text).at(-1)?.json).toMatchObject({ error: { code: 'upstream_invalid_response' } });
  });

  test.each(['chat', 'responses'] as const)('a final event that cannot be read is a truncation: %s', async (wire) => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [
      ok({ frames: [CREATED, delta('half'), 'event: response.completed\ndata: {"type":"response.completed","response":{"id"\n\n'] }),
    ]);
    const answer = await stream(relay, wire);
    expect(answer.broken).toBe(true);
    expect((await relay.line(answer.id)).outcome).toBe('broken_stream');
  });

  test('a whole body that is no JSON is 502', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    for (const name of ['a', 'b']) relay.upstream.script(name, [ok({ body: '{"id":"resp_' })]);
    expectError(
      await relay.ask('/v1/responses', { body: responses('Say garbage', { model: KEY_MODEL }) }),
      502,
      'upstream_invalid_response',
    );
  });
});

describe('U37 usage nobody can count', () => {
  const odd: readonly (readonly [string, JsonValue])[] = [
    ['null', null],
    ['negative', { input_tokens: -5, output_tokens: 3, total_tokens: -2 }],
    ['beyond all numbers', { input_tokens: 1e300, output_tokens: 1e300, total_tokens: 1e300 }],
    ['words', { input_tokens: 'ten', output_tokens: 'five' }],
    ['a fraction', { input_tokens: 1.5, output_tokens: 2 }],
    ['a list', []],
    ['empty', {}],
    ['a number', 7],
  ];
  test.each(odd)('%s is unmetered, and totals stay numbers', async (_what, usage) => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [ok({ frames: [CREATED, delta('odd'), completed(usage)] })]);
    const answer = await stream(relay, 'responses');
    expect(answer.broken).toBe(false);
    const line = await relay.line(answer.id);
    expect(line).toMatchObject({ outcome: 'ok', tokens: null, cost: { list: 0, charged: 0 } });
    const { totals } = await relay.daemon.control.call('usage.report', { since: null, until: null, by: [] });
    expect(totals).toMatchObject({ requests: 1, unmetered: 1, tokens: { input: 0, output: 0 } });
    expect(Object.values(totals.cost).every(Number.isFinite)).toBe(true);
  });

  test('none at all is unmetered, on every wire', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const text = [
      frameOf(null, {
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: KEY_MODEL,
        choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }],
      }),
      frameOf(null, {
        id: 'c',
        object: 'chat.completion.chunk',
        created: 1,
        model: KEY_MODEL,
        choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
      }),
      'data: [DONE]\n\n',
    ];
    relay.upstream.script('a', [ok({ frames: text }), ok({ usage: null }), ok({ usage: null })]);
    const answers = [
      await stream(relay, 'chat', KEY_MODEL),
      await relay.ask('/v1/chat/completions', { body: chat('Say', { model: KEY_MODEL }) }),
      await relay.ask('/v1/responses', { body: responses('Say', { model: KEY_MODEL }) }),
    ];
    for (const answer of answers) expect(await relay.line(answer.id), answer.text).toMatchObject({ outcome: 'ok', tokens: null });
  });
});

describe('U38 more ends than one', () => {
  test('the first final event counts, and there is one line', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [
      ok({
        frames: [
          CREATED,
          delta('one'),
          completed(USAGE),
          delta('two'),
          completed({ input_tokens: 999, output_tokens: 999 }),
          'data: [DONE]\n\n',
          delta('three'),
        ],
      }),
    ]);
    const answer = await stream(relay, 'responses');
    expect(answer.broken).toBe(false);
    expect(answer.text).not.toMatch(/"two"|"three"|999/);
    expect(await relay.line(answer.id)).toMatchObject({ tokens: { input: 10, output: 5 } });
    expect(await relay.journal()).toHaveLength(1);
  });

  test("what follows [DONE] is nobody's", async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const chunk = (change: Record<string, JsonValue>): string =>
      frameOf(null, { id: 'c', object: 'chat.completion.chunk', created: 1, model: KEY_MODEL, choices: [], ...change });
    const choice = (content: string, finish: string | null): string =>
      chunk({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });
    relay.upstream.script('a', [
      ok({
        frames: [
          choice('one', null),
          choice('', 'stop'),
          chunk({ usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } }),
          'data: [DONE]\n\n',
          choice('two', null),
          chunk({ usage: { prompt_tokens: 999, completion_tokens: 999, total_tokens: 1_998 } }),
          'data: [DONE]\n\n',
        ],
      }),
    ]);
    const answer = await stream(relay, 'chat', KEY_MODEL);
    expect(answer.text.match(/\[DONE\]/g)).toHaveLength(1);
    expect(answer.text).not.toContain('two');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok', tokens: { input: 10, output: 5 } });
  });
});

describe('keeping a client patient', () => {
  test('a silent stream gets its 200 and comments while failover goes on underneath', async () => {
    const relay = await serveTimed();
    relay.upstream.script('a', [hang('before-headers')]);
    const asked = stream(relay, 'chat');
    await waitFor(() => relay.sent('a')[0]?.text !== undefined && relay.sent('a')[0]?.text !== '', 'the first call');
    for (let second = 0; second < 59; second += 1) relay.clock.advance(1_000);
    expect(relay.sent('b')).toHaveLength(0);
    relay.clock.advance(2_000);
    const answer = await asked;
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: false });
    expect(commentsIn(answer.text)).toEqual(Array.from({ length: 6 }, () => 'keepalive'));
    expect(textOf(eventsIn(answer.text))).toContain('Say broken');
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'ok',
      account: 'b',
      attempts: [{ account: 'a', error: 'headers_timeout' }, { account: 'b' }],
    });
    // Sent before anyone served: there was nothing to name yet.
    expect(answer.headers.get('x-relay-account')).toBeNull();
    expect(answer.id).toMatch(/^req_/);
  });

  test('Codex gets an event besides, since comments do not count for it', async () => {
    const relay = await serveTimed();
    relay.upstream.script('a', [hang('before-headers')]);
    const asked = relay.ask('/v1/responses', { headers: { originator: 'codex_cli_rs' }, body: codexBody() });
    await waitFor(() => relay.sent('a')[0]?.text !== undefined && relay.sent('a')[0]?.text !== '', 'the first call');
    relay.clock.advance(61_000);
    const answer = await asked;
    expect(typesOf(eventsIn(answer.text))[0]).toBe('codex.keepalive');
    expect(typesOf(eventsIn(answer.text)).at(-1)).toBe('response.completed');
  });

  test.each(['chat', 'responses'] as const)(
    'where all fail after a comment the error is in the stream, and the connection broken: %s',
    async (wire) => {
      const relay = await serveTimed();
      for (const name of ['a', 'b']) relay.upstream.script(name, [hang('before-headers')]);
      const asked = stream(relay, wire);
      await waitFor(() => relay.sent('a')[0]?.text !== undefined && relay.sent('a')[0]?.text !== '', 'the first call');
      const answer = await runOn(relay.clock, asked);
      expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: true });
      const last = eventsIn(answer.text).at(-1)?.json;
      expect(last).toMatchObject(
        wire === 'chat'
          ? { error: { code: 'upstream_timeout' } }
          : { type: 'response.failed', response: { error: { code: 'upstream_timeout' } } },
      );
      expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', error: { code: 'upstream_timeout' } });
    },
  );

  test('comments in the middle of a stream stand between events, and do not keep a dead upstream alive', async () => {
    const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [hang({ afterDeltas: 2 })]);
    const leave = new AbortController();
    const response = await relay.call('/v1/chat/completions', {
      body: chat('Say silence', { model: KEY_MODEL, stream: true }),
      signal: leave.signal,
    });
    const reader = response.body?.getReader();
    let text = '';
    const read = async (): Promise<string> => (text += new TextDecoder().decode((await reader?.read())?.value));
    while (textOf(eventsIn(text)) === '') await read();
    await waitFor(() => relay.daemon.live.running()[0]?.outputEvents === 2, 'both deltas');
    for (let round = 0; round < 3; round += 1) {
      relay.clock.advance(10_000);
      const before = commentsIn(text).length;
      while (commentsIn(text).length === before) await read();
    }
    expect(commentsIn(text)).toEqual(['keepalive', 'keepalive', 'keepalive']);
    expect(
      text
        .split('\n\n')
        .filter((event) => event.startsWith('data: '))
        .every((event) => JSON.parse(event.slice(6))),
    ).toBe(true);
    leave.abort();
    await relay.idle();
  });
});
