import type { FailureKind } from '../core/failure.ts';
import type { ErrorFacts } from './error-facts.ts';

/** The kind an error belongs to, and the machine word it is recorded under. */
export interface Verdict {
  readonly kind: FailureKind;
  readonly code: string;
}

/** Words after which no further call may be made with that sign-in (ChatGPT backend, observed 2026-11). */
export const ACCOUNT_GONE_CODES: ReadonlySet<string> = new Set([
  'account_deactivated', 'account_suspended', 'account_deleted', 'account_banned', 'account_disabled',
  'deactivated_workspace', 'workspace_deactivated', 'user_deactivated', 'user_suspended',
]);

const CIPHERTEXT_CODES = new Set(['invalid_encrypted_content', 'thinking_signature_invalid']);

const QUOTA_CODES = new Set([
  'usage_limit_reached', 'insufficient_quota', 'usage_not_included', 'credit_balance_exhausted', 'project_spend_limit_exceeded',
  'billing_hard_limit_reached', 'billing_not_active', 'quota_exceeded', 'insufficient_balance', 'insufficient_credits',
  'workspace_owner_credits_depleted', 'workspace_member_credits_depleted',
  'workspace_owner_usage_limit_reached', 'workspace_member_usage_limit_reached',
]);

/** The request itself is at fault, whoever is asked: OpenAI platform and ChatGPT backend, 2026-11; the last three Azure's. */
const FINAL_CODES = new Set([
  'context_length_exceeded', 'string_above_max_length', 'invalid_prompt', 'cyber_policy', 'content_filter', 'content_policy_violation',
  'moderation_blocked', 'invalid_image', 'invalid_type', 'invalid_value', 'missing_required_parameter', 'unsupported_parameter',
  'unsupported_value', 'unknown_parameter', 'invalid_function_parameters', 'previous_response_not_found', 'request_too_large',
  'bio_policy', 'safety_violation', 'responsible_ai_policy_violation', 'content_filtered', 'invalid_json',
]);

const OVERLOAD_CODES = new Set([
  'server_is_overloaded', 'slow_down', 'overloaded', 'overloaded_error', 'engine_overloaded', 'server_error', 'internal_error',
  'internal_server_error', 'service_unavailable', 'unavailable', 'temporarily_unavailable', 'api_error', 'internal', 'deadline_exceeded',
  'websocket_connection_limit_reached', 'model_at_capacity',
]);

const UNAUTHORIZED_CODES = new Set([
  'token_expired', 'token_invalidated', 'token_revoked', 'invalid_api_key', 'invalid_authentication', 'authentication_error',
  'unauthenticated', 'unauthorized', 'account_session_expired', 'app_session_terminated',
]);

const RATE_CODES = new Set([
  'rate_limit_exceeded', 'rate_limit_error', 'rate_limited', 'too_many_requests', 'resource_exhausted', 'tokens', 'requests',
]);

const MODEL_CODES = new Set([
  'model_not_found', 'model_not_supported', 'model_not_available', 'model_not_allowed', 'unsupported_model', 'model_unavailable',
  'deployment_not_found', 'model_access_denied', 'model_not_accessible', 'invalid_model',
]);

