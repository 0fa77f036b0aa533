import { formatCount } from '../../core/amounts.ts';
import type { Line, Span } from '../spans.ts';
import { clip, fitLine, span, widthOf } from '../spans.ts';

/** The rule above a panel: its title at the left, a remark at the right, a line between. */
export function rule(title: Line, remark: Line, width: number): Line {
  const head: Line = [span('─ ', 'dim'), ...clip(title, Math.max(4, width - 4)), span(' ')];
  const room = width - widthOf(head);
  const tail: Line = remark.length > 0 && widthOf(remark) + 4 <= room ? [span(' '), ...remark, span(' ─', 'dim')] : [];
  return fitLine([...head, span('─'.repeat(Math.max(0, room - widthOf(tail))), 'dim'), ...tail], width);
}

/** Whether a panel holds the cursor. */
export type Focus = 'focused' | 'resting';

/** A panel's name over its rule: it stands out where the cursor is. */
export function panelTitle(name: string, count: number, focus: Focus): Line {
  return [span(name, focus === 'focused' ? 'accent' : 'strong'), ...(count > 0 ? [span(` ${formatCount(count)}`, 'dim')] : [])];
}

/** A list with a cursor, of which `height` rows are seen. */
export interface ListBody {
  readonly lines: readonly Line[];
  /** Which rows are seen, for the rule's remark; empty when all are. */
  readonly remark: Line;
}

const MARGIN = 2;

/** Cells a list's lines may take within a panel of this width: the cursor has its own column. */
export function listWidth(width: number): number {
  return width - MARGIN;
}

/** The seen part of a list, kept around the cursor; only those rows are drawn. */
export function listBody<Row>(rows: readonly Row[], draw: (row: Row) => Line, cursor: number, height: number, focus: Focus): ListBody {
  const seen = Math.max(0, height);
  const first = Math.max(0, Math.min(cursor - Math.floor(seen / 2), rows.length - seen));
  const lines = rows.slice(first, first + seen).map((row, index) => {
    const isChosen = focus === 'focused' && first + index === cursor;
    const line = draw(row);
    return isChosen ? [span('▌ ', 'accent'), ...line.map(emphasised)] : [span('  '), ...line];
  });
  const remark =
    rows.length > seen && seen > 0
      ? [span(`${first + 1}–${Math.min(rows.length, first + seen)} of ${formatCount(rows.length)}`, 'dim')]
      : [];
  return { lines, remark };
}

function emphasised({ text, tone }: Span): Span {
  return { text, tone: tone === 'plain' ? 'strong' : tone };
}

/** What stands where a list is empty: what that means, and what to do next. */
export function emptyList(said: string, remedy: string): readonly Line[] {
  return [[span('  '), span(said, 'dim'), ...(remedy === '' ? [] : [span('  '), span(remedy, 'accent')])]];
}
