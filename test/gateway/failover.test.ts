import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import type { MockStep } from '../../src/mock/steps.ts';
import { cut, eof, errorEvent, failed, failedEvent, frameOf, ok, rateLimited, reset } from '../../src/mock/steps.ts';
import { eventsIn, textOf } from '../support/collect-events.ts';
import type { Answer, ServedAccountSpec, ServedRelay } from '../support/serve-in-process.ts';
import {
  chat,
  expectError,
  KEY_MODEL,
  responses,
  serveInProcess,
  SIGN_IN_MODEL,
  TWO_CHAT_KEYS,
  TWO_PLATFORM_KEYS,
  TWO_SIGN_INS,
} from '../support/serve-in-process.ts';

interface Pair {
  readonly name: string;
  readonly client: 'chat' | 'responses';
  readonly upstream: 'chat' | 'responses';
  readonly accounts: readonly ServedAccountSpec[];
  readonly model: string;
}

/** Every way between the two wires, spliced and translated, at each kind of upstream. */
const PAIRS: readonly Pair[] = [
  { name: 'chat over a sign-in', client: 'chat', upstream: 'responses', accounts: TWO_SIGN_INS, model: SIGN_IN_MODEL },
  { name: 'responses over a sign-in', client: 'responses', upstream: 'responses', accounts: TWO_SIGN_INS, model: SIGN_IN_MODEL },
  { name: 'chat over a chat server', client: 'chat', upstream: 'chat', accounts: TWO_CHAT_KEYS, model: KEY_MODEL },
  { name: 'responses over a chat server', client: 'responses', upstream: 'chat', accounts: TWO_CHAT_KEYS, model: KEY_MODEL },
  { name: 'chat over the platform', client: 'chat', upstream: 'chat', accounts: TWO_PLATFORM_KEYS, model: KEY_MODEL },
  { name: 'responses over the platform', client: 'responses', upstream: 'responses', accounts: TWO_PLATFORM_KEYS, model: KEY_MODEL },
];
const TEXT = 'alpha beta gamma delta epsilon';
const CASES = PAIRS.flatMap((pair) =>
  [
    { ...pair, stream: true },
    { ...pair, stream: false },
  ].map((entry) => ({ ...entry, title: `${pair.name}, ${entry.stream ? 'streamed' : 'whole'}` })),
);

const ask = (relay: ServedRelay, { client, model, stream }: { client: Pair['client']; model: string; stream: boolean }): Promise<Answer> =>
  client === 'chat'
    ? relay.ask('/v1/chat/completions', { body: chat('Say failover', { model, stream }) })
    : relay.ask('/v1/responses', { body: responses('Say failover', { model, stream }) });

/** The whole text an answer carried, of either wire, streamed or not. */
function said({ text, json }: Answer): string {
  if (json === undefined) return textOf(eventsIn(text));
  const choice = (json['choices'] as JsonObject[] | undefined)?.[0];
  if (choice !== undefined) return String((choice['message'] as JsonObject)['content']);
  const items = (json['output'] as JsonObject[] | undefined) ?? [];
  return items
    .flatMap((item) => (item['content'] as JsonObject[] | undefined) ?? [])
    .map((part) => String(part['text'] ?? ''))
    .join('');
}

/** Things that go wrong before anything meaningful has come, on a stream and on a whole answer alike. */
const EARLY: readonly (readonly [string, (pair: Pair) => MockStep, string | null])[] = [
  ['a 429', () => rateLimited({ retryAfter: '60' }), 'rate_limit_exceeded'],
  ['a 500', () => failed(500), 'server_error'],
  ['U23 a reset before the headers', () => reset('before-headers'), 'reset'],
  ['U23 an end before the headers', () => eof('before-headers'), null],
  ['U24 a reset after the headers', () => reset('after-headers'), null],
  ['U24 an end after the headers', () => cut('after-headers'), null],
  [
    'an error in the answer itself',
    ({ upstream }) =>
      upstream === 'responses'
        ? {
            ...failedEvent('server_is_overloaded', 'Busy.', 'after-headers'),
            body: JSON.stringify({
              id: 'r',
              object: 'response',
              status: 'failed',
              error: { code: 'server_is_overloaded', message: 'Busy.' },
              output: [],
              usage: null,
            }),
          }
        : ok({
            insert: {
              at: 'after-headers',
              frames: [frameOf(null, { error: { message: 'Busy.', code: 'server_is_overloaded', type: 'server_error' } })],
              next: 'end',
            },
            body: JSON.stringify({ error: { message: 'Busy.', code: 'server_is_overloaded', type: 'server_error' } }),
          }),
    null,
  ],
];

