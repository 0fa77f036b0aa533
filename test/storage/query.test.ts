import { appendFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { DAY_MS } from '../../src/core/units.ts';
import { homePaths } from '../../src/storage/home.ts';
import { openJournal } from '../../src/storage/journal.ts';
import { pruneBefore } from '../../src/storage/prune.ts';
import { exportLines, findRequest, pageRequests, queryRequests } from '../../src/storage/query.ts';
import type { RequestQuery } from '../../src/storage/query.ts';
import { findLastLine, readBackward, readForward, readLastLine } from '../../src/storage/segment-lines.ts';
import type { SegmentLine } from '../../src/storage/segment-lines.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { closing, freshHome, keptLog, NOON, removeHomes, segmentNames } from './journal-fixture.ts';

afterAll(removeHomes);

const HOURS = 90;
const HOUR = 3_600_000;
const TRIED = { account: 'tried', provider: 'openai', model: 'm', t: NOON, ms: 1, status: 429, error: 'x', phase: 'headers' };

/** Ninety requests, one an hour, over four days. */
async function fourDays(): Promise<string> {
  const home = await freshHome();
  const clock = fakeClock();
  const journal = await openJournal(home, { clock, durability: 'process', log: keptLog() });
  for (let index = 0; index < HOURS; index += 1) {
    await journal.append(closing(`req_${index}`, {
      t: clock.now(), client: index % 2 === 0 ? 'even' : 'odd', account: index % 5 === 0 ? 'work' : 'personal',
      outcome: index % 7 === 0 ? 'failed' : index % 11 === 0 ? 'incomplete' : 'ok',
      attempts: index % 10 === 3 ? [TRIED] : [],
    }));
    clock.advance(HOUR);
  }
  await journal.close();
  return home;
}

async function idsOf(home: string, query: RequestQuery): Promise<number[]> {
  const found: number[] = [];
  for await (const { line } of queryRequests(home, query)) found.push(Number(line.id.slice(4)));
  return found;
}

const all = Array.from({ length: HOURS }, (_, index) => index);

describe('queries', () => {
  let home = '';
  beforeAll(async () => {
    home = await fourDays();
  });

  test('go newest first unless told otherwise', async () => {
    expect(await idsOf(home, {})).toEqual(all.toReversed());
    expect(await idsOf(home, { order: 'oldest' })).toEqual(all);
    expect((await segmentNames(home)).length).toBe(5);
  });

  test.each<[RequestQuery, (index: number) => boolean]>([
    [{ client: 'odd' }, (index) => index % 2 === 1],
    [{ account: 'work' }, (index) => index % 5 === 0],
    [{ account: 'tried' }, (index) => index % 10 === 3],
    [{ errorsOnly: true }, (index) => index % 7 === 0],
    [{ since: NOON + 20 * HOUR }, (index) => index >= 20],
    [{ until: NOON + 20 * HOUR }, (index) => index < 20],
    [{ since: NOON + 30 * HOUR, until: NOON + 60 * HOUR, client: 'even', account: 'personal' },
      (index) => index >= 30 && index < 60 && index % 2 === 0 && index % 5 !== 0],
    [{ id: 'req_77' }, (index) => index === 77],
    [{ client: 'nobody' }, () => false],
  ])('%j', async (query, holds) => {
    expect(await idsOf(home, { ...query, order: 'oldest' })).toEqual(all.filter(holds));
    expect(await idsOf(home, { ...query, order: 'newest' })).toEqual(all.filter(holds).toReversed());
  });

  test.each(['newest', 'oldest'] as const)('pages join up to the whole, %s first, whatever their size', async (order) => {
    for (const limit of [1, 7, 89, 90, 91]) {
      const seen: number[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof pageRequests>> = await pageRequests(home, { order, ...(after !== null && { after }) }, { limit });
        expect(page.lines.length).toBeLessThanOrEqual(limit);
        seen.push(...page.lines.map(({ id }) => Number(id.slice(4))));
        after = page.next;
      } while (after !== null);
      expect(seen).toEqual(order === 'oldest' ? all : all.toReversed());
    }
  });

  test('a page reads no more than it may, and goes on where it stopped, whatever it found', async () => {
    for (const order of ['newest', 'oldest'] as const) {
      const seen: number[] = [];
      let pages = 0;
      let after: string | null = null;
      do {
        const query: RequestQuery = { order, errorsOnly: true, ...(after !== null && { after }) };
        const page: Awaited<ReturnType<typeof pageRequests>> = await pageRequests(home, query, { limit: 100, mostBytes: 1 });
        seen.push(...page.lines.map(({ id }) => Number(id.slice(4))));
        after = page.next;
        pages += 1;
      } while (after !== null);
      const failed = all.filter((index) => index % 7 === 0);
      expect(seen).toEqual(order === 'oldest' ? failed : failed.toReversed());
      expect(pages).toBeGreaterThan(3);
    }
  });

  test('a request is found by its id, or not', async () => {
    expect((await findRequest(home, 'req_3'))?.id).toBe('req_3');
    expect(await findRequest(home, 'req_333')).toBeNull();
    expect(await findRequest(home, 'r"x')).toBeNull();
    for (const index of all) expect((await findRequest(home, `req_${index}`))?.id).toBe(`req_${index}`);
  });

  test('ids and names that need escaping are found', async () => {
    const other = await freshHome();
    const journal = await openJournal(other, { clock: fakeClock(), durability: 'process', log: keptLog() });
    await journal.append(closing('req_1', { client: 'José "x"' }));
    await journal.append(closing('ré"q'));
    await journal.close();
    expect(await idsOf(other, { client: 'José "x"' })).toEqual([1]);
    expect((await findRequest(other, 'ré"q'))?.id).toBe('ré"q');
  });

  test('a journal that grows does not move a page', async () => {
    const growing = await fourDays();
    const first = await pageRequests(growing, {}, { limit: 10 });
    const journal = await openJournal(growing, { clock: fakeClock(NOON + 200 * HOUR), durability: 'process', log: keptLog() });
    await journal.append(closing('req_999'));
    await journal.close();
    const second = await pageRequests(growing, { ...(first.next !== null && { after: first.next }) }, { limit: 1 });
    expect(second.lines[0]?.id).toBe('req_79');
  });

  test('G01/G03: lines of an older or newer kind stay as they are, unknown members survive an export', async () => {
    const odd = await freshHome();
    const journal = await openJournal(odd, { clock: fakeClock(), durability: 'process', log: keptLog() });
    const wider = { ...closing('req_1'), later: { than: 'this', version: [1] } };
    await journal.append(wider);
    await journal.close();
    const lines: string[] = [];
    for await (const line of exportLines(odd)) lines.push(line);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ id: 'req_1', later: { than: 'this', version: [1] } });
    expect((await verifyLedger(odd)).ok).toBe(true);
  });

  test('a torn or foreign line is passed over', async () => {
    const torn = await fourDays();
    const name = (await readdir(homePaths(torn).journal)).sort().at(-1) ?? '';
    await appendFile(join(homePaths(torn).journal, name), '{"k":"close","id":"req_5"}\n{"v":1,"seq":1,"k":"close"');
    expect(await idsOf(torn, {})).toEqual(all.toReversed());
  });
});

