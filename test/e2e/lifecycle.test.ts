import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { createGate, hang, ok, rateLimited } from '../../src/mock/steps.ts';
import { collectBody, eventsIn, textOf } from '../support/collect-events.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

const MODEL = 'relay-mini';
const LAUNCHER = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));

let upstream: MockUpstream;
let home: RelayHome;
const others: RelayHome[] = [];

beforeEach(async () => {
  upstream = await startMockUpstream({ accounts: [{ name: 'local', kind: 'api-key', apiKey: 'sk-local' }] });
  home = await makeRelayHome({
    providers: { local: { kind: 'compatible', baseUrl: upstream.platformBaseUrl } },
    routing: { accountConcurrency: 200 },
  });
});
afterEach(async () => {
  await Promise.all([home, ...others.splice(0)].map((each) => each.remove()));
  await upstream.close();
});

const another = async (): Promise<RelayHome> => {
  const made = await makeRelayHome();
  others.push(made);
  return made;
};

/** A started Relay with one account that needs no key. */
async function started(args: readonly string[] = []): Promise<RunningRelay> {
  const relay = await home.start(args);
  const added = await home.run(['keys', 'add', 'local', '--provider', 'local', '--api-key-stdin', '--json'], { input: 'sk-local' });
  if (added.code !== 0) throw new Error(added.stderr);
  return relay;
}

