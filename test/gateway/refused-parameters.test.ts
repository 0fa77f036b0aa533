import { describe, expect, test } from 'vitest';

import type { Failure } from '../../src/core/failure.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { DAY_MS } from '../../src/core/units.ts';
import type { RefusedAt } from '../../src/gateway/refused-parameters.ts';
import { createRefusedParameters, dispensableParameter, withoutParameters } from '../../src/gateway/refused-parameters.ts';
import { refuse } from '../../src/mock/steps.ts';
import { prepareChat } from '../wire/request-fixtures.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';

const AT: RefusedAt = { provider: 'openai', wire: 'chat', model: 'm' };
const unsupported = (param: string | null, change: Partial<Failure> = {}): Failure => ({
  kind: 'invalid-request', phase: 'headers', status: 400, code: 'unsupported_parameter', message: 'told', param, retryAt: null,
  bucket: null, planType: null, upstreamRequestId: null, ...change,
});

describe('which refusals a request survives', () => {
  test.each<[string, Failure, JsonObject, string | null]>([
    ['a hint', unsupported('temperature'), { temperature: 0 }, 'temperature'],
    ['a limit', unsupported('max_output_tokens'), { max_output_tokens: 9 }, 'max_output_tokens'],
    ['a member of a member', unsupported('reasoning.effort'), { reasoning: { effort: 'low' } }, 'reasoning.effort'],
    ['one it cannot do without', unsupported('tools'), { tools: [] }, null],
    ['where the answer goes', unsupported('store'), { store: true }, null],
    ['one that was not sent', unsupported('temperature'), {}, null],
    ['one that was not named', unsupported(null), { temperature: 0 }, null],
    ['another fault of the same parameter', unsupported('temperature', { code: 'invalid_type' }), { temperature: 'x' }, null],
    ['another kind of failure', unsupported('temperature', { kind: 'overloaded' }), { temperature: 0 }, null],
  ])('%s', (_name, failure, sent, wanted) => {
    expect(dispensableParameter(failure, sent)).toBe(wanted);
  });
});

describe('what is left of a request', () => {
  const prepared = (body: JsonObject) => ({ ...prepareChat({}, 'openai'), body });

  interface Row {
    readonly name: string;
    readonly body: JsonObject;
    readonly refused: readonly string[];
    readonly asked: JsonObject;
    readonly left: JsonObject;
    readonly dropped: readonly string[];
  }
  const both = { reasoning: { effort: 'low', summary: 'auto' } };
  test.each<Row>([
    {
      name: 'a member goes', body: { temperature: 0, top_p: 1 }, refused: ['temperature'], asked: { temperature: 0 }, left: { top_p: 1 },
      dropped: ['temperature'],
    },
    {
      name: 'a member\'s member goes', body: both, refused: ['reasoning.effort'], asked: both, left: { reasoning: { summary: 'auto' } },
      dropped: ['reasoning.effort'],
    },
    {
      name: 'an empty member goes with it', body: { reasoning: { effort: 'low' } }, refused: ['reasoning.effort'],
      asked: { reasoning_effort: 'low' }, left: {}, dropped: ['reasoning_effort'],
    },
    {
      name: 'the client\'s own word is told', body: { max_output_tokens: 9 }, refused: ['max_output_tokens'], asked: { max_tokens: 9 },
      left: {}, dropped: ['max_tokens'],
    },
    {
      name: 'an effort is not told as lost with its summary', body: both, refused: ['reasoning.summary'],
      asked: { reasoning_effort: 'low' }, left: { reasoning: { effort: 'low' } }, dropped: [],
    },
    {
      name: 'what Relay added itself is not told', body: { stream_options: { include_usage: true } }, refused: ['stream_options'],
      asked: {}, left: {}, dropped: [],
    },
    {
      name: 'a limit is told in other words first', body: { max_tokens: 9 }, refused: ['max_tokens'], asked: { max_tokens: 9 },
      left: { max_completion_tokens: 9 }, dropped: [],
    },
    {
      name: 'and left out when those are refused, too', body: { max_tokens: 9 }, refused: ['max_tokens', 'max_completion_tokens'],
      asked: { max_tokens: 9 }, left: {}, dropped: ['max_tokens'],
    },
  ])('$name', ({ body, refused, asked, left, dropped }) => {
    const result = withoutParameters(prepared(body), refused, asked);
    expect([result.body, result.changed, result.dropped]).toEqual([left, true, dropped]);
  });

  test('stop sequences are cut on the way back instead, so nothing is lost', () => {
    const asking = prepareChat({ stop: ['END', 'FIN'] }, 'openai', { wire: 'chat' });
    const left = withoutParameters(asking, ['stop'], { stop: ['END', 'FIN'] });
    expect(left.body).not.toHaveProperty('stop');
    expect(left).toMatchObject({ changed: true, dropped: [], answer: { stop: ['END', 'FIN'] } });
  });

  test('the very same request where nothing refused is in it', () => {
    const request = prepared({ top_p: 1 });
    expect(withoutParameters(request, ['temperature', 'reasoning.effort'], {})).toBe(request);
  });
});

