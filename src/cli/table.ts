import { Chalk } from 'chalk';

import type { Line, Tone } from '../tui/spans.ts';
import { clip, textOf } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import { planTable } from '../tui/table.ts';
import type { Output } from './context.ts';

const chalk = new Chalk({ level: 1 });
const PAINT: Readonly<Record<Tone, (text: string) => string>> = {
  plain: (text) => text,
  strong: chalk.bold,
  dim: chalk.dim,
  good: chalk.green,
  warn: chalk.yellow,
  bad: chalk.red,
  accent: chalk.cyan,
};

/** One line as text for an output: cut to its width, coloured where colours are welcome, no blanks at the end. */
export function lineText(line: Line, output: Output): string {
  const cut = clip(line, output.columns);
  if (!output.colour) return `${textOf(cut).trimEnd()}\n`;
  const trailing = textOf(cut).length - textOf(cut).trimEnd().length;
  return `${trimLine(cut, trailing).map(({ text, tone }) => (text.trim() === '' ? text : PAINT[tone](text))).join('')}\n`;
}

function trimLine(line: Line, blanks: number): Line {
  const kept = [...line];
  for (let left = blanks; left > 0;) {
    const last = kept.pop();
    if (last === undefined) break;
    if (last.text.length > left) kept.push({ ...last, text: last.text.slice(0, -left) });
    left -= last.text.length;
  }
  return kept;
}

/** Writes lines, in one write. */
export function writeLines(output: Output, lines: readonly Line[]): Promise<void> {
  return output.write(lines.map((line) => lineText(line, output)).join(''));
}

/** A whole table as lines: the heading, then a line a row. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], output: Output): readonly Line[] {
  const plan = planTable(columns, rows, output.columns);
  return [plan.heading, ...rows.map(plan.draw)];
}
