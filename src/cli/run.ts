import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';

import type { Command } from 'commander';

import { launchClaude } from '../clients/claude.ts';
import { launchCodex } from '../clients/codex.ts';
import type { Launch, LaunchRequest } from '../clients/launch.ts';
import { launchOpencode } from '../clients/opencode.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { Control } from '../control/control.ts';
import type { CommandContext } from './context.ts';

const LAUNCHERS: Readonly<Record<string, (request: LaunchRequest) => Launch>> = {
  codex: launchCodex, claude: launchClaude, opencode: launchOpencode,
};
const NAMES = Object.keys(LAUNCHERS).join(', ');

/** Runs something with a control that is good at that moment: a client may outlive the daemon it was started with. */
type WithControl = <T>(work: (control: Control) => Promise<T>) => Promise<T>;

/** Adds `relay run CLIENT [-- ARGS]`. */
export function registerRun(program: Command, context: CommandContext): void {
  program.command('run <client> [args...]')
    .description(`start a client wired to Relay for this process only (${NAMES}); nothing is written to its settings`)
    .addHelpText('after', '\nExamples:\n  $ relay run codex\n  $ relay run codex -- exec "explain this repository"\n  $ relay run opencode')
    .action(async (client: string, args: readonly string[]) => {
      const { openControl } = await import('./control-access.ts');
      const withControl: WithControl = (work) => new Promise((resolve, reject) => {
        openControl(context, async ({ control }) => resolve(await work(control))).catch(reject);
      });
      process.exitCode = await runClient({ client, args, env: context.env, withControl }, (text) => context.stderr.write(text));
    });
}

/** One run of a client. */
export interface ClientRun {
  readonly client: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly withControl: WithControl;
}

/**
 * Runs a client to its end with a key made for it and revoked afterwards, whatever became of client and daemon
 * meanwhile. Resolves with the client's own exit code, 128 and the signal's number when a signal ended it.
 */
export async function runClient({ client, args, env, withControl }: ClientRun, say: (text: string) => Promise<void>): Promise<number> {
  const launcher = Object.hasOwn(LAUNCHERS, client) ? LAUNCHERS[client] : undefined;
  if (!launcher) throw new CommandError(EXIT.usage, `relay run knows ${NAMES}; not "${client}"`);
  const name = `run-${client}-${randomBytes(4).toString('hex')}`;
  const request = await withControl(async (control): Promise<LaunchRequest> => {
    const { gateway } = await control.call('status', {});
    if (gateway.url === null) throw new CommandError(EXIT.failed, 'Relay is not running; start it with: relay start --detach');
    const models = await control.call('models.list', {});
    const { key } = await control.call('clients.add', { name, keep: false, endpoints: ['chat', 'responses', 'models'] });
    return { url: gateway.url, key, args, models, env };
  });
  try {
    return await spawnClient(launcher(request));
  } finally {
    await withControl((control) => control.call('clients.revoke', { name })).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      return say(`relay: the key of this run could not be revoked (${reason}); do it with: relay clients revoke ${name}\n`);
    });
  }
}

function spawnClient({ command, args, env, install }: Launch): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    // A terminal's Ctrl-C reaches the client by itself; Relay only has to outlive it to revoke its key.
    const handlers = {
      SIGINT: (): void => void (process.stdin.isTTY || child.kill('SIGINT')),
      SIGTERM: (): void => void child.kill('SIGTERM'),
      SIGHUP: (): void => void child.kill('SIGHUP'),
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, handlers[signal]);
    const finish = (settle: () => void): void => {
      for (const signal of signals) process.off(signal, handlers[signal]);
      settle();
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT';
      const message = isMissing ? `is not installed; get it with: ${install}` : `could not be started: ${error.message}`;
      finish(() => reject(new CommandError(EXIT.failed, `${command} ${message}`)));
    });
    child.once('exit', (code, signal) => finish(() => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))));
  });
}