describe.each(CASES)('before the commit point: $title', (pair) => {
  test.each(EARLY)('%s is not noticed: the next account serves one clean answer', async (_what, makeStep, code) => {
    const relay = await serveInProcess({ accounts: pair.accounts });
    relay.upstream.script('a', [makeStep(pair)]);
    relay.upstream.script('b', [ok({ text: TEXT })]);
    const answer = await ask(relay, pair);
    expect({ status: answer.status, broken: answer.broken, said: said(answer) }, answer.text).toEqual({
      status: 200,
      broken: false,
      said: TEXT,
    });
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(answer.headers.get('x-relay-attempts')).toBe('2');
    const line = await relay.line(answer.id);
    expect(line).toMatchObject({
      outcome: 'ok',
      status: 200,
      account: 'b',
      attempts: [{ account: 'a' }, { account: 'b', status: 200, error: null }],
    });
    expect(line.attempts[0]?.error).toEqual(code ?? expect.any(String));
    expect(line.tokens).not.toBeNull();
    expect(relay.sent()).toHaveLength(2);
  });

  test('an ambiguous end is replayed once in all, then told as an error', async () => {
    const relay = await serveInProcess({ accounts: pair.accounts });
    for (const name of ['a', 'b']) relay.upstream.script(name, [reset('before-headers'), reset('before-headers')]);
    const answer = await ask(relay, pair);
    expectError(answer, 502, 'upstream_error');
    expect(relay.sent()).toHaveLength(2);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', attempts: [{ account: 'a' }, { account: 'b' }] });
  });
});

const LATE: readonly (readonly [string, MockStep])[] = [
  ['U29 a truncated body', cut({ afterDeltas: 2 })],
  ['a reset', reset({ afterDeltas: 2 })],
  ['an end without its last event', eof({ afterDeltas: 2 })],
];

describe.each(CASES.filter(({ stream }) => stream))('after the commit point: $title', (pair) => {
  test.each(LATE)('%s is an error in the stream and a broken connection, and nobody else is asked', async (_what, step) => {
    const relay = await serveInProcess({ accounts: pair.accounts });
    relay.upstream.script('a', [{ ...step, text: TEXT } as MockStep]);
    const answer = await ask(relay, pair);
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: true });
    const events = eventsIn(answer.text);
    const text = textOf(events);
    expect(TEXT.startsWith(text.trimEnd()) && text.length < TEXT.length, text).toBe(true);
    const last = events.at(-1)?.json;
    if (pair.client === 'chat') {
      expect(last).toMatchObject({ error: { code: 'upstream_stream_truncated', message: expect.any(String), type: 'server_error' } });
      expect(last).not.toHaveProperty('choices');
    } else {
      expect(last).toMatchObject({ type: 'response.failed', response: { status: 'failed', error: { code: expect.any(String) } } });
    }
    expect(answer.text).not.toMatch(/\[DONE\]|response\.completed|"finish_reason":"(stop|length)"/);
    expect(relay.sent()).toHaveLength(1);
    const line = await relay.line(answer.id);
    expect(line).toMatchObject({ outcome: 'broken_stream', account: 'a', attempts: [{ account: 'a', phase: 'committed' }] });
    expect(line.error?.code).toBe('upstream_stream_truncated');
    expect(line.tokens).toMatchObject({ estimated: true });
    expect((await relay.account('a')).lastError).not.toBeNull();
  });

  test("an error event of the upstream's own is passed on, and the connection broken behind it", async () => {
    const relay = await serveInProcess({ accounts: pair.accounts });
    const step =
      pair.upstream === 'responses'
        ? failedEvent('server_error', 'It went wrong.', { afterDeltas: 2 })
        : ok({
            insert: {
              at: { afterDeltas: 2 },
              frames: [frameOf(null, { error: { message: 'It went wrong.', code: 'server_error', type: 'server_error' } })],
              next: 'end',
            },
          });
    relay.upstream.script('a', [{ ...step, text: TEXT } as MockStep]);
    const answer = await ask(relay, pair);
    expect(answer.broken).toBe(true);
    expect(JSON.stringify(eventsIn(answer.text).at(-1)?.json)).toContain('It went wrong.');
    expect(relay.sent()).toHaveLength(1);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'broken_stream' });
  });
});