describe('pruning', () => {
  const keep = (): Promise<void> => Promise.resolve();

  test('takes whole days, says so in the journal, and the check still passes', async () => {
    const home = await fourDays();
    const clock = fakeClock(NOON + 100 * HOUR);
    const journal = await openJournal(home, { clock, durability: 'process', log: keptLog() });
    const pruned = await pruneBefore(home, NOON + 2 * DAY_MS, { journal, now: clock.now(), keep });
    await journal.close();
    expect(pruned.segments).toBe(2);
    expect(Math.min(...(await idsOf(home, {})))).toBe(36);
    expect(await verifyLedger(home)).toMatchObject({ ok: true });
    const again = await openJournal(home, { clock, durability: 'process', log: keptLog() });
    expect(await pruneBefore(home, NOON + 2 * DAY_MS, { journal: again, now: clock.now(), keep })).toMatchObject({ segments: 0, through: 0 });
    await again.close();
  });

  test('never takes the newest segment', async () => {
    const home = await fourDays();
    const clock = fakeClock(NOON + 80 * HOUR);
    const journal = await openJournal(home, { clock, durability: 'process', log: keptLog() });
    await pruneBefore(home, NOON + 900 * DAY_MS, { journal, now: clock.now(), keep });
    await journal.append(closing('req_after'));
    await journal.close();
    expect((await segmentNames(home)).length).toBe(1);
    expect(await verifyLedger(home)).toMatchObject({ ok: true });
  });
});

