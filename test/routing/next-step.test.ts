import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Failure, FailureKind } from '../../src/core/failure.ts';
import { giveUpError, retryDetails } from '../../src/routing/give-up.ts';
import type { History, Limits, PastAttempt, Step } from '../../src/routing/next-step.ts';
import { nextStep, triedAccounts } from '../../src/routing/next-step.ts';
import { failureOf, historyOf, limitsOf, NOON } from './builders.ts';

const attempt = (name: string, kind: FailureKind, model = 'm'): PastAttempt => ({ accountId: `acc_${name}`, accountName: name, model, kind, phase: 'headers' });
const next = { kind: 'try-next-account', replay: false };
const replay = { kind: 'try-next-account', replay: true };

function step(failure: Failure, history: Partial<History> = {}, limits: Partial<Limits> = {}): Step {
  return nextStep(failure, historyOf(failure, history), limitsOf(limits));
}

/** `give-up 502 upstream_error`, or the step's own word. */
function say(taken: Step): string {
  return taken.kind === 'give-up' ? `give-up ${taken.error.status} ${taken.error.body.code}` : taken.kind;
}

const backoff = (tries: number, random: number, retryAt: number | null = null) => {
  const attempts = [...Array.from({ length: tries - 1 }, () => attempt('a', 'rate-limited')), attempt('a', 'overloaded')];
  return step(failureOf('overloaded', { retryAt }), { attempts }, { isLastUsable: true, random, maxAttempts: 99 });
};

