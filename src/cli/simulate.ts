import type { Command } from 'commander';

import type { CloseRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { STRATEGIES } from '../routing/score.ts';
import type { CommandContext } from './context.ts';
import type { SimulateOptions } from './run-simulation.ts';

/** Adds `relay simulate`. */
export function registerSimulate(program: Command, context: CommandContext): void {
  program.command('simulate')
    .description('The journal replayed through another strategy: what would have been different; nothing is sent')
    .requiredOption('--strategy <name>', STRATEGIES.join(', '))
    .option('--since <when>', 'from then on: a span (7d, 24h), a date or a date and time', '7d')
    .option('--until <when>', 'up to then')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  $ relay simulate --since 7d --strategy drain-soonest')
    .action(async (options: SimulateOptions) => {
      const { openControl } = await import('./control-access.ts');
      const { queryRequests } = await import('../storage/query.ts');
      const { runSimulate } = await import('./run-simulation.ts');
      await openControl(context, async ({ control, settings }) => {
        const accounts = await control.call('accounts.list', {});
        const records = async function* records(bounds: { readonly since: EpochMs; readonly until: EpochMs }): AsyncGenerator<CloseRecord> {
          for await (const { line } of queryRequests(context.home, { ...bounds, order: 'oldest' })) yield line;
        };
        await runSimulate(options, context, { records, settings, accounts });
      });
    });
}
