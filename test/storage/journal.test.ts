import { appendFile, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import type { Journal } from '../../src/core/ports.ts';
import { StorageError } from '../../src/core/ports.ts';
import type { JournalLine } from '../../src/core/record.ts';
import { homePaths } from '../../src/storage/home.ts';
import { GENESIS, MAX_LINE_BYTES, nextHead, sealRecord } from '../../src/storage/journal-line.ts';
import { openJournal } from '../../src/storage/journal.ts';
import type { JournalOptions, OpenJournal } from '../../src/storage/journal.ts';
import { queryRequests } from '../../src/storage/query.ts';
import { realDisk } from '../../src/storage/segment-file.ts';
import type { SegmentDisk } from '../../src/storage/segment-file.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { DAY_MS } from '../../src/core/units.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { allLines, closing, freshHome, keptLog, removeHomes, segmentNames } from './journal-fixture.ts';

afterAll(removeHomes);

type Fault = 'EIO' | 'ENOSPC' | null;

function failWith(code: Fault): void {
  if (code) throw Object.assign(new Error(`${code}: injected`), { code });
}

/** The real disk with a hand on it: short writes, and errors from write, sync or create while a fault is set. */
interface FaultyDisk extends SegmentDisk {
  writeFault: Fault;
  syncFault: Fault;
  createFault: Fault;
  writeBytes: number;
  /** Bytes of the next write that are said to be written and are not. */
  lostBytes: number;
  writes: number;
  syncs: number;
}

function faultyDisk(): FaultyDisk {
  const disk: FaultyDisk = {
    writeFault: null, syncFault: null, createFault: null, writeBytes: Number.POSITIVE_INFINITY, lostBytes: 0, writes: 0, syncs: 0,
    create: async (path: string) => {
      failWith(disk.createFault);
      return wrap(await realDisk.create(path));
    },
    reopen: async (path: string) => wrap(await realDisk.reopen(path)),
    remove: realDisk.remove,
    syncFolder: realDisk.syncFolder,
  };
  const wrap = (file: Awaited<ReturnType<SegmentDisk['create']>>): Awaited<ReturnType<SegmentDisk['create']>> => ({
    ...file,
    write: async (bytes) => {
      disk.writes += 1;
      // A disk that runs full takes a part first.
      if (disk.writeFault === 'ENOSPC') await file.write(bytes.subarray(0, 7));
      failWith(disk.writeFault);
      if (disk.lostBytes > 0) {
        const lost = disk.lostBytes;
        disk.lostBytes = 0;
        return lost;
      }
      return file.write(bytes.subarray(0, disk.writeBytes));
    },
    datasync: async () => {
      disk.syncs += 1;
      failWith(disk.syncFault);
      return file.datasync();
    },
  });
  return disk;
}

async function open(home: string, change: Partial<JournalOptions> = {}): Promise<OpenJournal> {
  return openJournal(home, { clock: fakeClock(), durability: 'disk', log: keptLog(), ...change });
}

const ids = (lines: readonly Record<string, unknown>[]): unknown[] =>
  lines.filter((line) => line['k'] === 'close').map((line) => line['id']);
/** The ids of the closing lines that count, in the journal's order. */
async function closedIds(home: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { line } of queryRequests(home, { order: 'oldest' })) found.push(line.id);
  return found;
}
const appendAll = (journal: Journal, count: number, from = 0): Promise<JournalLine[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => journal.append(closing(`req_${from + index}`))));

