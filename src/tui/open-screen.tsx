import type { ReadStream, WriteStream } from 'node:tty';

import { render } from 'ink';

import { CommandError, EXIT } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { App } from './app.tsx';
import type { TuiSource } from './source.ts';

/** Where and how the live screen is drawn. */
export interface Screen {
  readonly source: TuiSource;
  readonly clock: Clock;
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly colour: boolean;
  readonly timeZone: string;
  /** Closes the screen as `q` does. */
  readonly signal: AbortSignal;
}

const FRAMES_PER_SECOND = 10;

/**
 * Opens the live screen and resolves when it is closed; the terminal is then as it was, on every way out. Rejects with
 * a hint where there is no terminal to draw on.
 */
export async function openScreen({ source, clock, stdin, stdout, colour, timeZone, signal }: Screen): Promise<void> {
  if (!stdin.isTTY || !stdout.isTTY) {
    throw new CommandError(
      EXIT.failed,
      'the live screen needs a terminal; relay usage --by model and relay usage --json give a report anywhere',
    );
  }
  if (signal.aborted) return;
  const instance = render(<App source={source} clock={clock} timeZone={timeZone} colour={colour} sleep={sleepInBackground} />, {
    stdin, stdout, exitOnCtrlC: false, alternateScreen: true, incrementalRendering: true, maxFps: FRAMES_PER_SECOND,
    interactive: true, patchConsole: false,
  });
  const close = (): void => instance.unmount();
  signal.addEventListener('abort', close, { once: true });
  try {
    await instance.waitUntilExit();
  } finally {
    signal.removeEventListener('abort', close);
  }
}

/** Stops the whole job, as ctrl-z does where the terminal reads it itself; resolves when the shell brings it back. */
function sleepInBackground(): Promise<void> {
  if (process.platform === 'win32') return Promise.resolve();
  return new Promise((awake) => {
    process.once('SIGCONT', () => awake());
    process.kill(0, 'SIGTSTP');
  });
}
