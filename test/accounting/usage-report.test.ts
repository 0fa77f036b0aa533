import { describe, expect, test } from 'vitest';

import { planValue } from '../../src/accounting/plan-value.ts';
import { emptyTotals, foldRecord } from '../../src/accounting/totals.ts';
import type { ReportQuery } from '../../src/accounting/usage-report.ts';
import { reportUsage, spentSince } from '../../src/accounting/usage-report.ts';
import type { CloseRecord } from '../../src/core/record.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/units.ts';
import { closeRecord } from './close-record.ts';

const NOW = Date.parse('2026-11-21T14:30:00Z');
const nothing = { tokens: null, cost: { list: 0, charged: 0, price: null } };
const totals = [
  closeRecord({ t: NOW }),
  closeRecord({ t: NOW - HOUR_MS, client: 'aider', account: 'work', cost: { list: 900_000, charged: 0, price: 'p' } }),
  closeRecord({ t: NOW - DAY_MS, client: 'aider', member: 'ada', outcome: 'failed', ...nothing }),
  closeRecord({ t: NOW - 20 * DAY_MS, project: 'web' }),
  closeRecord({ t: NOW - 3 * HOUR_MS, account: null, provider: null, outcome: 'refused', ...nothing }),
].reduce(foldRecord, emptyTotals());

describe('a usage report', () => {
  test('has exactly the shape of `usage --json`', () => {
    expect(reportUsage(totals, { since: NOW - HOUR_MS / 2, until: NOW, by: ['client', 'account'] })).toEqual({
      since: Date.parse('2026-11-21T14:00:00Z'), until: Date.parse('2026-11-21T15:00:00Z'), by: ['client', 'account'],
      totals: {
        requests: 1, failed: 0, unmetered: 0, tokens: { input: 1_000, cached: 400, cacheWrite: 100, output: 50, reasoning: 20 },
        cost: { list: 100_000, charged: 40_000, saved: 60_000 }, ms: { ttftP50: 299, ttftP95: 299, totalP50: 1_960, totalP95: 1_960 },
      },
      groups: [{
        key: { client: 'default', account: 'mock-a' },
        requests: 1, failed: 0, unmetered: 0, tokens: { input: 1_000, cached: 400, cacheWrite: 100, output: 50, reasoning: 20 },
        cost: { list: 100_000, charged: 40_000, saved: 60_000 }, ms: { ttftP50: 299, ttftP95: 299, totalP50: 1_960, totalP95: 1_960 },
      }],
    });
  });

  test('without dimensions it has no groups', () => {
    const report = reportUsage(totals, { since: null, until: null, by: [] });
    expect(report.totals.requests).toBe(5);
    expect(report.groups).toEqual([]);
  });

  test('the dearest come first', () => {
    const { groups } = reportUsage(totals, { since: null, until: null, by: ['client'] });
    expect(groups.map(({ key, cost }) => [key.client, cost.list])).toEqual([['aider', 900_000], ['default', 200_000]]);
  });

  test('time runs upward', () => {
    const { groups } = reportUsage(totals, { since: null, until: null, by: ['day'] });
    expect(groups.map(({ key }) => key.day)).toEqual(['2026-11-01', '2026-11-20', '2026-11-21']);
  });

  test('hours are ISO 8601; where only the day was kept, it is the day', () => {
    const { groups } = reportUsage(totals, { since: null, until: null, by: ['hour'] });
    expect(groups.map(({ key }) => key.hour)).toEqual([
      '2026-11-01', '2026-11-20T14:00:00Z', '2026-11-21T11:00:00Z', '2026-11-21T13:00:00Z', '2026-11-21T14:00:00Z',
    ]);
  });

  test('who has no member or account is the group null', () => {
    const { groups } = reportUsage(totals, { since: null, until: null, by: ['account'] });
    expect(groups.find(({ key }) => key.account === null)?.requests).toBe(1);
  });

  test('`until` is not included, and a bound on the hour does not widen', () => {
    const hour = Date.parse('2026-11-21T14:00:00Z');
    const report = reportUsage(totals, { since: hour - HOUR_MS, until: hour, by: [] });
    expect([report.since, report.until, report.totals.requests]).toEqual([hour - HOUR_MS, hour, 1]);
  });

  test('a bound among days that were rolled up widens to the day', () => {
    const { since, totals: sums } = reportUsage(totals, { since: NOW - 20 * DAY_MS + HOUR_MS, until: null, by: [] });
    expect([since, sums.requests]).toEqual([Date.parse('2026-11-01T00:00:00Z'), 5]);
  });

  test('a filter leaves only what was asked for; null asks for those that have none', () => {
    const filters = [{ client: 'aider' }, { client: 'aider', member: null }, { account: null }, { client: 'nobody' }];
    const counts = filters.map((filter) => reportUsage(totals, { since: null, until: null, by: [], filter }).totals.requests);
    expect(counts).toEqual([2, 1, 1, 0]);
  });

  test('refused requests count, and do not make the others look fast', () => {
    const { ms } = reportUsage([closeRecord(), closeRecord({ outcome: 'refused', tokens: null, ms: { queue: 0, ttft: null, total: 1 } })]
      .reduce(foldRecord, emptyTotals()), { since: null, until: null, by: [] }).totals;
    expect(ms.totalP50).toBe(1_960);
  });

  test('empty totals make an empty report', () => {
    const report = reportUsage(emptyTotals(), { since: 0, until: NOW, by: ['model', 'day'] });
    expect(report).toMatchObject({ totals: { requests: 0, ms: { ttftP50: null } }, groups: [] });
  });
});

