import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { makeChatGptJwt } from '../test/support/make-jwt.ts';
import type { RelayHome } from '../test/support/start-relay.ts';
import { makeRelayHome } from '../test/support/start-relay.ts';
import { waitFor } from '../test/support/wait-for.ts';
import type { Child, ProbeQuestions, Usage } from './child.ts';
import { asChild, NODE_OPTIONS, startChild } from './child.ts';
import type { GeneratorQuestions, LoadResult, Target } from './generator.ts';
import type { PassThroughQuestions } from './pass-through.ts';
import type { Scenario, UpstreamKind } from './scenario.ts';
import { modelOf, relayPath, UPSTREAM_PATHS } from './scenario.ts';
import type { UpstreamQuestions } from './upstream.ts';

/** What stands between the generator and the upstream. */
export type Between = 'nothing' | 'pass-through' | 'relay';

/** The processes of a bench: upstream, pass-through, Relay as it is installed, and the load. All on this machine's loopback. */
export interface Stage {
  readonly home: RelayHome;
  readonly upstream: Child<UpstreamQuestions & ProbeQuestions>;
  readonly passThrough: Child<PassThroughQuestions & ProbeQuestions>;
  readonly relay: Child<ProbeQuestions>;
  readonly generator: Child<GeneratorQuestions & ProbeQuestions>;
  /** From the daemon's start as a process to its ready line, in ms. */
  readonly readyMs: number;
  targetOf(scenario: Scenario, between: Between): Target;
  /** Requests sent to Relay so far: as many closing lines its journal must have. */
  readonly sentToRelay: () => number;
  /** Ends everything; the daemon is given time to drain. */
  close(): Promise<void>;
}

export interface StageOptions {
  /** Every scenario that will run; their models are what Relay's accounts serve. */
  readonly scenarios: readonly Scenario[];
  readonly accountsPerUpstream: number;
  /** Options for the daemon's node, such as `--cpu-prof`. */
  readonly execArgv?: readonly string[];
}

const LAUNCHER = fileURLToPath(new URL('../bin/relay.js', import.meta.url));
const READY_MS = 20_000;
const PRICE = { input: 1.25, cached: 0.125, output: 10 };

/** Sets the stage: homes, accounts, a client with a budget, and every process up. */
export async function openStage({ scenarios, accountsPerUpstream, execArgv = [] }: StageOptions): Promise<Stage> {
  const upstream = startChild<UpstreamQuestions>('upstream.ts');
  const modelsOf = (kind: UpstreamKind): readonly string[] => [...new Set(scenarios.filter((scenario) => scenario.upstream === kind).map(modelOf))];
  const { port } = await upstream.ask('listen', { codexModels: modelsOf('codex') });
  const home = await makeRelayHome(settingsFor(port, modelsOf, scenarios));
  await addAccounts(home, modelsOf, accountsPerUpstream);
  const passThrough = startChild<PassThroughQuestions>('pass-through.ts');
  const yardstick = await passThrough.ask('listen', { upstreamPort: port });
  const generator = startChild<GeneratorQuestions>('generator.ts');
  const daemon = await startDaemon(home, execArgv);
  const client = await addClient(home);
  await untilServed(daemon.url, client, scenarios);
  let sent = 0;
  return {
    home, upstream, passThrough, generator,
    relay: daemon.child,
    readyMs: daemon.readyMs,
    targetOf(scenario, between) {
      if (between === 'nothing') return { port, path: UPSTREAM_PATHS[scenario.upstream], authorization: 'Bearer bench' };
      if (between === 'pass-through') return { port: yardstick.port, path: UPSTREAM_PATHS[scenario.upstream], authorization: 'Bearer bench' };
      sent += scenario.requests;
      return { port: Number(new URL(daemon.url).port), path: relayPath(scenario), authorization: `Bearer ${client}` };
    },
    sentToRelay: () => sent,
    async close() {
      await Promise.all([daemon.child.end(), generator.end(), passThrough.end()]);
      await upstream.end();
      await home.remove();
    },
  };
}

/** What each process used while one run of a scenario went on. */
export interface Measured {
  readonly load: LoadResult;
  /** CPU microseconds of what stands between; 0 for nothing. */
  readonly cpuUs: number;
  /** CPU of generator and upstream, as shares of one core. */
  readonly generatorShare: number;
  readonly upstreamShare: number;
}

/** Runs a scenario once and reads every process's own CPU account before and after. */
export async function measure(stage: Stage, scenario: Scenario, between: Between, options: { readonly wantsLateness?: boolean; readonly perSecond?: number } = {}): Promise<Measured> {
  const target = stage.targetOf(scenario, between);
  const { wantsLateness = false, perSecond = 0 } = options;
  const before = await usageOfAll(stage, between);
  const load = await stage.generator.ask('load', { scenario, target, wantsLateness, perSecond }, 1_200_000);
  const after = await usageOfAll(stage, between);
  const used = (of: keyof typeof before): number => (after[of]?.cpuUs ?? 0) - (before[of]?.cpuUs ?? 0);
  return { load, cpuUs: used('between'), generatorShare: used('generator') / 1_000 / load.ms, upstreamShare: used('upstream') / 1_000 / load.ms };
}

