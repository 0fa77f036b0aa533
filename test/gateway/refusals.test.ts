import { describe, expect, test } from 'vitest';

import type { MockStep } from '../../src/mock/steps.ts';
import { createGate, failed, failedEvent, modelRefused, ok, rateLimited, refuse, usageLimited } from '../../src/mock/steps.ts';
import type { Answer, ServedRelay, TimedRelay } from '../support/serve-in-process.ts';
import {
  chat,
  expectError,
  KEY_MODEL,
  responses,
  serveInProcess,
  serveTimed,
  SIGN_IN_MODEL,
  TWO_PLATFORM_KEYS,
} from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

let said = 0;
/** A conversation of its own each time, so that no earlier one decides where it goes. */
const say = (relay: ServedRelay, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  relay.ask('/v1/chat/completions', { body: chat(`Say ${(said += 1)}`, change) });
const sayToKey = (relay: ServedRelay, change: Parameters<typeof chat>[1] = {}): Promise<Answer> =>
  say(relay, { model: KEY_MODEL, ...change });
const waitOf = async (relay: TimedRelay, name: string): Promise<number> => ((await relay.account(name)).until ?? 0) - relay.clock.now();

describe('limits', () => {
  test('U01 a 429 with a hint is served by the next account at once, and the first waits as told', async () => {
    const relay = await serveTimed();
    relay.upstream.script('a', [rateLimited({ retryAfter: '7' })]);
    const answer = await say(relay);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(answer.headers.get('x-relay-attempts')).toBe('2');
    expect(await relay.line(answer.id)).toMatchObject({
      outcome: 'ok',
      account: 'b',
      attempts: [
        { account: 'a', status: 429, error: 'rate_limit_exceeded', phase: 'headers' },
        { account: 'b', status: 200, error: null },
      ],
    });
    expect(await relay.account('a')).toMatchObject({ state: 'cooldown', reason: 'rate_limit_exceeded' });
    expect(await waitOf(relay, 'a')).toBeGreaterThanOrEqual(7_000);
    expect(await waitOf(relay, 'a')).toBeLessThanOrEqual(7_350);
    relay.clock.advance(7_400);
    expect((await say(relay)).headers.get('x-relay-account')).toBe('a');
  });

  const day = 86_400_000;
  const hints: readonly (readonly [string, (now: number) => MockStep, number, number])[] = [
    ['an HTTP date', (now) => rateLimited({ retryAfter: new Date(now + 90_000).toUTCString() }), 90_000, 95_000],
    ['milliseconds', () => rateLimited({ retryAfterMs: 2_500 }), 2_500, 2_625],
    ['words', () => rateLimited({ text: 'Please try again in 6m0s.' }), 360_000, 365_000],
    ['garbage', () => rateLimited({ retryAfter: 'soon, probably' }), 5_000, 5_250],
    ['a negative number', () => rateLimited({ retryAfter: '-30' }), 5_000, 5_250],
    ['a billion seconds', () => rateLimited({ retryAfter: '1000000000' }), 5_000, 8 * day],
    ['a fraction', () => rateLimited({ retryAfter: '1.5' }), 1_000, 5_250],
    ['nothing', () => rateLimited(), 5_000, 5_250],
    ['a moment in the body', (now) => rateLimited({ resetsAt: Math.floor(now / 1_000) + 50 }), 49_000, 53_000],
  ];
  test.each(hints)('U02 the wait is told by %s', async (_what, step, least, most) => {
    const relay = await serveTimed();
    relay.upstream.script('a', [step(relay.clock.now())]);
    expect((await say(relay)).status).toBe(200);
    expect(await waitOf(relay, 'a')).toBeGreaterThanOrEqual(least);
    expect(await waitOf(relay, 'a')).toBeLessThanOrEqual(most);
  });

  test('U03 without a hint the wait doubles each time', async () => {
    const relay = await serveTimed();
    const waits: number[] = [];
    for (let time = 0; time < 4; time += 1) {
      relay.upstream.script('a', [rateLimited()]);
      expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
      waits.push(await waitOf(relay, 'a'));
      relay.clock.advance(waits.at(-1) ?? 0);
    }
    for (const [rung, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(5_000 * 2 ** rung);
      expect(wait).toBeLessThanOrEqual(5_500 * 2 ** rung);
    }
  });

  test('U03 twenty failures at once climb one rung', async () => {
    const relay = await serveTimed({ config: { routing: { accountConcurrency: 30 } } });
    const gate = createGate();
    relay.upstream.script(
      'a',
      Array.from({ length: 20 }, () => ({ ...rateLimited(), gate })),
    );
    const asked = Array.from({ length: 20 }, () => say(relay));
    await waitFor(() => relay.sent('a').filter(({ text }) => text !== '').length === 20, 'twenty calls');
    gate.release();
    expect(new Set((await Promise.all(asked)).map(({ headers }) => headers.get('x-relay-account')))).toEqual(new Set(['b']));
    expect(await waitOf(relay, 'a')).toBeLessThanOrEqual(5_250);
  });

  test('U05 windows are told by their length, whichever slot they come in', async () => {
    const relay = await serveTimed();
    const now = Math.floor(relay.clock.now() / 1_000);
    relay.upstream.script('a', [
      ok({
        headers: {
          'x-codex-primary-used-percent': '61',
          'x-codex-primary-window-minutes': '10080',
          'x-codex-primary-reset-at': String(now + 400_000),
          'x-codex-secondary-used-percent': '12',
          'x-codex-secondary-window-minutes': '300',
          'x-codex-secondary-reset-at': String(now + 9_000),
        },
      }),
    ]);
    expect((await say(relay)).status).toBe(200);
    const { quota } = await relay.account('a');
    expect(quota.find(({ window }) => window === '5h')).toMatchObject({ usedPercent: 12, resetsAt: (now + 9_000) * 1_000 });
    expect(quota.find(({ window }) => window === '7d')).toMatchObject({ usedPercent: 61, resetsAt: (now + 400_000) * 1_000 });
  });

  test('U06 a nearly spent window sends new sessions elsewhere, without an error', async () => {
    const relay = await serveTimed({
      accounts: [
        { name: 'a', kind: 'chatgpt', quota: { primaryPercent: 99 } },
        { name: 'b', kind: 'chatgpt' },
      ],
    });
    relay.upstream.script('a', [ok({ headers: { 'x-codex-primary-used-percent': '99.2', 'x-codex-primary-window-minutes': '300' } })]);
    await say(relay);
    const next = await say(relay);
    expect({ status: next.status, account: next.headers.get('x-relay-account') }).toEqual({ status: 200, account: 'b' });
    expect((await relay.line(next.id)).attempts).toHaveLength(1);
  });

  test('U43 where everybody waits for four seconds, the request waits and is served', async () => {
    const relay = await serveTimed();
    for (const name of ['a', 'b']) relay.upstream.script(name, [rateLimited({ retryAfter: '4' })]);
    const asked = say(relay);
    await waitFor(() => relay.sent().length === 2 && relay.sent().every(({ state }) => state === 'completed'), 'both refusals');
    await waitFor(async () => (await relay.account('b')).state === 'cooldown', 'both to wait');
    relay.clock.advance(4_300);
    const answer = await asked;
    expect(answer.status, answer.text).toBe(200);
    expect((await relay.line(answer.id)).attempts.map(({ status }) => status)).toEqual([429, 429, 200]);
  });

  test('U43 where everybody waits for hours, the answer is immediate and names the moment', async () => {
    const relay = await serveTimed();
    const resetsAt = Math.floor(relay.clock.now() / 1_000) + 4 * 3_600;
    relay.upstream.script('a', [usageLimited({ resetsAt, resetsInSeconds: 4 * 3_600, plan: 'plus' })]);
    relay.upstream.script('b', [usageLimited({ resetsAt: resetsAt + 60, resetsInSeconds: 4 * 3_600 + 60, plan: 'pro' })]);
    await say(relay);
    const before = relay.sent().length;
    const answer = await within(say(relay), 'the refusal', 1_000);
    const message = expectError(answer, 429, 'usage_limit_reached');
    expect(message).toContain('relay keys wake');
    expect(answer.error).toMatchObject({
      type: 'usage_limit_reached',
      plan_type: 'plus',
      resets_at: resetsAt,
      resets_in_seconds: 4 * 3_600,
    });
    expect(answer.headers.get('retry-after')).toBe('60');
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(relay.sent()).toHaveLength(before);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: 429, attempts: [] });
  });

  test('U43 API keys that wait for hours are accounts_exhausted', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    for (const name of ['a', 'b']) relay.upstream.script(name, [rateLimited({ retryAfter: '14400' })]);
    const answer = await sayToKey(relay);
    expectError(answer, 429, 'accounts_exhausted');
    expect(answer.headers.get('retry-after')).toBe('60');
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', attempts: [{ status: 429 }, { status: 429 }] });
  });

  test.each([600_000, -600_000])('U46 an upstream whose clock is %d ms off is waited for as long as it meant', async (upstreamAheadMs) => {
    const relay = await serveTimed({ upstreamAheadMs });
    const resetsAt = Math.floor((relay.clock.now() + upstreamAheadMs) / 1_000) + 300;
    relay.upstream.script('a', [usageLimited({ resetsAt, resetsInSeconds: 300 })]);
    expect((await say(relay)).status).toBe(200);
    expect(await waitOf(relay, 'a')).toBeGreaterThan(298_000);
    expect(await waitOf(relay, 'a')).toBeLessThan(306_000);
  });

  test('an API key does not take over for a spent subscription unless told to, and the refusal says how', async () => {
    const accounts = [
      { name: 'plan', kind: 'chatgpt' as const },
      { name: 'paid', kind: 'api-key' as const, provider: 'openai' as const, models: [SIGN_IN_MODEL] },
    ];
    const resets = (relay: TimedRelay) => usageLimited({ resetsAt: Math.floor(relay.clock.now() / 1_000) + 7_200, resetsInSeconds: 7_200 });
    const strict = await serveTimed({ accounts, upstream: { models: [SIGN_IN_MODEL] } });
    strict.upstream.script('plan', [resets(strict)]);
    expect(expectError(await say(strict), 429, 'usage_limit_reached')).toContain('routing.paidOverflow');
    expect(strict.sent('paid')).toHaveLength(0);
    const open = await serveTimed({ accounts, upstream: { models: [SIGN_IN_MODEL] }, config: { routing: { paidOverflow: true } } });
    open.upstream.script('plan', [resets(open)]);
    expect((await say(open)).headers.get('x-relay-account')).toBe('paid');
  });
});

