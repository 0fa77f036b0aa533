import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import type { Command } from 'commander';

import type { Launch, LaunchRequest } from '../clients/codex.ts';
import { launchCodex } from '../clients/codex.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { Control } from '../control/control.ts';
import type { CommandContext } from './context.ts';

const CLIENTS: Readonly<Record<string, (request: LaunchRequest) => Launch>> = { codex: launchCodex };

/** Adds `relay run CLIENT [-- ARGS]`. */
export function registerRun(program: Command, context: CommandContext): void {
  program.command('run <client> [args...]')
    .description(`Start a client wired to Relay for this process only (${Object.keys(CLIENTS).join(', ')}); nothing is written to its settings`)
    .addHelpText('after', '\nExamples:\n  $ relay run codex\n  $ relay run codex -- exec "explain this repository"')
    .action(async (client: string, args: readonly string[]) => {
      const { openControl } = await import('./control-access.ts');
      await openControl(context, async ({ control }) => {
        process.exitCode = await runClient(client, args, control);
      });
    });
}

/**
 * Runs a client to its end with a key made for it and revoked afterwards. Resolves with the client's own exit code.
 */
export async function runClient(name: string, args: readonly string[], control: Control): Promise<number> {
  const launcher = CLIENTS[name];
  if (!launcher) throw new CommandError(EXIT.usage, `relay run knows ${Object.keys(CLIENTS).join(', ')}; not "${name}"`);
  const { gateway } = await control.call('status', {});
  if (gateway.url === null) throw new CommandError(EXIT.failed, 'Relay is not running; start it with: relay start --detach');
  const keyName = `run-${name}-${randomBytes(4).toString('hex')}`;
  const { key } = await control.call('clients.add', { name: keyName, keep: false, endpoints: ['chat', 'responses', 'models'] });
  try {
    return await spawnClient(launcher({ url: gateway.url, key, args, fallbackModel: await fallbackModel(control) }));
  } finally {
    await control.call('clients.revoke', { name: keyName });
  }
}

/** A client's own default model is a ChatGPT one; where no such account serves, it needs the name of one that does. */
async function fallbackModel(control: Control): Promise<string | null> {
  const accounts = await control.call('accounts.list', {});
  const models = await control.call('models.list', {});
  if (accounts.some(({ provider }) => provider === 'chatgpt')) return null;
  return models.find(({ providers }) => providers.includes('openai'))?.id ?? models[0]?.id ?? null;
}

function spawnClient({ command, args, env, install }: Launch): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    // The terminal's Ctrl-C belongs to the client; Relay only has to outlive it to revoke its key.
    const ignore = (): void => {};
    const forward = (): void => void child.kill('SIGTERM');
    process.on('SIGINT', ignore);
    process.on('SIGTERM', forward);
    const finish = (settle: () => void): void => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', forward);
      settle();
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      const message = error.code === 'ENOENT' ? `${command} is not installed; get it with: ${install}` : `${command} could not be started: ${error.message}`;
      finish(() => reject(new CommandError(EXIT.failed, message)));
    });
    child.once('exit', (code, signal) => finish(() => resolve(code ?? (signal === 'SIGINT' ? EXIT.interrupted : EXIT.failed))));
  });
}
