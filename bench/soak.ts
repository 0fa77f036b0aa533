// `npm run soak`: minutes of steady traffic with faults in it, and whether anything grows, leaks or is left unsettled.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';

import { waitFor } from '../test/support/wait-for.ts';
import { digits, tableOf } from './figures.ts';
import type { Scenario } from './scenario.ts';
import { scenariosAt, TINY } from './scenarios.ts';
import type { LoadResult } from './generator.ts';
import type { Stage } from './stage.ts';
import { openStage } from './stage.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    'per-second': { type: 'string', default: '50' },
    /** One request in so many meets a fault upstream: refused, broken off in the middle, failed before its first word. */
    'fault-every': { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const perSecond = Number(values['per-second']);
/** A slice of traffic between two looks at the daemon. */
const SLICE_SECONDS = 10;
/** What the daemon still grows by in the first slices is its own warming up. */
const WARM_SHARE = 0.3;
/** More growth than this in an hour, carried on from the slope, is a leak and not noise. */
const MOST_MIB_AN_HOUR = 60;
/** Two minutes' worth: with fewer a slope says nothing. */
const LOOKS_FOR_A_SLOPE = 12;
const MIB = 1_048_576;

/** What the daemon held at the end of a slice. */
interface Look {
  readonly minute: number;
  readonly rssMib: number;
  readonly heapMib: number;
  readonly descriptors: number;
}

const set = scenariosAt({ ...TINY, events: 20, gapMs: 5 });
/** The traffic in turn: small answers, streams on every wire, translations. */
const traffic = [set.small, set.spliceCodex, set.chatToResponses, set.spliceResponses, set.responsesToChat, set.spliceChat];
/** Answers that are kept fill a store of 64 MB for an hour, which is no leak but would hide one. */
const mix: readonly Scenario[] = traffic.map((scenario): Scenario => ({ ...scenario, isKept: false }));

const stage = await openStage({ scenarios: Object.values(set), accountsPerUpstream: 3 });
const looks: Look[] = [];
const outcomes: Record<string, number> = {};
let sent = 0;
try {
  await stage.upstream.ask('faults', { every: Number(values['fault-every']) });
  const start = await look(stage, 0);
  const slices = Math.max(3, Math.round((minutes * 60) / SLICE_SECONDS));
  for (let slice = 0; slice < slices; slice++) {
    await runSlice(stage);
    looks.push(await look(stage, ((slice + 1) * SLICE_SECONDS) / 60));
    const newest = looks.at(-1);
    process.stderr.write(`${digits(newest?.minute ?? 0)} min: ${sent} requests, ${digits(newest?.rssMib ?? 0)} MiB (heap ${digits(newest?.heapMib ?? 0)}), ${newest?.descriptors} descriptors\n`);
  }
  await stage.upstream.ask('faults', { every: 0 });
  await settle(stage, start);
} finally {
  await stage.close();
}

/** Ten seconds of every kind of traffic at once, evenly spread. */
async function runSlice({ generator, targetOf }: Stage): Promise<void> {
  const each = Math.round((perSecond * SLICE_SECONDS) / mix.length);
  for (const scenario of mix) {
    const slice = { ...scenario, requests: each };
    const load = await generator.ask('load', { scenario: slice, target: targetOf(slice, 'relay'), wantsLateness: false, perSecond }, 120_000);
    count(load);
  }
}

function count({ statuses, broken }: LoadResult): void {
  for (const [status, requests] of Object.entries(statuses)) {
    outcomes[status] = (outcomes[status] ?? 0) + requests;
    sent += requests;
  }
  for (const [code, requests] of Object.entries(broken)) outcomes[code] = (outcomes[code] ?? 0) + requests;
}

async function look({ relay }: Stage, minute: number): Promise<Look> {
  const { rss, heapUsed, descriptors } = await relay.ask('usage', { collect: true });
  return { minute, rssMib: rss / MIB, heapMib: heapUsed / MIB, descriptors };
}

/** When all is over: every request has its line, nothing is in flight, descriptors are back, memory does not climb. */
async function settle({ home, relay, sentToRelay }: Stage, start: Look): Promise<void> {
  const lines = await waitFor(async () => {
    const read = await home.journal();
    return read.length >= sentToRelay() && read;
  }, 'a closing line for each request', 30_000);
  assert.equal(lines.length, sentToRelay(), 'each request has one closing line');
  assert.equal(new Set(lines.map(({ id }) => id)).size, lines.length, 'no line comes twice');
  const accounts = JSON.parse((await home.run(['keys', 'list', '--json'])).stdout) as readonly { readonly name: string; readonly inFlight: number }[];
  assert.deepEqual(accounts.filter(({ inFlight }) => inFlight !== 0), [], 'no account has anything in flight');
  assert.equal((await home.run(['ledger', 'verify'])).code, 0, 'the ledger verifies');
  const idle = await waitFor(async () => {
    const { descriptors } = await relay.ask('usage', { collect: true });
    // Kept-alive connections to the upstream end by themselves; a client's are the generator's to keep.
    return descriptors <= start.descriptors + 150 && descriptors;
  }, 'descriptors to be given back', 60_000);
  const steady = looks.slice(Math.floor(looks.length * WARM_SHARE));
  const heapSlope = slopeOf(steady.map(({ minute, heapMib }) => [minute, heapMib])) * 60;
  const rssSlope = slopeOf(steady.map(({ minute, rssMib }) => [minute, rssMib])) * 60;
  const codes: Record<string, number> = {};
  for (const { error } of lines) if (error !== null) codes[error.code] = (codes[error.code] ?? 0) + 1;
  const attempts = lines.reduce((total, { attempts: tried }) => total + tried.length, 0);
  const failed = lines.filter(({ outcome }) => outcome !== 'ok').length;
  const facts = { minutes, requests: sent, outcomes, attempts, failed, codes, heapSlopeMibPerHour: heapSlope, rssSlopeMibPerHour: rssSlope, descriptorsAtStart: start.descriptors, descriptorsAtEnd: idle, looks };
  if (values.json) process.stdout.write(`${JSON.stringify(facts, null, 1)}\n`);
  else {
    process.stdout.write(tableOf([
      ['requests', String(sent)], ['answers', JSON.stringify(outcomes)], ['attempts', String(attempts)], ['not served', JSON.stringify(codes)],
      ['heap, slope', `${digits(heapSlope)} MiB/h`], ['resident, slope', `${digits(rssSlope)} MiB/h`], ['resident', `${digits(start.rssMib)} -> ${digits(looks.at(-1)?.rssMib ?? 0)} MiB`],
      ['descriptors', `${start.descriptors} -> ${idle}`],
    ]));
  }
  if (steady.length < LOOKS_FOR_A_SLOPE) return;
  assert.ok(heapSlope < MOST_MIB_AN_HOUR, `the heap grows by ${digits(heapSlope)} MiB an hour`);
}

/** Least squares: by how much the second grows for each one of the first. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread;
}
