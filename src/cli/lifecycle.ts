import type { Command } from 'commander';

import type { CommandContext } from './context.ts';
import type { StartOptions } from './start-options.ts';

/** Adds `relay start`, `stop`, `restart` and `status`. */
export function registerLifecycle(program: Command, context: CommandContext): void {
  startFlags(program.command('start').description('Run Relay on 127.0.0.1; Ctrl-C ends it'))
    .addHelpText('after', `
Examples:
  $ relay start
  $ relay start --mock            with a built-in fake provider: no account needed
  $ relay start --detach          in the background`)
    .action(async (options: StartOptions) => {
      const { runStart } = await import('./start.ts');
      await runStart(options, context);
    });
  program.command('stop').description('End the running Relay; answers under way may finish')
    .action(async () => {
      const { runStop } = await import('./stop.ts');
      await runStop(context);
    });
  startFlags(program.command('restart').description('End the running Relay and start it again in the background'))
    .action(async (options: StartOptions) => {
      const { runStop } = await import('./stop.ts');
      const { runStart } = await import('./start.ts');
      await runStop(context);
      await runStart({ ...options, detach: true }, context);
    });
  program.command('status').description('Gateway, providers, keychain, ledger and accounts').option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  $ relay status --json | jq .gateway')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { runStatus } = await import('./status.ts');
      await runStatus(json === true, context);
    });
}

function startFlags(command: Command): Command {
  return command
    .option('--port <number>', 'port on 127.0.0.1 and ::1; 0 takes any (default: server.port, 7352)')
    .option('--mock', 'add the built-in mock provider (models relay-mini and relay-large)')
    .option('--detach', 'run in the background')
    .option('--json', 'one ready line, then the log, as JSON lines');
}
