import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ReadStream, WriteStream } from 'node:tty';

import type { Clock } from '../core/ports.ts';

/** What every command is handed: where to write, whose home, what time it is, and when to stop. */
export interface CommandContext {
  /** Data. */
  readonly stdout: Output;
  /** Text for people while stdout may be a pipe: notes, warnings, prompts. */
  readonly stderr: Output;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  /** The terminal itself, for the live screen and hidden prompts; null unless stdin and stdout both are one that can draw. */
  readonly terminal: { readonly stdin: ReadStream; readonly stdout: WriteStream } | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `RELAY_HOME` as an absolute path; need not exist. */
  readonly home: string;
  readonly clock: Clock;
  /** IANA name of the user's time zone, for times written for people. */
  readonly timeZone: string;
  /** Aborted by SIGINT or SIGTERM: stop, clean up, return. */
  readonly signal: AbortSignal;
}

/** One stream to write text to. */
export interface Output {
  readonly isTTY: boolean;
  /** Whether colours are welcome: a TTY, without `NO_COLOR`, `FORCE_COLOR=0` or `TERM=dumb`. */
  readonly colour: boolean;
  /** Width to fit lines into, as it is now; Infinity where nothing has to fit (a pipe, a file). */
  readonly columns: number;
  /** Resolves when more may be written. Once the reader is gone it resolves at once and drops the text. */
  write(text: string): Promise<void>;
  /** Aborted when the reader is gone (`relay logs | head -1`): not an error, only a reason to stop. */
  readonly closed: AbortSignal;
}

/** What {@link createOutput} needs to know of a stream; `process.stdout` and `process.stderr` fit. */
export type OutputStream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Wraps a stream. A reader that went away (EPIPE) and a destroyed stream close the output quietly; any other write
 * error rises from `write`.
 */
export function createOutput(stream: OutputStream, env: CommandContext['env']): Output {
  const gone = new AbortController();
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isReaderGone(error)) gone.abort();
  });
  const isTTY = stream.isTTY === true;
  return {
    isTTY,
    colour: isTTY && wantsColour(env),
    get columns() {
      return isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
    },
    closed: gone.signal,
    write(text) {
      if (gone.signal.aborted || text === '') return Promise.resolve();
      return new Promise((done, failed) => {
        stream.write(text, (error?: Error | null) => {
          if (!error) return done();
          if (!isReaderGone(error)) return failed(error);
          gone.abort();
          done();
        });
      });
    },
  };
}

function isReaderGone(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED' || error.code === 'EOF';
}

function wantsColour(env: CommandContext['env']): boolean {
  return !env['NO_COLOR'] && env['FORCE_COLOR'] !== '0' && env['FORCE_COLOR'] !== 'false' && env['TERM'] !== 'dumb';
}

/** Where Relay keeps its files: `RELAY_HOME`, else `~/.relay`. */
export function relayHome(env: CommandContext['env']): string {
  return resolve(env['RELAY_HOME'] || join(homedir(), '.relay'));
}

/** The context of this very process. */
export function processContext(clock: Clock, signal: AbortSignal): CommandContext {
  const { env, stdin, stdout, stderr } = process;
  let timeZone: string | undefined;
  const canDraw = stdin.isTTY && stdout.isTTY && env['TERM'] !== 'dumb';
  return {
    stdout: createOutput(stdout, env),
    stderr: createOutput(stderr, env),
    stdin,
    terminal: canDraw ? { stdin, stdout } : null,
    env,
    home: relayHome(env),
    clock,
    // Asked for when a time is written: the answer takes 8 ms, and --help writes none.
    get timeZone() {
      return (timeZone ??= Intl.DateTimeFormat().resolvedOptions().timeZone);
    },
    signal,
  };
}
