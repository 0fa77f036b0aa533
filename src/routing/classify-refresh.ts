import type { Failure } from '../core/failure.ts';
import { readErrorFacts } from './error-facts.ts';
import { ACCOUNT_GONE_CODES } from './error-rules.ts';
import { redactMessage } from './redact-message.ts';

/**
 * Refusals of a refresh after which only a person can help, and what to tell them (OpenAI sign-in server, observed
 * 2026-11). They are judged by their word, since the same word comes with 400, 401 and 403.
 */
const DEAD_REASONS: Readonly<Record<string, string>> = {
  refresh_token_reused: 'its refresh token was already used elsewhere',
  refresh_token_expired: 'its sign-in has expired',
  refresh_token_invalidated: 'its sign-in was revoked, by a sign-out or a new password',
  invalid_grant: 'its sign-in is no longer valid',
  token_invalidated: 'its sign-in is no longer valid',
  token_revoked: 'its sign-in was revoked',
  token_expired: 'its sign-in has expired',
  app_session_terminated: 'its session was ended',
  account_session_expired: 'its session has expired',
  account_deactivated: 'the account is deactivated',
  account_suspended: 'the account is suspended',
  account_deleted: 'the account is deleted',
};

/**
 * Judges a token endpoint's refusal. Known words in any 4xx, and every 401 that is not a web page, need a person
 * (`login-dead`); everything else may pass (`refresh-unavailable`) and changes nothing for good.
 */
export function classifyRefreshRefusal(status: number, body: string): Failure {
  const facts = readErrorFacts({ status, headers: {}, body });
  const code = facts.code ?? facts.type;
  const isRefusal = status >= 400 && status < 500 && facts.form !== 'page';
  const knownWord = code !== null && (Object.hasOwn(DEAD_REASONS, code) || ACCOUNT_GONE_CODES.has(code));
  const isDead = isRefusal && (knownWord || status === 401);
  const reason = code !== null && Object.hasOwn(DEAD_REASONS, code) ? DEAD_REASONS[code] : undefined;
  const told = facts.form === 'page' ? '' : redactMessage(facts.message);
  return {
    kind: isDead ? 'login-dead' : 'refresh-unavailable',
    phase: 'credential',
    status,
    code: code ?? (isDead ? 'refresh_refused' : `refresh_http_${status}`),
    message: (isDead ? reason : undefined) ?? (told || `the sign-in server answered HTTP ${status}`),
    param: null,
    retryAt: null,
    bucket: null,
    planType: null,
    upstreamRequestId: null,
  };
}

/** A refresh that got no answer: the stored token may still be good, and the access token is used until it ends. */
export function refreshUnreachable(code: string, message: string): Failure {
  return {
    kind: 'refresh-unavailable', phase: 'credential', status: null, code, message: redactMessage(message), param: null,
    retryAt: null, bucket: null, planType: null, upstreamRequestId: null,
  };
}

/** True when the refusal may only mean that another process refreshed first: the keychain is read again before anything else. */
export function mayHaveNewerToken(failure: Failure): boolean {
  return failure.kind === 'login-dead' && !ACCOUNT_GONE_CODES.has(failure.code);
}