describe.each(CASES.filter(({ stream }) => !stream))('a whole answer has no commit point before its end: $title', (pair) => {
  test.each(LATE.filter(([what]) => !what.startsWith('an end')))('%s is replayed by the next account', async (_what, step) => {
    const relay = await serveInProcess({ accounts: pair.accounts });
    relay.upstream.script('a', [{ ...step, text: TEXT } as MockStep]);
    relay.upstream.script('b', [ok({ text: TEXT })]);
    const answer = await ask(relay, pair);
    expect({ status: answer.status, said: said(answer) }, answer.text).toEqual({ status: 200, said: TEXT });
    expect((await relay.line(answer.id)).attempts).toMatchObject([{ account: 'a' }, { account: 'b', error: null }]);
  });
});

describe('replays that could do work twice', () => {
  const twice: readonly (readonly [string, JsonObject])[] = [
    ['a background run', { background: true }],
    ['a stored answer', { store: true }],
    ['a tool that acts', { tools: [{ type: 'mcp', server_label: 'x', server_url: 'https://mcp.example' }] }],
  ];
  test.each(twice)('%s is not sent again after an ambiguous end', async (_what, change) => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [reset('before-headers')]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say once', { model: KEY_MODEL, ...change }) });
    expectError(answer, 502, 'upstream_error');
    expect(relay.sent()).toHaveLength(1);
  });

  test.each(twice)('%s is sent on after a clean refusal', async (_what, change) => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [rateLimited({ retryAfter: '60' })]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say once', { model: KEY_MODEL, ...change }) });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('x-relay-account')).toBe('b');
  });
});

test('a quota refusal that comes as the first event of a 200 moves on, and the account waits', async () => {
  const relay = await serveInProcess();
  relay.upstream.script('a', [
    errorEvent({
      status: 429,
      error: { type: 'usage_limit_reached', message: 'The usage limit has been reached', plan_type: 'plus', resets_in_seconds: 600 },
    }),
  ]);
  const answer = await relay.ask('/v1/responses', { body: responses('Say hidden', { stream: true }) });
  expect(answer.headers.get('x-relay-account')).toBe('b');
  expect(await relay.account('a')).toMatchObject({ state: 'cooldown', reason: 'usage_limit_reached' });
});

test('another model serves where the user says so, once every account of the first is spent', async () => {
  const relay = await serveInProcess({ config: { models: { fallbacks: { [SIGN_IN_MODEL]: ['gpt-6-luna'] } } } });
  for (const name of ['a', 'b'])
    relay.upstream.script(name, [failed(404, 'model_not_found', `The model \`${SIGN_IN_MODEL}\` does not exist.`)]);
  const answer = await relay.ask('/v1/chat/completions', { body: chat('Say fallback') });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.headers.get('x-relay-model')).toBe('gpt-6-luna');
  expect(await relay.line(answer.id)).toMatchObject({
    model: { asked: SIGN_IN_MODEL, sent: 'gpt-6-luna' },
    attempts: [{ model: SIGN_IN_MODEL }, { model: SIGN_IN_MODEL }, { model: 'gpt-6-luna', error: null }],
  });
});

test('where no model serves, the client is told of the one it asked for', async () => {
  const relay = await serveInProcess({ config: { models: { fallbacks: { [SIGN_IN_MODEL]: ['gpt-6-luna'] } } } });
  for (const name of ['a', 'b'])
    relay.upstream.script(name, [
      rateLimited({ retryAfter: '3600' }),
      failed(404, 'model_not_found', 'The model `gpt-6-luna` does not exist.'),
    ]);
  const answer = await relay.ask('/v1/chat/completions', { body: chat('Say none') });
  expectError(answer, 429, 'accounts_exhausted');
  expect(answer.text).toContain('relay keys wake a');
});
