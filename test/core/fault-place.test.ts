import { expect, test } from 'vitest';

import { faultPlace } from '../../src/core/fault-place.ts';
import { parseMoment } from '../../src/cli/moment.ts';

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

test('a fault is told by its name and its place in Relay\'s files', () => {
  expect(faultPlace(thrownBy(() => parseMoment('never', 0, '--since')))).toEqual({ error: 'CommandError', at: expect.stringMatching(/^src\/cli\/moment\.ts:\d+$/) });
});

test('and never by its message, which may quote what was read', () => {
  const quoting = thrownBy(() => JSON.parse('a prompt, word for word'));
  expect(String(quoting)).toContain('a prompt');
  expect(JSON.stringify(faultPlace(quoting))).not.toContain('prompt');
  const hostile = new Error('first\n    at src/a prompt of mine.ts:1\nlast');
  expect(JSON.stringify(faultPlace(hostile))).not.toContain('mine');
  hostile.name = 'a prompt of mine';
  expect(JSON.stringify(faultPlace(hostile))).not.toContain('mine');
});

test('what is thrown and no error has no place', () => {
  expect(faultPlace('a prompt')).toEqual({ error: 'string', at: 'unknown' });
  expect(faultPlace(null)).toEqual({ error: 'object', at: 'unknown' });
});
