import { copyFile, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { isJsonObject, numberAt, objectAt } from '../../src/core/json.ts';
import { homePaths } from '../../src/storage/home.ts';
import { openLedger } from '../../src/storage/ledger.ts';
import type { Ledger } from '../../src/storage/ledger.ts';
import { queryRequests } from '../../src/storage/query.ts';
import { realDisk } from '../../src/storage/segment-file.ts';
import { readTotals } from '../../src/storage/totals-file.ts';
import type { Folder } from '../../src/storage/fold-journal.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { closing, freshHome, keptLog, NOON, removeHomes } from './journal-fixture.ts';
import type { KeptLog } from './journal-fixture.ts';

afterAll(removeHomes);

/** Counts and sums, by client: enough to see a line counted twice or not at all. */
interface Sums {
  requests: number;
  list: number;
  byClient: Record<string, number>;
}

const sums: Folder<Sums> = {
  empty: () => ({ requests: 0, list: 0, byClient: {} }),
  fold: (totals, line) => {
    totals.requests += 1;
    totals.list += line.cost.list;
    totals.byClient[line.client] = (totals.byClient[line.client] ?? 0) + 1;
    return totals;
  },
  parse: (value) => {
    const requests = numberAt(value, 'requests');
    const list = numberAt(value, 'list');
    const byClient = objectAt(value, 'byClient');
    if (requests === undefined || list === undefined || !byClient) throw new Error('no sums');
    return { requests, list, byClient: Object.fromEntries(Object.keys(byClient).map((key) => [key, numberAt(byClient, key) ?? 0])) };
  },
};

interface Opened {
  readonly ledger: Ledger<Sums>;
  readonly clock: FakeClock;
  readonly log: KeptLog;
}

async function open(home: string, durability: 'disk' | 'process' = 'process'): Promise<Opened> {
  const clock = fakeClock();
  const log = keptLog();
  return { ledger: await openLedger(home, sums, { clock, log, durability, segmentBytes: 24 << 10 }), clock, log };
}

async function append({ ledger }: Opened, count: number, from = 0): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => {
    const cost = { list: from + index, charged: 0, price: null };
    return ledger.journal.append(closing(`req_${from + index}`, { client: `c${index % 3}`, cost }));
  }));
}

async function recount(home: string): Promise<Sums> {
  let counted = sums.empty();
  for await (const { line } of queryRequests(home, { order: 'oldest' })) counted = sums.fold(counted, line);
  return counted;
}

