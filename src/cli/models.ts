import type { Command } from 'commander';

import { formatCountShort } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { ServedModel } from '../control/control.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { lineText, tableLines } from './table.ts';

/** Adds `relay models`. */
export function registerModels(program: Command, context: CommandContext): void {
  program.command('models').description('Every model that is served, and by which accounts').option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  $ relay models --json | jq -r \'.[].id\'')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { openControl } = await import('./control-access.ts');
      await openControl(context, async ({ control }) => {
        const models = await control.call('models.list', {});
        await context.stdout.write(json ? `${JSON.stringify(models)}\n` : modelTable(models, context));
      });
    });
}

function modelTable(models: readonly ServedModel[], { stdout }: CommandContext): string {
  if (models.length === 0) return lineText([span('No models yet: there is no account that serves one. relay keys add adds an account.', 'dim')], stdout);
  const columns: readonly Column<ServedModel>[] = [
    { title: 'MODEL', min: 12, cell: ({ id }) => span(printable(id), 'strong') },
    { title: 'CONTEXT', align: 'right', dropAt: 2, cell: ({ contextTokens }) => (contextTokens === null ? span('–', 'dim') : span(formatCountShort(contextTokens))) },
    { title: 'EFFORTS', min: 8, dropAt: 3, cell: ({ efforts }) => span(printable(efforts.join(' ')), 'dim') },
    { title: 'ACCOUNTS', min: 10, cell: ({ accounts }) => span(printable(accounts.join(', '))) },
  ];
  return tableLines(columns, models, stdout).map((line) => lineText(line, stdout)).join('');
}
