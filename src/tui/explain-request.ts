import { ABSENT, formatCount, formatDateTime, formatDuration, formatMoney, formatPercent, formatTime } from '../core/amounts.ts';
import { fit, printable, wrapWords } from '../core/printable.ts';
import type { AttemptRecord, CandidateRecord } from '../core/record.ts';
import { inWords, OUTCOMES } from './request-words.ts';
import type { FinishedRequest } from './source.ts';
import type { Line, Span, Tone } from './spans.ts';
import { clip, fitLine, joinLines, span, spread } from './spans.ts';
import { planTable } from './table.ts';

/** Where an explanation is written: in which zone its times stand, and how many cells a line may take. */
export interface Page {
  readonly timeZone: string;
  readonly width: number;
  /** What would have changed the choice, a sentence each; none where nobody worked it out. */
  readonly changes?: readonly string[];
}

const LABEL = 14;

/**
 * Everything the journal knows of one request, for a person: who asked, what ran, every attempt, why each account was
 * chosen or passed over, tokens, cost and timings. The same on the screen and in `relay show`.
 */
export function explainRequest(record: FinishedRequest, page: Page): readonly Line[] {
  const lines = [
    ...heading(record, page),
    ...section('Attempts', attemptLines(record, page)),
    ...section('Route', routeLines(record, page)),
    ...section('Otherwise', (page.changes ?? []).flatMap((change) => wrapWords(change, Math.max(20, Math.min(page.width, 120) - 4)).map((line, index) => [
      span(index === 0 ? '  ' : '    '), span(line),
    ]))),
    ...section('Tokens', tokenLines(record)),
    ...section('Cost', costLines(record)),
    ...section('Time', timeLines(record)),
    ...section('Journal', journalLines(record, page)),
  ];
  return lines.map((line) => clip(line, page.width));
}

function section(title: string, lines: readonly Line[]): readonly Line[] {
  return lines.length === 0 ? [] : [[], [span(title, 'accent')], ...lines];
}

/** A labelled line: the label in its own column, the value behind it. */
function labelled(label: string, ...value: readonly Span[]): Line {
  return [span(fit(`  ${label}`, LABEL + 2), 'dim'), ...value];
}

/** Text that may be long, under its label, broken into lines between words. */
function wrapped(label: string, text: string, tone: Tone, width: number): readonly Line[] {
  return wrapWords(text, Math.max(20, Math.min(width, 120) - LABEL - 2)).map((piece, index) =>
    labelled(index === 0 ? label : '', span(piece, tone)),
  );
}

function heading(record: FinishedRequest, { timeZone, width }: Page): readonly Line[] {
  const { mark, tone, words } = OUTCOMES[record.outcome];
  const title = [span(printable(record.id), 'strong'), span('  '), span(`${mark} ${record.status} ${words}`, tone)];
  const when = [span(formatDateTime(record.t, timeZone), 'dim')];
  return [
    Number.isFinite(width) ? spread(title, when, width) : [...title, span('  '), ...when],
    ...(record.error ? wrapped('Error', `${printable(record.error.code)}: ${printable(record.error.message)}`, 'bad', width) : []),
    labelled('Client', ...clientSpans(record)),
    labelled('Endpoint', span(`${printable(record.endpoint)}, ${record.stream ? 'streamed' : 'one answer'}`)),
    labelled('Model', ...modelSpans(record)),
    labelled('Account', ...accountSpans(record)),
    ...(record.tier.asked === null && record.tier.served === null ? [] : [labelled('Tier', ...tierSpans(record))]),
    ...(record.dropped.length === 0 ? [] : wrapped('Dropped', record.dropped.map(printable).join(', '), 'warn', width)),
  ];
}

function clientSpans({ client, member, project, env }: FinishedRequest): Line {
  const facts: readonly (readonly [string, string | null])[] = [['member', member], ['project', project], ['env', env]];
  return [
    span(printable(client)),
    ...facts.flatMap(([name, value]) => (value === null ? [] : [span(`  ${name} `, 'dim'), span(printable(value))])),
  ];
}

