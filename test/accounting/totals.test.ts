import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DAILY_DAYS, HOURLY_DAYS } from '../../src/accounting/time-bucket.ts';
import type { Totals } from '../../src/accounting/totals.ts';
import { OTHER, OWNERS_PER_MONTH, SETS_PER_MONTH, emptyTotals, foldRecord, mergeTotals, parseTotals } from '../../src/accounting/totals.ts';
import { reportUsage, spentSince } from '../../src/accounting/usage-report.ts';
import type { CloseRecord } from '../../src/core/record.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/units.ts';
import { USAGE_DIMENSIONS } from '../../src/core/views.ts';
import { closeRecord } from './close-record.ts';

const NOW = Date.parse('2026-11-21T14:30:00Z');
const fold = (records: readonly CloseRecord[]): Totals => records.reduce(foldRecord, emptyTotals());
/** As it stands in the file: what a cell holds inside is not seen otherwise. */
const plain = (totals: Totals): unknown => JSON.parse(JSON.stringify(totals));
const everything = { since: null, until: null, by: USAGE_DIMENSIONS };

/** Records spread over hours, days and years, with few or many sets of dimensions. */
const records = (names: number): fc.Arbitrary<CloseRecord[]> => fc.array(fc.record({
  t: fc.oneof(
    fc.integer({ min: NOW - 3 * DAY_MS, max: NOW }), fc.integer({ min: NOW - 20 * DAY_MS, max: NOW }),
    fc.integer({ min: NOW - 900 * DAY_MS, max: NOW }), fc.constantFrom(0, NOW - HOURLY_DAYS * DAY_MS, NOW - DAILY_DAYS * DAY_MS),
  ),
  client: fc.integer({ min: 1, max: names }).map((index) => `client-${index}`),
  account: fc.constantFrom('a', 'b', null),
  outcome: fc.constantFrom('ok', 'failed', 'refused', 'client_closed', 'incomplete'),
  tokens: fc.oneof(fc.constant(null), fc.record({
    input: fc.nat(100_000), cached: fc.nat(10), cacheWrite: fc.nat(10), output: fc.nat(9_000), reasoning: fc.nat(10),
    estimated: fc.boolean(),
  })),
  cost: fc.record({ list: fc.nat(1e9), charged: fc.nat(1e9), price: fc.constant(null) }),
  ms: fc.record({
    queue: fc.constant(0), ttft: fc.option(fc.integer({ min: 1, max: 90_000 })), total: fc.integer({ min: 1, max: 900_000 }),
  }),
}).map((change) => closeRecord(change)), { maxLength: 60 });