const MODEL_TEXTS = [
  /['"`][^'"`]{1,120}['"`] model is not supported/i,
  /^(?:the )?(?:requested )?model is not supported/i,
  /\bmodel:? ['"`]?[^\s'"`]{1,120}['"`]? (?:is not supported|is not available|is not allowed|does(?:n't| not) exist|(?:was )?not found)/i,
  /\bmodel (?:was )?not found/i,
  /\bnot have access to (?:the |this )?model/i,
  /\bno endpoints found for /i,
];

/** Characters of a message that are matched on: what a hostile one can cost is bounded. */
const LONGEST_READ = 2_000;

const CONTEXT_TEXT = /maximum context length|context window|context_length|prompt is too long|input is too long|too many input tokens/i;
const CAPACITY_TEXT = /model is (?:currently )?(?:at capacity|overloaded)|currently (?:overloaded|experiencing high demand)/i;
const QUOTA_TEXT = /usage limit has been reached|hit your usage limit/i;
/** The second is said of sealed reasoning that stands elsewhere than it was made for (OpenAI platform, 2025-2026). */
const CIPHERTEXT_TEXT = new RegExp(
  "encrypted content .{0,200}could not be (?:verified|decrypted)|of type 'reasoning' was provided without its required following item", 'is',
);
const CONTENT_TEXT = /flagged|moderation|content policy|safety system/i;
const OTHER_THING = /\b(?:response|item|file|vector store|conversation|container|prompt|tool|call)\b.{0,120}\bnot found/i;

interface Rule {
  readonly kind: FailureKind;
  /** Recorded when the upstream gave no word of its own. */
  readonly code: string;
  readonly holds: (facts: ErrorFacts) => boolean;
}

/**
 * How an upstream's error is judged: the first rule that holds. Codes come before statuses, since the same word comes
 * with different statuses; a page comes before all statuses, since it says nothing of the account; whatever changes an
 * account for good needs a known word in JSON.
 */
const RULES: readonly Rule[] = [
  { kind: 'challenge', code: 'challenge', holds: (facts) => facts.form === 'page' },
  {
    kind: 'foreign-ciphertext',
    code: 'invalid_encrypted_content',
    holds: (facts) => says(facts, CIPHERTEXT_CODES) || tells(facts, CIPHERTEXT_TEXT),
  },
  { kind: 'login-dead', code: 'account_deactivated', holds: (facts) => says(facts, ACCOUNT_GONE_CODES) },
  { kind: 'quota-exhausted', code: 'usage_limit_reached', holds: saysQuotaIsSpent },
  { kind: 'invalid-request', code: 'context_length_exceeded', holds: (facts) => isRequestFault(facts) && tells(facts, CONTEXT_TEXT) },
  {
    kind: 'invalid-request',
    code: 'invalid_request_error',
    holds: (facts) => says(facts, FINAL_CODES) || (facts.code?.startsWith('image_') ?? false),
  },
  { kind: 'overloaded', code: 'model_at_capacity', holds: (facts) => tells(facts, CAPACITY_TEXT) },
  { kind: 'model-refused', code: 'model_not_found', holds: isAboutTheModel },
  {
    kind: 'unauthorized',
    code: 'unauthorized',
    holds: (facts) => facts.status === 401 || (mayBe(facts, [403]) && says(facts, UNAUTHORIZED_CODES)),
  },
  {
    kind: 'rate-limited',
    code: 'rate_limit_exceeded',
    holds: (facts) => facts.status === 429 || (mayBe(facts, [403, 503]) && says(facts, RATE_CODES)),
  },
  { kind: 'invalid-request', code: 'content_filter', holds: (facts) => facts.status === 403 && tells(facts, CONTENT_TEXT) },
  { kind: 'account-refused', code: 'payment_required', holds: (facts) => facts.status === 402 },
  { kind: 'account-refused', code: 'account_refused', holds: (facts) => facts.status === 403 && facts.form === 'json' },
  // A bare 403 or 407 and a redirect come from something in front of the upstream, which says nothing of the account.
  { kind: 'challenge', code: 'challenge', holds: (facts) => facts.status === 403 || facts.status === 407 || isRedirect(facts.status) },
  { kind: 'overloaded', code: 'server_error', holds: (facts) => says(facts, OVERLOAD_CODES) || isServerFault(facts.status) },
  { kind: 'invalid-request', code: 'invalid_request_error', holds: (facts) => isRequestFault(facts) || (facts.status ?? 0) >= 400 },
];

/** Judges what an upstream said. Total: an error that says nothing at all, inside a stream, is the server's. */
export function judgeError(facts: ErrorFacts): Verdict {
  const rule = RULES.find(({ holds }) => holds(facts));
  if (rule === undefined) return { kind: 'overloaded', code: facts.code ?? 'server_error' };
  if (rule.kind === 'challenge') return { kind: 'challenge', code: rule.code };
  return { kind: rule.kind, code: wordOf(facts, rule) };
}

/** Types that only repeat the status: never recorded in place of a code. */
const PLAIN_TYPES = new Set([
  'invalid_request_error', 'server_error', 'error', 'rate_limit_error', 'tokens', 'requests', 'authentication_error', 'permission_error',
  'not_found_error', 'billing_error', 'api_error', 'resource_exhausted', 'unauthenticated', 'permission_denied', 'not_found',
  'invalid_argument',
]);

function wordOf(facts: ErrorFacts, rule: Rule): string {
  // `type` is where the ChatGPT backend names a quota, also when `code` holds something else.
  if (rule.kind === 'quota-exhausted' && facts.type !== null && QUOTA_CODES.has(facts.type)) return facts.type;
  if (facts.code !== null && (rule.kind === 'overloaded' || !PLAIN_TYPES.has(facts.code))) return facts.code;
  if (facts.type !== null && !PLAIN_TYPES.has(facts.type)) return facts.type;
  return rule.kind === 'overloaded' && rule.code === 'server_error' && facts.status !== null ? `http_${facts.status}` : rule.code;
}

/** Matches the message, of which a bounded part is looked at. */
function tells(facts: ErrorFacts, pattern: RegExp): boolean {
  return pattern.test(facts.message.slice(0, LONGEST_READ));
}

function says(facts: ErrorFacts, words: ReadonlySet<string>): boolean {
  return (facts.code !== null && words.has(facts.code)) || (facts.type !== null && words.has(facts.type));
}

function saysQuotaIsSpent(facts: ErrorFacts): boolean {
  if (says(facts, QUOTA_CODES)) return true;
  if (facts.status !== 429 && facts.status !== null) return false;
  return tells(facts, QUOTA_TEXT) || (facts.status === 429 && (facts.headers['x-codex-rate-limit-reached-type'] ?? '') !== '');
}

/** True when the status is one of these, or when there is none: an error inside a stream has only words. */
function mayBe(facts: ErrorFacts, statuses: readonly number[]): boolean {
  return facts.status === null || facts.status < 400 || statuses.includes(facts.status);
}

function isRedirect(status: number | null): boolean {
  return status !== null && status >= 300 && status < 400;
}

function isServerFault(status: number | null): boolean {
  return status !== null && (status === 408 || status === 425 || (status >= 500 && status !== 501));
}

function isRequestFault(facts: ErrorFacts): boolean {
  return facts.status === 400 || facts.status === 413 || facts.status === 422 || facts.type === 'invalid_request_error'
    || facts.type === 'invalid_argument' || (facts.code?.startsWith('invalid_') ?? false);
}

function isAboutTheModel(facts: ErrorFacts): boolean {
  if (says(facts, MODEL_CODES)) return true;
  if (facts.status === 429 || (facts.status !== null && facts.status >= 500)) return false;
  if (MODEL_TEXTS.some((pattern) => tells(facts, pattern))) return true;
  if (facts.status === 403) return facts.form === 'json' && tells(facts, /\bmodel\b/i) && !tells(facts, CONTENT_TEXT);
  // A generation path that is not there for this account: the account is not blamed, another one is asked.
  return facts.status === 404 && facts.param === null && !tells(facts, OTHER_THING);
}