function modelSpans({ model: { asked, sent, ran } }: FinishedRequest): Line {
  const steps: Line[] = [];
  let before: string | null = null;
  for (const [word, name] of [['asked', asked], ['sent', sent], ['ran', ran]] as const) {
    if (name === null || name === before) continue;
    steps.push(before === null ? [span(printable(name))] : [span(`${word} `, 'dim'), span(printable(name))]);
    before = name;
  }
  return steps.length === 0 ? [span(ABSENT, 'dim')] : joinLines(steps, span('  →  ', 'dim'));
}

function accountSpans({ account, provider, attempts }: FinishedRequest): Line {
  if (account === null) return [span(attempts.length === 0 ? 'none was called' : 'none could serve', 'dim')];
  return [span(printable(account)), ...(provider === null ? [] : [span(`  ${printable(provider)}`, 'dim')])];
}

function tierSpans({ tier: { asked, served } }: FinishedRequest): Line {
  const parts: Line[] = [];
  if (asked !== null) parts.push([span('asked ', 'dim'), span(printable(asked))]);
  if (served !== null) parts.push([span('served ', 'dim'), span(printable(served))]);
  return joinLines(parts, span(', ', 'dim'));
}

interface NumberedAttempt extends AttemptRecord {
  readonly number: number;
  readonly sinceFirstMs: number;
}

function attemptLines({ attempts }: FinishedRequest, { width }: Page): readonly Line[] {
  if (attempts.length === 0) return [[span('  none: no account was called', 'dim')]];
  const first = attempts[0]?.t ?? 0;
  const rows = attempts.map((attempt, index): NumberedAttempt => ({ ...attempt, number: index + 1, sinceFirstMs: attempt.t - first }));
  const table = planTable<NumberedAttempt>([
    { title: '#', align: 'right', cell: ({ number }) => span(String(number), 'dim') },
    { title: 'ACCOUNT', min: 8, cell: ({ account }) => span(printable(account)) },
    { title: 'PROVIDER', min: 6, dropAt: 4, cell: ({ provider }) => span(printable(provider), 'dim') },
    { title: 'MODEL', min: 8, dropAt: 2, cell: ({ model }) => span(printable(model)) },
    { title: 'AT', align: 'right', dropAt: 3, cell: ({ sinceFirstMs }) => span(`+${formatDuration(sinceFirstMs)}`, 'dim') },
    { title: 'TOOK', align: 'right', cell: ({ ms }) => span(formatDuration(ms)) },
    { title: 'STATUS', align: 'right', cell: ({ status }) => (status === null ? span(ABSENT, 'dim') : span(String(status))) },
    { title: 'RESULT', min: 24, cell: attemptResult },
  ], rows, width - 2);
  return [table.heading, ...rows.map(table.draw)].map((line) => [span('  '), ...line]);
}

function attemptResult({ error, phase }: AttemptRecord): Line {
  if (error === null) return [span('served', 'good')];
  return [span(inWords(error), 'bad'), span(`  while ${PHASES[phase] ?? inWords(phase)}`, 'dim')];
}

const PHASES: Readonly<Record<string, string | undefined>> = {
  credential: 'signing in', connect: 'connecting', request: 'sending', headers: 'waiting', stream: 'waiting', committed: 'answering',
};

const STICKY = {
  hit: 'the conversation stayed on its account',
  miss: 'a new conversation',
  moved: 'the conversation moved to another account',
  none: 'no conversation known',
} as const;

function routeLines(record: FinishedRequest, page: Page): readonly Line[] {
  const { route } = record;
  if (route === null) return [];
  const intro: Line = [span('  '), span(printable(route.strategy)), span(`, ${STICKY[route.sticky]}`, 'dim')];
  const table = planTable<CandidateRecord>([
    { title: 'ACCOUNT', min: 8, cell: (candidate) => span(printable(candidate.account)) },
    { title: 'SCORE', align: 'right', cell: ({ score }) => (score === undefined ? span(ABSENT, 'dim') : span(score.toFixed(2))) },
    { title: 'DECISION', min: 16, cell: (candidate) => decision(candidate, record, page.timeZone) },
  ], route.why, page.width - 2);
  const rows = [table.heading, ...route.why.map(table.draw)].map((line): Line => [span('  '), ...line]);
  const rest = route.whyMore ? [[span(`  and ${formatCount(route.whyMore)} more`, 'dim')]] : [];
  return [intro, ...(route.why.length === 0 ? [] : rows), ...rest];
}

