// `npm run bench`: what Relay costs, each figure beside that of a bare pass-through on the same Node in the same run.
import { parseArgs } from 'node:util';

import { measureCommands, measureRest, measureStart } from './at-rest.ts';
import type { Goal } from './goals.ts';
import { printGoals } from './goals.ts';
import { measureCpu, measureFirstWords, measureIdle, measureSlow } from './in-flight.ts';
import { FULL, scenariosAt } from './scenarios.ts';
import { openStage } from './stage.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    /** Requests after which the memory at rest is compared. */
    requests: { type: 'string', default: '100000' },
    only: { type: 'string', default: 'cpu,ttft,idle,slow,rest,start,help' },
    /** Measures the CPU of those scenarios only whose names contain this. */
    match: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    /** Writes a CPU profile of the daemon into this folder. */
    profile: { type: 'string' },
    'heap-profile': { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const parts = new Set(values.only.split(','));
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const execArgv = [
  ...(values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`, '--cpu-prof-interval=200']),
  ...(values['heap-profile'] === undefined ? [] : ['--heap-prof', `--heap-prof-dir=${values['heap-profile']}`]),
];

const goals: Goal[] = [];
if (parts.has('help')) goals.push(...(await measureCommands(rounds, say)));
if (parts.has('start')) goals.push(...(await measureStart(rounds, say)));
const set = scenariosAt(FULL);
if (['cpu', 'ttft', 'idle', 'slow', 'rest'].some((part) => parts.has(part))) {
  const stage = await openStage({ scenarios: Object.values(set), accountsPerUpstream: 3, execArgv });
  try {
    if (parts.has('rest')) goals.push(...(await measureRest(stage, set, Number(values.requests), say)));
    if (parts.has('idle')) goals.push(...(await measureIdle(stage, set, say)));
    if (parts.has('cpu')) goals.push(...(await measureCpu(stage, set, { rounds, match: values.match }, say)));
    if (parts.has('ttft')) goals.push(...(await measureFirstWords(stage, set, rounds, say)));
    if (parts.has('slow')) goals.push(...(await measureSlow(stage, set, Math.ceil(rounds / 3), say)));
  } finally {
    await stage.close();
  }
}
if (values.json) process.stdout.write(`${JSON.stringify({ node: process.version, rounds, goals }, null, 1)}\n`);
else printGoals(goals);
