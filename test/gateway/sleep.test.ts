import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import type { Daemon } from '../../src/daemon/start-daemon.ts';
import { startDaemon } from '../../src/daemon/start-daemon.ts';
import { createMemoryStore } from '../../src/io/memory-store.ts';
import { createGate, ok } from '../../src/mock/steps.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { fakeUpstream } from '../support/fake-upstream.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';

interface Laptop {
  readonly daemon: Daemon;
  readonly upstream: MockUpstream;
  readonly clock: FakeClock;
  readonly machine: { monotonic: number; addresses: string[] };
  ask(text: string): Promise<{ readonly status: number; readonly account: string | null }>;
  /** Time as it passes while awake. */
  pass(ms: number): void;
  log(): string;
}

/** Relay on a machine whose clocks and network a test moves, in front of two platform keys. */
async function startLaptop(): Promise<Laptop> {
  const clock = fakeClock();
  const machine = { monotonic: 0, addresses: ['en0/192.168.1.7'] };
  const upstream = await fakeUpstream({ accounts: [{ name: 'a', kind: 'api-key', apiKey: 'sk-upstream-a' }, { name: 'b', kind: 'api-key', apiKey: 'sk-upstream-b' }] });
  const home = await mkdtemp(join(tmpdir(), 'relay-sleep-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await writeFile(join(home, 'config.json'), JSON.stringify({ keychain: 'memory' }), { mode: 0o600 });
  let log = '';
  const daemon = await startDaemon({
    home, port: 0, withMock: false, clock, random: seededRandom(5), env: {}, prompt: null, version: '0.0.0-test', credentials: createMemoryStore(),
    mirrorLog: (line) => (log += line), onStop: () => {}, machine: { monotonicMs: () => machine.monotonic, addresses: () => machine.addresses },
  });
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 1_000) {
      machine.monotonic += Math.min(1_000, left);
      clock.advance(Math.min(1_000, left));
    }
  };
  onTestFinished(async () => {
    const drained = daemon.drain(0);
    let isOver = false;
    void drained.finally(() => (isOver = true));
    await waitFor(() => {
      pass(1_000);
      return isOver;
    }, 'the drain');
  });
  for (const [place, name] of ['a', 'b'].entries()) {
    await daemon.control.call('accounts.add', {
      name, provider: 'openai', kind: 'openai', credential: upstream.account(name).credential, wire: null, priority: place + 1, baseUrl: upstream.platformBaseUrl,
      acceptTerms: true, verify: true,
    });
  }
  return {
    daemon, upstream, clock, machine, pass, log: () => log,
    async ask(text) {
      const answer = await fetch(`${daemon.url}/v1/chat/completions`, {
        method: 'POST', headers: { authorization: `Bearer ${daemon.clientKey ?? ''}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'relay-mini', stream: true, messages: [{ role: 'user', content: text }] }),
      });
      await answer.text();
      const id = answer.headers.get('x-request-id') ?? '';
      // After a keepalive the status went ahead of the account's name: the journal has it.
      return { status: answer.status, account: (await daemon.control.call('requests.get', { id }))?.account ?? null };
    },
  };
}

const errorRateOf = async ({ daemon }: Laptop, name: string) => (await daemon.control.call('accounts.list', {})).find((view) => view.name === name)?.lastError;

describe('a machine that slept', () => {
  test('makes its connections anew, and blames nobody for calls that were under way', async () => {
    const laptop = await startLaptop();
    expect(await within(laptop.ask('Say warm'))).toMatchObject({ status: 200, account: 'a' });
    laptop.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    const asleep = laptop.ask('Say over the sleep');
    await waitFor(() => laptop.upstream.callsOf('a', 'chat/completions').length === 2, 'the call under way');
    const sockets = laptop.upstream.sockets.opened;
    laptop.clock.set(laptop.clock.now() + 8 * 3_600_000);
    // The call's own timer fires only now that the machine is awake again.
    laptop.pass(70_000);
    expect(await within(asleep)).toMatchObject({ status: 200, account: 'b' });
    expect(await errorRateOf(laptop, 'a')).toBeNull();
    expect(laptop.log()).toContain('the machine slept');
    expect(await within(laptop.ask('Say awake'))).toMatchObject({ status: 200, account: 'a' });
    expect(laptop.upstream.sockets.opened).toBeGreaterThan(sockets);
  });

  test('after a long sleep a call that says nothing more is given up within half a minute, not after its own deadline', async () => {
    const laptop = await startLaptop();
    laptop.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    const asleep = laptop.ask('Say long');
    await waitFor(() => laptop.upstream.callsOf('a', 'chat/completions').length === 1, 'the call under way');
    laptop.clock.set(laptop.clock.now() + 3_600_000);
    laptop.pass(41_000);
    expect(await within(asleep)).toMatchObject({ status: 200, account: 'b' });
    expect(await errorRateOf(laptop, 'a')).toBeNull();
  });

  test('one whose answer goes on is left alone', async () => {
    const laptop = await startLaptop();
    const gate = createGate();
    laptop.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
    const asleep = laptop.ask('Say on');
    await waitFor(() => laptop.daemon.live.running().some(({ phase }) => phase === 'streaming'), 'the stream');
    laptop.clock.set(laptop.clock.now() + 3_600_000);
    laptop.pass(15_000);
    gate.release();
    expect(await within(asleep)).toMatchObject({ status: 200, account: 'a' });
    laptop.pass(60_000);
    expect(await errorRateOf(laptop, 'a')).toBeNull();
  });

  test('awake, the same failure is the account\'s', async () => {
    const laptop = await startLaptop();
    laptop.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    const asked = laptop.ask('Say slow');
    await waitFor(() => laptop.upstream.callsOf('a', 'chat/completions').length === 1, 'the call');
    laptop.pass(61_000);
    await within(asked);
    expect(await errorRateOf(laptop, 'a')).toMatchObject({ code: 'headers_timeout' });
  });
});

describe('a machine whose network changed', () => {
  test('uses no connection of the old one, and lets what still runs run on', async () => {
    const laptop = await startLaptop();
    expect((await within(laptop.ask('Say one'))).status).toBe(200);
    const gate = createGate();
    laptop.upstream.script('a', [ok({ gate })]);
    const running = laptop.ask('Say across');
    await waitFor(() => laptop.upstream.callsOf('a', 'chat/completions').length === 2, 'the call under way');
    laptop.machine.addresses = ['en0/10.0.0.4'];
    laptop.pass(11_000);
    expect(laptop.log()).toContain('the network changed');
    const opened = laptop.upstream.sockets.opened;
    expect((await within(laptop.ask('Say two'))).status).toBe(200);
    expect(laptop.upstream.sockets.opened).toBe(opened + 1);
    gate.release();
    expect(await within(running)).toMatchObject({ status: 200, account: 'a' });
  });
});
