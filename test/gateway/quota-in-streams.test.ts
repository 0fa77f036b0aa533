import { describe, expect, test } from 'vitest';

import { cut, errorEvent, frameOf, ok } from '../../src/mock/steps.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, responses, serveInProcess, serveTimed, TWO_SIGN_INS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const LIMITS = frameOf('codex.rate_limits', {
  type: 'codex.rate_limits', plan_type: 'plus', metered_limit_name: 'codex',
  rate_limits: { primary: { used_percent: 63.5, window_minutes: 300, reset_at: Math.floor(Date.now() / 1_000) + 3_600 }, secondary: null },
});

const usedOf = async (relay: ServedRelay, name: string): Promise<number | undefined> => (await relay.account(name)).quota.find(({ window }) => window === '5h')?.usedPercent;

describe('quota a stream tells of', () => {
  test.each<[string, number]>([['before its content', 1], ['in the middle of it', 5]])('%s counts, and does not reach a plain client', async (_what, afterEvents) => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS.slice(0, 1) });
    relay.upstream.script('a', [ok({ text: 'one two three four five six', insert: { at: { afterEvents }, frames: [LIMITS], next: 'go-on' } })]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say it', { stream: true }) });
    expect(answer.text).not.toContain('codex.rate_limits');
    await relay.idle();
    expect(await usedOf(relay, 'a')).toBe(63.5);
  });

  test('counts for a chat client\'s and a whole answer too', async () => {
    for (const body of [chat('Say it', { stream: true }), chat('Say it whole')]) {
      const relay = await serveInProcess({ accounts: TWO_SIGN_INS.slice(0, 1) });
      relay.upstream.script('a', [ok({ insert: { at: { afterEvents: 1 }, frames: [LIMITS], next: 'go-on' } })]);
      await relay.ask('/v1/chat/completions', { body });
      await relay.idle();
      expect(await usedOf(relay, 'a')).toBe(63.5);
    }
  });

  test('counts when it stands in the headers of an error event', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    relay.upstream.script('a', [errorEvent({
      status: 429, error: { type: 'usage_limit_reached', message: 'The usage limit has been reached', resets_in_seconds: 600 },
      headers: { 'x-codex-primary-used-percent': '100', 'x-codex-primary-window-minutes': '300', 'x-codex-primary-reset-after-seconds': '600' },
    })]);
    const answer = await relay.ask('/v1/responses', { body: responses('Say it', { stream: true }) });
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(await relay.account('a')).toMatchObject({ state: 'cooldown', reason: 'usage_limit_reached' });
    expect(await usedOf(relay, 'a')).toBe(100);
  });
});

test('the only account is never set aside for streams that break, however many', async () => {
  const relay = await serveInProcess({ accounts: TWO_SIGN_INS.slice(0, 1) });
  relay.upstream.script('a', Array.from({ length: 6 }, () => cut({ afterDeltas: 1 })));
  for (let number = 0; number < 6; number += 1) {
    expect(await relay.ask('/v1/chat/completions', { body: chat(`Say ${number}`, { stream: true }) })).toMatchObject({ status: 200, broken: true });
  }
  expect((await relay.account('a')).state).toBe('ready');
  expect((await relay.ask('/v1/chat/completions', { body: chat('Say well') })).status).toBe(200);
});

test('time in line for a busy account stands in the journal as waiting', async () => {
  const relay = await serveTimed({ accounts: TWO_SIGN_INS.slice(0, 1), config: { routing: { accountConcurrency: 1 } } });
  relay.upstream.script('a', [ok({ delayMs: 4_000 })]);
  const first = relay.ask('/v1/chat/completions', { body: chat('Say first') });
  await waitFor(() => relay.sent().length === 1, 'the first call');
  const second = relay.ask('/v1/chat/completions', { body: chat('Say second') });
  await waitFor(() => relay.daemon.held().calls === 2, 'the second to wait');
  await new Promise((resolve) => setImmediate(resolve));
  for (let passed = 0; passed < 5; passed += 1) relay.clock.advance(1_000);
  await first;
  const line = await relay.line((await second).id);
  expect(line.ms.queue).toBeGreaterThanOrEqual(3_000);
  expect(line.ms.queue).toBeLessThanOrEqual(5_000);
});
