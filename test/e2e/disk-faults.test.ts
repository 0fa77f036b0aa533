import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { injectFault, spawnMounted, whyNoInjection, whyNoMount } from '../support/disk-faults.ts';
import { startLoad } from '../support/load.ts';
import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

/** Real kernels, real files: what strace injects and what a full or read-only file system does to the built daemon. */
const LAUNCHER = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));
const noInjection = whyNoInjection();
const noMount = whyNoMount();
if (noInjection !== null) process.stderr.write(`disk faults are not injected: ${noInjection}\n`);
if (noMount !== null) process.stderr.write(`full file systems are not tried: ${noMount}\n`);

let upstream: MockUpstream;
const homes: RelayHome[] = [];
beforeAll(async () => {
  upstream = await startMockUpstream({ accounts: [{ name: 'key', kind: 'api-key', apiKey: 'sk-made-up' }], keepCalls: 0 });
});
afterAll(async () => {
  for (const home of homes) await home.remove();
  await upstream.close();
});

async function makeHome(): Promise<{ readonly home: RelayHome; readonly key: string }> {
  const home = await makeRelayHome({ providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } } });
  homes.push(home);
  expect((await home.run(['keys', 'add', 'key', '--provider', 'openai', '--api-key-stdin'], { input: 'sk-made-up' })).code).toBe(0);
  const client = await home.run(['clients', 'add', 'load', '--json']);
  return { home, key: JSON.parse(client.stdout).key };
}

