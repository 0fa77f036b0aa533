import { readFile, readdir, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import type { Totals } from '../../src/accounting/totals.ts';
import { emptyTotals, foldRecord, parseTotals } from '../../src/accounting/totals.ts';
import { reportUsage, spentSince } from '../../src/accounting/usage-report.ts';
import type { CloseRecord } from '../../src/core/record.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/units.ts';
import type { UsageReport } from '../../src/core/views.ts';
import { homePaths } from '../../src/storage/home.ts';
import type { Ledger } from '../../src/storage/ledger.ts';
import { openLedger } from '../../src/storage/ledger.ts';
import { planPrune } from '../../src/storage/prune.ts';
import { queryRequests } from '../../src/storage/query.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { allLines, closing, freshHome, keptLog, NOON, opening, removeHomes, segmentNames } from './journal-fixture.ts';

afterAll(removeHomes);

const everything = { since: null, until: null, by: ['client', 'model', 'day'] } as const;
const folder = { empty: emptyTotals, fold: foldRecord, parse: parseTotals };

async function open(home: string, clock: FakeClock, log = keptLog()): Promise<Ledger<Totals>> {
  return openLedger(home, folder, { clock, log, durability: 'process', segmentBytes: 24 << 10 });
}

/** Runs `work` over the ledger of a home, opened and closed again. */
async function during<R>(home: string, clock: FakeClock, work: (ledger: Ledger<Totals>) => Promise<R>): Promise<R> {
  const ledger = await open(home, clock);
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

/** The report as a fresh fold of the journal's own lines gives it. */
async function recount(home: string): Promise<UsageReport> {
  const totals = emptyTotals();
  for await (const { line } of queryRequests(home, { order: 'oldest' })) foldRecord(totals, line);
  return reportUsage(totals, everything);
}

const reportOf = ({ totals }: Ledger<Totals>): UsageReport => reportUsage(totals.read(), everything);

/** A process that is killed writes nothing more: neither the totals nor a closing line. */
async function killed(ledger: Ledger<Totals>): Promise<void> {
  await ledger.journal.close();
}

describe('requests that a crash left open', () => {
  test('are closed once, at the next start, and cost their input', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    const first = await open(home, clock);
    await first.journal.append(opening('req_lost', { client: 'aider' }));
    await first.journal.append(opening('req_done'));
    await first.journal.append(closing('req_done'));
    await killed(first);

    for (let start = 0; start < 3; start += 1) {
      const ledger = await open(home, clock);
      expect(ledger.totals.open.size).toBe(0);
      expect(spentSince(ledger.totals.read(), 0, { client: 'aider' })).toEqual({ requests: 1, tokens: 120, usd: 12_000, 'usd-charged': 12_000 });
      await killed(ledger);
    }
    const closings = (await allLines(home)).filter(({ k }) => k === 'close' || k === 'orphan');
    expect(closings.map(({ k, id, outcome }) => [k, id, outcome])).toEqual([['close', 'req_done', 'ok'], ['orphan', 'req_lost', 'orphaned']]);
    expect(closings[1]).toMatchObject({ tokens: { input: 120, output: 0, estimated: true }, status: 500, error: { code: 'orphaned' } });
    expect((await verifyLedger(home)).ok).toBe(true);
  });

  test('are found though they were opened long before the totals were last written', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    const first = await open(home, clock);
    await first.journal.append(opening('req_long'));
    for (let index = 0; index < 60; index += 1) await first.journal.append(closing(`req_${index}`));
    await first.totals.flush();
    await first.journal.append(closing('req_last'));
    await killed(first);
    await during(home, clock, async () => {});
    const found: string[] = [];
    for await (const { line } of queryRequests(home, { errorsOnly: true })) found.push(line.id);
    expect(found).toEqual(['req_long']);
  });

  test('are found in the journal alone, where the totals are gone', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await during(home, clock, (ledger) => ledger.journal.append(opening('req_open')));
    await rm(homePaths(home).usage);
    await during(home, clock, async ({ totals }) => expect(reportUsage(totals.read(), everything).totals).toMatchObject({ requests: 1, failed: 1 }));
  });

  test('count in no duration: how long they took is not known', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await during(home, clock, (ledger) => ledger.journal.append(opening('req_open')));
    await during(home, clock, async (ledger) => expect(reportOf(ledger).totals.ms).toEqual({ ttftP50: null, ttftP95: null, totalP50: null, totalP95: null }));
  });
});

/** Some requests on each of so many days, the first at noon. */
async function days(home: string, clock: FakeClock, count: number): Promise<void> {
  await during(home, clock, async (ledger) => {
    for (let day = 0; day < count; day += 1) {
      for (let index = 0; index < 4; index += 1) {
        await ledger.journal.append(closing(`req_${day}_${index}`, { t: clock.now(), client: `c${index % 2}`, cost: { list: day * 10 + index, charged: 0, price: null } }));
      }
      clock.advance(DAY_MS);
    }
  });
}

