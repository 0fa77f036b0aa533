import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { CommandResult, RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));

/** Stands in for Codex: writes down how it was started, asks for the models with its key, then ends as its last argument says. */
const FAKE_CLIENT = `#!/usr/bin/env node
import { writeFileSync } from 'node:fs';
const [, , ...args] = process.argv;
const base = args.map((argument) => /^model_providers\\.relay\\.base_url="(.*)"$/.exec(argument)?.[1]).find(Boolean);
const answer = await fetch(base + '/models', { headers: { authorization: 'Bearer ' + process.env.RELAY_KEY } });
writeFileSync(process.env.SEEN, JSON.stringify({ args, base, key: process.env.RELAY_KEY, status: answer.status }));
const end = args.at(-1);
if (/^\\d+$/.test(end)) process.exit(Number(end));
const alive = setInterval(() => {}, 1_000);
if (end === 'graceful') process.on('SIGTERM', () => { clearInterval(alive); process.exitCode = 9; });
`;

interface Seen {
  readonly args: readonly string[];
  readonly base: string;
  readonly key: string;
  readonly status: number;
}

describe('relay run', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  let relay: RunningRelay;
  let bin: string;
  let seenFile: string;

  beforeAll(async () => {
    upstream = await startMockUpstream({ accounts: [{ name: 'work', kind: 'chatgpt' }] });
  });
  afterAll(() => upstream.close());
  beforeEach(async () => {
    bin = await mkdtemp(join(tmpdir(), 'relay-bin-'));
    await writeFile(join(bin, 'package.json'), '{"type":"module"}');
    await writeFile(join(bin, 'codex'), FAKE_CLIENT);
    await chmod(join(bin, 'codex'), 0o755);
    seenFile = join(bin, 'seen.json');
    home = await makeRelayHome(chatgptAt(upstream));
    relay = await home.start();
    await importAccount(home, upstream, 'work');
  });
  afterEach(async () => {
    await home.remove();
    await rm(bin, { recursive: true, force: true });
  });

  const clientEnv = (): NodeJS.ProcessEnv => ({ SEEN: seenFile, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` });
  const run = (...args: readonly string[]): Promise<CommandResult> => home.run(['run', ...args], { env: clientEnv() });
  const seen = async (): Promise<Seen> => JSON.parse(await readFile(seenFile, 'utf8'));
  /** Starts it and waits until the client runs; gives how to signal Relay and how it ended. */
  const begin = async (manner: string): Promise<{ kill(signal: NodeJS.Signals): void; readonly ended: Promise<number | null> }> => {
    const env = { ...home.env, ...clientEnv() };
    const child = spawn(process.execPath, [LAUNCHER, 'run', 'codex', '--', manner], { env, stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await waitFor(seen, 'the client', 15_000);
    return { kill: (signal) => void child.kill(signal), ended };
  };
  const liveClients = async (): Promise<readonly string[]> => {
    const { stdout } = await home.run(['clients', 'list', '--json']);
    const clients: readonly { readonly name: string; readonly revokedAt: number | null }[] = JSON.parse(stdout);
    return clients.filter(({ revokedAt }) => revokedAt === null).map(({ name }) => name);
  };

  test('the client gets its own arguments and a key that is good, its exit code is passed on, and the key is good no more', async () => {
    const result = await run('codex', '--', 'exec', '--json', '7');
    expect(result.code).toBe(7);
    const { args, base, key, status } = await seen();
    expect(args.slice(-3)).toEqual(['exec', '--json', '7']);
    expect(base).toBe(`${relay.url}/v1`);
    expect(status).toBe(200);
    expect((await fetch(`${base}/models`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(401);
    expect(await liveClients()).toEqual(['default']);
  });

  test.each([['stubborn', 'SIGTERM', 143], ['graceful', 'SIGTERM', 9], ['stubborn', 'SIGHUP', 129], ['stubborn', 'SIGINT', 130]] as const)(
    'a %s client is told of %s, Relay ends with %i, and the key is revoked',
    async (manner, signal, code) => {
      const client = await begin(manner);
      client.kill(signal);
      expect(await within(client.ended, `the end after ${signal}`, 15_000)).toBe(code);
      expect(await liveClients()).toEqual(['default']);
    },
  );

  test('the key is revoked also when the daemon has gone meanwhile', async () => {
    const client = await begin('graceful');
    expect(await relay.kill('SIGTERM')).toBe(0);
    client.kill('SIGTERM');
    expect(await within(client.ended, 'the end', 15_000)).toBe(9);
    expect(await liveClients()).toEqual(['default']);
  });

  test('a program that is not there is named with how to get it, and leaves no key behind', async () => {
    const result = await home.run(['run', 'opencode'], { env: { PATH: bin } });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/opencode is not installed; get it with: npm install/);
    expect(await liveClients()).toEqual(['default']);
  });

  test('an unknown client is a fault of usage, and without a daemon it says how to start one', async () => {
    expect(await run('emacs')).toMatchObject({ code: 2, stderr: expect.stringContaining('codex') });
    expect(await run('toString')).toMatchObject({ code: 2 });
    await relay.kill('SIGTERM');
    expect(await run('codex')).toMatchObject({ code: 1, stderr: expect.stringContaining('relay start') });
  });
});
