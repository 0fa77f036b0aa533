import type { ErrorCode, RelayError } from '../core/errors.ts';
import type { AttemptRecord, CloseRecord } from '../core/record.ts';

/** Refusals whose words are Relay's own, about names and limits: they may be kept. Others may quote the request. */
const OWN_WORDS: ReadonlySet<ErrorCode> = new Set([
  'insufficient_scope', 'model_not_found', 'budget_exceeded', 'concurrency_limit', 'rate_limit_exceeded', 'accounts_exhausted', 'usage_limit_reached',
  'no_account', 'overloaded', 'draining', 'storage_unavailable', 'internal_error', 'request_too_large',
]);

/**
 * An error as the journal keeps it: its code, and who it came from. The client was told all; but an upstream's message, and
 * a refusal of something in the body, may quote what was sent, and no prompt is ever kept.
 */
export function recordedError(error: RelayError, attempts: readonly AttemptRecord[]): NonNullable<CloseRecord['error']> {
  const code = machineWord(error.body.code ?? error.code);
  const last = attempts.at(-1);
  if (last !== undefined) return { code, message: `Account "${last.account}"${toldBy(last)}. The client was told in full.` };
  if (OWN_WORDS.has(error.code)) return { code, message: error.message };
  const { param } = error.body;
  const where = param !== null && /^[\w.[\]-]{1,80}$/.test(param) ? ` at ${param}` : '';
  return { code, message: `The request was refused as it came${where}. The client was told in full.` };
}

/** An error code fit to be kept: a word, whatever an upstream put in its place. */
export function machineWord(code: string): string {
  return /^[\w.:/-]{1,80}$/.test(code) ? code : 'unnamed_error';
}

function toldBy({ status, error, phase }: AttemptRecord): string {
  const what = error === null ? 'broke off' : error;
  return status === null ? `: ${what} (${phase})` : ` answered ${status}: ${what}`;
}