describe('pruning', () => {
  test('keeps every total, also when usage.json is lost afterwards, and again when more is pruned', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 5);
    const before = await during(home, clock, async (ledger) => reportOf(ledger));
    expect(before.totals.requests).toBe(20);
    for (const keptDays of [4, 2]) {
      const cut = clock.now() - keptDays * DAY_MS;
      const planned = await planPrune(home, cut);
      const pruned = await during(home, clock, (ledger) => ledger.prune(cut));
      expect(pruned).toEqual(planned);
      expect(pruned.segments).toBeGreaterThan(0);
      await rm(homePaths(home).usage);
      expect(await during(home, clock, async (ledger) => reportOf(ledger))).toEqual(before);
      expect(await during(home, clock, async (ledger) => {
        await ledger.rebuild();
        return reportOf(ledger);
      })).toEqual(before);
      expect((await verifyLedger(home)).ok).toBe(true);
    }
    expect((await recount(home)).totals.requests).toBe(8);
  });

  test('that was killed between keeping and removing counts nothing twice, and the next one removes what is left', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 4);
    const before = await during(home, clock, async (ledger) => reportOf(ledger));
    const names = await segmentNames(home);
    const kept = await Promise.all(names.map(async (name) => [name, await readFile(join(homePaths(home).journal, name))] as const));
    await during(home, clock, (ledger) => ledger.prune(clock.now() - 2 * DAY_MS));
    // All but the oldest segment are back, as if the process had died after its first removal.
    const present = new Set(await segmentNames(home));
    for (const [name, bytes] of kept.slice(1)) if (!present.has(name)) await writeFile(join(homePaths(home).journal, name), bytes, { mode: 0o600 });
    await rm(homePaths(home).usage);
    await during(home, clock, async (ledger) => {
      expect(reportOf(ledger)).toEqual(before);
      expect((await ledger.prune(clock.now() - 2 * DAY_MS)).segments).toBe(1);
      expect(reportOf(ledger)).toEqual(before);
    });
    expect((await verifyLedger(home)).ok).toBe(true);
  });

  test('a pruned.json that cannot be read has its copy stand in, and the loss is said where there is none', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 4);
    const before = await during(home, clock, async (ledger) => reportOf(ledger));
    await during(home, clock, (ledger) => ledger.prune(clock.now() - 3 * DAY_MS));
    await during(home, clock, (ledger) => ledger.prune(clock.now() - 2 * DAY_MS));
    const { pruned, usage } = homePaths(home);
    await writeFile(pruned, '{"version":');
    await rm(usage);
    const log = keptLog();
    const ledger = await open(home, clock, log);
    // The copy is that of the first pruning: what the second one took is missing, and said to be.
    expect(reportOf(ledger).totals.requests).toBe(before.totals.requests - 4);
    await ledger.close();
    expect(log.lines.join('\n')).toContain('pruned.json cannot be read');
    await unlink(`${pruned}.bak`);
    await rm(usage);
    expect((await during(home, clock, async (again) => reportOf(again))).totals.requests).toBe(8);
  });

  test('of another journal it is left out', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 4);
    await during(home, clock, (ledger) => ledger.prune(clock.now() - 2 * DAY_MS));
    const { journal, usage } = homePaths(home);
    for (const name of await readdir(journal)) await unlink(join(journal, name));
    await rm(usage);
    await rm(`${usage}.bak`, { force: true });
    await days(home, clock, 1);
    expect((await during(home, clock, async (ledger) => reportOf(ledger))).totals.requests).toBe(4);
  });

  test('takes what recovery had set aside in those days along', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 3);
    const { journal } = homePaths(home);
    const [oldest = '', ...rest] = await segmentNames(home);
    for (const name of [oldest, rest.at(-1) ?? '']) await writeFile(join(journal, `${name}.tail-1`), 'half a line');
    await during(home, clock, (ledger) => ledger.prune(clock.now() - DAY_MS));
    expect((await readdir(journal)).filter((name) => name.includes('.tail-'))).toEqual([`${rest.at(-1)}.tail-1`]);
  });
});

describe('a rebuild', () => {
  test('while lines are coming gives what a recount gives, and is never seen half done', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 6);
    await during(home, clock, async (ledger) => {
      const least = reportOf(ledger).totals.requests;
      const seen: number[] = [];
      const rebuilding = ledger.rebuild();
      for (let index = 0; index < 40; index += 1) {
        await ledger.journal.append(closing(`req_more_${index}`, { t: clock.now() }));
        seen.push(reportOf(ledger).totals.requests);
      }
      await rebuilding;
      expect(seen.every((count, index) => count === least + index + 1)).toBe(true);
      expect(reportOf(ledger)).toEqual(await recount(home));
    });
  });

  test('mends totals that a foreign hand has changed', async () => {
    const home = await freshHome();
    const clock = fakeClock();
    await days(home, clock, 2);
    const { usage } = homePaths(home);
    const text = await readFile(usage, 'utf8');
    await writeFile(usage, text.replaceAll('"requests":2', '"requests":9'));
    await during(home, clock, async (ledger) => {
      expect(reportOf(ledger).totals.requests).toBeGreaterThan(8);
      expect(await ledger.rebuild()).toBeGreaterThanOrEqual(8);
      expect(reportOf(ledger)).toEqual(await recount(home));
    });
  });
});