describe('what is remembered', () => {
  test('by provider, wire and model, for a day', () => {
    const clock = fakeClock();
    const refused = createRefusedParameters(clock);
    refused.learn(AT, 'temperature');
    refused.learn(AT, 'top_p');
    refused.learn(AT, 'temperature');
    expect(refused.of(AT).toSorted()).toEqual(['temperature', 'top_p']);
    const elsewhere: readonly Partial<RefusedAt>[] = [{ provider: 'x' }, { wire: 'responses' }, { model: 'n' }];
    for (const other of elsewhere) expect(refused.of({ ...AT, ...other })).toEqual([]);
    clock.advance(DAY_MS);
    expect(refused.of(AT)).toEqual([]);
  });

  test('within bounds', () => {
    const refused = createRefusedParameters(fakeClock());
    for (let index = 0; index < 100; index += 1) refused.learn(AT, `p${index}`);
    expect(refused.of(AT).length).toBe(16);
    for (let index = 0; index < 2_000; index += 1) refused.learn({ ...AT, model: `m${index}` }, 'temperature');
    expect(refused.of(AT)).toEqual([]);
    expect(refused.of({ ...AT, model: 'm1999' })).toEqual(['temperature']);
  });
});

const detail = (name: string) => refuse(400, { detail: `Unsupported parameter: ${name}` });
const platform = (name: string) => {
  const message = `Unsupported parameter: '${name}' is not supported with this model.`;
  return refuse(400, { error: { message, type: 'invalid_request_error', param: name, code: 'unsupported_parameter' } });
};

describe('over HTTP', () => {
  test('the same account serves without it, the client is told, and the next request is right at once', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [platform('temperature')]);
    const body = responses('Say it', { model: KEY_MODEL, temperature: 0.2, top_p: 0.5 });
    const answer = await relay.ask('/v1/responses', { body });
    const told = ['x-relay-account', 'x-relay-attempts', 'x-relay-dropped'].map((name) => answer.headers.get(name));
    expect([answer.status, ...told]).toEqual([200, 'a', '2', 'temperature']);
    expect(relay.sent('a').at(-1)?.body).toMatchObject({ top_p: 0.5 });
    expect(relay.sent('a').at(-1)?.body).not.toHaveProperty('temperature');
    const attempts = [{ account: 'a', status: 400 }, { account: 'a', error: null }];
    expect(await relay.line(answer.id)).toMatchObject({ dropped: ['temperature'], attempts });
    const next = await relay.ask('/v1/responses', { body });
    expect([next.headers.get('x-relay-attempts'), next.headers.get('x-relay-dropped')]).toEqual(['1', 'temperature']);
    expect((await relay.account('a')).state).toBe('ready');
  });

  test('a sign-in\'s backend that tells it in `detail`, a chat client, and two parameters one after the other', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [detail('prompt_cache_key'), detail('reasoning.summary')]);
    const body = chat('Say it', { reasoning_effort: 'low', prompt_cache_key: 'mine' });
    const answer = await relay.ask('/v1/chat/completions', { body });
    const told = ['x-relay-attempts', 'x-relay-dropped'].map((name) => answer.headers.get(name));
    expect([answer.status, ...told]).toEqual([200, '3', 'prompt_cache_key']);
    expect(relay.sent('a').at(-1)?.body).toMatchObject({ reasoning: { effort: 'low' } });
    expect(relay.sent('b')).toEqual([]);
  });

  test('a chat server that wants another word for a limit gets it', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [platform('max_tokens')]);
    const answer = await relay.ask('/v1/chat/completions', { body: chat('Say it', { model: KEY_MODEL, max_tokens: 50 }) });
    expect([answer.status, answer.headers.get('x-relay-dropped')]).toEqual([200, null]);
    expect(relay.sent('a').at(-1)?.body).toMatchObject({ max_completion_tokens: 50 });
  });

  test('one that the request cannot do without is the client\'s to mend', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [platform('instructions')]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say it', { model: KEY_MODEL, instructions: 'Be brief.' }) });
    expectError(answer, 400, 'unsupported_parameter');
    expect(relay.sent()).toHaveLength(1);
  });

  test('in strict mode nothing is dropped', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, config: { strict: true } });
    relay.upstream.script('a', [platform('temperature')]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say it', { model: KEY_MODEL, temperature: 0 }) });
    expectError(answer, 400, 'unsupported_parameter');
    expect(answer.error?.['param']).toBe('temperature');
  });

  test('an upstream that keeps refusing is given up after as many attempts as any', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const names = ['temperature', 'top_p', 'metadata', 'user', 'safety_identifier'];
    relay.upstream.script('a', names.map((name) => platform(name)));
    const parameters = { temperature: 0, top_p: 1, metadata: { a: 'b' }, user: 'u', safety_identifier: 's' };
    const answer = await relay.ask('/v1/responses', { body: responses('Say it', { model: KEY_MODEL, ...parameters }) });
    expectError(answer, 400, 'unsupported_parameter');
    expect(relay.sent()).toHaveLength(4);
  });
});
