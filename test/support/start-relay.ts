import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { CloseRecord, JournalLine } from '../../src/core/record.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { waitFor, within } from './wait-for.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));
const READY_MS = 15_000;

/** What one command of the built program did. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command of the built program is run. */
export interface CommandOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly deadlineMs?: number;
}

/** A home of its own for the built program, with the vault file for a keychain, so that it runs on any machine. */
export interface RelayHome {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
  /** Runs a command of the built program to its end; it is killed at the deadline, 30 s unless said. */
  run(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  start(args?: readonly string[], options?: { readonly env?: NodeJS.ProcessEnv }): Promise<RunningRelay>;
  writeConfig(config: unknown): Promise<void>;
  /** Every closing line of the journal, in order. */
  journal(): Promise<readonly JournalLine<CloseRecord>[]>;
  remove(): Promise<void>;
}

/** The built program as a child process. */
export interface RunningRelay {
  readonly url: string;
  readonly pid: number;
  /** The key of client `default`; '' when this was not the first start. */
  readonly key: string;
  readonly child: ChildProcess;
  /** Everything it wrote to stdout and stderr so far. */
  output(): string;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** Makes a home. `config` stands in its `config.json`, beside the choice of the vault; `launcher` is another build to run. */
export async function makeRelayHome(config: Readonly<Record<string, unknown>> = {}, launcher = LAUNCHER): Promise<RelayHome> {
  const path = await mkdtemp(join(tmpdir(), 'relay-e2e-'));
  const keyFolder = await mkdtemp(join(tmpdir(), 'relay-key-'));
  const keyFile = join(keyFolder, 'vault.key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: path, RELAY_HOME: path, RELAY_VAULT_KEYFILE: keyFile, NO_COLOR: '1', NODE_ENV: 'production' };
  delete env['DBUS_SESSION_BUS_ADDRESS'];
  const running = new Set<ChildProcess>();
  const home: RelayHome = {
    path,
    env,
    run: (args, options = {}) => runCommand(args, { ...options, env: { ...env, ...options.env } }),
    async start(args = [], options = {}) {
      const child = spawn(process.execPath, [launcher, 'start', '--json', '--port', '0', ...args], { env: { ...env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
      running.add(child);
      child.once('exit', () => running.delete(child));
      return untilReady(child);
    },
    writeConfig: (next) => writeFile(join(path, 'config.json'), JSON.stringify(next), { mode: 0o600 }),
    async journal() {
      const folder = join(path, 'ledger', 'journal');
      const lines: JournalLine<CloseRecord>[] = [];
      for (const name of (await readdir(folder)).filter((file) => file.endsWith('.jsonl')).sort()) {
        for (const text of (await readFile(join(folder, name), 'utf8')).split('\n')) {
          if (text === '') continue;
          const line: JournalLine<CloseRecord> = JSON.parse(text);
          if (line.k === 'close') lines.push(line);
        }
      }
      return lines;
    },
    async remove() {
      for (const child of running) child.kill('SIGKILL');
      await rm(path, { recursive: true, force: true });
      await rm(keyFolder, { recursive: true, force: true });
    },
  };
  await home.writeConfig({ keychain: 'file', notify: { desktop: false }, ...config });
  return home;
}

/** Settings that point the built-in ChatGPT provider at a mock upstream. */
export function chatgptAt(upstream: MockUpstream): Readonly<Record<string, unknown>> {
  return { providers: { chatgpt: { kind: 'chatgpt', baseUrl: upstream.chatgptBaseUrl, authUrl: upstream.authOrigin } } };
}

/** Signs a mock account in by importing a Codex `auth.json` made of its tokens, as a person would. */
export async function importAccount(home: RelayHome, upstream: MockUpstream, name: string, args: readonly string[] = []): Promise<CommandResult> {
  const { credential, identity } = upstream.account(name);
  if (credential.kind !== 'oauth') throw new Error(`${name} has no sign-in`);
  const file = join(home.path, `${name}-auth.json`);
  await writeFile(file, JSON.stringify({
    auth_mode: 'chatgpt',
    tokens: { id_token: credential.idToken, access_token: credential.accessToken, refresh_token: credential.refreshToken, account_id: identity?.workspaceId },
    last_refresh: new Date().toISOString(),
  }), { mode: 0o600 });
  const result = await home.run(['keys', 'add', name, '--import', file, '--accept-terms', '--json', ...args]);
  if (result.code !== 0) throw new Error(`keys add ${name} ended with ${result.code}: ${result.stderr}`);
  return result;
}

async function untilReady(child: ChildProcess): Promise<RunningRelay> {
  let output = '';
  let isOver = false;
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => {
    isOver = true;
    resolve(code);
  }));
  const ready = await waitFor(() => {
    if (isOver) throw new Error(`it ended: ${output}`);
    const line = output.split('\n').find((text) => text.startsWith('{"event":"ready"'));
    return line === undefined ? null : (JSON.parse(line) as { url: string; pid: number; clientKey?: string });
  }, 'the ready line', READY_MS).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw new Error(`Relay did not come up: ${output}`, { cause: error });
  });
  return {
    url: ready.url,
    pid: ready.pid,
    key: ready.clientKey ?? '',
    child,
    output: () => output,
    kill(signal) {
      child.kill(signal);
      return within(exited, `exit after ${signal}`, 40_000);
    },
  };
}

async function runCommand(args: readonly string[], { env, cwd, input, deadlineMs }: CommandOptions): Promise<CommandResult> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const code = await within(closed, `relay ${args.join(' ')}`, deadlineMs ?? 30_000).catch((error: unknown) => {
    // Relay passes it on to the client it runs, if it runs one.
    child.kill('SIGTERM');
    throw new Error(`it said: ${stdout}\n${stderr}`, { cause: error });
  });
  return { code, stdout, stderr };
}
