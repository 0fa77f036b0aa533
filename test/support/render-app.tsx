import { stripVTControlCharacters } from 'node:util';

import { render } from 'ink-testing-library';

import type { AppProps } from '../../src/tui/app.tsx';
import { App } from '../../src/tui/app.tsx';
import { waitFor } from './wait-for.ts';

/** The live screen on a terminal that only remembers, of any size. */
export interface RenderedApp {
  /** What stands on the screen now. */
  frame(): string;
  readonly frames: readonly string[];
  press(...keys: readonly string[]): Promise<void>;
  resize(columns: number, rows: number): void;
  /** Waits until the screen says it, and gives the whole screen. */
  shows(text: string | RegExp): Promise<string>;
  unmount(): void;
}

/** Keys as terminals send them. */
export const KEY = {
  up: '\x1b[A', down: '\x1b[B', right: '\x1b[C', left: '\x1b[D', pageDown: '\x1b[6~', pageUp: '\x1b[5~', home: '\x1b[H', end: '\x1b[F',
  enter: '\r', escape: '\x1b', tab: '\t', shiftTab: '\x1b[Z', backspace: '\x7f', ctrlC: '\x03', ctrlZ: '\x1a',
} as const;

/** Renders the screen; it is up when this resolves. */
export async function renderApp(props: AppProps, columns = 100, rows = 30): Promise<RenderedApp> {
  const instance = render(<App {...props} />);
  const frame = (): string => instance.lastFrame() ?? '';
  const resize = (width: number, height: number): void => {
    Object.defineProperty(instance.stdout, 'columns', { value: width, configurable: true });
    Object.defineProperty(instance.stdout, 'rows', { value: height, configurable: true });
    instance.stdout.emit('resize');
  };
  resize(columns, rows);
  const shows = async (text: string | RegExp): Promise<string> => {
    await waitFor(() => (typeof text === 'string' ? frame().includes(text) : text.test(frame())), `the screen to show ${text}`).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}\n${frame()}`);
      },
    );
    return frame();
  };
  await waitFor(() => {
    const lines = stripVTControlCharacters(frame()).split('\n');
    return (lines.length === rows && lines.every((line) => line.length <= columns)) || lines.join('').trim() === 'relay  …';
  }, 'the screen to be up');
  return {
    frame, resize, shows, frames: instance.frames, unmount: instance.unmount,
    async press(...keys) {
      for (const key of keys) {
        instance.stdin.write(key);
        // Ink waits a moment after an escape, to tell the key from the beginning of a sequence.
        await new Promise((resolve) => setTimeout(resolve, key === KEY.escape ? 60 : 0));
      }
    },
  };
}