async function usageOfAll(stage: Stage, between: Between): Promise<{ readonly between: Usage | null; readonly generator: Usage; readonly upstream: Usage }> {
  const ask = { collect: false };
  const middle = between === 'nothing' ? null : between === 'relay' ? stage.relay : stage.passThrough;
  const [used, generator, upstream] = await Promise.all([middle?.ask('usage', ask) ?? null, stage.generator.ask('usage', ask), stage.upstream.ask('usage', ask)]);
  return { between: used, generator, upstream };
}

function settingsFor(port: number, modelsOf: (kind: UpstreamKind) => readonly string[], scenarios: readonly Scenario[]): Readonly<Record<string, unknown>> {
  const origin = `http://127.0.0.1:${port}`;
  return {
    providers: {
      chat: { kind: 'compatible', baseUrl: `${origin}/v1`, wire: 'chat', models: modelsOf('chat') },
      responses: { kind: 'compatible', baseUrl: `${origin}/v1`, wire: 'responses', models: modelsOf('responses') },
      chatgpt: { kind: 'chatgpt', baseUrl: `${origin}/backend-api`, authUrl: origin },
    },
    routing: { accountConcurrency: 5_000 },
    limits: { queue: 5_000, inflightBodyMb: 2_000 },
    pricing: Object.fromEntries(scenarios.map((scenario) => [modelOf(scenario), PRICE])),
  };
}

async function addAccounts(home: RelayHome, modelsOf: (kind: UpstreamKind) => readonly string[], count: number): Promise<void> {
  for (const kind of ['chat', 'responses', 'codex'] as const) {
    if (modelsOf(kind).length === 0) continue;
    for (let index = 1; index <= count; index++) {
      await (kind === 'codex' ? addSignIn(home, index) : addKey(home, kind, index));
    }
  }
}

async function addKey(home: RelayHome, provider: string, index: number): Promise<void> {
  await succeed(home, ['keys', 'add', `${provider}-${index}`, '--provider', provider, '--api-key-stdin', '--no-verify'], `sk-bench-${provider}-${index}\n`);
}

/** A ChatGPT sign-in whose token is good for a month, so that none has to be renewed. */
async function addSignIn(home: RelayHome, index: number): Promise<void> {
  const token = makeChatGptJwt({
    userId: `user-${index}`, workspaceId: `ws-${index}`, email: `${index}@example.com`, expiresAtSeconds: Math.floor(Date.now() / 1_000) + 30 * 86_400,
  });
  const file = join(home.path, `sign-in-${index}.json`);
  const tokens = { id_token: token, access_token: token, refresh_token: `rt-${index}`, account_id: `ws-${index}` };
  await writeFile(file, JSON.stringify({ auth_mode: 'chatgpt', tokens, last_refresh: new Date().toISOString() }), { mode: 0o600 });
  await succeed(home, ['keys', 'add', `codex-${index}`, '--import', file, '--accept-terms', '--no-verify']);
}

async function addClient(home: RelayHome): Promise<string> {
  const made = await succeed(home, ['clients', 'add', 'bench', '--concurrency', '5000', '--budget', '1000000usd/month', '--json']);
  const { key }: { readonly key: string } = JSON.parse(made);
  return key;
}

async function succeed(home: RelayHome, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await home.run(args, input === undefined ? {} : { input });
  if (code !== 0) throw new Error(`relay ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** Starts the built daemon as a person would, with the probe loaded in front. */
export async function startDaemon(home: RelayHome, execArgv: readonly string[]): Promise<{ readonly child: Child<ProbeQuestions>; readonly url: string; readonly readyMs: number }> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...NODE_OPTIONS, ...execArgv, LAUNCHER, 'start', '--json', '--port', '0'], {
    env: home.env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let output = '';
  let readyMs = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    if (readyMs === 0) output += chunk.toString('utf8');
    if (readyMs === 0 && output.includes('\n')) readyMs = performance.now() - startedAt;
  });
  const url = await waitFor(() => {
    if (child.exitCode !== null) throw new Error(`relay start ended with ${child.exitCode}: ${output}`);
    return readyMs > 0 ? /"url":"([^"]+)"/.exec(output)?.[1] : undefined;
  }, 'the ready line', READY_MS);
  return { child: asChild(child), url, readyMs };
}

/** Model lists are fetched behind the daemon's back: waits until every scenario's model is served. */
async function untilServed(url: string, key: string, scenarios: readonly Scenario[]): Promise<void> {
  const wanted = scenarios.map(modelOf);
  await waitFor(async () => {
    const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
    const list: { readonly data?: readonly { readonly id: string }[] } = JSON.parse(await answer.text());
    const served = new Set((list.data ?? []).map(({ id }) => id));
    const missing = wanted.filter((model) => !served.has(model));
    if (missing.length > 0) throw new Error(`not served: ${missing.join(', ')}`);
    return true;
  }, 'the models of every scenario', READY_MS);
}
