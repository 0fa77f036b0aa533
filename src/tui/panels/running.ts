import { ABSENT, formatCount, formatDuration } from '../../core/amounts.ts';
import type { LiveRequest } from '../../core/ports.ts';
import { printable } from '../../core/printable.ts';
import type { EpochMs } from '../../core/units.ts';
import { shortId } from '../request-words.ts';
import type { Line, Tone } from '../spans.ts';
import { span } from '../spans.ts';
import type { Column } from '../table.ts';
import { planTable } from '../table.ts';
import type { PanelPlace } from './accounts.ts';
import { listBody, listWidth, panelTitle, rule } from './frame.ts';

const PHASES: Readonly<Record<LiveRequest['phase'], Tone>> = {
  queued: 'dim', connecting: 'plain', waiting: 'plain', streaming: 'good', settling: 'dim',
};
/** A speed taken over less than this says nothing. */
const MEASURABLE_MS = 500;

/** Pieces of output a second, near enough to tokens; null before there is anything to measure. */
export function outputSpeed({ firstOutputAt, outputEvents }: LiveRequest, now: EpochMs): number | null {
  if (firstOutputAt === null || now - firstOutputAt < MEASURABLE_MS) return null;
  return outputEvents / ((now - firstOutputAt) / 1_000);
}

function runningColumns(now: EpochMs): readonly Column<LiveRequest>[] {
  return [
    { title: 'TIME', align: 'right', basis: 6, cell: ({ startedAt }) => span(formatDuration(now - startedAt)) },
    { title: 'PHASE', basis: 10, cell: ({ phase }) => span(phase, PHASES[phase]) },
    { title: 'CLIENT', basis: 8, min: 8, dropAt: 4, cell: ({ client }) => span(printable(client)) },
    { title: 'MODEL', basis: 14, min: 12, cell: ({ model }) => span(printable(model)) },
    {
      title: 'ACCOUNT',
      basis: 8,
      min: 8,
      dropAt: 3,
      cell: ({ account }) => (account === null ? span(ABSENT, 'dim') : span(printable(account))),
    },
    { title: 'TRIES', align: 'right', dropAt: 7, cell: ({ attempts }) => span(String(attempts), attempts > 1 ? 'warn' : 'dim') },
    {
      title: 'TTFT',
      align: 'right',
      basis: 5,
      dropAt: 6,
      cell: ({ startedAt, firstOutputAt }) =>
        firstOutputAt === null ? span(ABSENT, 'dim') : span(formatDuration(firstOutputAt - startedAt)),
    },
    {
      title: 'OUT',
      align: 'right',
      basis: 5,
      dropAt: 5,
      cell: ({ outputEvents }) => span(outputEvents === 0 ? ABSENT : formatCount(outputEvents), outputEvents === 0 ? 'dim' : 'plain'),
    },
    { title: 'TOK/S', align: 'right', basis: 5, cell: (request) => speedSpan(outputSpeed(request, now)) },
    { title: 'ID', dropAt: 9, cell: ({ id }) => span(shortId(id), 'dim') },
  ];
}

function speedSpan(speed: number | null): Line {
  return [speed === null ? span(ABSENT, 'dim') : span(formatCount(speed))];
}

/** The requests that run now: how far each is, for how long, how fast. */
export function drawRunning(requests: readonly LiveRequest[], place: PanelPlace): readonly Line[] {
  const { width, height, cursor, focus, now } = place;
  if (requests.length === 0) return [rule(panelTitle('Running', 0, focus), [span('nothing', 'dim')], width)].slice(0, height);
  const plan = planTable(runningColumns(now), requests, listWidth(width));
  const body = listBody(requests, plan.draw, cursor, height - 2, focus);
  const lines: readonly Line[] = [
    rule(panelTitle('Running', requests.length, focus), body.remark, width),
    [span('  '), ...plan.heading],
    ...body.lines,
  ];
  return lines.slice(0, height);
}
