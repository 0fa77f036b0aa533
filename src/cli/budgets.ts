import type { Command } from 'commander';

import { budgetAmount, budgetWords } from '../core/budget-words.ts';
import { formatUntil } from '../core/amounts.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { SharedBudget } from '../core/state.ts';
import type { BudgetView, Control } from '../control/control.ts';
import type { Span } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { parseBudget, parseBudgetKind } from './parse-budget.ts';
import { lineText, tableLines } from './table.ts';

interface JsonOption {
  readonly json?: boolean;
}

/** Adds `relay budgets …`: limits over all clients of a member or a project. */
export function registerBudgets(program: Command, context: CommandContext): void {
  const budgets = program.command('budgets').description('Limits over all clients of a member or a project');
  const withControl = async (work: (control: Control) => Promise<void>): Promise<void> => {
    const { openControl } = await import('./control-access.ts');
    await openControl(context, ({ control }) => work(control));
  };

  budgets.command('set <of> <name> <limit...>').description('set limits of a member or project: one for each unit and window')
    .option('--json', 'as JSON')
    .addHelpText('after', `
Units: usd is list price, which also counts on subscriptions; usd-charged is real money; tokens are input and output; requests are answers.
Windows: hour, day, week (from Monday), month, in UTC.

Examples:
  $ relay budgets set project web 50usd/month
  $ relay budgets set member ada 5M tokens/day 100requests/hour`)
    .action(async (of: string, name: string, limits: readonly string[], { json }: JsonOption) => {
      const owner = { of: ownerKind(of), name };
      // All of them are read before the first is set.
      const wanted = joinNumbers(limits).map(parseBudget);
      await withControl(async (control) => {
        const set: SharedBudget[] = [];
        for (const budget of wanted) set.push(await control.call('budgets.set', { ...owner, budget }));
        await context.stdout.write(json ? `${JSON.stringify(set)}\n` : set.map((one) => `${sayShared(one)} set\n`).join(''));
      });
    });
  budgets.command('list').description('every budget: spent, held by running requests, left, and when it begins anew').option('--json', 'as JSON; money in 1e-9 USD')
    .action(({ json }: JsonOption) => withControl(async (control) => {
      const list = await control.call('budgets.list', {});
      await context.stdout.write(json ? `${JSON.stringify(list)}\n` : budgetTable(list, context));
    }));
  budgets.command('remove <of> <name> [kind]').description('remove all limits of a member or project, or the one named like usd/month').option('--json', 'as JSON')
    .action(async (of: string, name: string, kind: string | undefined, { json }: JsonOption) => {
      const owner = { of: ownerKind(of), name };
      const like = kind === undefined ? null : parseBudgetKind(kind);
      await withControl(async (control) => {
        const removed = await control.call('budgets.remove', { ...owner, like });
        await context.stdout.write(json ? `${JSON.stringify(removed)}\n` : removed.map((one) => `${sayShared(one)} removed\n`).join(''));
      });
    });
}

function ownerKind(text: string): SharedBudget['of'] {
  if (text === 'member' || text === 'project') return text;
  const hint = text === 'client' ? '; a client\'s own are set with: relay clients set NAME --budget 20usd/month' : '';
  throw new CommandError(EXIT.usage, `a budget is of a member or a project, not of "${text}"${hint}`);
}

/** `5M tokens/day` came as two words unless it was quoted. */
function joinNumbers(words: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const word of words) {
    const last = joined.at(-1);
    if (last !== undefined && !last.includes('/')) joined[joined.length - 1] = `${last} ${word}`;
    else joined.push(word);
  }
  return joined;
}

function sayShared({ of, name, budget }: SharedBudget): string {
  return `${of} ${printable(name)} ${budgetWords(budget)}`;
}

function budgetTable(list: readonly BudgetView[], { stdout, clock }: CommandContext): string {
  if (list.length === 0) return lineText([span('No budgets yet. relay budgets set project NAME 50usd/month sets one.', 'dim')], stdout);
  const now = clock.now();
  const amount = (pick: (view: BudgetView) => number, toneOf: (view: BudgetView) => Span['tone'] = () => 'plain') =>
    (view: BudgetView): Span => span(budgetAmount(view.unit, pick(view)), toneOf(view));
  const columns: readonly Column<BudgetView>[] = [
    { title: 'OF', cell: ({ of }) => span(of, 'dim') },
    { title: 'NAME', min: 6, cell: ({ name }) => span(printable(name), 'strong') },
    { title: 'LIMIT', cell: (view) => span(budgetWords(view)) },
    { title: 'SPENT', align: 'right', cell: amount(({ spent }) => spent) },
    { title: 'RUNNING', align: 'right', dropAt: 2, cell: amount(({ reserved }) => reserved) },
    { title: 'LEFT', align: 'right', cell: amount(({ left }) => left, toneOfRest) },
    { title: 'RESETS', dropAt: 1, cell: ({ resetsAt }) => span(formatUntil(resetsAt, now)) },
  ];
  return tableLines(columns, list, stdout).map((line) => lineText(line, stdout)).join('');
}

function toneOfRest({ spent, limit }: BudgetView): Span['tone'] {
  if (spent >= limit) return 'bad';
  return spent >= limit * 0.8 ? 'warn' : 'good';
}