describe('the outcome table, before the commit point', () => {
  const overloaded = failureOf('overloaded', { status: 503, code: 'http_503' });
  const internal = failureOf('overloaded', { status: 500, code: 'http_500' });
  type Row = readonly [name: string, failure: Failure, history: Partial<History>, limits: Partial<Limits>, expected: string];
  const rows: readonly Row[] = [
    ['U21: connect refused: next account', failureOf('unreachable', { phase: 'connect', code: 'connect_refused' }), {}, {},
      'try-next-account'],
    ['U21: connect refused everywhere: 502', failureOf('unreachable', { phase: 'connect' }), {}, { isLastUsable: true },
      'give-up 502 upstream_error'],
    ['U21: failover without limit of ambiguity', failureOf('unreachable'),
      { attempts: [attempt('a', 'unreachable'), attempt('b', 'unreachable'), attempt('c', 'unreachable')] }, {}, 'try-next-account'],
    ['U22: connect timeout: next account', failureOf('unreachable', { phase: 'connect', code: 'connect_timeout' }), {}, {},
      'try-next-account'],
    ['U39: a stream refused by GOAWAY: next account', failureOf('unreachable', { phase: 'request', code: 'refused_stream' }), {}, {},
      'try-next-account'],
    ['U40: an invalid certificate: final', failureOf('certificate-invalid', { phase: 'connect' }), {}, {}, 'give-up 502 upstream_error'],
    ['U01: 429 with a hint: next account', failureOf('rate-limited', { status: 429, retryAt: NOON + 7_000 }), {}, {}, 'try-next-account'],
    ['U03: 429 without a hint: next account', failureOf('rate-limited', { status: 429 }), {}, {}, 'try-next-account'],
    ['U43: 429 at the last account: the chooser decides whether to wait', failureOf('rate-limited', { status: 429 }), {},
      { isLastUsable: true }, 'try-next-account'],
    ['quota at the first event of a 200: next account', failureOf('quota-exhausted', { phase: 'stream' }), {}, {}, 'try-next-account'],
    ['U07: 401: one refresh, same account', failureOf('unauthorized', { status: 401 }), {}, {}, 'refresh-then-same'],
    ['U15: 401 again after the refresh: next account', failureOf('unauthorized', { status: 401 }), { refreshed: new Set(['acc_a']) }, {},
      'try-next-account'],
    ['401 of an API key: next account', failureOf('unauthorized', { status: 401 }), {}, { refreshable: false }, 'try-next-account'],
    ['U10 U12: the refresh is refused for good: next account', failureOf('login-dead', { phase: 'credential' }), {}, {},
      'try-next-account'],
    ['the refresh timed out: next account', failureOf('refresh-unavailable', { phase: 'credential' }), {}, {}, 'try-next-account'],
    ['no credential to be had: next account', failureOf('credential-unavailable', { phase: 'credential' }), {}, {}, 'try-next-account'],
    ['402: next account', failureOf('account-refused', { status: 402 }), {}, {}, 'try-next-account'],
    ['U16 U47: the model is refused: next account', failureOf('model-refused', { status: 403 }), {}, {}, 'try-next-account'],
    ['a page: next account, once', failureOf('challenge', { status: 403 }), {}, {}, 'try-next-account'],
    ['a second page: 502', failureOf('challenge', { status: 403 }), { attempts: [attempt('a', 'challenge'), attempt('b', 'challenge')] },
      {}, 'give-up 502 upstream_error'],
    ['a page at the only account: 502', failureOf('challenge', { status: 403 }), {}, { isLastUsable: true }, 'give-up 502 upstream_error'],
    ['U36: context length: final', failureOf('invalid-request', { status: 400, code: 'context_length_exceeded' }), {}, {},
      'give-up 400 context_length_exceeded'],
    ['413: final, as told', failureOf('invalid-request', { status: 413, code: 'request_too_large' }), {}, {},
      'give-up 413 request_too_large'],
    ['U36: in a stream, without a status: 400', failureOf('invalid-request', { phase: 'stream', code: 'invalid_prompt' }), {}, {},
      'give-up 400 invalid_prompt'],
    ['a parameter refused by name that the request can do without: the same account without it',
      failureOf('invalid-request', { status: 400, code: 'unsupported_parameter', param: 'temperature' }), {},
      { refusedParameter: 'temperature' }, 'without-parameter'],
    ['a parameter refused by name that it cannot do without: 400, as told',
      failureOf('invalid-request', { status: 400, code: 'unsupported_parameter', param: 'tools' }), {}, {},
      'give-up 400 unsupported_parameter'],
    ['one parameter refused after the other: as many attempts as any request has',
      failureOf('invalid-request', { status: 400, code: 'unsupported_parameter', param: 'top_p' }),
      { attempts: Array.from({ length: 4 }, () => attempt('a', 'invalid-request')) }, { refusedParameter: 'top_p' },
      'give-up 400 unsupported_parameter'],
    ['foreign ciphertext: once without it', failureOf('foreign-ciphertext', { status: 400 }), {}, { foreignCiphertext: 'removable' },
      'without-foreign-ciphertext'],
    ['foreign ciphertext again: 400', failureOf('foreign-ciphertext', { status: 400, code: 'invalid_encrypted_content' }),
      { ciphertextRemoved: true }, { foreignCiphertext: 'removable' }, 'give-up 400 invalid_encrypted_content'],
    ['foreign ciphertext in a compaction item: 400', failureOf('foreign-ciphertext', { status: 400, code: 'invalid_encrypted_content' }),
      {}, {}, 'give-up 400 invalid_encrypted_content'],
    ['U18: 500: next account', internal, {}, {}, 'try-next-account'],
    ['U18: 500 at the only account: once more after a moment', internal, {}, { isLastUsable: true }, 'same-account-after'],
    ['U18: 500 twice at the only account: 502', internal, { attempts: [attempt('a', 'overloaded'), attempt('a', 'overloaded')] },
      { isLastUsable: true }, 'give-up 502 upstream_error'],
    ['U19: 503 at two accounts: a third', overloaded, { attempts: [attempt('a', 'overloaded'), attempt('b', 'overloaded')] }, {},
      'try-next-account'],
    ['U19: 503 at three accounts: 503', overloaded,
      { attempts: [attempt('a', 'overloaded'), attempt('b', 'overloaded'), attempt('c', 'overloaded')] }, {}, 'give-up 503 overloaded'],
    ['U19: 503 at both accounts: 503', overloaded, { attempts: [attempt('a', 'overloaded'), attempt('b', 'overloaded')] },
      { isLastUsable: true }, 'give-up 503 overloaded'],
    ['503 with the retry budget spent: fail fast', overloaded, {}, { replayBudget: 'spent' }, 'give-up 503 overloaded'],
    ['503 that names a wait of a minute, only account: 503', { ...overloaded, retryAt: NOON + 60_000 }, {}, { isLastUsable: true },
      'give-up 503 overloaded'],
    ['U23: reset before the headers: one replay', failureOf('cut', { phase: 'request' }), {}, {}, 'try-next-account'],
    ['U23: a second reset: 502', failureOf('cut', { phase: 'request' }), { attempts: [attempt('a', 'cut'), attempt('b', 'cut')] }, {},
      'give-up 502 upstream_error'],
    ['U24: reset before the first event, only account: one replay there', failureOf('cut', { phase: 'stream' }), {},
      { isLastUsable: true }, 'same-account-after'],
    ['U23: no replay where work done twice has effects', failureOf('cut', { phase: 'request' }), {}, { replayAllowed: false },
      'give-up 502 upstream_error'],
    ['U26: headers timeout: one replay', failureOf('timed-out', { phase: 'headers' }), {}, {}, 'try-next-account'],
    ['U26: a timeout after a reset: 504, ambiguity counts over all kinds', failureOf('timed-out', { phase: 'headers' }),
      { attempts: [attempt('a', 'cut'), attempt('b', 'timed-out')] }, {}, 'give-up 504 upstream_timeout'],
    ['U31 U34: an unreadable success: one replay', failureOf('invalid-response', { phase: 'stream' }), {}, {}, 'try-next-account'],
    ['U31 U34: twice: 502', failureOf('invalid-response', { phase: 'stream' }),
      { attempts: [attempt('a', 'invalid-response'), attempt('b', 'invalid-response')] }, {}, 'give-up 502 upstream_invalid_response'],
    ['the client is gone: nothing', failureOf('client-gone'), {}, {}, 'abandon'],
  ];
  test.each(rows)('%s', (_name, failure, history, limits, expected) => {
    expect(say(step(failure, history, limits))).toBe(expected);
  });
});