const seenAs = ({ offset, end, bytes }: SegmentLine): [number, number, string] => [offset, end, bytes.toString()];

describe('reading lines by blocks', () => {
  test('forwards and backwards see the same lines at the same places, whatever the block size', async () => {
    const folder = await freshHome();
    const path = join(folder, 'text');
    const piece = fc.string({ maxLength: 40 }).map((text) => text.replaceAll('\n', '~'));
    const pieces = fc.array(piece, { maxLength: 20 });
    await fc.assert(fc.asyncProperty(pieces, piece, fc.integer({ min: 1, max: 64 }), async (lines, torn, block) => {
      await writeFile(path, lines.map((line) => `${line}\n`).join('') + torn);
      const { size } = await stat(path);
      const forward: [number, number, string][] = [];
      let tornBytes = 0;
      for await (const each of readForward(path, 0, size, block)) {
        forward.push(...each.lines.map(seenAs));
        tornBytes = each.torn?.bytes ?? 0;
      }
      const backward: [number, number, string][] = [];
      for await (const each of readBackward(path, size, block)) backward.push(...each.map(seenAs));
      expect(forward.map(([, , text]) => text)).toEqual(lines);
      expect(backward.toReversed()).toEqual(forward);
      expect(tornBytes).toBe(Buffer.byteLength(torn));
      expect((await readLastLine(path, size))?.offset ?? null).toBe(forward.at(-1)?.[0] ?? null);
    }), { numRuns: 150 });
  });

  test('a line is found by what is in it, whatever the block size, and only the last that is accepted', async () => {
    const path = join(await freshHome(), 'text');
    const text = Array.from({ length: 200 }, (_, index) => `line ${index} of ${index % 2 === 0 ? 'even' : 'odd'} kind\n`).join('');
    await writeFile(path, `${text}line 7 of no end`);
    const { size } = await stat(path);
    for (const block of [1, 5, 64, 1_000, 1 << 20]) {
      const found = await findLastLine(path, size, Buffer.from('line 7'), (bytes) => bytes.includes('odd'), block);
      expect(found?.bytes.toString(), `blocks of ${block}`).toBe('line 79 of odd kind');
      const whole = await findLastLine(path, size, Buffer.from('line 7 of'), () => true, block);
      expect(whole?.offset).toBe(text.indexOf('line 7 of'));
      expect(await findLastLine(path, size, Buffer.from('line 999'), () => true, block)).toBeNull();
    }
  });

  test('a hole of 20 MiB is one bad line and takes no memory for itself', async () => {
    const path = join(await freshHome(), 'hole');
    await writeFile(path, `a\n${'\0'.repeat(20 << 20)}\nb\n`);
    const seen: number[] = [];
    for await (const { lines } of readForward(path, 0, (await stat(path)).size)) seen.push(...lines.map(({ bytes }) => bytes.length));
    expect(seen[0]).toBe(1);
    expect(seen.at(-1)).toBe(1);
    expect(seen).toHaveLength(3);
    expect(seen[1]).toBeLessThan(2 << 20);
  });
});
