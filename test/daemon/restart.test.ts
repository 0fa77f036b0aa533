import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import type { Daemon } from '../../src/daemon/start-daemon.ts';
import { startDaemon } from '../../src/daemon/start-daemon.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { usageLimited } from '../../src/mock/steps.ts';
import { fakeUpstream } from '../support/fake-upstream.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { within } from '../support/wait-for.ts';

/** A home that daemons can be started in one after the other, in front of two sign-ins. */
async function makeHome(): Promise<{ readonly upstream: MockUpstream; start(): Promise<Daemon>; ask(daemon: Daemon, thread: string): Promise<Response> }> {
  const upstream = await fakeUpstream({ accounts: [{ name: 'a', kind: 'chatgpt' }, { name: 'b', kind: 'chatgpt', userId: 'user-b' }] });
  const home = await mkdtemp(join(tmpdir(), 'relay-restart-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'config.json'), JSON.stringify({
    keychain: 'memory', providers: { chatgpt: { kind: 'chatgpt', baseUrl: upstream.chatgptBaseUrl, authUrl: upstream.authOrigin } },
  }), { mode: 0o600 });
  const credentials = createMemoryStore();
  let key = '';
  return {
    upstream,
    async start() {
      const daemon = await startDaemon({
        home, port: 0, withMock: false, clock: systemClock, random: seededRandom(5), env: {}, prompt: null, version: '0.0.0-test', credentials, mirrorLog: null, onStop: () => {},
      });
      onTestFinished(() => daemon.drain(0));
      key ||= daemon.clientKey ?? '';
      const known = await daemon.control.call('accounts.list', {});
      for (const name of known.length > 0 ? [] : ['a', 'b']) {
        await daemon.control.call('accounts.add', {
          name, provider: 'chatgpt', kind: 'chatgpt', credential: upstream.account(name).credential, wire: null, priority: null, baseUrl: null, acceptTerms: true, verify: true,
        });
      }
      return daemon;
    },
    ask: (daemon, thread) => within(fetch(`${daemon.url}/v1/responses`, {
      method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'thread-id': thread }, body: JSON.stringify({ model: 'gpt-5.5', input: 'Say hi' }),
    }), 'an answer'),
  };
}

test('a restart leaves every conversation on its account, and every wait in force', async () => {
  const { upstream, start, ask } = await makeHome();
  const first = await start();
  const owners = new Map<string, string | null>();
  for (let number = 0; number < 8; number += 1) {
    await first.control.call('accounts.pause', { name: number % 2 === 0 ? 'a' : 'b' });
    await first.control.call('accounts.resume', { name: number % 2 === 0 ? 'b' : 'a' });
    const answer = await ask(first, `thread-${number}`);
    await answer.text();
    owners.set(`thread-${number}`, answer.headers.get('x-relay-account'));
  }
  expect(new Set(owners.values())).toEqual(new Set(['a', 'b']));
  for (const name of ['a', 'b']) await first.control.call('accounts.resume', { name });
  await first.drain(1_000);

  const second = await start();
  for (const [thread, owner] of owners) {
    const answer = await ask(second, thread);
    await answer.text();
    expect([thread, answer.headers.get('x-relay-account')]).toEqual([thread, owner]);
  }
  upstream.script('a', [usageLimited({ resetsAt: Math.floor(Date.now() / 1_000) + 3_600, resetsInSeconds: 3_600 })]);
  const moved = [...owners].find(([, owner]) => owner === 'a')?.[0] ?? '';
  await (await ask(second, moved)).text();
  await second.drain(1_000);

  const third = await start();
  expect((await third.control.call('accounts.list', {})).find(({ name }) => name === 'a')).toMatchObject({ state: 'cooldown', reason: 'usage_limit_reached' });
  expect((await ask(third, moved)).headers.get('x-relay-account')).toBe('b');
});
