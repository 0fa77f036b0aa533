import { median, quantile } from './figures.ts';
import type { Goal } from './goals.ts';
import type { LoadResult } from './generator.ts';
import type { Scenario } from './scenario.ts';
import type { ScenarioSet } from './scenarios.ts';
import type { Between, Measured, Stage } from './stage.ts';
import { measure } from './stage.ts';

type Say = (text: string) => void;

/** A scenario whose CPU is compared round by round with that of another place or scenario. */
interface Comparison {
  readonly name: string;
  readonly unit: string;
  readonly limit: number | null;
  readonly yardstick: { readonly scenario: Scenario; readonly between: Between };
  readonly relay: Scenario;
  /** What a run's CPU is divided by. */
  readonly pieces: (load: LoadResult) => number;
}

const requests = (load: LoadResult): number => load.totalMs.length;
const deltas = (load: LoadResult): number => load.deltas;

function comparisonsOf(set: ScenarioSet): readonly Comparison[] {
  const besidePassThrough = (scenario: Scenario, limit: number | null, unit: string, pieces: Comparison['pieces']): Comparison => ({
    name: `CPU, ${scenario.name}`, unit, limit, pieces, relay: scenario, yardstick: { scenario, between: 'pass-through' },
  });
  const besideSplice = (scenario: Scenario, splice: Scenario): Comparison => ({
    name: `CPU, ${scenario.name}`, unit: 'us/event', limit: 3, pieces: deltas, relay: scenario, yardstick: { scenario: splice, between: 'relay' },
  });
  return [
    besidePassThrough(set.small, 1.5, 'us', requests),
    besidePassThrough(set.smallAlone, 1.5, 'us', requests),
    besidePassThrough(set.large, 1.2, 'us', requests),
    besidePassThrough(set.spliceChat, 1.2, 'us/event', deltas),
    besidePassThrough(set.spliceResponses, 1.2, 'us/event', deltas),
    besidePassThrough(set.spliceCodex, 1.2, 'us/event', deltas),
    besideSplice(set.responsesToChat, set.spliceChat),
    besideSplice(set.chatToResponses, set.spliceResponses),
  ];
}

/** How often, and which of the scenarios. */
interface CpuRun {
  readonly rounds: number;
  readonly match: string;
}

/** CPU by each process's own account, in interleaved rounds: yardstick and Relay by turns, first the one, then the other. */
export async function measureCpu(stage: Stage, set: ScenarioSet, { rounds, match }: CpuRun, say: Say): Promise<Goal[]> {
  const goals: Goal[] = [];
  for (const comparison of comparisonsOf(set).filter(({ name }) => name.includes(match))) {
    const { yardstick, relay, pieces } = comparison;
    await measure(stage, yardstick.scenario, yardstick.between);
    await measure(stage, relay, 'relay');
    const ratios: number[] = [];
    const yards: number[] = [];
    const ours: number[] = [];
    let last: Measured | null = null;
    for (let round = 0; round < rounds; round++) {
      const runs: (() => Promise<void>)[] = [
        async () => void yards.push(costOf(await measure(stage, yardstick.scenario, yardstick.between), pieces)),
        async () => {
          last = await measure(stage, relay, 'relay');
          ours.push(costOf(last, pieces));
        },
      ];
      for (const run of round % 2 === 0 ? runs : runs.toReversed()) await run();
      ratios.push((ours.at(-1) ?? 0) / (yards.at(-1) ?? 1));
    }
    const shares: Measured | null = last;
    goals.push({
      name: comparison.name, unit: comparison.unit, limit: comparison.limit, yardstick: median(yards), relay: median(ours), value: median(ratios), range: rangeOf(ratios),
      ...sharesOf(shares),
    });
    say(`${comparison.name}: ${median(ratios).toFixed(2)} times the yardstick (${median(yards).toFixed(1)} -> ${median(ours).toFixed(1)} ${comparison.unit})`);
  }
  return goals;
}

function sharesOf(measured: Measured | null): Pick<Goal, 'generatorShare' | 'upstreamShare'> {
  return measured === null ? {} : { generatorShare: measured.generatorShare, upstreamShare: measured.upstreamShare };
}

function costOf({ load, cpuUs }: Measured, pieces: (load: LoadResult) => number): number {
  requireWhole(load);
  return cpuUs / pieces(load);
}

/** A run with a failed request measures something else. */
function requireWhole({ statuses, broken }: LoadResult): void {
  if (Object.keys(broken).length === 0 && Object.keys(statuses).every((status) => status === '200')) return;
  throw new Error(`a run failed: ${JSON.stringify({ statuses, broken })}`);
}

