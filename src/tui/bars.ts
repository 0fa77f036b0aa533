import type { Line, Tone } from './spans.ts';
import { span } from './spans.ts';

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/**
 * Values as a row of bars, `width` cells wide, the newest at the right. More values than cells are summed, fewer are
 * spread; the highest fills its cell, what is not zero shows at least the lowest bar, zero is a blank.
 */
export function sparkline(values: readonly number[], width: number): string {
  if (values.length === 0 || width < 1) return ' '.repeat(Math.max(0, width));
  const cells = resample(values, Math.min(width, values.length));
  const highest = Math.max(...cells);
  const bars = cells.map((value) => (value <= 0 ? ' ' : (LEVELS[Math.ceil((value / highest) * LEVELS.length) - 1] ?? '▁')));
  return bars.join('').padStart(width);
}

function resample(values: readonly number[], count: number): number[] {
  const cells = Array.from({ length: count }, () => 0);
  values.forEach((value, index) => {
    const cell = Math.floor((index * count) / values.length);
    cells[cell] = (cells[cell] ?? 0) + value;
  });
  return cells;
}

/** The tone of a share used, 0-100: calm until three quarters, a warning until ninety. */
export function usedTone(percent: number): Tone {
  if (percent >= 90) return 'bad';
  return percent >= 75 ? 'warn' : 'good';
}

/** A share of 0-100 as a bar of `width` cells; anything above nothing fills at least one. */
export function percentBar(percent: number, width: number): Line {
  const share = Math.min(100, Math.max(0, percent));
  const filled = share === 0 ? 0 : Math.max(1, Math.round((share / 100) * width));
  return [span('━'.repeat(filled), usedTone(share)), span('─'.repeat(width - filled), 'dim')];
}
