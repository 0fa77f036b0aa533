import { describe, expect, test } from 'vitest';

import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { Config } from '../../src/core/config.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/units.ts';
import { keepRetention } from '../../src/daemon/keep-ledger.ts';
import { keptLog } from '../storage/journal-fixture.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';

function keeper(retentionDays: number) {
  const clock = fakeClock();
  const log = keptLog();
  const asked: number[] = [];
  let failure: Error | null = null;
  const kept = {
    clock, log, asked,
    settings: { ...DEFAULT_CONFIG, ledger: { ...DEFAULT_CONFIG.ledger, retentionDays } } as Config,
    failWith(error: Error | null) {
      failure = error;
    },
  };
  const stop = keepRetention({
    clock, log, settings: () => kept.settings,
    ledger: {
      prune: (before) => {
        asked.push(before);
        return failure === null ? Promise.resolve({ segments: 1, through: 9, lines: 9, bytes: 1, keptFrom: '2026-11-01' }) : Promise.reject(failure);
      },
    },
  });
  return Object.assign(kept, { stop });
}

describe('retention', () => {
  test('is kept at the start and looked at every hour', async () => {
    const { clock, asked, log, stop } = keeper(30);
    expect(asked).toEqual([clock.now() - 30 * DAY_MS]);
    await waitFor(() => clock.pending === 1, 'the next look');
    clock.advance(HOUR_MS);
    expect(asked).toHaveLength(2);
    await waitFor(() => log.lines.length === 2, 'both lines of the log');
    stop();
  });

  test('of 0 days keeps everything, until the settings say otherwise', async () => {
    const kept = keeper(0);
    await waitFor(() => kept.clock.pending === 1, 'the next look');
    kept.clock.advance(5 * HOUR_MS);
    expect(kept.asked).toEqual([]);
    await waitFor(() => kept.clock.pending === 1, 'the next look');
    kept.settings = { ...kept.settings, ledger: { ...kept.settings.ledger, retentionDays: 7 } };
    kept.clock.advance(HOUR_MS);
    expect(kept.asked).toEqual([kept.clock.now() - 7 * DAY_MS]);
    kept.stop();
  });

  test('that a disk refuses is tried again an hour later, and said', async () => {
    const kept = keeper(30);
    await waitFor(() => kept.clock.pending === 1, 'the next look');
    kept.failWith(new Error('EROFS: read-only'));
    kept.clock.advance(HOUR_MS);
    await waitFor(() => kept.log.lines.some((line) => line.includes('were not pruned')), 'the warning');
    await waitFor(() => kept.clock.pending === 1, 'the next look');
    kept.failWith(null);
    kept.clock.advance(HOUR_MS);
    expect(kept.asked).toHaveLength(3);
    kept.stop();
  });

  test('ends when it is stopped, also in the middle of a look', async () => {
    const { clock, asked, stop } = keeper(30);
    stop();
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(3 * HOUR_MS);
    expect(asked).toHaveLength(1);
  });
});
