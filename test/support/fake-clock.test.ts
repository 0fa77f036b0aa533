import { describe, expect, test } from 'vitest';

import { FAKE_START, fakeClock } from './fake-clock.ts';
import { seededRandom } from './seeded-random.ts';
import { waitFor } from './wait-for.ts';

describe('the fake clock', () => {
  test('fires timers in order, each at its own moment, also those set while firing', () => {
    const clock = fakeClock();
    const fired: [string, number][] = [];
    const note = (name: string) => () => fired.push([name, clock.now() - FAKE_START]);
    clock.after(30, note('late'));
    clock.after(10, () => {
      note('early')();
      clock.after(5, note('child'));
    });
    clock.after(10, note('second'));
    clock.advance(29);
    expect(fired).toEqual([['early', 10], ['second', 10], ['child', 15]]);
    expect(clock.nextIn).toBe(1);
    clock.advance(1);
    expect(fired.at(-1)).toEqual(['late', 30]);
    expect(clock.pending).toBe(0);
  });

  test('a cancelled timer never fires', () => {
    const clock = fakeClock();
    let fired = false;
    const cancel = clock.after(1, () => {
      fired = true;
    });
    cancel();
    clock.advance(10);
    expect(fired).toBe(false);
  });

  test('setting the wall clock moves no timer', () => {
    const clock = fakeClock();
    let fired = 0;
    clock.after(100, () => {
      fired += 1;
    });
    clock.set(0);
    clock.advance(99);
    expect([fired, clock.now()]).toEqual([0, 99]);
    clock.advance(1);
    expect(fired).toBe(1);
  });
});

test('seeded randomness repeats and stays in [0, 1)', () => {
  const [left, right] = [seededRandom(7), seededRandom(7)];
  const numbers = Array.from({ length: 1_000 }, () => left.next());
  expect(numbers).toEqual(Array.from({ length: 1_000 }, () => right.next()));
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(990);
});

test('a wait ends at its deadline and says what was waited for', async () => {
  await expect(waitFor(() => false, 'the moon', 30)).rejects.toThrow('the moon did not come about within 30 ms');
});
