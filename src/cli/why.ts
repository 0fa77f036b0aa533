import type { Command } from 'commander';

import { ABSENT, formatUntil } from '../core/amounts.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { printable, wrapWords } from '../core/printable.ts';
import type { EpochMs } from '../core/units.ts';
import type { WhyCandidate, WhyModel, WhyReport } from '../core/views.ts';
import { inWords } from '../tui/request-words.ts';
import type { Line } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import { changeWords } from './choice-words.ts';
import type { CommandContext } from './context.ts';
import { tableLines, writeLines } from './table.ts';

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
  await writeLines(context.stdout, whyLines(report, context));
}

function whyLines(report: WhyReport, context: CommandContext): readonly Line[] {
  const now = context.clock.now();
  const scope = report.client === null ? 'for a client without limits' : `for client ${printable(report.client)}`;
  const title: Line = [span(printable(report.asked), 'strong'), span(`  ${scope}, strategy ${printable(report.strategy)}`, 'dim')];
  const served = report.models.find(({ account }) => account !== null);
  const verdict: Line = served === undefined
    ? [span('nobody can serve it now', 'bad')]
    : [span(printable(served.account ?? ''), 'good'), span(' would serve it'), ...(served.model === report.asked ? [] : [span(` as ${printable(served.model)}`)])];
  const refusal = report.refusal === null ? [] : refusalLines(report.refusal, context);
  return [title, verdict, ...refusal, ...report.models.flatMap((model) => modelLines(model, report, { context, now }))];
}

function refusalLines({ status, code, message }: NonNullable<WhyReport['refusal']>, { stdout }: CommandContext): readonly Line[] {
  const text = `${status} ${code}: ${message}`;
  return wrapWords(printable(text), Math.max(40, Math.min(stdout.columns, 120))).map((line) => [span(line, 'warn')]);
}

interface Page {
  readonly context: CommandContext;
  readonly now: EpochMs;
}

function modelLines(model: WhyModel, report: WhyReport, { context, now }: Page): readonly Line[] {
  const fixed = [model.effort === null ? '' : `effort ${model.effort}`, model.tier === null ? '' : `tier ${model.tier}`].filter((word) => word !== '');
  const columns: readonly Column<WhyCandidate>[] = [
    { title: 'ACCOUNT', min: 8, cell: ({ account }) => span(printable(account), account === model.account ? 'strong' : 'plain') },
    { title: 'PROVIDER', min: 6, dropAt: 2, cell: ({ provider }) => span(printable(provider), 'dim') },
    { title: 'PRIORITY', align: 'right', dropAt: 1, cell: ({ priority }) => span(priority === undefined ? ABSENT : String(priority), 'dim') },
    { title: 'SCORE', align: 'right', cell: ({ score }) => (score === undefined ? span(ABSENT, 'dim') : span(score.toFixed(2))) },
    { title: 'DECISION', min: 16, cell: (candidate) => decisionWords(candidate, model, now) },
  ];
  const changes = model.changes.map((change): Line => [span('  '), span(changeWords(change, { client: report.client, now }))]);
  return [
    [],
    [span(printable(model.model), 'accent'), span(fixed.length === 0 ? '' : `  ${printable(fixed.join(', '))}`, 'dim')],
    ...tableLines(columns, model.candidates, context.stdout),
    ...(changes.length === 0 ? [] : [[span('It would be', 'dim')], ...changes]),
  ];
}

function decisionWords(candidate: WhyCandidate, { account }: WhyModel, now: EpochMs): Line {
  if (candidate.out !== undefined) {
    const until = candidate.until === undefined ? '' : ` for ${formatUntil(candidate.until, now)}`;
    const reason = candidate.reason === null ? '' : ` (${inWords(candidate.reason)})`;
    return [span(`passed over: ${inWords(candidate.out)}${until}${reason}`, 'warn')];
  }
  const parts = Object.entries(candidate.parts ?? {}).map(([name, value]) => `${inWords(name)} ${value.toFixed(2)}`).join(' · ');
  return [candidate.account === account ? span('chosen', 'good') : span('could serve', 'plain'), span(`  ${parts}`, 'dim')];
}
