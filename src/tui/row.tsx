import { Text } from 'ink';
import { memo } from 'react';

import type { Line, Tone } from './spans.ts';
import { textOf } from './spans.ts';

/** The styles Ink's Text gives each tone. */
const STYLES: Readonly<Record<Tone, { readonly color?: string; readonly bold?: boolean; readonly dimColor?: boolean }>> = {
  plain: {},
  strong: { bold: true },
  dim: { dimColor: true },
  good: { color: 'green' },
  warn: { color: 'yellow' },
  bad: { color: 'red' },
  accent: { color: 'cyan' },
};

interface RowProps {
  readonly line: Line;
  readonly colour: boolean;
}

/** One line of the screen, drawn again only when it says something else. */
export const Row = memo(function Row({ line, colour }: RowProps) {
  if (!colour) return <Text wrap="truncate">{textOf(line) || ' '}</Text>;
  return (
    <Text wrap="truncate">
      {line.length === 0 ? ' ' : line.map(({ text, tone }, index) => <Text key={index} {...STYLES[tone]}>{text}</Text>)}
    </Text>
  );
}, (before, after) => before.colour === after.colour && isSameLine(before.line, after.line));

function isSameLine(left: Line, right: Line): boolean {
  return left.length === right.length && left.every((span, index) => span.text === right[index]?.text && span.tone === right[index]?.tone);
}