test('a journal that was found corrupt is told to be so, until what is corrupt was pruned', async () => {
  const home = await freshHome();
  const clock = fakeClock();
  await days(home, clock, 1);
  const { journal } = homePaths(home);
  const [name = ''] = await segmentNames(home);
  const text = await readFile(join(journal, name), 'utf8');
  await writeFile(join(journal, name), text.replace('"id":"req_0_1"', '"id":"req_0_x"'));
  await rm(homePaths(home).usage);
  for (let start = 0; start < 2; start += 1) {
    await during(home, clock, async (ledger) => {
      expect(ledger.isCorrupt).toBe(true);
      await ledger.journal.append(closing(`req_after_${start}`, { t: clock.now() }));
    });
  }
  expect(await verifyLedger(home)).toMatchObject({ ok: false, fault: { segment: name } });
  clock.advance(2 * DAY_MS);
  await during(home, clock, async (ledger) => {
    await ledger.journal.append(closing('req_later', { t: clock.now() }));
    await ledger.prune(clock.now());
  });
  await during(home, clock, async (ledger) => expect(ledger.isCorrupt).toBe(false));
  expect(await verifyLedger(home)).toMatchObject({ ok: true });
});

type Step =
  | { readonly do: 'requests'; readonly records: readonly Partial<CloseRecord>[] }
  | { readonly do: 'open' | 'kill' | 'restart' | 'rebuild' | 'lose-totals' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'prune'; readonly keepMs: number };

const record = fc.record<Partial<CloseRecord>>({
  client: fc.constantFrom('codex', 'aider', 'zed'),
  account: fc.constantFrom('work', 'home', null),
  outcome: fc.constantFrom('ok', 'incomplete', 'failed', 'broken_stream', 'client_closed', 'refused'),
  tokens: fc.option(fc.record({
    input: fc.nat(200_000), cached: fc.nat(50_000), cacheWrite: fc.nat(5_000), output: fc.nat(20_000), reasoning: fc.nat(9_000), estimated: fc.boolean(),
  })),
  cost: fc.record({ list: fc.nat(5e9), charged: fc.nat(5e9), price: fc.constant('a row') }),
  ms: fc.record({ queue: fc.nat(50), ttft: fc.option(fc.nat(9_000)), total: fc.nat(90_000) }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.array(record, { minLength: 1, maxLength: 12 }).map((records): Step => ({ do: 'requests', records })) },
  { weight: 3, arbitrary: fc.integer({ min: HOUR_MS, max: 16 * HOUR_MS }).map((ms): Step => ({ do: 'advance', ms })) },
  { weight: 3, arbitrary: fc.constantFrom<Step[]>({ do: 'open' }, { do: 'kill' }, { do: 'restart' }, { do: 'rebuild' }, { do: 'lose-totals' }) },
  { weight: 1, arbitrary: fc.integer({ min: DAY_MS, max: 4 * DAY_MS }).map((keepMs): Step => ({ do: 'prune', keepMs })) },
);

describe('a random week', () => {
  test('of requests, restarts, kills, lost totals, rebuilds and prunings leaves totals that equal the count of every line there ever was', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const home = await freshHome();
      const clock = fakeClock(NOON);
      const counted = emptyTotals();
      let opened = 0;
      let ledger = await open(home, clock);
      const reopen = async (): Promise<void> => {
        ledger = await open(home, clock);
        for (; opened > 0; opened -= 1) {
          foldRecord(counted, closing('', {
            t: clock.now(), k: 'orphan', outcome: 'orphaned', client: 'codex', account: 'key', provider: 'openai', model: { asked: null, sent: 'gpt-6-luna', ran: null },
            tokens: { input: 120, cached: 0, cacheWrite: 0, output: 0, reasoning: 0, estimated: true }, cost: { list: 12_000, charged: 12_000, price: 'x' },
          }));
        }
      };
      let number = 0;
      const act = async (next: Step): Promise<void> => {
        switch (next.do) {
          case 'requests':
            await Promise.all(next.records.map((change) => {
              const made = closing(`req_${number += 1}`, { t: clock.now(), ...change });
              foldRecord(counted, made);
              return ledger.journal.append(made);
            }));
            return;
          case 'open':
            await ledger.journal.append(opening(`req_${number += 1}`, { client: 'codex' }));
            opened += 1;
            return;
          case 'kill':
            await killed(ledger);
            return reopen();
          case 'restart':
            await ledger.close();
            return reopen();
          case 'lose-totals':
            await ledger.close();
            await rm(homePaths(home).usage, { force: true });
            return reopen();
          case 'rebuild':
            await ledger.rebuild();
            return;
          case 'advance':
            clock.advance(next.ms);
            return;
          case 'prune':
            await ledger.prune(clock.now() - next.keepMs);
        }
      };
      for (const next of steps) await act(next);
      expect(reportUsage(ledger.totals.read(), everything)).toEqual(reportUsage(counted, everything));
      await ledger.close();
      expect((await verifyLedger(home)).ok).toBe(true);
    }), { numRuns: 40 });
  }, 60_000);
});