describe('a line', () => {
  test('is ASCII, at most 4 KiB and chained, whatever the record says', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 3_000 }), fc.string({ maxLength: 6_000 }));
    fc.assert(fc.property(text, text, fc.array(text, { maxLength: 40 }), fc.nat(60), (model, message, dropped, count) => {
      const attempt = closing('req_x').attempts[0];
      const why = Array.from({ length: 8 }, () => ({ account: model, score: 0.5, parts: { headroom: 0.123456789, load: 1 } }));
      const record = closing('req_1', {
        model: { asked: model, sent: model, ran: model }, error: { code: message, message }, dropped, client: message,
        attempts: Array.from({ length: count }, () => ({ ...attempt!, account: model, error: message })),
        route: { strategy: 'balanced', sticky: 'hit', why },
      });
      const { line, text: written } = sealRecord(record, GENESIS);
      expect(written.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
      expect(written).toMatch(/^[\x20-\x7e]+\n$/);
      expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(line)));
      expect(line.attempts.length + (line.attemptsMore ?? 0)).toBe(count);
      expect((line.route?.why.length ?? 0) + (line.route?.whyMore ?? 0)).toBe(8);
      expect({ id: line.id, tokens: line.tokens, cost: line.cost }).toEqual({ id: record.id, tokens: record.tokens, cost: record.cost });
      expect(nextHead(GENESIS, Buffer.from(written.trimEnd()))).toEqual({ seq: 1, h: line.h });
    }), { numRuns: 200 });
  });

  test('is not the next one after any bit of it was flipped', () => {
    const { text } = sealRecord(closing('req_1'), GENESIS);
    const bytes = Buffer.from(text.trimEnd());
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
      expect(nextHead(GENESIS, flipped), `bit ${bit}`).toBeNull();
    }
  });
});

describe('appending', () => {
  test('200 appends at once keep their order in one chain, with far fewer syncs than lines', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const journal = await open(home, { disk });
    const lines = await appendAll(journal, 200);
    expect(lines.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, index) => index + 2));
    expect(journal.head).toEqual({ seq: 201, h: lines[199]?.h });
    await journal.close();
    expect(ids(await allLines(home))).toEqual(Array.from({ length: 200 }, (_, index) => `req_${index}`));
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 201, head: { seq: 201 } });
    expect(disk.syncs).toBeLessThan(20);
  });

  test('a line is on the disk when its append resolves', async () => {
    const home = await freshHome();
    const journal = await open(home);
    for (let index = 0; index < 20; index += 1) {
      const line = await journal.append(closing(`req_${index}`));
      expect((await allLines(home)).at(-1)).toEqual(line);
    }
    await journal.close();
  });

  test('does not resolve before the sync that covers it', async () => {
    const home = await freshHome();
    const real = realDisk;
    let release: (() => void) | null = null;
    const disk: SegmentDisk = {
      ...real,
      create: async (path) => {
        const file = await real.create(path);
        return { ...file, datasync: () => new Promise<void>((resolve) => { release = resolve; }) };
      },
    };
    const journal = await open(home, { disk });
    let isResolved = false;
    const appended = journal.append(closing('req_1')).then(() => { isResolved = true; });
    await waitFor(() => release !== null);
    expect((await allLines(home)).length).toBe(2);
    expect(isResolved).toBe(false);
    release!();
    await appended;
    await Promise.all([journal.close(), waitFor(() => release !== null)]);
  });

  test('`process` durability leaves the sync out until it is asked for', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const journal = await open(home, { disk, durability: 'process' });
    await appendAll(journal, 5);
    expect(disk.syncs).toBe(0);
    await journal.sync();
    expect(disk.syncs).toBe(1);
    await journal.close();
  });

  test('goes on where an earlier run ended', async () => {
    const home = await freshHome();
    for (let run = 0; run < 4; run += 1) {
      const journal = await open(home);
      await appendAll(journal, 3, run * 3);
      await journal.close();
    }
    expect(await segmentNames(home)).toEqual(['2026-11-21.001.jsonl']);
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 13 });
    expect(ids(await allLines(home))).toEqual(Array.from({ length: 12 }, (_, index) => `req_${index}`));
  });

  test('S10: short writes are carried on, no line is torn', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    disk.writeBytes = 10;
    const journal = await open(home, { disk });
    await appendAll(journal, 30);
    await journal.close();
    expect(disk.writes).toBeGreaterThan(1_000);
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 31 });
  });

  test('S10: a write that says more than it did is noticed, and the lines are written again', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const journal = await open(home, { disk });
    await appendAll(journal, 3);
    disk.lostBytes = 10;
    await appendAll(journal, 3, 3);
    expect(journal.state).toBe('degraded');
    await appendAll(journal, 3, 6);
    await journal.close();
    expect(await verifyLedger(home)).toMatchObject({ ok: true, segments: 2 });
    const found: string[] = [];
    for await (const { line } of queryRequests(home, { order: 'oldest' })) found.push(line.id);
    expect(found).toEqual(Array.from({ length: 9 }, (_, index) => `req_${index}`));
  });

  test('a second writer is noticed, and nothing acknowledged is lost to it', async () => {
    const home = await freshHome();
    const journal = await open(home);
    await appendAll(journal, 2);
    await appendFile(join(homePaths(home).journal, '2026-11-21.001.jsonl'), 'somebody else\n');
    await appendAll(journal, 2, 2);
    await journal.close();
    expect(await verifyLedger(home)).toMatchObject({ ok: true, segments: 2 });
  });

  test('S16: segments are 0600 under any umask, and a link in their place is refused', async () => {
    const home = await freshHome();
    const before = process.umask(0);
    try {
      const journal = await open(home);
      await journal.append(closing('req_1'));
      await journal.close();
    } finally {
      process.umask(before);
    }
    const path = join(homePaths(home).journal, '2026-11-21.001.jsonl');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await rename(path, `${path}.elsewhere`);
    await symlink(`${path}.elsewhere`, path);
    await expect(open(home)).rejects.toBeInstanceOf(StorageError);
  });
});