describe('models and accounts that are refused', () => {
  const aboutTheModel: readonly (readonly [string, MockStep])[] = [
    [
      'U16 403',
      refuse(403, {
        error: {
          message: 'Project does not have access to model gpt-5.5',
          type: 'invalid_request_error',
          param: null,
          code: 'model_not_found',
        },
      }),
    ],
    ['U47 404', failed(404, 'model_not_found', 'The model `gpt-5.5` does not exist or you do not have access to it.')],
    ['U47 400', modelRefused(SIGN_IN_MODEL)],
  ];
  test.each(aboutTheModel)(
    '%s about the model puts out that model at that account for half an hour, and nothing else',
    async (_what, step) => {
      const relay = await serveTimed();
      relay.upstream.script('a', [step]);
      const answer = await say(relay);
      expect(answer.headers.get('x-relay-account')).toBe('b');
      expect((await relay.line(answer.id)).attempts).toMatchObject([{ account: 'a' }, { account: 'b', error: null }]);
      expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
      expect((await say(relay, { model: 'gpt-6-sol' })).headers.get('x-relay-account')).toBe('a');
      relay.clock.advance(31.5 * 60_000 + 1);
      expect((await say(relay)).headers.get('x-relay-account')).toBe('a');
    },
  );

  test('U47 a model nobody is given is 404', async () => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b']) relay.upstream.script(name, [modelRefused(SIGN_IN_MODEL)]);
    const answer = await say(relay);
    expect(expectError(answer, 404, 'model_not_found')).toContain('relay models');
    expect(answer.error).toMatchObject({ type: 'invalid_request_error', param: 'model' });
  });

  test('a 402 or a 403 about the account moves on, and the account waits', async () => {
    for (const step of [
      refuse(402, { error: { message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' } }),
      refuse(403, { error: { message: 'Not for you.', type: 'permission_error', param: null, code: null } }),
    ]) {
      const relay = await serveTimed();
      relay.upstream.script('a', [step]);
      expect((await say(relay)).headers.get('x-relay-account')).toBe('b');
      expect((await relay.account('a')).state).toBe('cooldown');
    }
  });
});

describe('requests that are at fault themselves', () => {
  const faults: readonly (readonly [string, MockStep, number, string])[] = [
    [
      'U36 context length, as an event',
      failedEvent('context_length_exceeded', 'Your input exceeds the context window of this model.'),
      400,
      'context_length_exceeded',
    ],
    ['context length, as a status', failed(400, 'context_length_exceeded', 'Too long.'), 400, 'context_length_exceeded'],
    ['an invalid prompt', failedEvent('invalid_prompt', 'Invalid prompt.'), 400, 'invalid_prompt'],
    ['cyber policy', failed(400, 'cyber_policy', 'No.'), 400, 'cyber_policy'],
    ['too large', failed(413, 'request_too_large', 'Too large.'), 413, 'request_too_large'],
    ['unprocessable', failed(422, 'invalid_value', 'No such value.'), 422, 'invalid_value'],
  ];
  test.each(faults)('%s is told to the client and to nobody else', async (_what, step, status, code) => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [step]);
    const answer = await say(relay);
    expectError(answer, status, code);
    expect(relay.sent('b')).toHaveLength(0);
    expect(await relay.account('a')).toMatchObject({ state: 'ready', lastError: null });
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', status, attempts: [{ account: 'a', error: code }] });
  });

  test('reasoning of another account is left out, once, and the answer comes', async () => {
    const relay = await serveInProcess({ upstream: { ciphertext: 'bound' } });
    const foreign = {
      type: 'reasoning',
      id: 'rs_1',
      summary: [{ type: 'summary_text', text: 'thought' }],
      encrypted_content: `gAAAA${Buffer.from('{"account":"x"}').toString('base64url')}`,
    };
    const body = responses('', {
      input: [{ role: 'user', content: 'Say one' }, foreign, { role: 'assistant', content: 'one' }, { role: 'user', content: 'Say two' }],
    });
    const answer = await relay.ask('/v1/responses', { body });
    expect(answer.status, answer.text).toBe(200);
    expect(relay.sent('a')).toHaveLength(2);
    expect(relay.sent('b')).toHaveLength(0);
    expect(relay.sent('a')[1]?.text).not.toContain('gAAAA');
  });
});

describe('no account', () => {
  test('with none set up it is 503 and the command that mends it', async () => {
    const relay = await serveInProcess({ accounts: [] });
    for (const path of ['/v1/chat/completions', '/v1/responses']) {
      const answer = await relay.ask(path, { body: path.endsWith('responses') ? responses('Say hi') : chat('Say hi') });
      expect(expectError(answer, 503, 'no_account')).toContain('relay keys add');
      expect(await relay.line(answer.id)).toMatchObject({ outcome: 'refused', status: 503 });
    }
  });

  test('with all paused it names them and the command', async () => {
    const relay = await serveInProcess();
    for (const name of ['a', 'b']) await relay.daemon.control.call('accounts.pause', { name });
    expect(expectError(await say(relay), 503, 'no_account')).toContain('relay keys resume a');
    expect(relay.sent()).toHaveLength(0);
  });
});
