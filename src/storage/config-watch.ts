import { watch } from 'node:fs';
import { basename } from 'node:path';

import type { Config } from '../core/config.ts';
import { CommandError } from '../core/errors.ts';
import type { Clock, Log } from '../core/ports.ts';
import { describeFaults, readConfig } from './config-file.ts';
import { errorText } from './error-code.ts';
import { homePaths } from './home.ts';

/** What came of looking at `config.json` again. */
export type Reload =
  | { readonly outcome: 'unchanged' }
  | { readonly outcome: 'changed'; readonly config: Config }
  /** The old settings stay in force; `message` names line and column. */
  | { readonly outcome: 'invalid'; readonly message: string };

/** Calls back with the name of each entry of a folder that changed; the returned function ends it. Throws where it cannot watch. */
export type WatchFolder = (folder: string, onChange: (name: string | null) => void, onError: (error: unknown) => void) => () => void;

/** What settings are watched with. */
export interface WatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The settings in force when watching begins. */
  readonly config: Config;
  /** Called with each new valid settings, after they came into force here. */
  readonly onChange: (config: Config) => void;
  readonly watchFolder?: WatchFolder;
  /** Editors write in several steps; the file is read when it has been quiet for so long, in ms. 100. */
  readonly settleMs?: number;
}

/** Settings that follow their file. */
export interface WatchedConfig {
  current(): Config;
  /** Looks now, for SIGHUP. Looks happen one after the other. */
  reload(): Promise<Reload>;
  close(): void;
}

/** Follows `config.json`. Where the folder cannot be watched it says so, and SIGHUP is left. */
export function watchConfig(home: string, options: WatchOptions): WatchedConfig {
  const { clock, log, watchFolder = watchWithNode, settleMs = 100 } = options;
  const path = homePaths(home).config;
  let config = options.config;
  let looking: Promise<unknown> = Promise.resolve();
  let cancelSettle: (() => void) | null = null;
  let saidInvalid: string | null = null;

  const look = async (): Promise<Reload> => {
    const reading = await readOrMessage(home);
    if (typeof reading === 'string') {
      // The same fault is said once, however often the file is touched.
      if (reading !== saidInvalid) log.error(`config.json is not valid; the old settings stay in force: ${reading}`);
      saidInvalid = reading;
      return { outcome: 'invalid', message: reading };
    }
    saidInvalid = null;
    if (JSON.stringify(reading) === JSON.stringify(config)) return { outcome: 'unchanged' };
    config = reading;
    log.info('config.json changed; the new settings are in force');
    options.onChange(config);
    return { outcome: 'changed', config };
  };
  const reload = (): Promise<Reload> => {
    const result = looking.then(look);
    looking = result.catch(() => undefined);
    return result;
  };
  const onChange = (name: string | null): void => {
    if (name !== null && name !== basename(path)) return;
    cancelSettle?.();
    cancelSettle = clock.after(settleMs, () => {
      reload().catch((error: unknown) => log.error(`config.json was not taken over: ${errorText(error)}`));
    });
  };
  const sayUnwatched = (error: unknown): void => log.warn(`config.json is not watched (${errorText(error)}); send SIGHUP after a change`);

  let endWatch: (() => void) | null = null;
  try {
    endWatch = watchFolder(home, onChange, sayUnwatched);
  } catch (error) {
    sayUnwatched(error);
  }
  return {
    current: () => config,
    reload,
    close: () => {
      cancelSettle?.();
      endWatch?.();
    },
  };
}

async function readOrMessage(home: string): Promise<Config | string> {
  try {
    const reading = await readConfig(home);
    return reading.ok ? reading.config : describeFaults(home, reading.faults);
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

/** The folder, not the file: editors replace the file, and a watch on it would follow the old one. */
const watchWithNode: WatchFolder = (folder, onChange, onError) => {
  const watcher = watch(folder, { persistent: false }, (_, name) => onChange(name));
  watcher.on('error', onError);
  return () => watcher.close();
};
