import type { Line, Span } from './spans.ts';
import { fitLine, span, widthOf } from './spans.ts';

/** One column of a table: how a row's cell is drawn, and what happens when there is too little room. */
export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => Line | Span;
  /** Narrowest useful width; a column that has one may shrink to it. */
  readonly min?: number;
  /** Width it has also when no row needs it, so that rows that come later fit. */
  readonly basis?: number;
  /** Columns with the highest number go first when there is too little room; one without stays. */
  readonly dropAt?: number;
}

/** How a table's lines are drawn: every line exactly as wide as the others. */
export interface TablePlan<Row> {
  readonly heading: Line;
  draw(row: Row): Line;
}

const GAP = 2;

interface Sized<Row> {
  readonly column: Column<Row>;
  readonly natural: number;
}

/**
 * Plans a table within `width` cells, sized by a sample of its rows: while it is too wide even at its narrowest, columns
 * that may be dropped go; then those with a `min` shrink, the widest first. Rows outside the sample are cut to their columns.
 */
export function planTable<Row>(columns: readonly Column<Row>[], sample: readonly Row[], width: number): TablePlan<Row> {
  const sized = columns.map((column): Sized<Row> => ({
    column,
    natural: sample.reduce(
      (widest, row) => Math.max(widest, widthOf(asLine(column.cell(row)))),
      Math.max(column.title.length, column.basis ?? 0),
    ),
  }));
  const kept = dropColumns(sized, width);
  const widths = shrinkColumns(kept, width);
  const compose = (cellOf: (column: Column<Row>) => Line): Line =>
    kept.flatMap(({ column }, index) => {
      const cell = fitLine(cellOf(column), widths[index] ?? 0, column.align);
      return index === 0 ? cell : [span(' '.repeat(GAP)), ...cell];
    });
  return {
    heading: compose(({ title }) => [span(title, 'dim')]),
    draw: (row) => compose(({ cell }) => asLine(cell(row))),
  };
}

function asLine(cell: Line | Span): Line {
  return 'text' in cell ? [cell] : cell;
}

const total = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, widths.length - 1);
const least = <Row>({ column, natural }: Sized<Row>): number => Math.min(natural, column.min ?? natural);

function dropColumns<Row>(sized: readonly Sized<Row>[], width: number): readonly Sized<Row>[] {
  let kept = sized;
  while (total(kept.map(least)) > width) {
    const next = kept.filter(({ column }) => column.dropAt !== undefined)
      .reduce<Sized<Row> | null>((first, each) => ((each.column.dropAt ?? 0) > (first?.column.dropAt ?? -1) ? each : first), null);
    if (!next) return kept;
    kept = kept.filter((each) => each !== next);
  }
  return kept;
}

function shrinkColumns<Row>(kept: readonly Sized<Row>[], width: number): readonly number[] {
  const widths = kept.map(({ natural }) => natural);
  let excess = total(widths) - width;
  while (excess > 0) {
    const widest = kept.reduce((best, column, index) => {
      if ((widths[index] ?? 0) <= least(column)) return best;
      return best < 0 || (widths[index] ?? 0) > (widths[best] ?? 0) ? index : best;
    }, -1);
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}