describe('the fold', () => {
  test('any order of the lines gives the same totals', () => {
    const shuffled = records(4).chain((lines) => fc.tuple(fc.constant(lines), fc.shuffledSubarray(lines, { minLength: lines.length })));
    fc.assert(fc.property(shuffled, ([lines, permutation]) => {
      const [a, b] = [fold(lines), fold(permutation)];
      expect(plain(a)).toEqual(plain(b));
      expect(reportUsage(a, everything)).toEqual(reportUsage(b, everything));
    }), { numRuns: 200 });
  });

  test('merging is associative and the same as folding everything', () => {
    fc.assert(fc.property(records(3), records(3), records(3), (x, y, z) => {
      const [a, b, c] = [fold(x), fold(y), fold(z)];
      const left = mergeTotals(mergeTotals(a, b), c);
      expect(plain(left)).toEqual(plain(mergeTotals(a, mergeTotals(b, c))));
      expect(plain(left)).toEqual(plain(fold([...x, ...y, ...z])));
    }), { numRuns: 100 });
  });

  test('a report equals a recount of the lines', () => {
    fc.assert(fc.property(records(4), (lines) => {
      const { totals } = reportUsage(fold(lines), everything);
      const sum = (of: (line: CloseRecord) => number): number => lines.reduce((total, line) => total + of(line), 0);
      expect(totals.requests).toBe(lines.length);
      expect(totals.failed).toBe(sum(({ outcome }) => Number(outcome === 'failed')));
      expect(totals.tokens.input).toBe(sum(({ tokens }) => tokens?.input ?? 0));
      expect(totals.tokens.reasoning).toBe(sum(({ tokens }) => tokens?.reasoning ?? 0));
      expect(totals.cost).toEqual({
        list: sum(({ cost }) => cost.list), charged: sum(({ cost }) => cost.charged), saved: sum(({ cost }) => cost.list - cost.charged),
      });
    }));
  });

  test('groups add up to the totals, whatever they are grouped by', () => {
    fc.assert(fc.property(records(4), fc.subarray([...USAGE_DIMENSIONS], { minLength: 1 }), (lines, by) => {
      const { totals, groups } = reportUsage(fold(lines), { since: null, until: null, by });
      expect(groups.reduce((sum, { requests }) => sum + requests, 0)).toBe(totals.requests);
      expect(groups.reduce((sum, { cost }) => sum + cost.list, 0)).toBe(totals.cost.list);
    }));
  });

  test('it survives being written and read back at any point', () => {
    fc.assert(fc.property(records(3), records(3), (before, after) => {
      const read = parseTotals(JSON.parse(JSON.stringify(fold(before))));
      expect(plain(after.reduce(foldRecord, read))).toEqual(plain(fold([...before, ...after])));
    }), { numRuns: 50 });
  });

  test('U37 a completed answer without usage is unmetered; one that failed or was refused is not', () => {
    const totals = fold([
      closeRecord({ t: NOW, tokens: null }), closeRecord({ t: NOW, tokens: null, outcome: 'failed' }),
      closeRecord({ t: NOW, tokens: null, outcome: 'refused' }), closeRecord({ t: NOW }),
    ]);
    expect(reportUsage(totals, everything).totals).toMatchObject({ requests: 4, failed: 1, unmetered: 1 });
  });

  test('a name that was only asked for does not become a model', () => {
    const totals = fold([closeRecord({ t: NOW, outcome: 'refused', model: { asked: 'x'.repeat(5_000), sent: null, ran: null } })]);
    expect(reportUsage(totals, { since: null, until: null, by: ['model'] }).groups[0]?.key).toEqual({ model: null });
  });

  test('names that look like members of an object are only names', () => {
    const totals = fold(['__proto__', 'constructor', 'other'].map((client) => closeRecord({ t: NOW, client })));
    const { groups } = reportUsage(parseTotals(JSON.parse(JSON.stringify(totals))), { since: null, until: null, by: ['client'] });
    expect(groups.map(({ key }) => key.client).sort()).toEqual(['__proto__', 'constructor', 'other']);
  });

  test('sums stop at the largest exact number instead of drifting', () => {
    const dear = closeRecord({ t: NOW, cost: { list: Number.MAX_SAFE_INTEGER, charged: 0, price: 'p' } });
    expect(reportUsage(fold([dear, dear]), everything).totals.cost.list).toBe(Number.MAX_SAFE_INTEGER);
  });
});

const at = (t: number): CloseRecord => closeRecord({ t });

describe('buckets', () => {
  test('hours, then days after eight days, then months after 400', () => {
    const totals = fold([at(NOW), at(NOW - 8 * DAY_MS), at(NOW - 9 * DAY_MS), at(NOW - 399 * DAY_MS), at(NOW - 500 * DAY_MS)]);
    expect(Object.keys(totals.buckets).sort()).toEqual(['2025-07', '2025-10-18', '2026-11-12', '2026-11-13T14', '2026-11-21T14']);
  });

  test('the first hour kept is the first of its day, to the millisecond', () => {
    const first = Date.parse('2026-11-13T00:00:00Z');
    expect(Object.keys(fold([at(NOW), at(first), at(first - 1)]).buckets).sort()).toEqual(['2026-11-12', '2026-11-13T00', '2026-11-21T14']);
  });

  test('they coarsen when a newer day begins, and nothing is lost', () => {
    const totals = fold([at(NOW), at(NOW - HOUR_MS)]);
    foldRecord(totals, at(NOW + 9 * DAY_MS));
    expect(Object.keys(totals.buckets).sort()).toEqual(['2026-11-21', '2026-11-30T14']);
    foldRecord(totals, at(NOW + 500 * DAY_MS));
    expect(Object.keys(totals.buckets).sort()).toEqual(['2026-11', '2028-04-04T14']);
    expect(reportUsage(totals, everything).totals.requests).toBe(4);
  });

  test('a year of a steady team stays below two megabytes', () => {
    const totals = emptyTotals();
    for (let day = 0; day < 365; day += 1) {
      for (let index = 0; index < 40; index += 1) {
        foldRecord(totals, closeRecord({
          t: NOW - day * DAY_MS - index * 20 * 60_000, client: `client-${index % 4}`, account: `account-${index % 2}`,
          ms: { queue: 0, ttft: 300 + index * 7, total: 4_000 + index * 131 },
        }));
      }
    }
    expect(JSON.stringify(totals).length).toBeLessThan(2_000_000);
  });
});

