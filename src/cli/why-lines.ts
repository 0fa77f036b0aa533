import { ABSENT, formatUntil } from '../core/amounts.ts';
import { printable, wrapWords } from '../core/printable.ts';
import type { EpochMs } from '../core/units.ts';
import type { WhyCandidate, WhyModel, WhyReport } from '../core/views.ts';
import { inWords } from '../tui/request-words.ts';
import type { Line } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import { changeWords } from './choice-words.ts';
import type { CommandContext } from './context.ts';
import { tableLines } from './table.ts';

/** A decision for people: the verdict, each model's accounts with their scores, and what would change it. */
export function whyLines(report: WhyReport, context: CommandContext): readonly Line[] {
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
