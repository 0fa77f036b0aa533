import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { FailureKind } from '../../src/core/failure.ts';
import { classifyInvalidResponse, classifyRefusal, classifyStreamFailure, classifyTransport } from '../../src/routing/classify-failure.ts';
import { classifyRefreshRefusal, mayHaveNewerToken, refreshUnreachable } from '../../src/routing/classify-refresh.ts';
import { redactMessage } from '../../src/routing/redact-message.ts';
import { NOON } from './builders.ts';

const judge = (status: number, body: string | object, headers: Record<string, string> = {}) =>
  classifyRefusal({ status, headers, body: typeof body === 'string' ? body : JSON.stringify(body), receivedAt: NOON });
const error = (members: object): object => ({ error: members });
const base64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64');
const CLOUDFLARE = '<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title>Sorry, you have been blocked</html>';

const judgeTold = (members: Partial<Parameters<typeof classifyStreamFailure>[0]>, headers = {}) =>
  classifyStreamFailure({ status: null, code: null, type: null, message: '', param: null, raw: {}, ...members }, NOON, headers);
const refusedWith = (code: string) => classifyRefreshRefusal(400, JSON.stringify({ error: { code } }));

describe('classifyRefusal', () => {
  type Row = readonly [name: string, status: number, body: string | object, headers: Record<string, string>, kind: FailureKind,
    code: string];
  const table: readonly Row[] = [
    ['expired token, detail', 401, { detail: 'Unauthorized' }, {}, 'unauthorized', 'unauthorized'],
    ['expired token, code', 401, error({ code: 'token_expired' }), {}, 'unauthorized', 'token_expired'],
    ['expired token, x-error-json', 401, '', { 'x-error-json': base64(error({ code: 'token_expired' })) }, 'unauthorized', 'token_expired'],
    ['a 403 whose header tells of an expired token', 403, '', { 'x-error-json': base64(error({ code: 'token_expired' })) }, 'unauthorized',
      'token_expired'],
    ['a broken x-error-json', 401, '', { 'x-error-json': '%%%' }, 'unauthorized', 'unauthorized'],
    ['invalidated token', 401,
      { error: { message: 'Your authentication token has been invalidated', type: 'invalid_request_error', code: 'token_invalidated' },
      status: 401 }, {}, 'unauthorized', 'token_invalidated'],
    ['deactivated account, 401', 401, error({ code: 'account_deactivated' }), {}, 'login-dead', 'account_deactivated'],
    ['deactivated workspace, 402', 402, { detail: { code: 'deactivated_workspace' } }, {}, 'login-dead', 'deactivated_workspace'],
    ['suspended account, 403', 403, error({ code: 'account_suspended' }), {}, 'login-dead', 'account_suspended'],
    ['Cloudflare block', 403, CLOUDFLARE, { 'content-type': 'text/html; charset=UTF-8', 'cf-ray': '8f1' }, 'challenge', 'challenge'],
    ['Cloudflare page with a 429', 429, CLOUDFLARE, { 'retry-after': '7' }, 'challenge', 'challenge'],
    ['Cloudflare page with a 502', 502, '<html><body>Bad gateway</body></html>', {}, 'challenge', 'challenge'],
    ['a challenge without HTML', 403, '{}', { 'cf-mitigated': 'challenge' }, 'account-refused', 'account_refused'],
    ['a challenge header and a text', 403, 'Just a moment', { 'cf-mitigated': 'challenge' }, 'challenge', 'challenge'],
    ['a bare 403', 403, '', {}, 'challenge', 'challenge'],
    ['a redirect to a sign-in page', 302, '', { location: 'https://auth.openai.com' }, 'challenge', 'challenge'],
    ['plan quota', 429, error({ type: 'usage_limit_reached', message: 'The usage limit has been reached', plan_type: 'plus',
      resets_in_seconds: 60 }), {}, 'quota-exhausted', 'usage_limit_reached'],
    ['workspace credits', 429, error({ code: 'workspace_member_credits_depleted' }), {}, 'quota-exhausted',
      'workspace_member_credits_depleted'],
    ['quota told by header only', 429, {}, { 'x-codex-rate-limit-reached-type': 'rate_limit_reached' }, 'quota-exhausted',
      'usage_limit_reached'],
    ['plan without Codex', 429, error({ type: 'usage_not_included' }), {}, 'quota-exhausted', 'usage_not_included'],
    ['API credit empty', 429,
      error({ type: 'insufficient_quota', code: 'insufficient_quota', message: 'You exceeded your current quota' }), {}, 'quota-exhausted',
      'insufficient_quota'],
    ['a throttle', 429, error({ code: 'rate_limit_exceeded', type: 'tokens', message: 'Please try again in 1.9s' }), {}, 'rate-limited',
      'rate_limit_exceeded'],
    ['a throttle without a word', 429, '', {}, 'rate-limited', 'rate_limit_exceeded'],
    ['Gemini, a list of one', 429, [{ error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'Quota' } }], {}, 'rate-limited',
      'rate_limit_exceeded'],
    ['no balance at DeepSeek', 402, error({ message: 'Insufficient Balance', type: 'unknown_error', code: 'invalid_request_error' }), {},
      'account-refused', 'unknown_error'],
    ['payment required', 402, '', {}, 'account-refused', 'payment_required'],
    ['403 about the account', 403, error({ code: 'unsupported_country_region_territory', message: 'Country not supported' }), {},
      'account-refused', 'unsupported_country_region_territory'],
    ['U16: 403 about the model', 403, error({ message: 'Your project does not have access to model gpt-6-sol' }), {}, 'model-refused',
      'model_not_found'],
    ['model of another plan', 400, { detail: "The 'gpt-6-sol' model is not supported when using Codex with a ChatGPT account." }, {},
      'model-refused', 'model_not_found'],
    ['model of another plan, newer shape', 400,
      { type: 'error', status: 400,
      error: { type: 'invalid_request_error',
      message: "The 'gpt-6-sol' model is not supported when using Codex with a ChatGPT account." } }, {}, 'model-refused',
      'model_not_found'],
    ['a bare "model is not supported"', 400, { detail: 'model is not supported' }, {}, 'model-refused', 'model_not_found'],
    ['U47: model absent', 404, error({ code: 'model_not_found', message: 'The model `x` does not exist' }), {}, 'model-refused',
      'model_not_found'],
    ['U47: absent at Ollama', 404, { error: 'model "llama9" not found, try pulling it first' }, {}, 'model-refused', 'model_not_found'],
    ['Azure deployment', 404, error({ code: 'DeploymentNotFound', message: 'The API deployment does not exist' }), {}, 'model-refused',
      'deployment_not_found'],
    ['a parameter the model does not take is no refused model', 400,
      error({ message: 'prompt_cache_breakpoint is not supported on this model', type: 'invalid_request_error' }), {}, 'invalid-request',
      'invalid_request_error'],
    ['404 about another thing', 404, error({ message: "Item with id 'rs_1' not found.", param: null }), {}, 'invalid-request',
      'invalid_request_error'],
    ['context length', 400, error({ code: 'context_length_exceeded' }), {}, 'invalid-request', 'context_length_exceeded'],
    ['context length by text', 400, error({ message: "This model's maximum context length is 128000 tokens" }), {}, 'invalid-request',
      'context_length_exceeded'],
    ['cyber policy', 400, error({ code: 'cyber_policy' }), {}, 'invalid-request', 'cyber_policy'],
    ['invalid prompt', 400, error({ code: 'invalid_prompt' }), {}, 'invalid-request', 'invalid_prompt'],
    ['Azure content filter', 400, error({ code: 'content_filter', innererror: { code: 'ResponsibleAIPolicyViolation' } }), {},
      'invalid-request', 'responsible_ai_policy_violation'],
    ['moderation behind a 403', 403, error({ message: 'Your chosen model requires moderation and your input was flagged' }), {},
      'invalid-request', 'content_filter'],
    ['unsupported parameter', 400, { detail: 'Unsupported parameter: temperature' }, {}, 'invalid-request', 'unsupported_parameter'],
    ['FastAPI list', 422, { detail: [{ loc: ['body'], msg: 'field required' }] }, {}, 'invalid-request', 'invalid_request_error'],
    ['too large', 413, '', {}, 'invalid-request', 'invalid_request_error'],
    ['unsupported media type', 415, 'no', {}, 'invalid-request', 'invalid_request_error'],
    ['an empty 400', 400, '', {}, 'invalid-request', 'invalid_request_error'],
    ['bad ciphertext', 400, error({ code: 'invalid_encrypted_content', type: 'invalid_request_error' }), {}, 'foreign-ciphertext',
      'invalid_encrypted_content'],
    ['reasoning without the item it was made for', 400,
      error({ message: "Item 'rs_1' of type 'reasoning' was provided without its required following item.", param: 'input' }), {},
      'foreign-ciphertext', 'invalid_encrypted_content'],
    ['bad ciphertext by text', 400, error({ message: 'The encrypted content gAAA…XX could not be verified. Reason: …' }), {},
      'foreign-ciphertext', 'invalid_encrypted_content'],
    ['overloaded', 503, error({ code: 'server_is_overloaded' }), {}, 'overloaded', 'server_is_overloaded'],
    ['slow down', 503, error({ code: 'slow_down' }), {}, 'overloaded', 'slow_down'],
    ['at capacity, labelled a request error', 400,
      error({ type: 'invalid_request_error', message: 'Selected model is at capacity. Please try a different model.' }), {}, 'overloaded',
      'model_at_capacity'],
    ['U18: a bare 500', 500, '', {}, 'overloaded', 'http_500'],
    ['U19: 502', 502, error({ message: 'bad gateway' }), {}, 'overloaded', 'http_502'],
    ['U19: 503', 503, 'upstream connect error', {}, 'overloaded', 'http_503'],
    ['U19: 504', 504, '', {}, 'overloaded', 'http_504'],
    ['U19: 529', 529, error({ type: 'overloaded_error' }), {}, 'overloaded', 'overloaded_error'],
    ['408', 408, '', {}, 'overloaded', 'http_408'],
    ['server_error in a 400', 400, error({ code: 'server_error' }), {}, 'overloaded', 'server_error'],
  ];
  test.each(table)('%s', (...[, status, body, headers, kind, code]) => {
    expect(judge(status, body, headers)).toMatchObject({ kind, code, status, phase: 'headers' });
  });

  test('a page never lends its text to a message, and names its ray', () => {
    const failure = judge(403, CLOUDFLARE, { 'cf-ray': '8f1-AMS' });
    expect(failure.message).toBe('The upstream answered HTTP 403 with a web page (cf-ray 8f1-AMS)');
    expect(failure.upstreamRequestId).toBe('8f1-AMS');
  });

  test('a quota refusal carries its reset, plan and bucket', () => {
    const body = error({ type: 'usage_limit_reached', message: 'The usage limit has been reached', plan_type: 'pro',
      resets_at: (NOON + 60_000) / 1_000 });
    expect(judge(429, body)).toMatchObject({ retryAt: NOON + 60_000, planType: 'pro', bucket: 'codex' });
    const spark = {
      'x-codex-active-limit': 'codex_bengalfox', 'x-codex-bengalfox-primary-used-percent': '100',
        'x-codex-bengalfox-primary-window-minutes': '300',
      'x-codex-primary-used-percent': '4', 'x-codex-primary-window-minutes': '300',
    };
    expect(judge(429, body, spark).bucket).toBe('codex_bengalfox');
    expect(judge(429, '', { 'retry-after': '7' })).toMatchObject({ retryAt: NOON + 7_000, bucket: null });
  });

  test('whatever an upstream sends, it is judged, bounded and free of control characters', () => {
    const body = fc.oneof(fc.string(), fc.jsonValue().map((value) => JSON.stringify({ error: value })),
      fc.jsonValue().map((value) => JSON.stringify(value)), fc.json());
    fc.assert(fc.property(fc.integer({ min: 200, max: 599 }), body,
      fc.dictionary(fc.constantFrom('x-error-json', 'retry-after', 'content-type', 'cf-ray'), fc.string()), (status, text, headers) => {
      const failure = judge(status, text, headers);
      expect(failure.message.length).toBeLessThanOrEqual(1_200);
      expect(failure.message).not.toMatch(/\p{Cc}/u);
      expect(failure.message).not.toBe('');
      if (failure.retryAt !== null) expect(failure.retryAt).toBeGreaterThan(NOON);
    }));
  });

  test('only known words in JSON change an account for good', () => {
    fc.assert(fc.property(fc.integer({ min: 300, max: 599 }), fc.string(), (status, text) => {
      expect(judge(status, `<html>account_deactivated ${text}</html>`).kind).toBe('challenge');
    }));
  });
});

