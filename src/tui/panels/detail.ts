import { ABSENT, formatCount, formatDateTime, formatDuration, formatUntil } from '../../core/amounts.ts';
import type { LiveRequest } from '../../core/ports.ts';
import { fit, printable, wrapWords } from '../../core/printable.ts';
import type { EpochMs } from '../../core/units.ts';
import type { AccountView } from '../../core/views.ts';
import type { Page } from '../explain-request.ts';
import type { Line, Span } from '../spans.ts';
import { span } from '../spans.ts';
import { accountNote, balanceText, quotaSpans, stateSpan } from './accounts.ts';
import { rule } from './frame.ts';
import { outputSpeed } from './running.ts';

/** A page over the panels, and how far it can scroll. */
export interface DrawnPage {
  readonly lines: readonly Line[];
  readonly lastScroll: number;
}

/** The seen part of a page under its rule. */
export function drawPage(title: string, lines: readonly Line[], scroll: number, width: number, height: number): DrawnPage {
  const seen = Math.max(0, height - 1);
  const lastScroll = Math.max(0, lines.length - seen);
  const first = Math.min(scroll, lastScroll);
  const remark = lastScroll > 0 ? [span(`${first + 1}–${first + seen} of ${lines.length}`, 'dim')] : [];
  const body = lines.slice(first, first + seen).map((line): Line => [span(' '), ...line]);
  return {
    lines: [rule([span(title, 'accent')], [...remark, span(`${remark.length > 0 ? '  ' : ''}esc back`, 'dim')], width), ...body],
    lastScroll,
  };
}

const labelled = (label: string, ...value: readonly Span[]): Line => [span(fit(`  ${label}`, 16), 'dim'), ...value];

/** Everything known of one account. */
export function explainAccount(account: AccountView, now: EpochMs, { timeZone, width }: Page): readonly Line[] {
  const note = accountNote(account, now);
  const wide = Math.max(20, width - 18);
  const models = account.models.map(printable).join(', ');
  const { lastError } = account;
  return [
    [span(printable(account.name), 'strong'), span('  '), stateSpan(account), ...(note === '' ? [] : [span(`  ${note}`, 'dim')])],
    [],
    labelled(
      'Provider',
      span(printable(account.provider)),
      ...(account.plan === null ? [] : [span(`  ${printable(account.plan)}`, 'dim')]),
    ),
    labelled('In flight', span(formatCount(account.inFlight))),
    ...(account.balance === null ? [] : [labelled('Balance', span(balanceText(account.balance)))]),
    [],
    [span('Quota', 'accent')],
    ...(account.quota.length === 0
      ? [[span('  none reported yet', 'dim')]]
      : account.quota.map((quota) => quotaLine(quota, now, timeZone))),
    [],
    [span('Models', 'accent')],
    ...wrapWords(models === '' ? 'none listed yet' : models, wide).map((text): Line => [
      span(`  ${text}`, models === '' ? 'dim' : 'plain'),
    ]),
    ...(lastError === null ? [] : [
      [], [span('Last error', 'accent')],
      labelled('At', span(formatDateTime(lastError.at, timeZone))),
      labelled('Code', span(`${lastError.status === null ? '' : `${lastError.status} `}${printable(lastError.code)}`, 'bad')),
      ...wrapWords(printable(lastError.message), wide).map((text, index) => labelled(index === 0 ? 'Said' : '', span(text))),
    ]),
    [],
    [span(`  p ${account.state === 'paused' ? 'resumes' : 'pauses'} it, w ends a cooldown`, 'dim')],
  ];
}

function quotaLine(quota: AccountView['quota'][number], now: EpochMs, timeZone: string): Line {
  const facts = [
    quota.resetsAt === null ? null : `resets ${formatDateTime(quota.resetsAt, timeZone)}`,
    quota.lastsUntil ? `at this pace empty in ${formatUntil(quota.lastsUntil, now)}` : null,
  ].filter((fact) => fact !== null);
  return labelled(printable(quota.window), ...quotaSpans({ ...quota, resetsAt: null }, now, 20), span(`  ${facts.join(', ')}`, 'dim'));
}

/** What is known of a request while it runs. */
export function explainRunning(request: LiveRequest, now: EpochMs): readonly Line[] {
  const speed = outputSpeed(request, now);
  return [
    [
      span(printable(request.id), 'strong'),
      span('  '),
      span(request.phase, 'good'),
      span(`  for ${formatDuration(now - request.startedAt)}`, 'dim'),
    ],
    [],
    labelled('Client', span(printable(request.client))),
    labelled('Endpoint', span(`${printable(request.endpoint)}, ${request.stream ? 'streamed' : 'one answer'}`)),
    labelled('Model', span(printable(request.model))),
    labelled(
      'Account',
      request.account === null ? span('not chosen yet', 'dim') : span(printable(request.account)),
      span(request.provider === null ? '' : `  ${printable(request.provider)}`, 'dim'),
    ),
    labelled('Attempts', span(formatCount(request.attempts), request.attempts > 1 ? 'warn' : 'plain')),
    labelled('First output', span(request.firstOutputAt === null ? ABSENT : formatDuration(request.firstOutputAt - request.startedAt))),
    labelled(
      'Output so far',
      span(request.outputEvents === 0 ? ABSENT : formatCount(request.outputEvents)),
      span(speed === null ? '' : `  ${formatCount(speed)} a second`, 'dim'),
    ),
  ];
}
