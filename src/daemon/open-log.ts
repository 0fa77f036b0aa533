import { join } from 'node:path';

import type { Clock, Log } from '../core/ports.ts';
import { createLog, LOG_FILE_BOUNDS, openLogFile, streamSink } from '../io/log.ts';
import { jsonLine } from '../io/log-line.ts';
import { homePaths } from '../storage/home.ts';

/** A log with its file. */
export interface OpenLog {
  readonly log: Log;
  close(): Promise<void>;
}

/** Opens `logs/relay.log` of a home; `mirror` gets each line as well, e.g. stdout under `relay start --json`. */
export function openLog(home: string, clock: Clock, mirror: ((line: string) => void) | null): OpenLog {
  const file = openLogFile({ path: join(homePaths(home).logs, 'relay.log'), format: jsonLine, ...LOG_FILE_BOUNDS });
  const sinks = mirror === null ? [file.sink] : [file.sink, streamSink(mirror, jsonLine)];
  return { log: createLog({ clock, level: 'info', sinks }), close: file.close };
}