describe('rotation', () => {
  test('S19: at midnight during 100 appends each record stands once, and both days have their segment', async () => {
    const home = await freshHome();
    const clock = fakeClock(Date.parse('2026-11-21T23:59:59.950Z'));
    const journal = await open(home, { clock });
    const appended: Promise<JournalLine>[] = [];
    for (let index = 0; index < 100; index += 1) {
      clock.advance(1);
      appended.push(journal.append(closing(`req_${index}`, { t: clock.now() })));
      if (index % 9 === 0) await appended.at(-1);
    }
    await Promise.all(appended);
    await journal.close();
    expect(await segmentNames(home)).toEqual(['2026-11-21.001.jsonl', '2026-11-22.001.jsonl']);
    expect(ids(await allLines(home))).toEqual(Array.from({ length: 100 }, (_, index) => `req_${index}`));
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 102 });
  });

  test('a clock that goes back opens no earlier segment', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    const journal = await open(home, { clock });
    await journal.append(closing('req_0'));
    clock.set(clock.now() - 3 * DAY_MS);
    await journal.append(closing('req_1'));
    await journal.close();
    const again = await open(home, { clock });
    await again.append(closing('req_2'));
    await again.close();
    expect(await segmentNames(home)).toEqual(['2026-11-21.001.jsonl']);
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 4 });
  });

  test('a segment is never longer than its limit', async () => {
    const home = await freshHome();
    const journal = await open(home, { segmentBytes: 64 << 10 });
    for (let index = 0; index < 300; index += 1) await journal.append(closing(`req_${index}`));
    await journal.close();
    const names = await segmentNames(home);
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) expect((await stat(join(homePaths(home).journal, name))).size).toBeLessThanOrEqual(64 << 10);
    expect(await verifyLedger(home)).toMatchObject({ ok: true, segments: names.length, lines: 300 + names.length });
  });
});

