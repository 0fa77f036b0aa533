import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { bodyOfFailure, errorOfFailure, readChatFailure, readResponsesFailure, statusOfFailure } from '../../src/wire/stream-failure.ts';

describe('a failure inside a stream', () => {
  const events: readonly (readonly [string, JsonObject, JsonObject])[] = [
    [
      'flat',
      { type: 'error', code: 'server_error', message: 'm', param: 'input' },
      { status: null, code: 'server_error', type: null, message: 'm', param: 'input' },
    ],
    [
      'nested',
      { type: 'error', status: 400, error: { type: 'invalid_request_error', code: 'x', message: 'm' } },
      { status: 400, code: 'x', type: 'invalid_request_error' },
    ],
    ['status_code', { type: 'error', status_code: 429, error: { message: 'm' } }, { status: 429 }],
    ['failed', { type: 'response.failed', response: { error: { code: 'c', message: 'm' } } }, { code: 'c', message: 'm', type: null }],
    [
      'without words',
      { type: 'response.failed' },
      { code: null, type: null, message: 'The upstream reported an error without a message.' },
    ],
    ['cancelled', { type: 'response.cancelled' }, { type: null, message: 'The upstream cancelled the response.' }],
  ];
  test.each(events)('is read from a Responses event: %s', (_, event, expected) => {
    expect(readResponsesFailure(event)).toMatchObject(expected);
  });

  test('keeps what a quota tells, headers and all', () => {
    const headers = { 'x-codex-primary-reset-at': '1795000000' };
    const error = { type: 'usage_limit_reached', message: 'm', resets_at: 1_795_000_000, resets_in_seconds: 60, plan_type: 'plus' };
    const failure = readResponsesFailure({ type: 'error', status: 429, error, headers });
    expect(failure.raw).toEqual({ ...error, status: 429, headers });
    expect(bodyOfFailure(failure)).toEqual({
      message: 'm',
      type: 'usage_limit_reached',
      param: null,
      code: 'usage_limit_reached',
      plan_type: 'plus',
      resets_at: 1_795_000_000,
      resets_in_seconds: 60,
    });
  });

  const chunks: readonly (readonly [string, JsonObject, JsonObject | undefined])[] = [
    ['a status as code', { error: { code: 502, message: 'm' } }, { status: 502, code: null, message: 'm' }],
    ['a status as text', { error: { code: '429', message: 'm' } }, { status: 429, code: '429' }],
    ['text', { error: 'm' }, { message: 'm' }],
    ['an error object', { object: 'error', message: 'm', code: 400 }, { status: 400, message: 'm' }],
    ['a detail', { detail: 'm' }, { message: 'm' }],
    ['null', { error: null, choices: [] }, undefined],
    ['nothing', { choices: [] }, undefined],
    ['empty text', { error: '' }, undefined],
  ];
  test.each(chunks)('is read from a chat chunk: %s', (_, chunk, expected) => {
    const failure = readChatFailure(chunk);
    if (expected === undefined) expect(failure).toBeUndefined();
    else expect(failure).toMatchObject(expected);
  });

  const answers: readonly (readonly [string, JsonObject, number, string | null])[] = [
    ['U36 a context that is too long', { code: 'context_length_exceeded' }, 400, 'context_length_exceeded'],
    ['an image at fault', { code: 'image_parse_error' }, 400, 'image_parse_error'],
    ['a rate limit', { code: 'rate_limit_exceeded' }, 429, 'rate_limit_exceeded'],
    ['a plan limit by type', { error: { type: 'usage_limit_reached' } }, 429, 'usage_limit_reached'],
    ['overload', { code: 'server_is_overloaded' }, 503, 'overloaded'],
    [
      'a model at capacity, whatever it is labelled',
      { error: { type: 'invalid_request_error', message: 'Selected model is at capacity.' } },
      503,
      'overloaded',
    ],
    ['a fault of the server', { code: 'server_error' }, 502, 'upstream_error'],
    ['no word at all', {}, 502, 'upstream_error'],
    ["an unauthorized upstream, which is never the client's 401", { status: 401, error: { message: 'm' } }, 502, 'upstream_error'],
    ['a status told', { status: 422, error: { message: 'm' } }, 422, null],
  ];
  test.each(answers)('answers for %s', (_, event, status, code) => {
    const failure = readResponsesFailure({ type: 'error', ...event });
    const error = errorOfFailure(failure);
    expect([statusOfFailure(failure), error.status, error.body.code]).toEqual([status, status, code]);
  });
});
