// `npm run bench:ledger`: what the journal costs to write, check, open and report from. RELAY_BENCH_LINES=1000000 for a long one.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import type { Totals } from '../src/accounting/totals.ts';
import { emptyTotals, foldRecord, parseTotals } from '../src/accounting/totals.ts';
import { reportUsage } from '../src/accounting/usage-report.ts';
import type { Clock, Log } from '../src/core/ports.ts';
import type { CloseRecord } from '../src/core/record.ts';
import { DAY_MS, SECOND_MS } from '../src/core/units.ts';
import { homePaths, openHome } from '../src/storage/home.ts';
import type { Ledger } from '../src/storage/ledger.ts';
import { openLedger } from '../src/storage/ledger.ts';
import { verifyLedger } from '../src/storage/verify.ts';
import { digits, quantile, tableOf } from './figures.ts';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const LINES = Number(process.env['RELAY_BENCH_LINES'] ?? 50_000);
/** Durable appends that are timed; each waits for the disk. */
const APPENDS = 3_000;
const DAYS = 30;
const MODELS = ['gpt-6-sol', 'gpt-6-luna', 'gpt-5.5', 'deepseek-chat'];
const CLIENTS = ['codex', 'cline', 'opencode'];

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const figures: Figure[] = [];
const note = (name: string, value: number, unit: string): void => void figures.push({ name, value, unit });

let at = Date.UTC(2026, 9, 22);
const clock: Clock = {
  now: () => at,
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
};
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

const scratch = await mkdtemp(join(tmpdir(), 'relay-bench-'));
try {
  for (const atATime of [1, 16]) await timeAppends(atATime);
  await timeLongJournal();
} finally {
  await rm(scratch, { recursive: true, force: true });
}
if (values.json) process.stdout.write(`${JSON.stringify({ node: process.version, lines: LINES, figures }, null, 1)}\n`);
else process.stdout.write(tableOf(figures.map(({ name, value, unit }) => [name, digits(value), unit])));

function open(home: string, durability: 'disk' | 'process'): Promise<Ledger<Totals>> {
  return openLedger<Totals>(home, { empty: emptyTotals, fold: foldRecord, parse: parseTotals }, { clock, log: quiet, durability });
}

/** What a request waits for at its end: its closing line on the disk itself, with this many requests ending at a time. */
async function timeAppends(atATime: number): Promise<void> {
  const home = await openHome(join(scratch, `append-${atATime}`));
  const ledger = await open(home, 'disk');
  const waits: number[] = [];
  let left = APPENDS;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      await ledger.journal.append(lineNumbered(left));
      waits.push(performance.now() - startedAt);
    }
  };
  await run(worker, atATime);
  waits.length = 0;
  left = APPENDS;
  const before = process.cpuUsage();
  await run(worker, atATime);
  const { user, system } = process.cpuUsage(before);
  await ledger.close();
  note(`append, ${atATime} at a time: CPU`, (user + system) / APPENDS, 'us');
  note(`append, ${atATime} at a time: wait p50`, quantile(waits, 0.5), 'ms');
  note(`append, ${atATime} at a time: wait p99`, quantile(waits, 0.99), 'ms');
}

async function run(worker: () => Promise<void>, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, worker));
}

/** A month's journal: how long it takes to write in bulk, check, open and report from. */
async function timeLongJournal(): Promise<void> {
  const home = await openHome(join(scratch, 'long'));
  const writing = await open(home, 'process');
  for (let line = 0; line < LINES;) {
    const batch = Math.min(1_024, LINES - line);
    await Promise.all(Array.from({ length: batch }, (_, index) => writing.journal.append(lineNumbered(line + index))));
    line += batch;
    at += Math.ceil((DAYS * DAY_MS * batch) / LINES);
  }
  await writing.close();

  const verifying = performance.now();
  const report = await verifyLedger(home);
  if (!report.ok) throw new Error(`the journal does not verify: ${JSON.stringify(report.fault)}`);
  note(`verify ${report.lines} lines`, report.lines / ((performance.now() - verifying) / SECOND_MS), 'lines/s');

  const starting = performance.now();
  const opened = await open(home, 'disk');
  note(`open with ${LINES} lines`, performance.now() - starting, 'ms');
  const totals = opened.totals.read();
  for (const by of [['model'], ['account', 'day']] as const) {
    const reporting = performance.now();
    const { totals: sum } = reportUsage(totals, { since: at - DAYS * DAY_MS, until: at, by });
    if (sum.requests === 0) throw new Error('the report is empty');
    note(`report of a month by ${by.join(' and ')}`, performance.now() - reporting, 'ms');
  }
  await opened.close();

  await rm(homePaths(home).usage);
  await rm(`${homePaths(home).usage}.bak`, { force: true });
  const rebuilding = performance.now();
  const rebuilt = await open(home, 'disk');
  note(`open with ${LINES} lines and no totals`, performance.now() - rebuilding, 'ms');
  if (JSON.stringify(rebuilt.totals.read()) !== JSON.stringify(totals)) throw new Error('totals folded anew are others');
  await rebuilt.close();
  note('resident after all that', process.memoryUsage().rss / 1_048_576, 'MiB');
}

/** A closing line like any other, 1 KB long. */
function lineNumbered(index: number): CloseRecord {
  const model = MODELS[index % MODELS.length] ?? '';
  const account = `account-${index % 3}`;
  return {
    v: 1, t: at, k: 'close', id: `req_${index.toString(16).padStart(24, '0')}`, client: CLIENTS[index % CLIENTS.length] ?? '', member: 'ada', project: 'relay', env: null,
    endpoint: 'responses', stream: true, model: { asked: model, sent: model, ran: model }, provider: 'chatgpt', account, status: 200, outcome: 'ok', error: null,
    attempts: [{ account, provider: 'chatgpt', model, t: at, ms: 2_345, status: 200, error: null, phase: 'committed' }],
    tokens: { input: 12_000 + (index % 977), cached: 10_240, cacheWrite: 0, output: 300 + (index % 101), reasoning: 64, estimated: false },
    tier: { asked: null, served: 'default' }, cost: { list: 12_345_678 + index, charged: 0, price: 'relay:openai/gpt-6-sol@2026-09-01' },
    ms: { queue: 0, ttft: 640 + (index % 211), total: 2_345 + (index % 499) },
    route: {
      strategy: 'balanced', sticky: 'hit',
      why: Array.from({ length: 3 }, (_, place) => ({ account: `account-${place}`, score: 0.812, parts: { headroom: 0.9, reset: 0.4, health: 1, speed: 0.7, load: 0.9 } })),
    },
    upstreamRequestId: `req_up_${index}`, dropped: [],
  };
}
