import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';
import { within } from '../support/wait-for.ts';

const MODEL = 'gpt-5.5';

describe('routing in the built program', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  let relay: RunningRelay;

  beforeAll(async () => {
    upstream = await startMockUpstream({ accounts: [{ name: 'work', kind: 'chatgpt', plan: 'plus' }, { name: 'home', kind: 'chatgpt', plan: 'pro' }] });
    home = await makeRelayHome(chatgptAt(upstream));
    relay = await home.start();
    await importAccount(home, upstream, 'work', ['--priority', '1']);
    await importAccount(home, upstream, 'home', ['--priority', '2']);
  });
  afterAll(async () => {
    await relay?.kill('SIGKILL');
    await home?.remove();
    await upstream?.close();
  });

  const key = { value: '' };
  const ask = async (thread: string): Promise<{ readonly status: number; readonly account: string | null }> => {
    key.value ||= relay.key;
    const answer = await within(fetch(`${relay.url}/v1/responses`, {
      method: 'POST', headers: { authorization: `Bearer ${key.value}`, 'content-type': 'application/json', 'thread-id': thread }, body: JSON.stringify({ model: MODEL, input: 'Say hi' }),
    }), 'an answer', 20_000);
    await answer.text();
    return { status: answer.status, account: answer.headers.get('x-relay-account') };
  };
  const renewals = (): number => upstream.calls.filter(({ path }) => path === '/oauth/token').length;

  test('a refused token is renewed once by the daemon and commands that meet it together', async () => {
    upstream.account('work').expireAccessToken();
    const before = renewals();
    const [answers, tests] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, (_, index) => ask(`busy-${index}`))),
      Promise.all(Array.from({ length: 3 }, () => home.run(['keys', 'test', 'work', '--json']))),
    ]);
    expect(answers.map(({ status, account }) => [status, account])).toEqual(Array.from({ length: 20 }, () => [200, expect.stringMatching(/work|home/)]));
    expect(tests.map(({ code, stderr }) => [code, stderr])).toEqual([[0, ''], [0, ''], [0, '']]);
    expect(renewals() - before).toBe(1);
  });

  test('relay why names who serves next, with the daemon running and without', async () => {
    const told = async (): Promise<string | null> => {
      const { code, stdout, stderr } = await home.run(['why', '--model', MODEL, '--json']);
      expect(code, stderr).toBe(0);
      return (JSON.parse(stdout) as { models: { account: string | null }[] }).models[0]?.account ?? null;
    };
    expect(await told()).toBe('work');
    expect((await ask('asked-why')).account).toBe('work');
    await home.run(['keys', 'pause', 'work']);
    expect(await told()).toBe('home');
    const text = await home.run(['why', '--model', MODEL]);
    expect(text.stdout).toContain('relay keys resume work');
    expect((await ask('moved')).account).toBe('home');
    await relay.kill('SIGTERM');
    expect(await told()).toBe('home');
    await home.run(['keys', 'resume', 'work']);
    expect(await told()).toBe('work');
    relay = await home.start();
  });

  test('a restart leaves conversations where they are, in a file for the user alone', async () => {
    expect((await stat(join(home.path, 'sticky.json'))).mode & 0o777).toBe(0o600);
    expect((await ask('moved')).account).toBe('home');
    expect((await ask('asked-why')).account).toBe('work');
  });

  test('relay simulate replays what the journal holds', async () => {
    const { code, stdout, stderr } = await home.run(['simulate', '--strategy', 'round-robin', '--since', '1h', '--json']);
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout) as { replayed: number; skipped: number; actual: { kept: number } };
    expect(report.replayed).toBeGreaterThanOrEqual(23);
    expect(report.actual.kept).toBeGreaterThanOrEqual(2);
    expect((await home.run(['simulate', '--strategy', 'cheapest'])).stdout).toContain('As if routed by cheapest');
    expect((await home.run(['simulate', '--strategy', 'luckiest'])).code).toBe(2);
    expect((await home.run(['why'])).code).toBe(2);
  });
});
