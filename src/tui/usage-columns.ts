import { ABSENT, formatCountShort, formatDuration, formatMoneyShort } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { UsageDimension, UsageGroup, UsageTotals } from '../core/views.ts';
import type { Span } from './spans.ts';
import { span } from './spans.ts';
import type { Column } from './table.ts';

/** One line of a usage table: what it is about, and the sums. */
export interface UsageRow {
  readonly labels: readonly Span[];
  readonly totals: UsageTotals;
}

type TotalsColumn = Column<UsageTotals>;

function count(title: string, read: (totals: UsageTotals) => number, dropAt?: number): TotalsColumn {
  return {
    title, align: 'right', cell: (totals) => span(formatCountShort(read(totals)), read(totals) === 0 ? 'dim' : 'plain'),
    ...(dropAt !== undefined && { dropAt }),
  };
}

function money(title: string, read: (totals: UsageTotals) => number, dropAt: number): TotalsColumn {
  return { title, align: 'right', dropAt, cell: (totals) => span(formatMoneyShort(read(totals)), read(totals) === 0 ? 'dim' : 'plain') };
}

function duration(title: string, read: (totals: UsageTotals) => number | null, dropAt: number): TotalsColumn {
  return { title, align: 'right', dropAt, cell: (totals) => durationSpan(read(totals)) };
}

function durationSpan(ms: number | null): Span {
  return ms === null ? span(ABSENT, 'dim') : span(formatDuration(ms));
}

const measures: readonly TotalsColumn[] = [
  count('REQUESTS', ({ requests }) => requests),
  { title: 'FAILED', align: 'right', dropAt: 5, cell: ({ failed }) => span(formatCountShort(failed), failed > 0 ? 'bad' : 'dim') },
  count('IN', ({ tokens }) => tokens.input, 4),
  count('CACHED', ({ tokens }) => tokens.cached, 8),
  count('OUT', ({ tokens }) => tokens.output, 4),
  count('REASONING', ({ tokens }) => tokens.reasoning, 11),
  money('LIST', ({ cost }) => cost.list, 3),
  money('PAID', ({ cost }) => cost.charged, 2),
  money('SAVED', ({ cost }) => cost.saved, 6),
  duration('TTFT P50', ({ ms }) => ms.ttftP50, 7),
  duration('P95', ({ ms }) => ms.ttftP95, 9),
  duration('TOTAL P50', ({ ms }) => ms.totalP50, 12),
  duration('P95', ({ ms }) => ms.totalP95, 13),
];

/** The row of one group; requests without a value (no member, no account) are told apart from any name. */
export function groupRow(group: UsageGroup, by: readonly UsageDimension[]): UsageRow {
  return {
    totals: group,
    labels: by.map((dimension) => {
      const value = group.key[dimension];
      return value ? span(printable(value), 'strong') : span('(none)', 'dim');
    }),
  };
}

/** The row that sums all others up. */
export function totalsRow(totals: UsageTotals): UsageRow {
  return { labels: [span('total', 'dim')], totals };
}

/** The columns of a usage report: its dimensions, then every measure that fits. */
export function usageColumns(by: readonly UsageDimension[]): readonly Column<UsageRow>[] {
  const labels = by.map((dimension, index): Column<UsageRow> => ({
    title: dimension.toUpperCase(), basis: 10, min: 14, cell: (row) => row.labels[index] ?? span(''),
  }));
  return [...labels, ...measures.map((column): Column<UsageRow> => ({ ...column, cell: ({ totals }) => column.cell(totals) }))];
}