describe('the bounds', () => {
  test('at most four attempts in all', () => {
    const attempts = ['a', 'b', 'c', 'd'].map((name) => attempt(name, 'rate-limited'));
    expect(say(step(failureOf('rate-limited', { status: 429 }), { attempts }))).toBe('give-up 429 accounts_exhausted');
    expect(step(failureOf('rate-limited'), { attempts: attempts.slice(1) })).toEqual(next);
  });

  test('no attempt starts 30 s after the request when the refusals were clean', () => {
    expect(say(step(failureOf('rate-limited', { status: 429 }), { elapsedMs: 30_001 }))).toBe('give-up 429 accounts_exhausted');
    expect(step(failureOf('rate-limited'), { elapsedMs: 30_000 })).toEqual(next);
  });

  test('U26: after a timeout or a silent death one may start at any time', () => {
    expect(step(failureOf('timed-out'), { elapsedMs: 120_500 })).toEqual(replay);
    expect(step(failureOf('cut', { phase: 'stream' }), { elapsedMs: 400_000 })).toEqual(replay);
  });

  const kinds: readonly FailureKind[] = ['unreachable', 'rate-limited', 'unauthorized', 'challenge', 'overloaded', 'cut', 'timed-out',
    'foreign-ciphertext', 'invalid-request', 'model-refused'];
  test.each(kinds.map((kind) => [kind]))('U29: after the commit point %s is never replayed', (kind) => {
    expect(step(failureOf(kind, { phase: 'committed' }), {}, { foreignCiphertext: 'removable' }).kind).toBe('give-up');
  });

  test('backoff is full jitter under a doubling ceiling, and never below the hint', () => {
    expect(backoff(1, 0.5)).toMatchObject({ ms: 125 });
    expect(backoff(2, 0.5)).toMatchObject({ ms: 250 });
    expect(backoff(1, 0)).toMatchObject({ ms: 0 });
    expect(backoff(12, 0.999)).toMatchObject({ ms: 7_992 });
    expect(backoff(1, 0.5, NOON + 4_000)).toMatchObject({ ms: 4_000 });
  });

  test('whatever fails in whatever order, a request ends, within its attempts and one ambiguous replay', () => {
    const all = fc.constantFrom(...kinds, 'quota-exhausted' as const, 'login-dead' as const, 'account-refused' as const,
      'invalid-response' as const);
    fc.assert(fc.property(fc.infiniteStream(all), fc.boolean(), (stream, isLastUsable) => {
      const attempts: PastAttempt[] = [];
      const refreshed = new Set<string>();
      let ciphertextRemoved = false;
      let ambiguousReplays = 0;
      for (;;) {
        const kind = stream.next().value ?? 'cut';
        attempts.push(attempt(`n${attempts.length}`, kind));
        const taken = nextStep(failureOf(kind), { attempts, elapsedMs: 0, refreshed, ciphertextRemoved },
          limitsOf({ isLastUsable, foreignCiphertext: 'removable' }));
        if (taken.kind === 'give-up' || taken.kind === 'abandon') break;
        if (kind === 'cut' || kind === 'timed-out' || kind === 'invalid-response') ambiguousReplays += 1;
        if (taken.kind === 'refresh-then-same') refreshed.add(`acc_n${attempts.length - 1}`);
        if (taken.kind === 'without-foreign-ciphertext') ciphertextRemoved = true;
      }
      expect(attempts.length).toBeLessThanOrEqual(4);
      expect(ambiguousReplays).toBeLessThanOrEqual(1);
    }));
  });

  test('accounts that were throttled may be asked again, the others not', () => {
    expect([...triedAccounts([attempt('a', 'rate-limited'), attempt('b', 'overloaded'),
      attempt('c', 'quota-exhausted')], 'm')]).toEqual(['acc_b']);
  });

  test('an account that failed at one model may be asked for another', () => {
    const attempts = [attempt('a', 'model-refused', 'one'), attempt('b', 'overloaded', 'two')];
    expect([...triedAccounts(attempts, 'one')]).toEqual(['acc_a']);
    expect([...triedAccounts(attempts, 'two')]).toEqual(['acc_b']);
  });
});

