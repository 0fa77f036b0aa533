import type { EpochMs } from '../core/units.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../core/units.ts';
import type { UsageDimension, UsageReport } from '../core/views.ts';
import type { FinishedRequest } from './source.ts';

/** The stretches of time the screen can sum over. */
export const TIME_WINDOWS = ['1h', '24h', '7d', '30d', 'all'] as const;
export type TimeWindow = (typeof TIME_WINDOWS)[number];

const SPANS: Readonly<Record<TimeWindow, number | null>> = {
  '1h': HOUR_MS,
  '24h': DAY_MS,
  '7d': 7 * DAY_MS,
  '30d': 30 * DAY_MS,
  all: null,
};

/** When a window begins; null for everything. */
export function windowStart(window: TimeWindow, now: EpochMs): EpochMs | null {
  const span = SPANS[window];
  return span === null ? null : now - span;
}

/** What a window's course is drawn by: hours up to a week, days beyond. An hour is drawn from single requests. */
export function courseDimension(window: TimeWindow): Extract<UsageDimension, 'hour' | 'day'> {
  return window === '30d' || window === 'all' ? 'day' : 'hour';
}

/** Requests and tokens over a window's time, oldest first, gaps as zeros. */
export interface Course {
  readonly requests: readonly number[];
  readonly tokens: readonly number[];
}

/** The course of a window: from the report's groups, or minute by minute from the requests themselves for an hour. */
export function courseOf(window: TimeWindow, report: UsageReport, finished: readonly FinishedRequest[], now: EpochMs): Course {
  const step = window === '1h' ? MINUTE_MS : courseDimension(window) === 'hour' ? HOUR_MS : DAY_MS;
  const points = window === '1h' ? finished.map(pointOfRequest) : report.groups.map(pointOfGroup).filter((point) => point !== null);
  const first = windowStart(window, now) ?? points.reduce((earliest, { at }) => Math.min(earliest, at), now);
  // An open past is drawn over a year at most, so that one stray old day does not flatten the rest.
  const start = Math.floor(Math.max(first, now - 365 * DAY_MS) / step);
  const end = Math.floor(now / step);
  const requests = Array.from({ length: end - start + 1 }, () => 0);
  const tokens = [...requests];
  for (const point of points) {
    const index = Math.floor(point.at / step) - start;
    if (index < 0 || index >= requests.length) continue;
    requests[index] = (requests[index] ?? 0) + point.requests;
    tokens[index] = (tokens[index] ?? 0) + point.tokens;
  }
  return { requests, tokens };
}

interface Point {
  readonly at: EpochMs;
  readonly requests: number;
  readonly tokens: number;
}

function pointOfRequest({ t, tokens }: FinishedRequest): Point {
  return { at: t, requests: 1, tokens: tokens ? tokens.input + tokens.output : 0 };
}

function pointOfGroup({ key, requests, tokens }: UsageReport['groups'][number]): Point | null {
  const at = Date.parse(key.hour ?? key.day ?? '');
  return Number.isNaN(at) ? null : { at, requests, tokens: tokens.input + tokens.output };
}
