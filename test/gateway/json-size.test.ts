import { describe, expect, test } from 'vitest';

import type { JsonValue } from '../../src/core/json.ts';
import { jsonSize } from '../../src/gateway/json-size.ts';

describe('jsonSize', () => {
  test('text counts by its length, everything has a price, names too', () => {
    expect(jsonSize('x'.repeat(1_000)) - jsonSize('')).toBe(1_000);
    expect(jsonSize([1, 2]) - jsonSize([1])).toBe(jsonSize(1));
    expect(jsonSize({ name: 1 }) - jsonSize({ n: 1 })).toBe(3);
    expect(jsonSize(undefined)).toBe(jsonSize(null));
  });

  test('depth is no danger', () => {
    let deep: JsonValue = 'end';
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    expect(jsonSize(deep)).toBeGreaterThan(200_000);
  });
});
