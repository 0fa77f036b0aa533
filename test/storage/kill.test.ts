import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { afterAll, expect, test } from 'vitest';

import { queryRequests } from '../../src/storage/query.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { waitFor, within } from '../support/wait-for.ts';
import { freshHome, removeHomes } from './journal-fixture.ts';

afterAll(removeHomes);

const APPENDER = fileURLToPath(new URL('./append-until-killed.ts', import.meta.url));

/** Runs the appender until it has acknowledged so many, kills it, and gives back everything it acknowledged. */
async function runAndKill(home: string, run: number, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, [APPENDER, home, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  await waitFor(() => printed.split('\n').length > acknowledgements, 'acknowledgements', 10_000);
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await within(closed, 'the end of the process');
  return printed.split('\n').slice(0, -1);
}

test('S01: after kill -9 under load no acknowledged line is missing and none stands twice', async () => {
  const home = await freshHome();
  const random = seededRandom(7);
  const acknowledged: string[] = [];
  for (let run = 0; run < 8; run += 1) acknowledged.push(...(await runAndKill(home, run, 20 + Math.floor(random.next() * 600))));
  const found: string[] = [];
  for await (const { line } of queryRequests(home)) found.push(line.id);
  const stored = new Set(found);
  expect(stored.size).toBe(found.length);
  expect(acknowledged.length).toBeGreaterThan(200);
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  expect((await verifyLedger(home)).ok).toBe(true);
}, 60_000);