/** Time to the first word, one request at a time: straight, through the pass-through and through Relay by turns. */
export async function measureFirstWords(stage: Stage, { firstWord }: ScenarioSet, rounds: number, say: Say): Promise<Goal[]> {
  const places: readonly Between[] = ['nothing', 'pass-through', 'relay'];
  const times: Record<Between, number[][]> = { nothing: [], 'pass-through': [], relay: [] };
  for (let round = -1; round < rounds; round++) {
    for (const between of round % 2 === 0 ? places : places.toReversed()) {
      const { load } = await measure(stage, firstWord, between);
      requireWhole(load);
      if (round >= 0) times[between].push([...load.ttftMs]);
    }
  }
  const at = (between: Between, share: number): number[] => times[between].map((round) => quantile(round, share));
  const added = at('relay', 0.5).map((ms, round) => ms - (at('pass-through', 0.5)[round] ?? 0));
  const tails = at('relay', 0.99).map((ms, round) => ms / (at('pass-through', 0.99)[round] ?? 1));
  say(`first word: straight ${median(at('nothing', 0.5)).toFixed(3)} ms, pass-through ${median(at('pass-through', 0.5)).toFixed(3)} ms, Relay ${median(at('relay', 0.5)).toFixed(3)} ms`);
  return [
    { name: 'TTFT p50, more than the pass-through', unit: 'ms', yardstick: median(at('pass-through', 0.5)), relay: median(at('relay', 0.5)), value: median(added), limit: 0.3, range: rangeOf(added) },
    { name: 'TTFT p99', unit: 'ms', yardstick: median(at('pass-through', 0.99)), relay: median(at('relay', 0.99)), value: median(tails), limit: 1.25, range: rangeOf(tails) },
  ];
}

/** Memory of open streams that say nothing: heap and buffers after a collection, and what the system sees. */
export async function measureIdle(stage: Stage, { idle }: ScenarioSet, say: Say): Promise<Goal[]> {
  const heap: Record<string, number[]> = { 'pass-through': [], relay: [] };
  const rss: Record<string, number[]> = { 'pass-through': [], relay: [] };
  for (let round = 0; round < 3; round++) {
    for (const between of ['pass-through', 'relay'] as const) {
      const process = between === 'relay' ? stage.relay : stage.passThrough;
      const before = await process.ask('usage', { collect: true });
      await stage.generator.ask('hold', { scenario: idle, target: stage.targetOf(idle, between) }, 60_000);
      const open = await process.ask('usage', { collect: true });
      heap[between]?.push((open.heapUsed + open.external - before.heapUsed - before.external) / idle.requests / 1_024);
      rss[between]?.push((open.rss - before.rss) / idle.requests / 1_024);
      await stage.generator.ask('letGo', null);
      await untilUpstreamIsLetGo(stage);
    }
  }
  const goal = (name: string, of: Record<string, number[]>, pick: (values: readonly number[]) => number): Goal => {
    const [yardstick, relay] = [pick(of['pass-through'] ?? []), pick(of['relay'] ?? [])];
    say(`${name}: ${yardstick.toFixed(1)} -> ${relay.toFixed(1)} KiB`);
    return { name, unit: 'KiB', yardstick, relay, value: relay / yardstick, limit: 1.3, range: null };
  };
  return [
    goal('memory of an idle stream, heap and buffers', heap, median),
    // The system's figure only means something the first time: what was let go is kept for the next.
    goal('memory of an idle stream, resident, first time', rss, (values) => values[0] ?? 0),
  ];
}

async function untilUpstreamIsLetGo({ upstream, passThrough, relay }: Stage): Promise<void> {
  const deadline = performance.now() + 20_000;
  while ((await upstream.ask('served', null)).connections > 100) {
    if (performance.now() > deadline) throw new Error('streams were not let go');
    await Promise.all([passThrough.ask('usage', { collect: true }), relay.ask('usage', { collect: true })]);
  }
}

/** Many slow streams at once: how late their events come. */
export async function measureSlow(stage: Stage, { slow }: ScenarioSet, rounds: number, say: Say): Promise<Goal[]> {
  const p99: number[] = [];
  const worst: number[] = [];
  const ourP99: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const yard = await measure(stage, slow, 'pass-through', { wantsLateness: true });
    const ours = await measure(stage, slow, 'relay', { wantsLateness: true });
    requireWhole(yard.load);
    requireWhole(ours.load);
    // The first event of each is in the rush of opening; lateness is that of events on open streams.
    p99.push(quantile(yard.load.latenessMs, 0.99));
    ourP99.push(quantile(ours.load.latenessMs, 0.99));
    worst.push(quantile(ours.load.latenessMs, 1));
    say(`${slow.requests} slow streams: pass-through p99 ${(p99.at(-1) ?? 0).toFixed(2)} ms, worst ${quantile(yard.load.latenessMs, 1).toFixed(2)}; Relay p99 ${(ourP99.at(-1) ?? 0).toFixed(2)}, worst ${(worst.at(-1) ?? 0).toFixed(2)}`);
  }
  const ratio = (values: readonly number[]): number[] => values.map((ms, round) => ms / (p99[round] ?? 1));
  return [
    { name: `lateness, ${slow.requests} slow streams, p99`, unit: 'ms', yardstick: median(p99), relay: median(ourP99), value: median(ratio(ourP99)), limit: 2, range: rangeOf(ratio(ourP99)) },
    { name: 'lateness, worst event beside their p99', unit: 'ms', yardstick: median(p99), relay: median(worst), value: median(ratio(worst)), limit: 2, range: rangeOf(ratio(worst)) },
  ];
}

function rangeOf(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}