describe('what the client is told', () => {
  test.each<readonly [FailureKind, Partial<Failure>, number, string]>([
    ['unauthorized', { status: 401 }, 503, 'no_account'], ['login-dead', { status: 401 }, 503, 'no_account'],
      ['refresh-unavailable', {}, 503, 'no_account'],
    ['credential-unavailable', {}, 503, 'no_account'], ['account-refused', { status: 402 }, 503, 'no_account'],
      ['model-refused', { status: 404 }, 404, 'model_not_found'],
    ['challenge', { status: 403 }, 502, 'upstream_error'], ['challenge', { status: 200 }, 502, 'upstream_invalid_response'],
    ['overloaded', { status: 529, code: 'http_529' }, 503, 'overloaded'], ['overloaded', { status: 408, code: 'http_408' }, 504,
      'upstream_timeout'],
    ['overloaded', { status: null, code: 'server_error' }, 502, 'upstream_error'],
      ['cut', { phase: 'stream' }, 502, 'upstream_stream_truncated'],
    ['timed-out', {}, 504, 'upstream_timeout'], ['certificate-invalid', {}, 502, 'upstream_error'],
      ['client-gone', {}, 502, 'upstream_error'],
  ])('%s %o is %i %s', (kind, changes, status, code) => {
    const error = giveUpError(failureOf(kind, changes), 'work', NOON);
    expect([error.status, error.body.code]).toEqual([status, code]);
  });

  test('an upstream status that would be read as being about the client key is never passed on', () => {
    for (const status of [401, 402, 403, 407, 429]) expect(giveUpError(failureOf('invalid-request', { status }), 'work',
      NOON).status).toBe(400);
    expect(giveUpError(failureOf('invalid-request', { status: 422, code: 'x', param: 'input' }), 'work',
      NOON)).toMatchObject({ status: 422, body: { message: 'told', param: 'input', code: 'x' } });
  });

  test('a plan quota keeps the shape Codex shows its user', () => {
    const error = giveUpError(failureOf('quota-exhausted', { code: 'usage_limit_reached', retryAt: NOON + 7_200_000, planType: 'plus' }),
      'work', NOON);
    expect(error.body).toMatchObject({ type: 'usage_limit_reached', code: 'usage_limit_reached', plan_type: 'plus',
      resets_at: (NOON + 7_200_000) / 1_000, resets_in_seconds: 7_200 });
    expect(error.details).toMatchObject({ retryAfterSeconds: 60, shouldRetry: false });
  });

  test.each([[NOON + 4_100, { retryAfterSeconds: 5 }], [NOON - 9, { retryAfterSeconds: 1 }], [NOON + 60_000, { retryAfterSeconds: 60 }],
    [NOON + 60_001, { retryAfterSeconds: 60, shouldRetry: false }], [null, {}]])('Retry-After for %s', (until, expected) => {
    expect(retryDetails(until, NOON)).toEqual(expected);
  });

  test('the message names the account and the command that mends it', () => {
    expect(giveUpError(failureOf('login-dead'), 'work', NOON).message).toContain('relay keys login work');
    expect(giveUpError(failureOf('account-refused'), 'work', NOON).message).toContain('relay keys test work');
  });
});
