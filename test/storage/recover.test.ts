import { appendFile, copyFile, mkdir, readFile, readdir, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { homePaths } from '../../src/storage/home.ts';
import { openJournal } from '../../src/storage/journal.ts';
import { GENESIS } from '../../src/storage/journal-line.ts';
import { recoverJournal } from '../../src/storage/recover.ts';
import { listExtents } from '../../src/storage/segments.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { allLines, closing, freshHome, keptLog, NOON, removeHomes, segmentNames } from './journal-fixture.ts';

afterAll(removeHomes);

const SEGMENT = '2026-11-21.001.jsonl';
const pathOf = (home: string, name = SEGMENT): string => join(homePaths(home).journal, name);
const closedIds = async (home: string): Promise<unknown[]> =>
  (await allLines(home)).filter((line) => line['k'] === 'close').map((line) => line['id']);

async function homeWith(count: number): Promise<string> {
  const home = await freshHome();
  const journal = await openJournal(home, { clock: fakeClock(), durability: 'process', log: keptLog() });
  for (let index = 0; index < count; index += 1) await journal.append(closing(`req_${index}`));
  await journal.close();
  return home;
}

/** Opens, appends one more and closes: what a restart does. */
async function restart(home: string, id: string): Promise<string[]> {
  const log = keptLog();
  const journal = await openJournal(home, { clock: fakeClock(), durability: 'process', log });
  await journal.append(closing(id));
  await journal.close();
  return log.lines;
}

describe('a torn end', () => {
  let home = '';
  let whole = Buffer.alloc(0);
  let lineEnds: number[] = [];
  beforeAll(async () => {
    home = await homeWith(2);
    whole = await readFile(pathOf(home));
    lineEnds = [...whole.entries()].filter(([, byte]) => byte === 0x0a).map(([index]) => index + 1);
  });

  test('cut at every byte: the head is the last whole line, the rest is kept aside', async () => {
    const folder = join(home, 'cut');
    await mkdir(folder, { recursive: true });
    for (let cut = 0; cut <= whole.length; cut += 1) {
      await writeFile(join(folder, SEGMENT), whole.subarray(0, cut));
      const recovery = await recoverJournal(folder, null, NOON);
      const goodLines = lineEnds.filter((end) => end <= cut).length;
      const goodEnd = lineEnds[goodLines - 1] ?? 0;
      expect(recovery.head.seq, `cut at ${cut}`).toBe(goodLines);
      expect(recovery.isCorrupt).toBe(false);
      const names = await readdir(folder);
      const aside = names.find((name) => name.includes('.tail-'));
      expect(recovery.notes.length).toBe(aside ? 1 : 0);
      if (goodLines > 0) expect((await stat(join(folder, SEGMENT))).size).toBe(goodEnd);
      else expect(names).not.toContain(SEGMENT);
      if (cut > goodEnd || goodLines === 0) expect(await readFile(join(folder, aside ?? ''))).toEqual(whole.subarray(goodEnd, cut));
      else expect(aside).toBeUndefined();
      for (const name of names) await unlink(join(folder, name));
    }
  });

  test.each([
    ['zeros where the last write should be', Buffer.alloc(5_000)],
    ['half a line', Buffer.from('{"v":1,"seq":6,"t":17')],
    ['a whole line with a wrong hash', Buffer.from(`{"v":1,"seq":6,"t":1,"k":"note","note":"x","detail":{},"h":"${'0'.repeat(32)}"}`)],
    ['zeros, then a newline', Buffer.from(`${'\0'.repeat(900)}\n`)],
  ])('%s: set aside with a note, and the journal goes on', async (_, rubbish) => {
    const torn = await homeWith(4);
    await appendFile(pathOf(torn), rubbish);
    const said = await restart(torn, 'req_next');
    expect(said).toEqual(['warn journal: tail-set-aside']);
    expect(await closedIds(torn)).toEqual(['req_0', 'req_1', 'req_2', 'req_3', 'req_next']);
    expect(await verifyLedger(torn)).toMatchObject({ ok: true, lines: 7, torn: 0 });
    const names = await segmentNames(torn);
    expect(await readFile(pathOf(torn, names.find((name) => name.includes('.tail-')) ?? ''))).toEqual(rubbish);
  });

  test('a line that stands twice at the end is set aside', async () => {
    const doubled = await homeWith(3);
    const lines = (await readFile(pathOf(doubled), 'utf8')).split('\n');
    await appendFile(pathOf(doubled), `${lines[3]}\n`);
    await restart(doubled, 'req_next');
    expect(await closedIds(doubled)).toEqual(['req_0', 'req_1', 'req_2', 'req_next']);
    expect((await verifyLedger(doubled)).ok).toBe(true);
  });

  test('a daemon that is writing may leave an unfinished line under the check', async () => {
    const torn = await homeWith(3);
    await truncate(pathOf(torn), (await stat(pathOf(torn))).size - 9);
    const report = await verifyLedger(torn);
    expect(report).toMatchObject({ ok: true, lines: 3 });
    expect(report.torn).toBeGreaterThan(100);
  });

  test('a segment whose first line is torn is set aside whole, and the one before goes on', async () => {
    const torn = await homeWith(3);
    await writeFile(pathOf(torn, '2026-11-21.002.jsonl'), '{"v":1,"seq":5,"t":1,"k":"no');
    await restart(torn, 'req_next');
    expect(await closedIds(torn)).toEqual(['req_0', 'req_1', 'req_2', 'req_next']);
    expect(await verifyLedger(torn)).toMatchObject({ ok: true, segments: 1 });
  });
});

interface Aftermath {
  readonly before: unknown;
  readonly after: unknown;
  readonly segments: string[];
  readonly said: string[];
  readonly kept: string;
  readonly damaged: string;
}

/** Changes the lines of a journal of six, restarts, and says what the check finds before and after. */
async function afterDamage(damage: (lines: string[]) => string[]): Promise<Aftermath> {
  const home = await homeWith(6);
  const lines = (await readFile(pathOf(home), 'latin1')).trimEnd().split('\n');
  const damaged = `${damage(lines).join('\n')}\n`;
  await writeFile(pathOf(home), damaged, 'latin1');
  const { fault: before } = await verifyLedger(home);
  const said = await restart(home, 'req_next');
  const { fault: after } = await verifyLedger(home);
  return { before, after, segments: await segmentNames(home), said, kept: await readFile(pathOf(home), 'latin1'), damaged };
}

describe('corruption', () => {
  test.each<[string, (lines: string[]) => string[], number]>([
    ['a flipped bit', (lines) => lines.with(3, lines[3]!.replace('"status":200', '"status":201')), 4],
    ['a changed hash', (lines) => lines.with(3, lines[3]!.replace(/[0-9a-f]{32}/, '0'.repeat(32))), 4],
    ['a hole of zeros', (lines) => lines.with(3, '\0'.repeat(lines[3]!.length)), 4],
    ['a deleted line', (lines) => lines.toSpliced(3, 1), 4],
    ['two lines swapped', (lines) => lines.with(3, lines[4]!).with(4, lines[3]!), 4],
    ['a line that stands twice', (lines) => lines.toSpliced(3, 0, lines[2]!), 4],
    ['a first line that is not its own', (lines) => lines.toSpliced(0, 1), 1],
  ])('%s before valid lines: nothing is repaired, a new segment begins, the check names segment and line', async (_, damage, line) => {
    const { before, after, segments, said, kept, damaged } = await afterDamage(damage);
    expect(before).toMatchObject({ segment: SEGMENT, line });
    expect(after).toEqual(before);
    expect(kept).toBe(damaged);
    expect(segments).toEqual([SEGMENT, '2026-11-21.002.jsonl']);
    expect(said).toEqual(['warn journal: corruption']);
  });

  test('lines beyond the damage are still numbered on, and a second restart adds no further segment', async () => {
    const home = await homeWith(6);
    const text = await readFile(pathOf(home), 'latin1');
    await writeFile(pathOf(home), text.replace('"id":"req_2"', '"id":"req_X"'), 'latin1');
    await restart(home, 'req_a');
    await restart(home, 'req_b');
    expect(await segmentNames(home)).toEqual([SEGMENT, '2026-11-21.002.jsonl']);
    const seqs = (await allLines(home)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => index + 1));
    expect(await verifyLedger(home)).toMatchObject({ ok: false, fault: { segment: SEGMENT, line: 4 } });
  });

  test('acknowledged lines missing behind the known position are no torn end', async () => {
    const home = await homeWith(6);
    const lines = await allLines(home);
    const { size } = await stat(pathOf(home));
    const known = { segment: SEGMENT, offset: size, seq: 7, h: String(lines[6]?.['h']) };
    await truncate(pathOf(home), size - 100);
    const recovery = await recoverJournal(homePaths(home).journal, known, NOON);
    expect(recovery).toMatchObject({ isCorrupt: true, head: { seq: 7, h: known.h } });
    expect(recovery.notes).toMatchObject([{ note: 'lines-missing', detail: { from: 7, to: 7 } }]);
    expect((await stat(pathOf(home))).size).toBe(size - 100);
  });

  test('a deleted segment in the middle, and deleted first ones, are named', async () => {
    const home = await freshHome();
    const journal = await openJournal(home, { clock: fakeClock(), durability: 'process', log: keptLog(), segmentBytes: 16 << 10 });
    for (let index = 0; index < 60; index += 1) await journal.append(closing(`req_${index}`));
    await journal.close();
    expect((await segmentNames(home)).length).toBeGreaterThan(3);
    const second = pathOf(home, '2026-11-21.002.jsonl');
    await copyFile(second, join(home, 'kept'));
    await unlink(second);
    expect((await verifyLedger(home)).fault).toMatchObject({ segment: '2026-11-21.003.jsonl', line: 1 });
    await copyFile(join(home, 'kept'), second);
    expect((await verifyLedger(home)).ok).toBe(true);
    await unlink(pathOf(home));
    const { fault } = await verifyLedger(home);
    expect(fault).toMatchObject({ segment: '2026-11-21.002.jsonl', line: 1, reason: expect.stringContaining('are missing') });
  });
});

describe('an empty journal', () => {
  test('has no segment and the head every chain begins at', async () => {
    const home = await freshHome();
    const recovery = await recoverJournal(homePaths(home).journal, null, NOON);
    expect(recovery).toEqual({ head: GENESIS, segment: null, isCorrupt: false, notes: [] });
    expect(await listExtents(homePaths(home).journal)).toEqual([]);
    expect(await verifyLedger(home)).toEqual({ ok: true, segments: 0, lines: 0, head: GENESIS, torn: 0 });
  });
});
