import { displayWidth, truncate } from '../core/printable.ts';

/** What a piece of text means; the screen and the commands give each tone its colour, or none. */
export type Tone = 'plain' | 'strong' | 'dim' | 'good' | 'warn' | 'bad' | 'accent';

/** A piece of one line. Its text is printable already: everything from outside goes through `printable` first. */
export interface Span {
  readonly text: string;
  readonly tone: Tone;
}

/** One line of the screen. */
export type Line = readonly Span[];

/** Makes a span; `plain` unless said. */
export function span(text: string, tone: Tone = 'plain'): Span {
  return { text, tone };
}

/** The line's text without its tones. */
export function textOf(line: Line): string {
  return line.map(({ text }) => text).join('');
}

/** Cells the line takes. */
export function widthOf(line: Line): number {
  return line.reduce((sum, { text }) => sum + displayWidth(text), 0);
}

/** Cuts a line to at most `width` cells; the cut is told by `…`. */
export function clip(line: Line, width: number): Line {
  if (widthOf(line) <= width) return line;
  const kept: Span[] = [];
  let left = width;
  for (const piece of line) {
    const size = displayWidth(piece.text);
    // The last cell stays free for the ellipsis, which the piece that does not fit brings along.
    if (size >= left) return [...kept, { text: truncate(`${piece.text} `, left), tone: piece.tone }];
    kept.push(piece);
    left -= size;
  }
  return kept;
}

/** Cuts or pads a line to exactly `width` cells. */
export function fitLine(line: Line, width: number, align: 'left' | 'right' = 'left'): Line {
  const cut = clip(line, width);
  const padding = width - widthOf(cut);
  if (padding <= 0) return cut;
  return align === 'left' ? [...cut, span(' '.repeat(padding))] : [span(' '.repeat(padding)), ...cut];
}

/** Puts one line at the left edge and one at the right; the left one is cut where both do not fit. */
export function spread(left: Line, right: Line, width: number): Line {
  const room = width - widthOf(right);
  if (room < 8) return fitLine(left, width);
  return [...fitLine(left, room - 1), span(' '), ...right];
}

/** Lines joined into one, with a separator between those that are not empty. */
export function joinLines(lines: readonly Line[], separator: Span): Line {
  return lines.filter((line) => line.length > 0).flatMap((line, index) => (index === 0 ? line : [separator, ...line]));
}
