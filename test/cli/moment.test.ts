import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseMoment } from '../../src/cli/moment.ts';
import { parseDuration } from '../../src/core/moment.ts';
import { CommandError } from '../../src/core/errors.ts';

const NOW = Date.UTC(2026, 10, 24, 14, 2, 11);

describe('durations', () => {
  test.each([
    ['7d', 604_800_000],
    ['24h', 86_400_000],
    ['90m', 5_400_000],
    ['30s', 30_000],
    ['2w', 1_209_600_000],
    ['1d12h', 129_600_000],
    ['1.5h', 5_400_000],
    [' 7D ', 604_800_000],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '7', 'd', '7x', '-7d', '7d?', 'd7', '7 d', '1e9d', '9999999999d', '2026-11-24'])('"%s" is none', (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  test('no text makes it throw or give anything but milliseconds', () => {
    fc.assert(fc.property(fc.string(), (text) => {
      const ms = parseDuration(text);
      expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
    }));
  });
});

describe('moments', () => {
  test.each([
    ['7d', NOW - 604_800_000],
    ['now', NOW],
    ['today', Date.UTC(2026, 10, 24)],
    ['yesterday', Date.UTC(2026, 10, 23)],
    ['2026-11-01', Date.UTC(2026, 10, 1)],
    ['2026-11-01T10:30Z', Date.UTC(2026, 10, 1, 10, 30)],
    ['2026-11-01T10:30+02:00', Date.UTC(2026, 10, 1, 8, 30)],
    ['1795528931000', 1_795_528_931_000],
  ])('%s', (text, at) => {
    expect(parseMoment(text, NOW, '--since')).toBe(at);
  });

  test.each([
    ['2026-11-01', Date.UTC(2026, 10, 2)],
    ['today', Date.UTC(2026, 10, 25)],
    ['yesterday', Date.UTC(2026, 10, 24)],
    ['1h', NOW - 3_600_000],
  ])('until %s means its whole day', (text, at) => {
    expect(parseMoment(text, NOW, '--until', 'end')).toBe(at);
  });

  test.each(['', 'last week', '2026-02-30', '2026-13-01', '2026-11-24T25:00', '24.11.2026', '7', 'yesterdayish'])(
    '"%s" is refused, naming the flag',
    (text) => {
      expect(() => parseMoment(text, NOW, '--since')).toThrow(CommandError);
      expect(() => parseMoment(text, NOW, '--since')).toThrow(/^--since ".*" is no time/);
    },
  );
});
