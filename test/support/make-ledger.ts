import { open, mkdir, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { emptyTotals, foldRecord } from '../../src/accounting/totals.ts';
import type { CloseRecord, JournalRecord, NoteRecord } from '../../src/core/record.ts';
import type { EpochMs } from '../../src/core/units.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/core/units.ts';
import { homePaths } from '../../src/storage/home.ts';
import type { Head } from '../../src/storage/journal-line.ts';
import { GENESIS, MAX_LINE_BYTES, sealRecord } from '../../src/storage/journal-line.ts';
import { nextSegmentName, utcDay } from '../../src/storage/segments.ts';
import { seededRandom } from './seeded-random.ts';

/** What a made-up ledger is like. */
export interface LedgerShape {
  readonly home: string;
  /** Finished requests; segments' first lines come on top. */
  readonly requests: number;
  /** When the last of them ended. */
  readonly until: EpochMs;
  /** How many days they are spread over, evenly. 30. */
  readonly days?: number;
  readonly seed?: number;
  /** Also writes `usage.json`, as a daemon that was stopped in good order leaves it. */
  readonly totals?: 'written' | 'missing';
  readonly segmentBytes?: number;
}

/** What was made. */
export interface MadeLedger {
  readonly lines: number;
  readonly bytes: number;
  readonly segments: number;
  readonly head: Head;
}

/**
 * Writes a whole journal of believable requests into a home, chained as a daemon would have written it, in one pass and
 * without a sync: some 50,000 lines a second, so ten millions take four minutes and 10 GB.
 */
export async function makeLedger({ home, requests, until, days = 30, seed = 1, totals = 'written', segmentBytes = 64 << 20 }: LedgerShape): Promise<MadeLedger> {
  const paths = homePaths(home);
  await mkdir(paths.journal, { recursive: true, mode: 0o700 });
  const makeRecord = recordMaker(seed);
  const writer = segmentWriter(paths.journal, segmentBytes);
  const folded = emptyTotals();
  const stepMs = (days * DAY_MS) / requests;
  for (let index = 0; index < requests; index += 1) {
    const record = makeRecord(index, Math.floor(until - (requests - 1 - index) * stepMs));
    if (totals === 'written') foldRecord(folded, record);
    await writer.append(record);
  }
  const made = await writer.close();
  const position = { segment: made.segment, offset: made.offset, seq: made.head.seq, h: made.head.h };
  if (totals === 'written') await writeFile(paths.usage, `${JSON.stringify({ version: 1, position, totals: folded, open: [] })}\n`, { mode: 0o600 });
  return { lines: made.head.seq, bytes: made.bytes, segments: made.segments, head: made.head };
}

interface SegmentWriter {
  append(record: CloseRecord): Promise<void>;
  close(): Promise<{ readonly head: Head; readonly bytes: number; readonly segments: number; readonly segment: string; readonly offset: number }>;
}

const CHUNK_BYTES = 4 << 20;

/** Lines into segments, in pieces of some MiB. */
function segmentWriter(folder: string, segmentBytes: number): SegmentWriter {
  let head: Head = GENESIS;
  let file: FileHandle | null = null;
  let name: string | null = null;
  let texts: string[] = [];
  let [waiting, offset, bytes, segments] = [0, 0, 0, 0];

  const flush = async (): Promise<void> => {
    if (texts.length > 0) await file?.writeFile(Buffer.from(texts.join(''), 'latin1'));
    [texts, waiting] = [[], 0];
  };
  const put = (record: JournalRecord): void => {
    const { line, text } = sealRecord(record, head);
    head = { seq: line.seq, h: line.h };
    texts.push(text);
    waiting += text.length;
    offset += text.length;
    bytes += text.length;
  };
  const begin = async (t: EpochMs): Promise<void> => {
    await flush();
    await file?.close();
    const reason = name === null ? 'first' : utcDay(t) > name.slice(0, 10) ? 'day' : 'size';
    const detail: NoteRecord['detail'] = { reason, previous: head.h, after: name, offset };
    name = nextSegmentName(name, utcDay(t));
    file = await open(join(folder, name), 'wx', 0o600);
    segments += 1;
    offset = 0;
    put({ v: 1, t, k: 'note', note: 'segment', detail });
  };
  return {
    async append(record) {
      if (name === null || utcDay(record.t) > name.slice(0, 10) || offset + 2 * MAX_LINE_BYTES > segmentBytes) await begin(record.t);
      put(record);
      if (waiting > CHUNK_BYTES) await flush();
    },
    async close() {
      await flush();
      await file?.close();
      return { head, bytes, segments, segment: name ?? '', offset };
    },
  };
}

const ACCOUNTS = [['work', 'chatgpt'], ['personal', 'chatgpt'], ['key', 'openai'], ['deep', 'deepseek']] as const;
/** Clients have habits: each its member, its project, and two models. */
const CLIENTS = [
  { client: 'codex', member: 'ada', project: 'web', models: ['gpt-6-sol', 'gpt-6-luna'] },
  { client: 'aider', member: 'ada', project: 'web', models: ['gpt-5.5', 'deepseek-v4-pro'] },
  { client: 'zed', member: 'bob', project: 'web', models: ['gpt-6-luna', 'gpt-6-sol'] },
  { client: 'cline', member: 'bob', project: 'app', models: ['gpt-5.5', 'gpt-6-luna'] },
  { client: 'ci', member: null, project: 'app', models: ['deepseek-v4-pro', 'gemini-3.8-flash'] },
] as const;

/** Requests such as a few people with a few clients make: mostly well served, some after a failover, some refused. */
function recordMaker(seed: number): (index: number, t: EpochMs) => CloseRecord {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  return (index, t) => {
    const { client, member, project, models } = pick(CLIENTS);
    const model = below(5) > 0 ? models[0] : models[1];
    const isDeepSeek = model.startsWith('deepseek');
    const [account, provider] = isDeepSeek ? ACCOUNTS[3] : ACCOUNTS[below(10) > 0 ? 0 : below(3)] ?? ACCOUNTS[0];
    const [other, otherProvider] = pick(ACCOUNTS);
    const total = 800 + below(40_000);
    const failed = below(40) === 0;
    const failedOver = below(12) === 0;
    const input = 500 + below(60_000);
    const output = failed ? 0 : 20 + below(3_000);
    const list = input * 100 + output * 500;
    const started = t - total;
    return {
      v: 1, t, k: 'close', id: `req_${(index + 0x1_000_000_000).toString(16).padStart(24, '0')}`, client, member, project, env: null,
      endpoint: 'responses', stream: true, model: { asked: 'fast', sent: model, ran: failed ? null : model }, provider, account,
      status: failed ? 503 : 200, outcome: failed ? 'failed' : 'ok', error: failed ? { code: 'overloaded', message: `Account "${account}" is overloaded.` } : null,
      attempts: [
        ...(failedOver ? [{ account: other, provider: otherProvider, model, t: started, ms: 120, status: 429, error: 'rate_limit_exceeded', phase: 'headers' }] : []),
        { account, provider, model, t: started + 120, ms: total - 120, status: failed ? 503 : 200, error: failed ? 'overloaded' : null, phase: failed ? 'headers' : 'committed' },
      ],
      tokens: failed ? null : { input, cached: below(input), cacheWrite: 0, output, reasoning: below(output), estimated: false },
      tier: { asked: null, served: failed ? null : 'default' },
      cost: failed ? { list: 0, charged: 0, price: null } : { list, charged: provider === 'chatgpt' ? 0 : list, price: `relay:openai/${model}@2026-10-01` },
      ms: { queue: below(20), ttft: failed ? null : 300 + below(4_000), total },
      route: {
        strategy: 'balanced', sticky: below(3) === 0 ? 'miss' : 'hit',
        why: [{ account, score: 0.81, parts: { headroom: 0.7, load: 1, speed: 0.6 } }, { account: other, out: 'cooldown', until: t + HOUR_MS }],
      },
      upstreamRequestId: failed ? null : `up_${index.toString(16)}`, dropped: below(9) === 0 ? ['temperature'] : [],
    };
  };
}

/** `node test/support/make-ledger.ts HOME REQUESTS [DAYS]`: makes one by hand, ending a minute ago. */
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [home = '', requests = '1000000', days = '30'] = process.argv.slice(2);
  if (home === '') throw new Error('node test/support/make-ledger.ts HOME REQUESTS [DAYS]');
  const made = await makeLedger({ home: resolve(home), requests: Number(requests), days: Number(days), until: Date.now() - MINUTE_MS });
  process.stdout.write(`${JSON.stringify(made)}\n`);
}
