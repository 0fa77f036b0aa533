import type { CommandContext, Output } from '../../src/cli/context.ts';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';

/** A command's context that remembers what was written. */
export interface TestContext extends CommandContext {
  readonly clock: FakeClock;
  /** What has been written so far. */
  readonly written: { readonly stdout: string; readonly stderr: string };
  /** The reader of stdout goes away, as `head -1` does. */
  readonly closeStdout: () => void;
  readonly interrupt: () => void;
}

/** Makes one: stdout is a pipe unless it is given columns, then it is a terminal of that width. */
export function testContext(
  now: number,
  change: Partial<CommandContext> & { readonly columns?: number; readonly colour?: boolean } = {},
): TestContext {
  const written = { stdout: '', stderr: '' };
  const reader = new AbortController();
  const interrupt = new AbortController();
  const { columns, colour = false, ...rest } = change;
  const output = (name: 'stdout' | 'stderr'): Output => ({
    isTTY: columns !== undefined,
    colour,
    columns: columns ?? Number.POSITIVE_INFINITY,
    closed: name === 'stdout' ? reader.signal : new AbortController().signal,
    async write(text) {
      if (name === 'stderr' || !reader.signal.aborted) written[name] += text;
    },
  });
  return {
    stdout: output('stdout'), stderr: output('stderr'), stdin: process.stdin, terminal: null, env: {}, home: '/nowhere', timeZone: 'UTC',
    signal: interrupt.signal, ...rest,
    clock: fakeClock(now), written, closeStdout: () => reader.abort(), interrupt: () => interrupt.abort(),
  };
}
