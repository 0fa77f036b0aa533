import type { ScreenState } from '../screen-state.ts';
import type { Line } from '../spans.ts';
import { fitLine, span, widthOf } from '../spans.ts';

const PANEL_HINTS = [
  ['?', 'help'],
  ['q', 'quit'],
  ['tab', 'panel'],
  ['enter', 'open'],
  ['/', 'filter'],
  ['t', 'time'],
  ['←→', 'view'],
  ['p', 'pause'],
  ['w', 'wake'],
  ['e', 'errors'],
  ['a', 'accounts'],
] as const;
const PAGE_HINTS = [['esc', 'back'], ['↑↓', 'scroll'], ['?', 'help'], ['q', 'quit']] as const;

/** The last line: what just happened, what is being typed, or which keys do what here. */
export function drawFooter({ notice, input, filter, overlay }: ScreenState, width: number): Line {
  if (notice) return fitLine([span(' '), span(notice.text, notice.tone)], width);
  if (input === 'filter') return fitLine([span(' /', 'accent'), span(`${filter}▏`), span('  enter keeps it, esc clears it', 'dim')], width);
  const hints = overlay.kind === 'browse' ? PANEL_HINTS : PAGE_HINTS;
  const shown = filter === '' || overlay.kind !== 'browse' ? [] : [span(` /${filter}`, 'accent'), span(' esc clears ', 'dim')];
  let left = width - widthOf(shown);
  const fitting = hints.filter(([key, does]) => (left -= key.length + does.length + 3) >= 0);
  return fitLine([...shown, ...fitting.flatMap(([key, does]) => [span(` ${key}`, 'accent'), span(` ${does} `, 'dim')])], width);
}
