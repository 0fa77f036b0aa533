import { createServer } from 'node:net';

import { describe, expect, test } from 'vitest';

import type { MockStep } from '../../src/mock/steps.ts';
import { failed, ok, reset } from '../../src/mock/steps.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, runOn, serveInProcess, serveTimed } from '../support/serve-in-process.ts';

/** Sign-ins of one rank, so that only how they do decides. */
async function addEqual(relay: ServedRelay, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { credential } = relay.upstream.add({ name, kind: 'chatgpt', userId: `user-${name}` });
    await relay.daemon.control.call('accounts.add', { name, provider: 'chatgpt', kind: 'chatgpt', credential, wire: null, priority: 1, baseUrl: null, acceptTerms: true, verify: true });
  }
}

/** Sends so many requests, each a conversation of its own, `width` at a time. */
async function send(relay: ServedRelay, count: number, width: number): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (let from = 0; from < count; from += width) {
    const wave = Array.from({ length: Math.min(width, count - from) }, (_, index) => relay.ask('/v1/chat/completions', { body: chat(`Say number ${from + index}`) }));
    answers.push(...await Promise.all(wave));
  }
  return answers;
}

const alternating = (count: number): readonly MockStep[] => Array.from({ length: count }, (_, index) => (index % 2 === 0 ? failed(500) : ok()));

describe('an account that fails every second time', () => {
  test('is hardly asked any more: 500 requests, at least 99 % of them served, and its share below a fifth', async () => {
    const relay = await serveInProcess({ accounts: [{ name: 'flaky', kind: 'chatgpt', userId: 'user-flaky' }] });
    await addEqual(relay, 'steady', 'other');
    relay.upstream.script('flaky', alternating(1_000));
    const answers = await send(relay, 500, 10);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(495);
    expect(relay.sent('flaky').length).toBeLessThan(100);
    expect(relay.sent().length).toBeLessThanOrEqual(500 * 1.2 + 10);
    expect(await relay.account('flaky')).toMatchObject({ lastError: { status: 500 } });
  }, 60_000);
});

describe('a provider that is wholly down', () => {
  test.each<[string, number, () => MockStep]>([
    ['500s, one request after the other', 1, () => failed(500)],
    ['503s, twenty at a time', 20, () => failed(503)],
    ['connections reset, twenty at a time', 20, () => reset('before-headers')],
  ])('%s: at most 1.2 attempts a request and ten more, and nobody is ejected', async (_what, width, step) => {
    const relay = await serveTimed({ accounts: [{ name: 'a', kind: 'chatgpt', userId: 'user-a' }] });
    await addEqual(relay, 'b', 'c');
    for (const name of ['a', 'b', 'c']) relay.upstream.script(name, Array.from({ length: 1_000 }, step));
    let answers = 0;
    for (let round = 0; round < 200 / width; round += 1) {
      answers += (await runOn(relay.clock, send(relay, width, width), 10)).filter(({ status }) => status === 502 || status === 503).length;
    }
    expect(answers).toBe(200);
    expect(relay.sent().length).toBeLessThanOrEqual(200 * 1.2 + 10);
    for (const name of ['a', 'b', 'c']) expect((await relay.account(name)).state).not.toBe('open');
  }, 60_000);

  test('it is asked again by itself when it may be back, and served from then on', async () => {
    const relay = await serveTimed({ accounts: [{ name: 'a', kind: 'chatgpt', userId: 'user-a' }] });
    await addEqual(relay, 'b', 'c');
    for (const name of ['a', 'b', 'c']) relay.upstream.fail('503', { account: name });
    expect((await runOn(relay.clock, send(relay, 10, 10))).every(({ status }) => status >= 500)).toBe(true);
    relay.upstream.mend('*');
    relay.clock.advance(121_000);
    expect((await runOn(relay.clock, send(relay, 3, 1))).map(({ status }) => status)).toEqual([200, 200, 200]);
  }, 60_000);

  test('U21 one that nobody can reach is told fast, within the same bound of attempts', async () => {
    const port = await closedPort();
    const relay = await serveInProcess({ accounts: [{ name: 'a', kind: 'chatgpt', userId: 'user-a' }], config: { providers: { chatgpt: { kind: 'chatgpt', baseUrl: `http://127.0.0.1:${port}` } } } });
    await addEqual(relay, 'b', 'c');
    const answers = await send(relay, 100, 100);
    // Whoever was on the way hears that it could not be reached, whoever comes after that it is known to be down.
    expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([502, 503]);
    const attempts = (await relay.journal()).reduce((sum, line) => sum + line.attempts.length, 0);
    expect(attempts).toBeGreaterThan(0);
    expect(attempts).toBeLessThanOrEqual(100 * 1.2 + 10);
    for (const name of ['a', 'b', 'c']) expect(await relay.account(name)).toMatchObject({ state: 'ready' });
  });
});

/** A port nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
