import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import type { CloseRecord, JournalLine } from '../../src/core/record.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { CommandResult, RelayHome, RunningRelay } from '../support/start-relay.ts';
import { chatgptAt, importAccount, makeRelayHome } from '../support/start-relay.ts';
import { within } from '../support/wait-for.ts';
import type { PinnedClient } from './pinned-client.ts';

const RUN_MS = 150_000;

/** A folder of the user's with a home and a place to work in. */
export interface UserFolder {
  readonly home: string;
  readonly work: string;
}

/** What one run of a client did. */
export interface ClientRun extends CommandResult {
  readonly user: UserFolder;
  /** The journal's lines of this run, in order. */
  readonly journal: readonly JournalLine<CloseRecord>[];
}

/** What stands behind Relay: ChatGPT sign-ins, keys of the OpenAI API, or keys at a server with chat completions only. */
export type UpstreamKind = 'chatgpt' | 'openai' | 'compatible';
export const UPSTREAM_KINDS: readonly UpstreamKind[] = ['chatgpt', 'openai', 'compatible'];

/** A model that every kind of upstream here serves, classic at ChatGPT. */
export const MODEL = 'gpt-5.5';

/** The built daemon over two accounts at a mock upstream: `first` is asked before `second`. */
export interface TwoAccounts {
  readonly upstream: MockUpstream;
  readonly home: RelayHome;
  readonly relay: RunningRelay;
  /** A new, empty user folder. */
  makeUser(): Promise<UserFolder>;
  /** `relay run CLIENT -- ARGS` in a user's folder, with nothing of this machine's own settings. */
  runClient(name: string, args: readonly string[], options: RunOptions): Promise<ClientRun>;
  /** Runs a client by itself, as a user does who pointed it at Relay with the key of client `default`. */
  runAlone(command: string, args: readonly string[], options: RunOptions): Promise<ClientRun>;
  /** What Relay knows of a client by its name. */
  clientOf(name: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface RunOptions {
  readonly client: PinnedClient;
  readonly user: UserFolder;
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts everything. The program must have been built. */
export async function startTwoAccounts(kind: UpstreamKind = 'chatgpt'): Promise<TwoAccounts> {
  const users = await mkdtemp(join(tmpdir(), 'relay-users-'));
  const { upstream, home, relay } = await (kind === 'chatgpt' ? overSignIns() : overKeys(kind));
  return {
    upstream,
    home,
    relay,
    async makeUser() {
      const folder = await mkdtemp(join(users, 'user-'));
      const user = { home: join(folder, 'home'), work: join(folder, 'work') };
      await mkdir(user.home);
      await mkdir(user.work);
      return user;
    },
    runClient: (name, args, options) => journaled(home, options.user, () => {
      return home.run(['run', name, '--', ...args], { cwd: options.user.work, deadlineMs: RUN_MS, env: userEnv(options) });
    }),
    runAlone: (command, args, options) => journaled(home, options.user, () => runCommand(command, args, options)),
    async clientOf(name) {
      const clients: readonly { readonly name: string }[] = JSON.parse((await home.run(['clients', 'list', '--json'])).stdout);
      return clients.find((client) => client.name === name);
    },
    async close() {
      await relay.kill('SIGKILL');
      await home.remove();
      await upstream.close();
      await rm(users, { recursive: true, force: true });
    },
  };
}

async function journaled(home: RelayHome, user: UserFolder, run: () => Promise<CommandResult>): Promise<ClientRun> {
  const before = (await home.journal().catch(() => [])).length;
  const result = await run();
  return { ...result, user, journal: (await home.journal()).slice(before) };
}

async function runCommand(command: string, args: readonly string[], options: RunOptions): Promise<CommandResult> {
  const env = { ...process.env, ...userEnv(options) };
  const child = spawn(command, args, { cwd: options.user.work, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const code = await within(closed, `${command} ${args.join(' ')}`, RUN_MS).catch((error: unknown) => {
    child.kill('SIGTERM');
    throw new Error(`it said: ${stdout}\n${stderr}`, { cause: error });
  });
  return { code, stdout, stderr };
}

/** A user's environment: the client before everything else in `PATH`, and nothing of this machine's own settings. */
function userEnv({ client, user, env }: RunOptions): NodeJS.ProcessEnv {
  const path = `${client.bin}${delimiter}${process.env['PATH'] ?? ''}`;
  return { ...ownSettingsAway(), HOME: user.home, PWD: user.work, PATH: path, ...env };
}

type Stage = Pick<TwoAccounts, 'upstream' | 'home' | 'relay'>;

async function overSignIns(): Promise<Stage> {
  const upstream = await startMockUpstream({
    accounts: [{ name: 'first', kind: 'chatgpt', plan: 'plus' }, { name: 'second', kind: 'chatgpt', plan: 'pro' }],
  });
  const home = await makeRelayHome(chatgptAt(upstream));
  const relay = await home.start();
  await importAccount(home, upstream, 'first', ['--priority', '1']);
  await importAccount(home, upstream, 'second', ['--priority', '2']);
  return { upstream, home, relay };
}

async function overKeys(kind: 'openai' | 'compatible'): Promise<Stage> {
  const accounts = ['first', 'second'].map((name) => ({ name, kind: 'api-key', apiKey: `sk-upstream-${name}` }) as const);
  const upstream = await startMockUpstream({ accounts, models: [MODEL] });
  const home = await makeRelayHome({ providers: { upstream: { kind, baseUrl: upstream.platformBaseUrl } } });
  const relay = await home.start();
  for (const [index, { name, apiKey }] of accounts.entries()) {
    const args = ['keys', 'add', name, '--provider', 'upstream', '--api-key-stdin', '--priority', String(index + 1)];
    const added = await home.run(args, { input: apiKey });
    if (added.code !== 0) throw new Error(`keys add ${name} ended with ${added.code}: ${added.stderr}`);
  }
  return { upstream, home, relay };
}

/** Variables by which this machine's own proxies, keys and folders would leak into a client, emptied. */
function ownSettingsAway(): NodeJS.ProcessEnv {
  const leaky = /^(?:https?_proxy|all_proxy|no_proxy|openai_.*|anthropic_.*|codex_.*|opencode.*|xdg_.*|vitest.*)$/i;
  return Object.fromEntries(Object.keys(process.env).filter((name) => leaky.test(name)).map((name) => [name, undefined]));
}

/** Every file below a folder with its content, to compare before and after; empty when the folder is not there. */
export async function treeOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(file, 'base64')] as const)));
}
