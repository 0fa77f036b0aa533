import { printable } from '../core/printable.ts';
import type { CloseRecord, Outcome } from '../core/record.ts';
import type { Span, Tone } from './spans.ts';
import { span } from './spans.ts';

/** How an outcome is shown: a mark that reads without colour too, a tone, and words. */
export const OUTCOMES: Readonly<Record<Outcome, { readonly mark: string; readonly tone: Tone; readonly words: string }>> = {
  ok: { mark: '●', tone: 'good', words: 'ok' },
  incomplete: { mark: '◐', tone: 'warn', words: 'stopped at a limit' },
  client_closed: { mark: '○', tone: 'dim', words: 'the client left' },
  refused: { mark: '⊘', tone: 'warn', words: 'refused by Relay' },
  failed: { mark: '✕', tone: 'bad', words: 'failed' },
  broken_stream: { mark: '✗', tone: 'bad', words: 'broke off' },
  orphaned: { mark: '?', tone: 'bad', words: 'cut by a crash' },
};

const ERRORS: readonly Outcome[] = ['failed', 'broken_stream', 'refused', 'orphaned'];

/** True for requests that got an error instead of an answer, or a part of one: failed upstream, or refused by Relay. */
export function isError(record: CloseRecord): boolean {
  return ERRORS.includes(record.outcome);
}

/** A machine word as a person reads it: `usage_limit_reached` becomes `usage limit reached`. */
export function inWords(code: string): string {
  return printable(code).replace(/[_-]+/g, ' ');
}

/** The model that ran, else the one sent, else the one asked for; empty when none was named. */
export function modelOf(record: CloseRecord): string {
  return printable(record.model.ran ?? record.model.sent ?? record.model.asked ?? '');
}

/** The mark and HTTP status of a request: `● 200`. */
export function statusSpan(record: CloseRecord): Span {
  const { mark, tone } = OUTCOMES[record.outcome];
  return span(`${mark} ${record.status}`, tone);
}

/** The end of an id, enough to tell requests apart and for `relay show`. */
export function shortId(id: string): string {
  return printable(id).slice(-8);
}
