import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { CommandError, EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { parseJsonObject, stringAt } from '../core/json.ts';
import type { CommandContext } from './context.ts';
import type { StartOptions } from './start-options.ts';

const READY_MS = 30_000;

/** Starts the daemon in a session of its own, waits until it listens, and says where; what it says in vain is passed on. */
export async function startDetached(options: StartOptions, context: CommandContext): Promise<void> {
  const ready = await spawnDaemon(options, context);
  if (options.json) {
    await context.stdout.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  const key = stringAt(ready, 'clientKey');
  await context.stderr.write(`Relay listens on ${stringAt(ready, 'url') ?? ''}/v1 (pid ${String(ready['pid'])}); relay stop ends it\n`);
  if (key !== undefined) await context.stderr.write(`Your client key, shown this once:  ${key}\n`);
}

function spawnDaemon(options: StartOptions, context: CommandContext): Promise<Readonly<Record<string, unknown>>> {
  const launcher = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));
  const args = ['start', '--json', ...(options.port === undefined ? [] : ['--port', options.port]), ...(options.mock ? ['--mock'] : [])];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [launcher, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let complaints = '';
    const finish = (settle: () => void): void => {
      cancel();
      child.stdout.destroy();
      child.stderr.destroy();
      child.removeAllListeners();
      child.unref();
      settle();
    };
    const cancel = context.clock.after(READY_MS, () => finish(() => {
      child.kill();
      reject(new CommandError(EXIT.failed, `Relay did not come up within ${READY_MS / 1_000} s; relay start shows why`));
    }));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const ready = output.split('\n').map(parseJsonObject).find((line) => line !== undefined && stringAt(line, 'event') === 'ready');
      if (ready !== undefined) finish(() => resolve(ready));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaints += chunk.toString('utf8');
    });
    child.once('exit', (code) => finish(() => reject(new CommandError(exitCodeOf(code), complaints.trim().replace(/^relay: /, '') || 'Relay ended before it listened'))));
    child.once('error', (error) => finish(() => reject(new CommandError(EXIT.failed, `Relay could not be started: ${error.message}`))));
  });
}

function exitCodeOf(code: number | null): ExitCode {
  return Object.values(EXIT).find((known) => known === code && known !== EXIT.ok) ?? EXIT.failed;
}
