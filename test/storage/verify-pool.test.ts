import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { homePaths } from '../../src/storage/home.ts';
import { checkLedger } from '../../src/storage/verify-pool.ts';
import type { VerifyProgress } from '../../src/storage/verify.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { makeLedger } from '../support/make-ledger.ts';
import { freshHome, NOON, removeHomes, segmentNames } from './journal-fixture.ts';

afterAll(removeHomes);

describe('a check on several threads', () => {
  test('finds what one on a single thread finds, in a whole journal and in one changed anywhere', async () => {
    const home = await freshHome();
    const made = await makeLedger({ home, requests: 40_000, until: NOON, days: 4, totals: 'missing', segmentBytes: 8 << 20 });
    const { journal } = homePaths(home);
    const whole = await checkLedger(home, { threads: 3 });
    expect(whole).toEqual(await verifyLedger(home));
    expect(whole).toMatchObject({ ok: true, lines: made.lines, segments: made.segments, head: made.head, torn: 0 });

    const names = await segmentNames(home);
    for (const name of [names[0], names[3], names.at(-1)]) {
      const path = join(journal, name ?? '');
      const text = await readFile(path, 'latin1');
      await writeFile(path, text.replace('"status":200', '"status":201'), 'latin1');
      const report = await checkLedger(home, { threads: 3 });
      expect(report).toEqual(await verifyLedger(home));
      expect(report.fault?.segment).toBe(name);
      await writeFile(path, text, 'latin1');
    }
    await rm(join(journal, names[2] ?? ''));
    expect(await checkLedger(home, { threads: 3 })).toEqual(await verifyLedger(home));
  }, 60_000);

  test('says how far it is, once for each segment', async () => {
    const home = await freshHome();
    const made = await makeLedger({ home, requests: 2_000, until: NOON, days: 6, totals: 'missing' });
    const seen: VerifyProgress[] = [];
    await checkLedger(home, { onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ segments }) => segments)).toEqual(Array.from({ length: made.segments }, (_, index) => index + 1));
    expect(seen.at(-1)).toEqual({ segments: made.segments, ofSegments: made.segments, lines: made.lines });
  });

  test('a home without a journal is whole', async () => {
    expect(await checkLedger(await freshHome())).toMatchObject({ ok: true, segments: 0, lines: 0 });
  });
});

test('a made-up ledger is one that a daemon could have written: its chain, its totals, its days', async () => {
  const home = await freshHome();
  const made = await makeLedger({ home, requests: 3_000, until: NOON, days: 10 });
  expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: made.lines });
  const usage: { readonly position: object } = JSON.parse(await readFile(homePaths(home).usage, 'utf8'));
  expect(usage.position).toMatchObject(made.head);
  expect((await segmentNames(home)).length).toBeGreaterThanOrEqual(10);
});