describe('classifyStreamFailure', () => {
  test.each<readonly [string, Parameters<typeof judgeTold>[0], FailureKind, string]>([
    ['U36: context length', { code: 'context_length_exceeded', message: 'too long' }, 'invalid-request', 'context_length_exceeded'],
    ['a throttle', { code: 'rate_limit_exceeded', message: 'Rate limit reached… Please try again in 1.9s.' }, 'rate-limited',
      'rate_limit_exceeded'],
    ['a quota as first event of a 200', { type: 'usage_limit_reached', raw: { resets_in_seconds: 30, plan_type: 'plus' } },
      'quota-exhausted', 'usage_limit_reached'],
    ['API credit', { code: 'insufficient_quota' }, 'quota-exhausted', 'insufficient_quota'],
    ['server error', { code: 'server_error', message: 'oops' }, 'overloaded', 'server_error'],
    ['nothing at all', {}, 'overloaded', 'server_error'],
    ['policy', { code: 'cyber_policy' }, 'invalid-request', 'cyber_policy'],
    ['a request error with a status', { status: 400, type: 'invalid_request_error', code: 'unknown_parameter', message: 'x' },
      'invalid-request', 'unknown_parameter'],
    ['a request error inside a 200', { status: 200, type: 'invalid_request_error', message: 'x' }, 'invalid-request',
      'invalid_request_error'],
    ['ciphertext', { status: 400, code: 'invalid_encrypted_content' }, 'foreign-ciphertext', 'invalid_encrypted_content'],
    ['the other plan', { status: 400, message: "The 'm' model is not supported when using Codex with a ChatGPT account." },
      'model-refused', 'model_not_found'],
    ['an expired token on a socket', { status: 401, code: 'token_expired' }, 'unauthorized', 'token_expired'],
    ['at capacity', { message: 'Selected model is at capacity.' }, 'overloaded', 'model_at_capacity'],
  ])('%s', (_name, members, kind, code) => {
    expect(judgeTold(members)).toMatchObject({ kind, code, phase: 'stream' });
  });

  test('its waiting time is read from the text, the members and the headers it carries', () => {
    expect(judgeTold({ code: 'rate_limit_exceeded', message: 'Please try again in 1.9s.' }).retryAt).toBe(NOON + 1_900);
    expect(judgeTold({ type: 'usage_limit_reached', raw: { resets_in_seconds: 30 } }).retryAt).toBe(NOON + 30_000);
    const raw = { headers: { 'X-Codex-Primary-Used-Percent': '100', 'X-Codex-Primary-Window-Minutes': '300',
      'X-Codex-Primary-Reset-After-Seconds': '90' } };
    expect(judgeTold({ type: 'usage_limit_reached', raw })).toMatchObject({ retryAt: NOON + 90_000, bucket: 'codex' });
  });
});