describe('a failing disk', () => {
  test.each(['writeFault', 'syncFault'] as const)('EIO that stays (%s): nothing is acknowledged until it passes', async (where) => {
    const home = await freshHome();
    const disk = faultyDisk();
    const clock = fakeClock();
    const journal = await open(home, { disk, clock });
    await appendAll(journal, 3);
    disk[where] = 'EIO';
    const told = Promise.allSettled([journal.append(closing('req_3')), journal.append(closing('req_4'))]);
    await waitFor(() => journal.state === 'full');
    clock.advance(2_000);
    expect((await told).map((outcome) => outcome.status === 'rejected' && outcome.reason.reason)).toEqual(['io', 'io']);
    disk[where] = null;
    await waitFor(() => {
      clock.advance(500);
      return journal.state === 'degraded';
    });
    await journal.append(closing('req_5'));
    await journal.close();
    expect(await closedIds(home)).toEqual(['req_0', 'req_1', 'req_2', 'req_3', 'req_4', 'req_5']);
    expect(await verifyLedger(home)).toMatchObject({ ok: true });
  });

  test('EIO once: appends resolve, the journal says degraded, nothing stands twice', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const flaky: SegmentDisk = {
      ...disk,
      create: async (path) => {
        const file = await disk.create(path);
        return { ...file, datasync: async () => {
          if (strikes > 0) {
            strikes -= 1;
            throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
          }
          return file.datasync();
        } };
      },
    };
    let strikes = 0;
    const journal = await open(home, { disk: flaky });
    await appendAll(journal, 3);
    strikes = 1;
    await appendAll(journal, 3, 3);
    expect(journal.state).toBe('degraded');
    await appendAll(journal, 3, 6);
    await journal.close();
    expect(await segmentNames(home)).toEqual(['2026-11-21.001.jsonl', '2026-11-21.002.jsonl']);
    const first = await readFile(join(homePaths(home).journal, '2026-11-21.001.jsonl'), 'utf8');
    expect(first).toContain('req_5');
    const report = await verifyLedger(home);
    expect(report).toMatchObject({ ok: true, lines: 11 });
    expect(await closedIds(home)).toEqual(Array.from({ length: 9 }, (_, index) => `req_${index}`));
  });

  test('ENOSPC: full at once, callers are told in time, the records wait and are written when space returns', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const clock = fakeClock();
    const journal = await open(home, { disk, clock, queueLimit: 10 });
    await journal.append(closing('req_0'));
    disk.writeFault = 'ENOSPC';
    const told = Promise.allSettled(Array.from({ length: 4 }, (_, index) => journal.append(closing(`req_${index + 1}`))));
    await waitFor(() => journal.state === 'full');
    clock.advance(2_000);
    const outcomes = await told;
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'StorageError', reason: 'full' } });
    expect(journal.state).toBe('full');
    await waitFor(() => clock.pending === 1, 'the next try');
    const later = Promise.allSettled(Array.from({ length: 6 }, (_, index) => journal.append(closing(`req_${index + 5}`))));
    await expect(journal.append(closing('req_over'))).rejects.toMatchObject({ reason: 'full' });
    disk.writeFault = null;
    clock.advance(1_000);
    expect((await later).every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(journal.state).toBe('operational');
    await journal.close();
    // However often it was tried in vain, the next segment has the next name.
    expect(await segmentNames(home)).toEqual(['2026-11-21.001.jsonl', '2026-11-21.002.jsonl']);
    expect(await closedIds(home)).toEqual(Array.from({ length: 11 }, (_, index) => `req_${index}`));
    expect(await verifyLedger(home)).toMatchObject({ ok: true });
  });

  test('S22: no inode for a new segment counts as a full disk and passes', async () => {
    const home = await freshHome();
    const disk = faultyDisk();
    const clock = fakeClock();
    disk.createFault = 'ENOSPC';
    const journal = await open(home, { disk, clock });
    const first = journal.append(closing('req_0'));
    await waitFor(() => journal.state === 'full');
    disk.createFault = null;
    clock.advance(1_000);
    expect((await first).seq).toBe(2);
    await journal.close();
    expect(await verifyLedger(home)).toMatchObject({ ok: true, lines: 2 });
  });

  test('S20: a home removed while running refuses appends and is not made again', async () => {
    const home = await freshHome();
    const journal = await open(home);
    await journal.append(closing('req_0'));
    await rm(home, { recursive: true });
    await expect(journal.append(closing('req_1'))).rejects.toMatchObject({ reason: 'gone' });
    expect(journal.state).toBe('full');
    await expect(journal.append(closing('req_2'))).rejects.toMatchObject({ reason: 'gone' });
    await expect(stat(home)).rejects.toMatchObject({ code: 'ENOENT' });
    await mkdir(homePaths(home).journal, { recursive: true });
    await expect(journal.append(closing('req_3'))).rejects.toMatchObject({ reason: 'gone' });
    expect(await segmentNames(home)).toEqual([]);
    await journal.close();
  });

  test('a home moved away and back is found again, and what was written meanwhile does not count', async () => {
    const home = await freshHome();
    const journal = await open(home);
    await journal.append(closing('req_0'));
    await rename(home, `${home}.away`);
    await expect(journal.append(closing('req_1'))).rejects.toMatchObject({ reason: 'gone' });
    await rename(`${home}.away`, home);
    await journal.append(closing('req_2'));
    expect(journal.state).toBe('operational');
    await journal.close();
    expect(await verifyLedger(home)).toMatchObject({ ok: true });
  });
});