function ask(url: string, key: string): Promise<{ readonly status: number; readonly code: string | null; readonly id: string | null }> {
  return within(fetch(`${url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'relay-mini', messages: [{ role: 'user', content: 'Say hello' }] }),
  }).then(async (response) => {
    const body = (await response.json()) as { readonly error?: { readonly code?: string } };
    return { status: response.status, code: body.error?.code ?? null, id: response.headers.get('x-request-id') };
  }), 'an answer', 15_000);
}

/** The names today's segments have or may come to have. */
function segmentPaths(home: RelayHome): readonly string[] {
  const day = new Date().toISOString().slice(0, 10);
  return Array.from({ length: 9 }, (_, index) => join(home.path, 'ledger', 'journal', `${day}.00${index + 1}.jsonl`));
}

const ledgerState = async (home: RelayHome): Promise<string> => JSON.parse((await home.run(['status', '--json'])).stdout).ledger.state;

/** Every acknowledged request stands once, the chain holds and the totals are the journal's. */
async function expectWhole(home: RelayHome, acknowledged: Iterable<string>): Promise<void> {
  const verified = await home.run(['ledger', 'verify', '--json']);
  expect(verified.stderr).toBe('');
  const exported = (await home.run(['ledger', 'export'])).stdout.trimEnd().split('\n').map((line): { readonly id: string } => JSON.parse(line));
  const ids = exported.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const known = new Set(ids);
  expect([...acknowledged].filter((id) => !known.has(id))).toEqual([]);
  expect(JSON.parse((await home.run(['usage', '--json'])).stdout).totals.requests).toBe(ids.length);
}

describe.skipIf(noInjection !== null)('injected into the running daemon', () => {
  test.each([
    ['S10: short writes', 'write:retval=10:when=3+7'],
    ['EIO from a write', 'write:error=EIO:when=4+9'],
    ['EIO from a sync', 'fdatasync:error=EIO:when=4+9'],
  ])('%s under load: no acknowledged request is lost or doubled', async (_name, inject) => {
    const { home, key } = await makeHome();
    const relay = await home.start();
    const load = startLoad(relay, { clients: 8, model: 'relay-mini', key });
    await waitFor(() => load.acknowledged.size >= 20, 'answers', 20_000);
    const fault = await injectFault({ pid: relay.pid, inject, paths: segmentPaths(home) });
    const before = load.acknowledged.size;
    await waitFor(() => load.acknowledged.size >= before + 60, 'answers under the fault', 30_000);
    await fault.remove();
    await load.stop();
    expect(await ledgerState(home)).toBe('degraded');
    expect((await readdir(join(home.path, 'ledger', 'journal'))).length).toBeGreaterThan(1);
    await relay.kill('SIGTERM');
    await expectWhole(home, load.acknowledged);
    const again = await home.start();
    expect((await ask(again.url, key)).status).toBe(200);
    await again.kill('SIGTERM');
    await expectWhole(home, load.acknowledged);
  }, 120_000);

  test.each(['ENOSPC', 'EROFS', 'EDQUOT'])('%s: new requests are refused while it lasts, what was answered is written after it', async (error) => {
    const { home, key } = await makeHome();
    const relay = await home.start();
    const first = await ask(relay.url, key);
    const fault = await injectFault({ pid: relay.pid, inject: `write:error=${error}`, paths: segmentPaths(home) });
    // The disk is found full by the first request that ends: it was served, and its line waits.
    const during = await ask(relay.url, key);
    expect(during.status).toBe(200);
    const refused = await ask(relay.url, key);
    expect([refused.status, refused.code]).toEqual([503, 'storage_unavailable']);
    expect(await ledgerState(home)).toBe('full');
    await fault.remove();
    await waitFor(async () => (await ask(relay.url, key)).status === 200, 'service again', 20_000);
    await relay.kill('SIGTERM');
    await expectWhole(home, [first.id ?? '', during.id ?? '']);
  }, 90_000);

  test('kill -9 while nothing can be written loses nothing that was acknowledged before', async () => {
    const { home, key } = await makeHome();
    const relay = await home.start();
    const load = startLoad(relay, { clients: 4, model: 'relay-mini', key });
    await waitFor(() => load.acknowledged.size >= 20, 'answers', 20_000);
    await load.stop();
    const acknowledged = [...load.acknowledged];
    const fault = await injectFault({ pid: relay.pid, inject: 'write:error=ENOSPC', paths: segmentPaths(home) });
    await ask(relay.url, key);
    await relay.kill('SIGKILL');
    await fault.remove();
    const again = await home.start();
    await again.kill('SIGTERM');
    await expectWhole(home, acknowledged);
  }, 60_000);
});

/** A daemon with its home on a file system of its own. */
async function startMounted(home: RelayHome, options: string): Promise<Pick<RunningRelay, 'url' | 'pid' | 'kill' | 'output'>> {
  const child = spawnMounted({ folder: home.path, options, command: [process.execPath, LAUNCHER, 'start', '--json', '--port', '0'], env: home.env });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const ready = await waitFor(() => {
    if (child.exitCode !== null) throw new Error(output);
    return output.split('\n').find((line) => line.startsWith('{"event":"ready"'));
  }, 'the ready line', 15_000);
  const { url, pid } = JSON.parse(ready) as { readonly url: string; readonly pid: number };
  return {
    url, pid, output: () => output,
    kill(signal) {
      child.kill(signal);
      return within(exited, `exit after ${signal}`, 40_000);
    },
  };
}

describe.skipIf(noMount !== null)('on a file system of its own', () => {
  test('that is really full: requests are refused, and served again once there is room', async () => {
    const { home, key } = await makeHome();
    const relay = await startMounted(home, 'size=1m');
    const first = await ask(relay.url, key);
    expect(first.status).toBe(200);
    const inside = join('/proc', String(relay.pid), 'root', home.path);
    const filler = join(inside, 'filler');
    await writeFile(filler, Buffer.alloc(2 << 20)).catch((error: NodeJS.ErrnoException) => expect(error.code).toBe('ENOSPC'));
    await waitFor(async () => (await ask(relay.url, key)).code === 'storage_unavailable', 'the refusal', 20_000);
    await rm(filler);
    await waitFor(async () => (await ask(relay.url, key)).status === 200, 'service again', 20_000);
    const acknowledged = [first.id, (await ask(relay.url, key)).id];
    await waitFor(async () => {
      const names = (await readdir(join(inside, 'ledger', 'journal'))).filter((name) => name.endsWith('.jsonl'));
      const texts = await Promise.all(names.map((name) => readFile(join(inside, 'ledger', 'journal', name), 'utf8')));
      return acknowledged.every((id) => texts.join('').split(`"id":"${id}"`).length === 2);
    }, 'each of them once in the journal');
    expect(await relay.kill('SIGTERM')).toBe(0);
  }, 90_000);

  test('S22: without an inode left requests are still journaled, since nothing new has to be made', async () => {
    const { home, key } = await makeHome();
    const relay = await startMounted(home, 'size=8m,nr_inodes=120');
    const inside = join('/proc', String(relay.pid), 'root', home.path);
    expect((await ask(relay.url, key)).status).toBe(200);
    const folder = await mkdtemp(join(inside, 'filler-'));
    let made = 0;
    for (; made < 200; made += 1) {
      if (!(await writeFile(join(folder, String(made)), '').then(() => true, () => false))) break;
    }
    expect(made).toBeLessThan(200);
    for (let index = 0; index < 5; index += 1) expect((await ask(relay.url, key)).status).toBe(200);
    await rm(folder, { recursive: true });
    expect(await relay.kill('SIGTERM')).toBe(0);
  }, 60_000);

  test('S09: that is read-only the daemon refuses to start, with 73 and the remedy', async () => {
    const { home } = await makeHome();
    const child = spawnMounted({ folder: home.path, options: 'ro', command: [process.execPath, LAUNCHER, 'start', '--json', '--port', '0'], env: home.env });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const code = await within(new Promise<number | null>((resolve) => child.once('exit', resolve)), 'the exit', 20_000);
    expect([code, said]).toEqual([73, expect.stringContaining('RELAY_HOME')]);
  }, 30_000);
});

test('S09: a home that an ordinary user may not write is refused with 73', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'relay-locked-'));
  const child = spawn(process.execPath, [LAUNCHER, 'start', '--json', '--port', '0'], {
    env: { ...process.env, RELAY_HOME: '/proc/relay-home', HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const code = await within(new Promise<number | null>((resolve) => child.once('exit', resolve)), 'the exit', 20_000);
  await rm(folder, { recursive: true });
  expect(code).toBe(73);
}, 30_000);