test.each([
  ['cut', 'connect', 'unreachable'], ['timed-out', 'connect', 'unreachable'], ['cut', 'request', 'cut'],
    ['timed-out', 'headers', 'timed-out'],
  ['unreachable', 'connect', 'unreachable'], ['certificate-invalid', 'connect', 'certificate-invalid'],
    ['client-gone', 'stream', 'client-gone'],
] as const)('U21 U23: a transport failure %s in %s is %s', (kind, phase, expected) => {
  expect(classifyTransport({ kind, code: 'c', message: 'm' }, phase)).toMatchObject({ kind: expected, phase, code: 'c' });
});

test('U34: a success that is not what it says is an invalid response', () => {
  expect(classifyInvalidResponse('not_event_stream', 'The upstream sent text/html',
    { 'x-request-id': 'r1' })).toMatchObject({ kind: 'invalid-response', upstreamRequestId: 'r1' });
});

describe('classifyRefreshRefusal', () => {
  test.each([
    ['U10', 'refresh_token_reused'], ['U12', 'refresh_token_expired'], ['U12', 'refresh_token_invalidated'], ['U12', 'account_deactivated'],
    ['U12', 'app_session_terminated'], ['U12', 'account_suspended'], ['U12', 'account_deleted'],
  ])('%s: %s needs a person, with any 4xx', (_row, code) => {
    for (const status of [400, 401, 403]) {
      expect(classifyRefreshRefusal(status, JSON.stringify({ error: { code, message: 'no' } }))).toMatchObject({ kind: 'login-dead', code,
        phase: 'credential' });
      expect(classifyRefreshRefusal(status, JSON.stringify({ code })).kind).toBe('login-dead');
    }
    expect(classifyRefreshRefusal(503, JSON.stringify({ error: { code } })).kind).toBe('refresh-unavailable');
  });

  test('U12: invalid_grant as RFC 6749 writes it', () => {
    expect(classifyRefreshRefusal(400, '{"error":"invalid_grant","error_description":"gone"}')).toMatchObject({ kind: 'login-dead',
      code: 'invalid_grant' });
  });

  test.each<readonly [number, string, string]>([
    [401, '{"error":"who are you"}', 'login-dead'], [401, '', 'login-dead'], [401, CLOUDFLARE, 'refresh-unavailable'],
      [403, CLOUDFLARE, 'refresh-unavailable'],
    [500, '', 'refresh-unavailable'], [429, '{}', 'refresh-unavailable'], [400, '{"error":{"code":"constructor"}}', 'refresh-unavailable'],
      [404, 'nope', 'refresh-unavailable'],
  ])('%i %s is %s', (status, body, kind) => {
    expect(classifyRefreshRefusal(status, body).kind).toBe(kind);
  });

  test('U11: a reused token may only mean another process was first, a suspended account may not', () => {
    expect(mayHaveNewerToken(refusedWith('refresh_token_reused'))).toBe(true);
    expect(mayHaveNewerToken(refusedWith('account_suspended'))).toBe(false);
    expect(mayHaveNewerToken(refreshUnreachable('reset', 'cut'))).toBe(false);
  });
});

