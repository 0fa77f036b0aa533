import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Log } from '../../src/core/ports.ts';
import type { CloseRecord, OpenRecord } from '../../src/core/record.ts';
import { FAKE_START } from '../support/fake-clock.ts';
import { homePaths, openHome } from '../../src/storage/home.ts';

/** When fixtures happen: noon, so that a test that does not care stays within one UTC day. */
export const NOON = FAKE_START;

export interface KeptLog extends Log {
  readonly lines: string[];
}

export function keptLog(): KeptLog {
  const lines: string[] = [];
  const keep = (level: string) => (message: string): void => {
    lines.push(`${level} ${message}`);
  };
  return { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}

const homes: string[] = [];

/** A fresh RELAY_HOME in a folder of its own. */
export async function freshHome(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'relay-storage-'));
  homes.push(folder);
  return openHome(join(folder, 'home'));
}

export async function removeHomes(): Promise<void> {
  for (const home of homes.splice(0)) await rm(home, { recursive: true, force: true });
}

export function closing(id: string, change: Partial<CloseRecord> = {}): CloseRecord {
  return {
    v: 1, t: NOON, k: 'close', id, client: 'default', member: null, project: null, env: null, endpoint: 'responses', stream: true,
    model: { asked: 'fast', sent: 'gpt-6-luna', ran: 'gpt-6-luna' }, provider: 'chatgpt', account: 'personal', status: 200,
    outcome: 'ok', error: null,
    attempts: [
      { account: 'personal', provider: 'chatgpt', model: 'gpt-6-luna', t: NOON, ms: 812, status: 200, error: null, phase: 'committed' },
    ],
    tokens: { input: 120, cached: 20, cacheWrite: 0, output: 40, reasoning: 8, estimated: false },
    tier: { asked: null, served: 'default' }, cost: { list: 1_000, charged: 0, price: 'gpt-6-luna 2026-09-01' },
    ms: { queue: 0, ttft: 210, total: 812 },
    route: { strategy: 'balanced', sticky: 'hit', why: [{ account: 'personal', score: 0.81 }] },
    upstreamRequestId: 'up_1', dropped: [],
    ...change,
  };
}

export async function segmentNames(home: string): Promise<string[]> {
  return (await readdir(homePaths(home).journal)).sort();
}

/** Every line of every segment, in order, parsed. */
export async function allLines(home: string): Promise<Record<string, unknown>[]> {
  const names = (await segmentNames(home)).filter((name) => name.endsWith('.jsonl'));
  const texts = await Promise.all(names.map((name) => readFile(join(homePaths(home).journal, name), 'utf8')));
  return texts.flatMap((text) => text.split('\n').filter((line) => line !== '')).map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A request under a budget whose first attempt has left. */
export function opening(id: string, change: Partial<OpenRecord> = {}): OpenRecord {
  return {
    v: 1, t: NOON, k: 'open', id, client: 'default', member: null, project: null, env: null, endpoint: 'responses', stream: true,
    model: { asked: 'fast', sent: 'gpt-6-luna' }, provider: 'openai', account: 'key', reserved: { input: 120, output: 4_000 },
    cost: { list: 12_000, charged: 12_000, price: 'gpt-6-luna 2026-09-01' },
    ...change,
  };
}