function decision(candidate: CandidateRecord, record: FinishedRequest, timeZone: string): Line {
  if (candidate.out !== undefined) {
    const until = candidate.until === undefined ? '' : ` until ${formatTime(candidate.until, timeZone)}`;
    return [span(`passed over: ${inWords(candidate.out)}${until}`, 'warn')];
  }
  const parts = Object.entries(candidate.parts ?? {}).map(([name, value]) => `${inWords(name)} ${value.toFixed(2)}`).join(' · ');
  const verdict = verdictOn(candidate, record);
  return parts === '' ? [verdict] : [verdict, span(`  ${parts}`, 'dim')];
}

function verdictOn({ account }: CandidateRecord, record: FinishedRequest): Span {
  if (account === record.account) return span('served', 'good');
  const wasTried = record.attempts.some((attempt) => attempt.account === account);
  return wasTried ? span('tried, and failed', 'bad') : span('could have served', 'dim');
}

function amount(label: string, value: string, ...note: readonly Span[]): Line {
  return labelled(label, ...fitLine([span(value)], 12, 'right'), ...note);
}

function tokenLines({ tokens }: FinishedRequest): readonly Line[] {
  if (tokens === null) return [[span('  the upstream told none: unmetered, not zero', 'dim')]];
  return [
    amount('input', formatCount(tokens.input)),
    amount('  cached', formatCount(tokens.cached), ...share(tokens.cached, tokens.input)),
    ...(tokens.cacheWrite > 0 ? [amount('  cache write', formatCount(tokens.cacheWrite), ...share(tokens.cacheWrite, tokens.input))] : []),
    amount('output', formatCount(tokens.output)),
    amount('  reasoning', formatCount(tokens.reasoning), ...share(tokens.reasoning, tokens.output)),
    ...(tokens.estimated ? [[span('  estimated from what passed: the upstream never said', 'warn')]] : []),
  ];
}

function share(part: number, whole: number): readonly Span[] {
  return part > 0 && whole > 0 ? [span(`  ${formatPercent((part / whole) * 100)}`, 'dim')] : [];
}

function costLines({ cost, tokens }: FinishedRequest): readonly Line[] {
  if (cost.price === null && cost.list === 0) {
    return tokens === null ? [] : [[span('  no price is known for this model: relay config set pricing.<model>', 'dim')]];
  }
  return [
    amount('list price', formatMoney(cost.list), ...(cost.price === null ? [] : [span(`  ${printable(cost.price)}`, 'dim')])),
    amount('paid', formatMoney(cost.charged)),
    amount('saved', formatMoney(cost.list - cost.charged)),
  ];
}

function timeLines({ ms, tokens }: FinishedRequest): readonly Line[] {
  const streamingMs = ms.ttft === null ? 0 : ms.total - ms.ttft;
  const speed = tokens && streamingMs > 0 && tokens.output > 0 ? tokens.output / (streamingMs / 1_000) : null;
  return [
    ...(ms.queue > 0 ? [amount('queued', formatDuration(ms.queue))] : []),
    amount('first output', ms.ttft === null ? ABSENT : formatDuration(ms.ttft)),
    amount('in all', formatDuration(ms.total), ...(speed === null ? [] : [span(`  ${formatCount(speed)} tokens/s`, 'dim')])),
  ];
}

function journalLines(record: FinishedRequest, { width }: Page): readonly Line[] {
  return [
    labelled('line', span(`${formatCount(record.seq)}`), span(`  ${printable(record.h)}`, 'dim')),
    ...(record.upstreamRequestId === null ? [] : wrapped('upstream id', printable(record.upstreamRequestId), 'plain', width)),
  ];
}