describe('spentSince', () => {
  test('counts in every unit what a budget counts, and no refused or failed request', () => {
    expect(spentSince(totals, Date.parse('2026-11-21T00:00:00Z'), {}))
      .toEqual({ requests: 2, tokens: 2_100, usd: 1_000_000, 'usd-charged': 40_000 });
    expect(spentSince(totals, Date.parse('2026-11-01T00:00:00Z'), { client: 'aider' }))
      .toEqual({ requests: 1, tokens: 1_050, usd: 900_000, 'usd-charged': 0 });
  });
});

describe('what a subscription is worth', () => {
  const MONTH = Date.parse('2026-11-01T00:00:00Z');
  const end = Date.parse('2026-12-01T00:00:00Z');
  const used = (t: number, account: string, list: number): CloseRecord => closeRecord({
    t, account, cost: { list, charged: 0, price: 'p' }, tokens: { input: 1_500_000, cached: 0, cacheWrite: 0, output: 500_000, reasoning: 0, estimated: false },
  });
  const month = [used(MONTH, 'work', 6e9), used(MONTH + 14 * DAY_MS, 'work', 3e9), used(MONTH + 20 * DAY_MS, 'late', 1e9)].reduce(foldRecord, emptyTotals());
  const report = (query: Partial<ReportQuery>) => reportUsage(month, {
    since: null, until: null, by: ['account'], plans: { prices: { work: 20, late: 30, gone: 5 }, now: MONTH + 15 * DAY_MS + 15 * DAY_MS / 2 }, ...query,
  }).groups;
  const planOf = (query: Partial<ReportQuery>, account: string) => report(query).find(({ key }) => key.account === account)?.plan;

  test('its share of the month stands beside the list price of what was used, and what a million tokens cost', () => {
    expect(planOf({ since: MONTH, until: MONTH + 15 * DAY_MS }, 'work')).toEqual({ monthly: 20e9, paid: 10e9, worth: 9e9, perMillion: 2.5e9 });
  });

  test('it counts up to now, whatever the report was asked for', () => {
    expect(planOf({ until: end }, 'work')?.paid).toBe(15e9);
    expect(planOf({}, 'work')?.paid).toBe(15e9);
  });

  test('and from its first use on', () => {
    expect(planOf({}, 'late')?.paid).toBe(2.5e9);
  });

  test('a day has a day\'s share, and the days add up to the whole', () => {
    const days = report({ by: ['account', 'day'] }).filter(({ key }) => key.account === 'work');
    expect(days.map(({ plan }) => plan?.worth)).toEqual([6e9, 3e9]);
    expect(days[0]?.plan?.paid).toBe(Math.round(20e9 / 30));
  });

  test('it is told of whole accounts only, and never to one client', () => {
    expect(report({ by: ['account', 'model'] }).every(({ plan }) => plan === undefined)).toBe(true);
    expect(report({ by: ['model'] }).every(({ plan }) => plan === undefined)).toBe(true);
    expect(report({ filter: { client: 'default' } }).every(({ plan }) => plan === undefined)).toBe(true);
  });

  test('a month without use costs all the same, and has no price a token', () => {
    expect(planValue({ work: 20 }, 'work', { tokens: { input: 0, cached: 0, cacheWrite: 0, output: 0, reasoning: 0 }, cost: { list: 0, charged: 0, saved: 0 } }, { from: MONTH, to: end }))
      .toEqual({ monthly: 20e9, paid: 20e9, worth: 0, perMillion: null });
    expect(planValue({ work: 20 }, 'toString', { tokens: { input: 0, cached: 0, cacheWrite: 0, output: 0, reasoning: 0 }, cost: { list: 0, charged: 0, saved: 0 } }, { from: MONTH, to: end })).toBeNull();
  });
});