const post = (relay: RunningRelay, body: object, key = relay.key): Promise<Response> =>
  fetch(`${relay.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Say hi' }], ...body }),
  });

const generating = (): MockUpstream['calls'] =>
  upstream.calls.filter(({ method, path }) => method === 'POST' && path.includes('completions'));

/** Streams that have begun and wait for the gate. */
async function openStreams(
  relay: RunningRelay,
  count: number,
  gate = createGate(),
): Promise<{ readonly responses: readonly Response[]; readonly gate: typeof gate }> {
  upstream.script(
    'local',
    Array.from({ length: count }, () => ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })),
  );
  return { responses: await Promise.all(Array.from({ length: count }, () => post(relay, { stream: true }))), gate };
}

describe('ending', () => {
  test('P01 SIGTERM with twenty streams: who is new is refused, the streams end, exit 0', async () => {
    const relay = await started();
    const { responses, gate } = await openStreams(relay, 20);
    relay.child.kill('SIGTERM');
    await waitFor(async () => (await fetch(`${relay.url}/healthz`)).status === 503, 'the drain');
    const late = await post(relay, {});
    expect([late.status, await late.json()]).toMatchObject([503, { error: { code: 'draining' } }]);
    gate.release();
    const bodies = await Promise.all(responses.map((response) => collectBody(response)));
    expect(bodies.map(({ text, broken }) => `${textOf(eventsIn(text))} ${broken}`)).toEqual(
      Array.from({ length: 20 }, () => 'one two three false'),
    );
    expect(await relay.kill('SIGCONT')).toBe(0);
    const journal = await home.journal();
    expect(journal.filter(({ outcome }) => outcome === 'ok')).toHaveLength(20);
    expect(journal.filter(({ error }) => error?.code === 'draining')).toHaveLength(1);
    expect((await home.run(['ledger', 'verify', '--json'])).code).toBe(0);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('one %s with nothing running ends at once with 0', async (signal) => {
    const relay = await home.start(['--mock']);
    expect(await relay.kill(signal)).toBe(0);
    expect(relay.output()).not.toMatch(/at .*\.js:\d+/);
  });

  test('P03 a second SIGINT ends it at once with 130, the ledger closed', async () => {
    const relay = await started();
    upstream.script('local', [hang({ afterDeltas: 2 })]);
    const body = collectBody(await post(relay, { stream: true }), 20_000);
    relay.child.kill('SIGINT');
    await waitFor(async () => (await fetch(`${relay.url}/healthz`)).status === 503, 'the drain');
    expect(await relay.kill('SIGINT')).toBe(130);
    const { text, broken } = await body;
    expect(broken).toBe(true);
    expect(eventsIn(text).at(-1)?.json).toMatchObject({ error: { code: 'draining' } });
    expect(await home.journal()).toMatchObject([{ outcome: 'broken_stream', error: { code: 'draining' } }]);
    expect((await home.run(['ledger', 'verify'])).code).toBe(0);
  });

  test('stop ends it and waits; with nothing running stop and status say so and exit 0', async () => {
    const relay = await home.start(['--mock']);
    const exited = new Promise<number | null>((resolve) => relay.child.once('exit', resolve));
    const stopped = await home.run(['stop']);
    expect({ code: stopped.code, stderr: stopped.stderr }).toEqual({ code: 0, stderr: 'Relay has ended\n' });
    expect(await within(exited, 'the exit')).toBe(0);
    const again = await home.run(['stop']);
    expect({ code: again.code, stderr: again.stderr }).toEqual({ code: 0, stderr: 'Relay is not running\n' });
    const status = await home.run(['status', '--json']);
    expect([status.code, JSON.parse(status.stdout)]).toMatchObject([0, { gateway: { state: 'stopped', url: null } }]);
    await expect(stat(join(home.path, 'daemon.json'))).rejects.toThrow('ENOENT');
  });

  test('a background Relay is started, restarted and stopped', async () => {
    const detached = await home.run(['start', '--detach', '--json', '--port', '0', '--mock']);
    expect(detached.code, detached.stderr).toBe(0);
    const first: { readonly pid: number; readonly url: string; readonly clientKey: string } = JSON.parse(detached.stdout);
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
    const restarted = await home.run(['restart', '--json', '--port', '0', '--mock']);
    expect(restarted.code, restarted.stderr).toBe(0);
    const second: { readonly pid: number; readonly url: string } = JSON.parse(
      restarted.stdout.split('\n').find((line) => line.includes('"ready"')) ?? '{}',
    );
    expect(second.pid).not.toBe(first.pid);
    expect((await fetch(`${second.url}/v1/models`, { headers: { authorization: `Bearer ${first.clientKey}` } })).status).toBe(200);
    expect((await home.run(['stop'])).code).toBe(0);
    await waitFor(() => !isAlive(second.pid), 'its end');
  });
});

describe('P04 SIGHUP', () => {
  test('takes new settings over, keeps the old ones where the new are not valid, and touches no stream', async () => {
    const relay = await started();
    const { responses, gate } = await openStreams(relay, 1);
    const settings = { keychain: 'file', providers: { local: { kind: 'compatible', baseUrl: upstream.platformBaseUrl } } };
    await home.writeConfig({ ...settings, models: { aliases: { quick: MODEL } } });
    relay.child.kill('SIGHUP');
    await waitFor(async () => (await post(relay, { model: 'quick' })).status === 200, 'the new settings');
    await writeFile(join(home.path, 'config.json'), '{\n  "server": {\n    "prot": 1\n  }\n}');
    relay.child.kill('SIGHUP');
    await waitFor(() => relay.output().includes('config.json:3:5'), 'the complaint');
    expect((await post(relay, { model: 'quick' })).status).toBe(200);
    gate.release();
    expect((await collectBody(responses[0]!)).broken).toBe(false);
    expect(await relay.kill('SIGTERM')).toBe(0);
  });
});

describe('starting', () => {
  test('S06 settings that are not valid are exit 78 with line and column, and left as they are', async () => {
    const text = '{\n  "server": { "port": 7352 },\n  "retries": 3\n}\n';
    await writeFile(join(home.path, 'config.json'), text);
    const result = await home.run(['start', '--port', '0']);
    expect(result.code).toBe(78);
    expect(result.stderr).toContain('config.json:3:3 retries: there is no such setting');
    expect(result.stderr).not.toContain('    at ');
    expect(await readFile(join(home.path, 'config.json'), 'utf8')).toBe(text);
    expect((await home.run(['config', 'check'])).code).toBe(78);
  });

  test('P06 a port that another program holds is exit 75, and the program is named', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', () => resolve()));
    const address = holder.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const result = await home.run(['start', '--port', String(port)]);
      expect(result.code).toBe(75);
      expect(result.stderr).toContain(`port ${port} is in use by`);
      if (process.platform === 'linux') expect(result.stderr).toContain(`(pid ${process.pid})`);
      expect(result.stderr).toContain('--port N');
      expect(result.stdout).toBe('');
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  test("P06 a port that another home's Relay holds is told as that", async () => {
    const first = await home.start(['--mock']);
    const result = await (await another()).run(['start', '--port', new URL(first.url).port]);
    expect(result.code).toBe(75);
    if (process.platform === 'linux') expect(result.stderr).toContain(`a Relay with another RELAY_HOME at ${first.url} (pid ${first.pid})`);
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  });

  test('S11 a second Relay of the same home is exit 75 with pid and URL', async () => {
    const first = await home.start(['--mock']);
    const result = await home.run(['start', '--port', '0']);
    expect(result.code).toBe(75);
    expect(result.stderr).toContain(first.url);
    expect(result.stderr).toContain(`pid ${first.pid}`);
  });

  test('S11 of twenty at once exactly one runs, and the others name it', async () => {
    const children = Array.from({ length: 20 }, () =>
      spawn(process.execPath, [LAUNCHER, 'start', '--json', '--port', '0'], { env: home.env, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    const ends = children.map(
      (child) =>
        new Promise<{ code: number | null; stderr: string }>((resolve) => {
          let stderr = '';
          child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
          child.once('close', (code) => resolve({ code, stderr }));
        }),
    );
    const ready = await Promise.race(
      children.map(
        (child) =>
          new Promise<{ pid: number; url: string }>((resolve) => {
            child.stdout.on('data', (chunk: Buffer) => {
              const line = chunk
                .toString('utf8')
                .split('\n')
                .find((text) => text.startsWith('{"event":"ready"'));
              if (line !== undefined) resolve(JSON.parse(line));
            });
          }),
      ),
    );
    const winner = children.findIndex(({ pid }) => pid === ready.pid);
    const losers = await within(Promise.all(ends.filter((_end, index) => index !== winner)), 'the others to end', 30_000);
    expect(losers.filter(({ code }) => code !== 75)).toEqual([]);
    expect(losers).toHaveLength(19);
    for (const { stderr } of losers) expect(stderr).toContain(`at ${ready.url} (pid ${ready.pid})`);
    expect((await fetch(`${ready.url}/healthz`)).status).toBe(200);
    children[winner]?.kill('SIGTERM');
    expect((await within(ends[winner] ?? Promise.reject(new Error('no winner')), 'its end', 10_000)).code).toBe(0);
  }, 60_000);

  test('S12 after kill -9 it starts again, and a pid given to another program meanwhile is not signalled', async () => {
    const first = await home.start(['--mock']);
    await first.kill('SIGKILL');
    const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      const left = JSON.parse(await readFile(join(home.path, 'daemon.json'), 'utf8'));
      await writeFile(join(home.path, 'daemon.json'), JSON.stringify({ ...left, pid: innocent.pid }));
      const stopped = await home.run(['stop']);
      expect({ code: stopped.code, stderr: stopped.stderr }).toEqual({ code: 0, stderr: 'Relay is not running\n' });
      expect(isAlive(innocent.pid ?? 0)).toBe(true);
      const second = await home.start(['--mock']);
      const answer = await post({ ...second, key: first.key }, {});
      expect(answer.status).toBe(200);
      expect(await second.kill('SIGTERM')).toBe(0);
    } finally {
      innocent.kill('SIGKILL');
    }
  });

  test('P16 an inherited proxy is not used, and certificates are checked whatever the environment says', async () => {
    let proxied = 0;
    const canary = createServer((socket) => {
      proxied += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', () => resolve()));
    const address = canary.address();
    const proxy = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    try {
      const relay = await home.start([], {
        env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, ALL_PROXY: proxy },
      });
      await home.run(['keys', 'add', 'local', '--provider', 'local', '--api-key-stdin'], { input: 'sk-local' });
      await home.run(
        [
          'keys',
          'add',
          'far',
          '--provider',
          'openai',
          '--base-url',
          'https://relay-x.invalid/v1',
          '--api-key-stdin',
          '--no-verify',
          '--priority',
          '1',
        ],
        { input: 'sk-far' },
      );
      expect((await post(relay, {})).status).toBe(200);
      expect(proxied).toBe(0);
    } finally {
      await new Promise((resolve) => canary.close(resolve));
    }
  });
});

describe('what lasts', () => {
  test('keys, accounts and waits survive a restart', async () => {
    const relay = await started();
    upstream.script('local', [rateLimited({ retryAfter: '3600' })]);
    expect((await post(relay, {})).status).toBe(429);
    const [before] = JSON.parse((await home.run(['keys', 'list', '--json'])).stdout);
    expect(await relay.kill('SIGTERM')).toBe(0);
    const again = await home.start();
    expect(again.key).toBe('');
    const [after] = JSON.parse((await home.run(['keys', 'list', '--json'])).stdout);
    expect(after).toMatchObject({ name: 'local', state: 'cooldown', until: before.until });
    const refused = await post(again, {}, relay.key);
    expect(refused.status).toBe(429);
    expect(generating()).toHaveLength(1);
  });

  test('S13 commands that write while it runs and while it does not lose nothing', async () => {
    const relay = await home.start();
    const add = async (prefix: string): Promise<void> => {
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, index) => home.run(['clients', 'add', `${prefix}-${index}`, '--json'])),
      );
      expect(results.map(({ code }) => code)).toEqual(Array.from({ length: 8 }, () => 0));
    };
    await add('running');
    expect(await relay.kill('SIGTERM')).toBe(0);
    await add('stopped');
    const names = JSON.parse((await home.run(['clients', 'list', '--json'])).stdout).map(({ name }: { name: string }) => name);
    expect(new Set(names).size).toBe(17);
  }, 60_000);

  test('S20 a home that goes away while it runs is no fresh start with no keys', async () => {
    const relay = await started();
    expect((await post(relay, {})).status).toBe(200);
    await rm(home.path, { recursive: true, force: true });
    const refused = await waitFor(
      async () => {
        const response = await post(relay, {});
        return response.status === 503 ? response.json() : null;
      },
      'a refusal',
      10_000,
    );
    expect(refused).toMatchObject({ error: { code: 'storage_unavailable' } });
    expect((await post(relay, {}, 'sk-relay-made-up')).status).toBe(401);
    await expect(stat(join(home.path, 'state.json'))).rejects.toThrow('ENOENT');
    await relay.kill('SIGKILL');
    await mkdir(home.path, { recursive: true });
  });
});

describe('pipes', () => {
  test.each([['status'], ['keys', 'list', '--json'], ['config', 'schema'], ['--help'], ['models']])(
    'P08 a reader that leaves is no error: relay %s %s',
    async (...args) => {
      await home.start(['--mock']);
      const child = spawn(process.execPath, [LAUNCHER, ...args.filter((arg) => arg !== undefined)], {
        env: home.env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
      child.stdout.destroy();
      expect(await within(new Promise((resolve) => child.once('close', resolve)), 'its end', 15_000)).toBe(0);
      expect(stderr).toBe('');
    },
  );

  test('P11 no colour where none is wanted, and none in a pipe', async () => {
    await home.start(['--mock']);
    for (const env of [{ NO_COLOR: '' }, { NO_COLOR: '1' }, { NO_COLOR: '', FORCE_COLOR: '0' }]) {
      for (const args of [['status'], ['keys', 'list'], ['clients', 'list'], ['usage', '--since', '1d']]) {
        const { stdout, stderr } = await home.run(args, { env });
        expect(stdout + stderr).not.toContain('\u001b');
      }
    }
  }, 60_000);
});

test('C53 a hundred clients that hardly read cost the daemon less than 100 MB', async () => {
  const relay = await started();
  const key: string = JSON.parse((await home.run(['clients', 'add', 'many', '--concurrency', '200', '--json'])).stdout).key;
  const piece = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: MODEL, choices: [{ index: 0, delta: { content: 'x'.repeat(65_000) }, finish_reason: null }] })}\n\n`;
  upstream.script(
    'local',
    Array.from({ length: 100 }, () => ok({ frames: Array.from({ length: 400 }, () => piece) })),
  );
  expect((await post(relay, { stream: true }, key)).status).toBe(200);
  const rss = async (): Promise<number> => JSON.parse((await home.run(['status', '--json'])).stdout).gateway.rssMb;
  const before = await rss();
  const raws = await Promise.all(Array.from({ length: 99 }, () => openRaw(Number(new URL(relay.url).port))));
  const body = JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: 'Say much' }] });
  for (const { socket } of raws) {
    socket.pause();
    socket.write(
      rawRequest(Number(new URL(relay.url).port), 'POST /v1/chat/completions HTTP/1.1', {
        headers: [`Authorization: Bearer ${key}`, 'Content-Type: application/json'],
        body,
      }),
    );
  }
  await waitFor(() => generating().filter(({ status }) => status === 200).length === 100, 'a hundred streams', 10_000);
  // Each look at the status is a few turns of the daemon's loop under this load.
  let peak = 0;
  for (let look = 0; look < 5; look += 1) peak = Math.max(peak, await rss());
  expect(peak - before).toBeLessThan(100);
  expect(generating().filter(({ state }) => state === 'open').length).toBeGreaterThanOrEqual(99);
  for (const { socket } of raws) socket.destroy();
}, 60_000);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
