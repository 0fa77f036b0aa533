import { describe, expect, test } from 'vitest';

import { startClockWatch } from '../../src/gateway/clock-watch.ts';
import { fakeClock } from '../support/fake-clock.ts';

/** A watch over clocks and addresses a test moves by hand. */
function watched() {
  const clock = fakeClock();
  const machine = { monotonic: 0, addresses: ['192.168.1.7', '2001:db8::7'] };
  const breaks: string[] = [];
  const watch = startClockWatch({ clock, monotonicMs: () => machine.monotonic, addresses: () => machine.addresses, onBreak: ({ why }) => breaks.push(why) });
  /** Time as it passes for a machine that is awake. */
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 1_000) {
      machine.monotonic += Math.min(1_000, left);
      clock.advance(Math.min(1_000, left));
    }
  };
  return { clock, machine, breaks, watch, pass };
}

describe('a machine that is awake', () => {
  test('hours without a break blame whoever fails', () => {
    const { clock, watch, breaks, pass } = watched();
    const startedAt = clock.now();
    pass(3_600_000);
    expect(breaks).toEqual([]);
    expect(watch.spans(startedAt)).toBe(false);
  });

  test('a busy second or two is no sleep', () => {
    const { clock, machine, breaks } = watched();
    machine.monotonic += 35_000;
    clock.advance(35_000);
    expect(breaks).toEqual([]);
  });

  test('a clock that is set back is no sleep', () => {
    const { clock, machine, breaks, pass } = watched();
    clock.set(clock.now() - 7_200_000);
    pass(60_000);
    expect(breaks).toEqual([]);
    expect(machine.monotonic).toBe(60_000);
  });
});

describe('sleep', () => {
  test('a wall clock that ran ahead of the monotonic one is a sleep, told once', () => {
    const { clock, breaks, pass } = watched();
    pass(5_000);
    clock.set(clock.now() + 8 * 3_600_000);
    pass(60_000);
    expect(breaks).toEqual(['sleep']);
  });

  test('a look over 30 s late is a sleep, where the monotonic clock runs on through it', () => {
    const { clock, machine, breaks } = watched();
    machine.monotonic += 45_000;
    clock.set(clock.now() + 35_000);
    clock.advance(10_000);
    expect(breaks).toEqual(['sleep']);
  });

  test('a call that was under way excuses its failure even when its own timer fires before the watch looks', () => {
    const { clock, watch, breaks, pass } = watched();
    const before = clock.now();
    pass(3_000);
    clock.set(clock.now() + 600_000);
    expect(watch.spans(before)).toBe(true);
    expect(breaks).toEqual(['sleep']);
  });

  test('a call that began after waking up has no excuse, and neither has one that fails long after', () => {
    const { clock, watch, pass } = watched();
    const before = clock.now();
    clock.set(before + 600_000);
    pass(10_000);
    pass(1_000);
    expect(watch.spans(clock.now())).toBe(false);
    expect(watch.spans(before)).toBe(true);
    pass(601_000);
    expect(watch.spans(before)).toBe(false);
  });
});

describe('network', () => {
  test('other addresses are another network, the same ones in another order are not', () => {
    const { machine, breaks, pass } = watched();
    machine.addresses = ['2001:db8::7', '192.168.1.7'];
    pass(20_000);
    expect(breaks).toEqual([]);
    machine.addresses = ['10.0.0.4'];
    pass(20_000);
    expect(breaks).toEqual(['network']);
    machine.addresses = [];
    pass(20_000);
    expect(breaks).toEqual(['network', 'network']);
  });
});

test('a watch that was stopped looks no more', () => {
  const { clock, watch } = watched();
  watch.stop();
  expect(clock.pending).toBe(0);
});
