import { ABSENT, formatCountShort, formatDuration, formatMoneyShort, formatPercent } from '../../core/amounts.ts';
import { printable } from '../../core/printable.ts';
import type { EpochMs } from '../../core/units.ts';
import type { UsageTotals } from '../../core/views.ts';
import { sparkline } from '../bars.ts';
import type { DaemonView } from '../source.ts';
import type { Line, Tone } from '../spans.ts';
import { fitLine, span, spread } from '../spans.ts';
import type { Course, TimeWindow } from '../time-window.ts';
import { TIME_WINDOWS } from '../time-window.ts';

/** The first line: who this is, whether the daemon runs, and the window the sums are over. */
export function drawBrand(daemon: DaemonView, window: TimeWindow, now: EpochMs, width: number): Line {
  const windows = TIME_WINDOWS.flatMap((each) => [each === window ? span(`[${each}]`, 'accent') : span(` ${each} `, 'dim')]);
  return spread([span(' relay', 'strong'), span('  '), ...daemonSpans(daemon, now)], [...windows, span(' ')], width);
}

function daemonSpans(daemon: DaemonView, now: EpochMs): Line {
  if (daemon.state === 'stopped') return [span('○ not running', 'warn')];
  const address = span(printable(daemon.url).replace(/^https?:\/\//, ''));
  const mark = daemon.state === 'running' ? span('● ', 'good') : span('◐ draining ', 'warn');
  return [mark, address, span(`  up ${formatDuration(Math.max(1_000, Math.floor((now - daemon.startedAt) / 60_000) * 60_000))}`, 'dim')];
}

/** The widest title and a blank; figures that do not fit are left out from the right. */
const NARROWEST_TILE = 9;

interface Tile {
  readonly title: string;
  readonly value: string;
  readonly tone: Tone;
}

/** Two lines of figures: what each is, and how much. Without totals the figures are still being added up. */
export function drawFigures(totals: UsageTotals | null, width: number): readonly Line[] {
  const all = tilesOf(totals);
  const tiles = all.slice(0, Math.min(all.length, Math.floor((width - 1) / NARROWEST_TILE)));
  const each = Math.min(16, Math.floor((width - 1) / tiles.length));
  const row = (cell: (tile: Tile) => Line): Line => fitLine([span(' '), ...tiles.flatMap((tile) => fitLine(cell(tile), each))], width);
  return [row(({ title }) => [span(title, 'dim')]), row(({ value, tone }) => [span(value, tone)])];
}

function tilesOf(totals: UsageTotals | null): readonly Tile[] {
  const tile = (title: string, value: (totals: UsageTotals) => string, tone: (totals: UsageTotals) => Tone = () => 'strong'): Tile => ({
    title, value: totals ? value(totals) : '…', tone: totals ? tone(totals) : 'dim',
  });
  return [
    tile('SPENT', ({ cost }) => formatMoneyShort(cost.charged)),
    tile('SAVED', ({ cost }) => formatMoneyShort(cost.saved), ({ cost }) => (cost.saved > 0 ? 'good' : 'strong')),
    tile('TOKENS', ({ tokens }) => formatCountShort(tokens.input + tokens.output)),
    tile('REQUESTS', ({ requests }) => formatCountShort(requests)),
    tile('ERRORS', (sums) => formatPercent(errorPercent(sums)), (sums) => errorTone(errorPercent(sums))),
    tile('TTFT P50', ({ ms }) => durationText(ms.ttftP50)),
    tile('P95', ({ ms }) => durationText(ms.ttftP95)),
  ];
}

function durationText(ms: number | null): string {
  return ms === null ? ABSENT : formatDuration(ms);
}

function errorPercent({ failed, requests }: UsageTotals): number {
  return requests === 0 ? 0 : (failed / requests) * 100;
}

function errorTone(percent: number): Tone {
  if (percent >= 5) return 'bad';
  return percent >= 1 ? 'warn' : 'strong';
}

/** The course of requests and tokens over the window, side by side. */
export function drawCourse(course: Course | null, width: number): Line {
  const room = Math.max(8, Math.min(72, Math.floor((width - 22) / 2)));
  const chart = (values: readonly number[] | undefined): string => stretched(values ?? [], room);
  return fitLine([
    span(' requests ', 'dim'), span(chart(course?.requests), 'accent'), span('   tokens ', 'dim'), span(chart(course?.tokens), 'accent'),
  ], width);
}

/** A short course is drawn as wide as a long one, so that the line does not jump when the window changes. */
function stretched(values: readonly number[], width: number): string {
  if (values.length === 0 || values.length >= width) return sparkline(values, width);
  const bars = [...sparkline(values, values.length)];
  return Array.from({ length: width }, (_, cell) => bars[Math.floor((cell * bars.length) / width)] ?? ' ').join('');
}