describe('redactMessage', () => {
  test.each([
    'Bearer abcdefghijklmnop', 'key sk-proj-abcdefghijklmnopqrstuvwxyz012345', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk',
    'rt_abcdefghijklmnopqrstuv', 'AIzaSyA1234567890abcdefghijklmnopq', '"access_token": "abcdefghijkl"', 'sk-relay-abcdefghijklmnop',
    'sess-abcdefghijklmnopqrstuvwxyz',
  ])('takes the secret out of %s', (text) => {
    expect(redactMessage(`before ${text} after`)).toMatch(/^before .*\[redacted\].* after$/);
    expect(redactMessage(`before ${text} after`)).not.toMatch(/abcdefghijk|eyJ|AIza/);
  });

  test('leaves waiting times, model names and sentences as told', () => {
    const text = 'Rate limit reached for gpt-6-sol in organization org-1 on tokens per min. Please try again in 1.9s.';
    expect(redactMessage(text)).toBe(text);
  });

  test('is one bounded line', () => {
    expect(redactMessage(`a\r\n\u001b[31mb\u202e${' word'.repeat(1_000)}`)).toMatch(/^a \[31mb {2}word.{980,}…$/);
    expect(redactMessage('x y '.repeat(5_000)).length).toBeLessThanOrEqual(1_000);
  });
});
