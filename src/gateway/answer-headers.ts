import type { Account } from '../core/account.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';

/** What Codex reads from its backend's answers (observed 2026-11). */
const CODEX_HEADERS = /^(x-codex-.+|x-models-etag|x-reasoning-included)$/;
/** What API users read; never invented, only passed on. */
const API_HEADERS = /^(x-ratelimit-.+|openai-version|openai-processing-ms)$/;

/** What an answer's headers are made from. */
export interface AnswerFacts {
  readonly request: RelayRequest;
  readonly account: Account;
  readonly model: string;
  readonly attempts: number;
  readonly dropped: readonly string[];
  /** The upstream's own headers. */
  readonly upstream: Headers;
}

/**
 * Headers of a served answer: who served it, and those of the upstream's that the client can use. `openai-model` goes to
 * Codex only under the model's own name, since it takes another one for a sign of abuse.
 */
export function answerHeaders({ request, account, model, attempts, dropped, upstream }: AnswerFacts): Headers {
  const wanted = request.isCodex ? CODEX_HEADERS : API_HEADERS;
  const passed = Object.entries(upstream).filter(([name]) => wanted.test(name));
  const ran = upstream['openai-model'];
  return {
    ...Object.fromEntries(passed),
    ...(request.isCodex && ran !== undefined && model === request.model && { 'openai-model': ran }),
    'x-relay-provider': headerSafe(account.provider),
    'x-relay-account': headerSafe(account.name),
    'x-relay-model': headerSafe(model),
    'x-relay-attempts': String(attempts),
    ...(dropped.length > 0 && { 'x-relay-dropped': headerSafe(dropped.join(',')) }),
  };
}

function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 1_024);
}
