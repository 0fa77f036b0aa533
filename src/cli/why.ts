import type { Command } from 'commander';

import { CommandError, EXIT } from '../core/errors.ts';
import type { WhyReport } from '../core/views.ts';
import type { CommandContext } from './context.ts';

/** The flags of `relay why`, as given. */
export interface WhyOptions {
  readonly model?: string;
  readonly client?: string;
  readonly json?: boolean;
}

/** Adds `relay why`. */
export function registerWhy(program: Command, context: CommandContext): void {
  program.command('why')
    .description('Which account would serve a new conversation now, why, and what would change it; nothing is sent')
    .requiredOption('--model <model>', 'the model, as a client would name it')
    .option('--client <name>', 'with this client\'s scope')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  $ relay why --model gpt-6-sol\n  $ relay why --model fast --client editor --json | jq .models[0].account')
    .action(async (options: WhyOptions) => {
      const { openControl } = await import('./control-access.ts');
      await openControl(context, async ({ control }) => {
        await runWhy(options, context, (asked) => control.call('routing.why', asked));
      });
    });
}

/** `relay why`: the decision as a table or as JSON. A request that would be refused is told so, and is no failure of the command. */
export async function runWhy(
  options: WhyOptions,
  context: CommandContext,
  ask: (asked: { readonly model: string; readonly client: string | null }) => Promise<WhyReport>,
): Promise<void> {
  if (options.model === undefined || options.model === '') throw new CommandError(EXIT.usage, '--model says which model; relay models lists those that are served');
  const report = await ask({ model: options.model, client: options.client ?? null });
  if (options.json) return context.stdout.write(`${JSON.stringify(report)}\n`);
  const { whyLines } = await import('./why-lines.ts');
  const { writeLines } = await import('./table.ts');
  await writeLines(context.stdout, whyLines(report, context));
}
