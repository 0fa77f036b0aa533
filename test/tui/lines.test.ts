import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { percentBar, sparkline, usedTone } from '../../src/tui/bars.ts';
import type { Line } from '../../src/tui/spans.ts';
import { clip, fitLine, span, spread, textOf, widthOf } from '../../src/tui/spans.ts';
import type { Column } from '../../src/tui/table.ts';
import { planTable } from '../../src/tui/table.ts';
import { courseOf } from '../../src/tui/time-window.ts';
import { finishedRequest, NOW, usageReport, usageTotals } from '../support/tui-fixture.ts';

const anyLine: fc.Arbitrary<Line> = fc.array(
  fc.string({ unit: fc.constantFrom('a', 'b', ' ', '模', '…', '●'), maxLength: 12 }).map((text) => span(text)),
  { maxLength: 6 },
);

describe('lines', () => {
  test('clip never exceeds, fitLine is exact', () => {
    fc.assert(fc.property(anyLine, fc.integer({ min: 1, max: 40 }), (line, width) => {
      expect(widthOf(clip(line, width))).toBeLessThanOrEqual(width);
      expect(widthOf(fitLine(line, width))).toBe(width);
      expect(widthOf(fitLine(line, width, 'right'))).toBe(width);
    }));
  });

  test('a cut is told, also between spans', () => {
    expect(textOf(clip([span('abc'), span('def')], 5))).toBe('abcd…');
    expect(textOf(clip([span('abc'), span('def')], 3))).toBe('ab…');
    expect(textOf(clip([span('abc'), span('def')], 6))).toBe('abcdef');
  });

  test('spread keeps the right end and cuts the left', () => {
    expect(textOf(spread([span('left')], [span('right')], 20))).toBe('left           right');
    expect(textOf(spread([span('a very long left')], [span('right')], 16))).toBe('a very lo… right');
    expect(textOf(spread([span('left')], [span('a long right end')], 12))).toBe('left        ');
  });
});

describe('tables', () => {
  interface Row {
    readonly name: string;
    readonly count: number;
    readonly note: string;
  }
  const columns: readonly Column<Row>[] = [
    { title: 'NAME', min: 4, cell: ({ name }) => span(name) },
    { title: 'COUNT', align: 'right', cell: ({ count }) => span(String(count)) },
    { title: 'NOTE', dropAt: 1, cell: ({ note }) => span(note) },
  ];
  const rows: readonly Row[] = [{ name: 'gpt-6-luna', count: 7, note: 'fine' }, { name: 'x', count: 12_345, note: '' }];
  const lines = (width: number): string[] => {
    const plan = planTable(columns, rows, width);
    return [plan.heading, ...rows.map(plan.draw)].map((line) => textOf(line).trimEnd());
  };

  test('numbers stand under each other at the right', () => {
    expect(lines(80)).toEqual(['NAME        COUNT  NOTE', 'gpt-6-luna      7  fine', 'x           12345']);
  });

  test('what may be dropped goes where even the narrowest is too wide, then what may shrink does', () => {
    expect(lines(17)).toEqual(['NAME  COUNT  NOTE', 'gpt…      7  fine', 'x     12345']);
    expect(lines(16)).toEqual(['NAME       COUNT', 'gpt-6-lu…      7', 'x          12345']);
  });

  test('rows outside the sample are cut to their columns', () => {
    const plan = planTable(columns, rows, 80);
    expect(textOf(plan.draw({ name: 'a-much-longer-name', count: 1, note: 'n' }))).toBe('a-much-lo…      1  n   ');
  });

  test('every line of a table is as wide as the others', () => {
    const row = fc.record({
      name: fc.string({ unit: fc.constantFrom('a', '模', '●'), maxLength: 20 }),
      count: fc.nat(),
      note: fc.string({ unit: fc.constantFrom('a', '模'), maxLength: 20 }),
    });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 8 }), fc.integer({ min: 20, max: 90 }), (many, width) => {
        const plan = planTable(columns, many, width);
        const widths = new Set([plan.heading, ...many.map(plan.draw)].map(widthOf));
        expect(widths.size).toBe(1);
      }),
    );
  });
});

describe('bars', () => {
  test.each<[readonly number[], number, string]>([
    [[1, 2, 4, 8], 4, '▁▂▄█'],
    [[0, 0, 5], 3, '  █'],
    [[1, 1], 4, '  ██'],
    [[1, 3, 0, 4], 2, '██'],
    [[], 3, '   '],
    [[0, 0], 2, '  '],
    [[1, 1_000], 2, '▁█'],
  ])('%j over %i cells is "%s"', (values, width, bars) => {
    expect(sparkline(values, width)).toBe(bars);
  });

  test('a share is a bar: anything above nothing shows, nothing exceeds it', () => {
    expect(textOf(percentBar(0, 10))).toBe('──────────');
    expect(textOf(percentBar(0.4, 10))).toBe('━─────────');
    expect(textOf(percentBar(62, 10))).toBe('━━━━━━────');
    expect(textOf(percentBar(180, 10))).toBe('━━━━━━━━━━');
    expect([10, 75, 90].map(usedTone)).toEqual(['good', 'warn', 'bad']);
  });
});

describe('the course of a window', () => {
  test('hours without requests are gaps, and the newest is last', () => {
    const report = {
      ...usageReport({ since: null, until: null, by: ['hour'] }),
      groups: [{ key: { hour: new Date(NOW).toISOString() }, ...usageTotals(1) }],
    };
    const { requests, tokens } = courseOf('24h', report, [], NOW);
    expect(requests).toHaveLength(25);
    expect(requests.at(-1)).toBe(12);
    expect(requests.slice(0, -1).every((count) => count === 0)).toBe(true);
    expect(tokens.at(-1)).toBe(194_000);
  });

  test('an hour is drawn minute by minute from single requests', () => {
    const report = usageReport({ since: null, until: null, by: ['hour'] });
    const { requests } = courseOf(
      '1h',
      report,
      [finishedRequest({ t: NOW }), finishedRequest({ t: NOW - 60_000 }), finishedRequest({ t: NOW - 7_200_000 })],
      NOW,
    );
    expect(requests).toHaveLength(61);
    expect(requests.slice(-3)).toEqual([0, 1, 1]);
  });

  test('all time begins with the first day there is', () => {
    const report = usageReport({ since: null, until: null, by: ['day'] });
    expect(courseOf('all', report, [], NOW).requests).toHaveLength(30);
  });
});