describe('totals', () => {
  test('follow the journal, are written every few seconds at most, and on close', async () => {
    const home = await freshHome();
    const opened = await open(home);
    await append(opened, 10);
    expect(opened.ledger.totals.read()).toEqual(await recount(home));
    await expect(stat(homePaths(home).usage)).rejects.toMatchObject({ code: 'ENOENT' });
    opened.clock.advance(3_000);
    await waitFor(async () => (await readTotals(home, sums))?.requests === 10);
    expect(opened.clock.pending).toBe(0);
    await append(opened, 5, 10);
    await opened.ledger.close();
    expect((await readTotals(home, sums))?.requests).toBe(15);
    const document: unknown = JSON.parse(await readFile(homePaths(home).usage, 'utf8'));
    expect(isJsonObject(document) ? document['position'] : null).toMatchObject((await verifyLedger(home)).head);
  });

  test('equal a recount, whatever restarts, crashes and lost files there were', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 30 }) }),
      fc.constantFrom('restart' as const, 'crash' as const, 'write' as const, 'delete' as const, 'spoil' as const, 'old' as const)
        .map((what) => ({ do: what })),
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const home = await freshHome();
      const { usage } = homePaths(home);
      let opened = await open(home);
      let written = 0;
      for (const each of steps) {
        if (each.do === 'append') {
          await append(opened, each.count, written);
          written += each.count;
        }
        if (each.do === 'write') {
          await opened.ledger.totals.flush();
          await copyFile(usage, `${usage}.old`).catch(() => undefined);
        }
        // A crash: the journal has every acknowledged line, the totals whatever was written last.
        if (each.do === 'restart') await opened.ledger.close();
        else if (each.do !== 'append' && each.do !== 'write') await opened.ledger.journal.close();
        if (each.do === 'delete') await rm(usage, { force: true });
        if (each.do === 'spoil') await writeFile(usage, '{"version":1,"totals":');
        if (each.do === 'old') await copyFile(`${usage}.old`, usage).catch(() => undefined);
        if (each.do !== 'append' && each.do !== 'write') opened = await open(home);
        const totals = opened.ledger.totals.read();
        expect(totals).toEqual(await recount(home));
        expect(totals.requests).toBe(written);
      }
      await opened.ledger.close();
      expect((await verifyLedger(home)).ok).toBe(true);
    }), { numRuns: 40 });
  });

  test.each([
    ['garbage', 'x'], ['nothing', ''], ['another version', '{"version":2,"position":null,"totals":{}}'],
    ['other totals', '{"version":1,"position":null,"totals":7}'],
    ['no position', '{"version":1,"position":{"segment":"a"},"totals":{"requests":1,"list":1,"byClient":{}}}'],
  ])('S05: %s in usage.json: kept aside, rebuilt from the journal', async (_, damage) => {
    const home = await freshHome();
    const first = await open(home);
    await append(first, 8);
    await first.ledger.close();
    await writeFile(homePaths(home).usage, damage);
    const { ledger, log } = await open(home);
    expect(ledger.totals.read().requests).toBe(8);
    expect(log.lines[0]).toContain('usage.json cannot be used');
    expect(await readFile(`${homePaths(home).usage}.corrupt-${NOON}`, 'utf8')).toBe(damage);
    await ledger.close();
    expect((await readTotals(home, sums))?.requests).toBe(8);
  });

  test('of another journal are rebuilt', async () => {
    const [home, other] = [await freshHome(), await freshHome()];
    for (const [where, count] of [[home, 40], [other, 30]] as const) {
      const opened = await open(where);
      await append(opened, count, where === home ? 0 : 500);
      await opened.ledger.close();
    }
    await copyFile(homePaths(other).usage, homePaths(home).usage);
    const { ledger, log } = await open(home);
    expect(log.lines).toEqual(['warn usage.json is of another journal; rebuilding it']);
    expect(ledger.totals.read()).toEqual(await recount(home));
    await ledger.close();
  });

  test('keep what they counted when acknowledged lines went missing, and the check says so from then on', async () => {
    const home = await freshHome();
    const first = await open(home);
    await append(first, 8);
    await first.ledger.close();
    const [name = ''] = await readdir(homePaths(home).journal);
    const path = join(homePaths(home).journal, name);
    await truncate(path, (await stat(path)).size - 700);
    const second = await open(home);
    expect(second.log.lines).toEqual(['warn journal: lines-missing']);
    await append(second, 2, 8);
    await second.ledger.close();
    const third = await open(home);
    expect(third.ledger.totals.read().requests).toBe(10);
    await third.ledger.close();
    expect(await verifyLedger(home)).toMatchObject({ ok: false, fault: { line: 1 } });
  });

  test('under `process` durability count nothing that is not on the disk yet', async () => {
    const home = await freshHome();
    let synced = 0;
    let written = 0;
    const clock = fakeClock();
    const ledger = await openLedger(home, sums, {
      clock, log: keptLog(), durability: 'process',
      disk: { ...realDisk, create: async (path) => {
        const file = await realDisk.create(path);
        return {
          ...file,
          write: (bytes) => {
            written += 1;
            return file.write(bytes);
          },
          datasync: async () => {
            await file.datasync();
            synced = written;
          },
        };
      } },
    });
    await ledger.journal.append(closing('req_0'));
    expect(synced).toBe(0);
    await ledger.totals.flush();
    expect(synced).toBe(written);
    await ledger.close();
  });
});
