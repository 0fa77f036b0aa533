import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { makeRelayHome } from '../test/support/start-relay.ts';
import { median } from './figures.ts';
import type { Goal } from './goals.ts';
import type { ScenarioSet } from './scenarios.ts';
import type { Stage } from './stage.ts';
import { measure, startDaemon } from './stage.ts';

type Say = (text: string) => void;

const LAUNCHER = fileURLToPath(new URL('../bin/relay.js', import.meta.url));
const MIB = 1_048_576;

/** Memory of a daemon at rest, and again after many requests. */
export async function measureRest(stage: Stage, { small }: ScenarioSet, requests: number, say: Say): Promise<Goal[]> {
  const fresh = await stage.relay.ask('usage', { collect: false });
  await measure(stage, { ...small, requests: Math.ceil(requests / 20) }, 'relay');
  const warm = await stage.relay.ask('usage', { collect: true });
  await measure(stage, { ...small, requests }, 'relay');
  const after = await stage.relay.ask('usage', { collect: true });
  const mib = (bytes: number): number => bytes / MIB;
  say(`at rest: ${mib(fresh.rss).toFixed(1)} MiB fresh, ${mib(warm.rss).toFixed(1)} warm, ${mib(after.rss).toFixed(1)} after ${requests} requests (heap ${mib(warm.heapUsed).toFixed(1)} -> ${mib(after.heapUsed).toFixed(1)})`);
  const growth = after.rss / warm.rss;
  return [
    { name: 'resident at rest', unit: 'MiB', yardstick: null, relay: mib(fresh.rss), value: mib(fresh.rss), limit: 100, range: null },
    { name: `resident after ${requests} requests, beside after ${Math.ceil(requests / 20)}`, unit: 'MiB', yardstick: mib(warm.rss), relay: mib(after.rss), value: growth, limit: 1.2, range: null },
    { name: `heap after ${requests} requests, the same`, unit: 'MiB', yardstick: mib(warm.heapUsed), relay: mib(after.heapUsed), value: after.heapUsed / warm.heapUsed, limit: 1.2, range: null },
  ];
}

/** From the start of the process to its ready line. */
export async function measureStart(rounds: number, say: Say): Promise<Goal[]> {
  const home = await makeRelayHome();
  const times: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const { child, readyMs } = await startDaemon(home, []);
      times.push(readyMs);
      await child.end();
    }
  } finally {
    await home.remove();
  }
  const node = await Promise.all([timeOf(['-e', '0']), timeOf(['-e', '0'])]);
  say(`ready after ${median(times).toFixed(0)} ms (an empty node: ${median(node).toFixed(0)} ms)`);
  return [{ name: 'start to ready', unit: 'ms', yardstick: null, relay: median(times), value: median(times), limit: 400, range: [Math.min(...times), Math.max(...times)] }];
}

const COMMANDS: readonly (readonly string[])[] = [
  [], ['start'], ['stop'], ['status'], ['keys'], ['keys', 'add'], ['clients'], ['clients', 'add'], ['usage'], ['logs'], ['show'], ['models'], ['ledger'], ['config'], ['run'],
];

/** How long `--help` of each command takes, as a person waits for it: the process from start to end. */
export async function measureCommands(rounds: number, say: Say): Promise<Goal[]> {
  const goals: Goal[] = [];
  for (const command of COMMANDS) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await timeOf([LAUNCHER, ...command, '--help']));
    goals.push({
      name: `relay ${[...command, '--help'].join(' ')}`, unit: 'ms', yardstick: null, relay: median(times), value: median(times), limit: 150, range: [Math.min(...times), Math.max(...times)],
    });
  }
  const slowest = goals.toSorted((left, right) => right.value - left.value)[0];
  say(`--help: the slowest is ${slowest?.name}, ${slowest?.value.toFixed(0)} ms`);
  return goals;
}

function timeOf(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, args, { stdio: 'ignore', env: { ...process.env, NO_COLOR: '1' } });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve(performance.now() - startedAt) : reject(new Error(`${args.join(' ')} ended with ${code}`))));
  });
}