/** Many clients in one month, some of it in hours, some in days. */
const crowd = (count: number): CloseRecord[] => Array.from({ length: count }, (_, index) => closeRecord({
  t: NOW - (index % 40) * 12 * HOUR_MS, client: `client-${index}`,
}));

describe('the cap', () => {
  test('at most 256 sets and 1,024 owners stand apart in a month; the rest are other, and nothing is lost', () => {
    const totals = fold(crowd(3_000));
    for (const sets of Object.values(totals.sets)) expect(sets.length).toBeLessThanOrEqual(SETS_PER_MONTH);
    for (const owners of Object.values(totals.owners)) expect(owners.length).toBeLessThanOrEqual(OWNERS_PER_MONTH);
    for (const [bucket, cells] of Object.entries(totals.buckets)) {
      const month = bucket.slice(0, 7);
      const kept = [OTHER, ...(totals.sets[month] ?? []), ...(totals.owners[month] ?? [])];
      expect(Object.keys(cells).filter((set) => !kept.includes(set))).toEqual([]);
    }
    const report = reportUsage(totals, { since: null, until: null, by: ['client'] });
    expect(report.totals.requests).toBe(3_000);
    expect(report.groups.find(({ key }) => key.client === 'other')?.requests).toBeGreaterThan(100);
  });

  test('what each client spent is exact far beyond it, so that a budget holds over a restart', () => {
    const lines = Array.from({ length: 3_000 }, (_, index) => closeRecord({
      t: NOW - (index % 30) * HOUR_MS, client: `client-${index % 300}`, model: { asked: 'm', sent: `model-${index % 7}`, ran: null },
    }));
    const totals = parseTotals(JSON.parse(JSON.stringify(fold(lines))));
    for (let client = 0; client < 300; client += 1) {
      expect(spentSince(totals, 0, { client: `client-${client}` })).toEqual({ requests: 10, tokens: 10_500, usd: 1_000_000, 'usd-charged': 400_000 });
    }
  });

  test('nobody is called other by what they are: a client of that name sees its own requests only', () => {
    const totals = fold([...crowd(3_000), closeRecord({ t: NOW, client: 'other' })]);
    expect(reportUsage(totals, { since: null, until: null, by: [], filter: { client: 'other' } }).totals.requests).toBeLessThanOrEqual(1);
  });

  test('which ones stand apart does not depend on the order, nor on how the lines were split', () => {
    const lines = crowd(2_500);
    const straight = fold(lines);
    const sorted = fold(lines.toSorted((a, b) => a.t - b.t));
    const merged = mergeTotals(fold(lines.slice(0, 1_000)), fold(lines.slice(1_000)));
    for (const other of [fold(lines.toReversed()), sorted, merged]) {
      expect(plain(other)).toEqual(plain(straight));
    }
  });
});

describe('parseTotals', () => {
  const good = JSON.stringify(fold([closeRecord({ t: NOW })]));
  test.each<[string, (text: string) => string]>([
    ['another version', (text) => text.replace('"version":1', '"version":2')],
    ['a list', () => '[]'],
    ['no buckets', (text) => text.replace('"buckets"', '"pails"')],
    ['a bucket of no time', (text) => text.replaceAll('2026-11-21T14', '2026-13-41T99')],
    ['a negative sum', (text) => text.replace('"requests":1', '"requests":-1')],
    ['a fraction', (text) => text.replace('"requests":1', '"requests":1.5')],
    ['a set of the wrong length', (text) => text.replaceAll('[\\"relay-mini\\",', '[')],
    ['a time that is none', (text) => text.replace(`"newest":${NOW}`, '"newest":"soon"')],
    ['durations that are none', (text) => text.replace('"total":"', '"total":"* ')],
  ])('%s is refused, so that the journal is folded anew', (_, spoil) => {
    expect(() => parseTotals(JSON.parse(good))).not.toThrow();
    expect(spoil(good)).not.toBe(good);
    expect(() => parseTotals(JSON.parse(spoil(good)))).toThrow(TypeError);
  });
});
