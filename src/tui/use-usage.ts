import { useEffect, useRef, useState } from 'react';

import type { Clock } from '../core/ports.ts';
import type { UsageDimension, UsageReport } from '../core/views.ts';
import type { TuiSource } from './source.ts';
import type { TimeWindow } from './time-window.ts';
import { windowStart } from './time-window.ts';

/** What is summed up, and by what. */
export interface UsageWanted {
  readonly window: TimeWindow;
  /** null: nothing is asked for. */
  readonly by: UsageDimension | null;
  /** Number of the newest finished request: another one, and the sums are out of date. */
  readonly newestSeq: number;
}

/** The least time between two askings of the same sums. */
const REFRESH_MS = 1_000;

interface Answer {
  readonly asked: string;
  readonly report: UsageReport;
}

/**
 * A usage report that keeps up with what finishes, asked for at most once a second. The one before stays until the new
 * one is there; null until the first. A failure is told and the next change tries again.
 */
export function useUsage(
  source: TuiSource,
  clock: Clock,
  { window, by, newestSeq }: UsageWanted,
  onFailure: (error: unknown) => void,
): UsageReport | null {
  const asked = `${window} ${by}`;
  const [answer, setAnswer] = useState<Answer | null>(null);
  const askedAt = useRef({ asked: '', at: Number.NEGATIVE_INFINITY });
  // Requests finish faster than a ledger adds up: an answer is used unless something else is wanted by now.
  const wanted = useRef(asked);
  useEffect(() => {
    wanted.current = asked;
    if (by === null) return;
    const ask = (): void => {
      askedAt.current = { asked, at: clock.now() };
      source.usage({ since: windowStart(window, clock.now()), until: null, by: [by] }).then(
        (report) => {
          if (wanted.current === asked) setAnswer({ asked, report });
        },
        (error: unknown) => {
          if (wanted.current === asked) onFailure(error);
        },
      );
    };
    const wait = askedAt.current.asked === asked ? Math.min(REFRESH_MS, askedAt.current.at + REFRESH_MS - clock.now()) : 0;
    const cancel = wait > 0 ? clock.after(wait, ask) : null;
    if (!cancel) ask();
    return () => cancel?.();
  }, [source, clock, window, by, asked, newestSeq, onFailure]);
  return answer?.asked === asked ? answer.report : null;
}
