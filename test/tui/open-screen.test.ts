import { PassThrough } from 'node:stream';
import type { ReadStream, WriteStream } from 'node:tty';

import { describe, expect, test } from 'vitest';

import { openScreen } from '../../src/tui/open-screen.tsx';
import { fakeClock } from '../support/fake-clock.ts';
import { busySnapshot, fixtureSource, NOW } from '../support/tui-fixture.ts';
import { waitFor, within } from '../support/wait-for.ts';

/** A terminal that only remembers what was written to it. */
function terminal(kind: 'tty' | 'pipe') {
  const written: string[] = [];
  const stdout = Object.assign(new PassThrough(), { isTTY: kind === 'tty', columns: 80, rows: 24 });
  stdout.on('data', (chunk: Buffer) => written.push(chunk.toString()));
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: kind === 'tty',
    setRawMode: (mode: boolean) => modes.push(mode),
    ref() {},
    unref() {},
  });
  // The screen uses nothing else of a terminal than this.
  return {
    written,
    modes,
    stdin: stdin as unknown as ReadStream,
    stdout: stdout as unknown as WriteStream,
    type: (text: string) => stdin.write(text),
  };
}

const ENTER_ALTERNATE = '\x1b[?1049h';
const LEAVE_ALTERNATE = '\x1b[?1049l';
const SHOW_CURSOR = '\x1b[?25h';

describe('the terminal', () => {
  test('P09: without one the screen is refused, with what to do instead', async () => {
    const { stdin, stdout, written } = terminal('pipe');
    await expect(
      openScreen({
        source: fixtureSource(busySnapshot()),
        clock: fakeClock(NOW),
        stdin,
        stdout,
        colour: false,
        timeZone: 'UTC',
        signal: new AbortController().signal,
      }),
    ).rejects.toThrow('needs a terminal; relay usage --by model');
    expect(written).toEqual([]);
  });

  test.each(['q', 'signal'] as const)('P14: is as it was after %s', async (way) => {
    const { stdin, stdout, written, modes, type } = terminal('tty');
    const source = fixtureSource(busySnapshot());
    const quit = new AbortController();
    const closed = openScreen({ source, clock: fakeClock(NOW), stdin, stdout, colour: false, timeZone: 'UTC', signal: quit.signal });
    await waitFor(() => written.join('').includes('Accounts 6'), 'the screen');
    expect(written.join('')).toContain(ENTER_ALTERNATE);
    expect(modes.at(-1)).toBe(true);
    if (way === 'q') type('q');
    else quit.abort();
    await within(closed, 'the screen to close');
    const text = written.join('');
    expect(text.lastIndexOf(LEAVE_ALTERNATE)).toBeGreaterThan(text.lastIndexOf(ENTER_ALTERNATE));
    expect(text.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(text.lastIndexOf('\x1b[?25l'));
    expect(modes.at(-1)).toBe(false);
    expect(source.subscribers).toBe(0);
  });
});
