import { describe, expect, test } from 'vitest';

import { emptyAnswerEvents, errorEvent, eventMessage, headerEvents, steerRefusal } from '../../src/server/websocket-frames.ts';

describe('what HTTP tells in headers', () => {
  test('comes to Codex as response.metadata and one codex.rate_limits a metered limit', () => {
    const events = headerEvents({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-codex-turn-state': 'ts-1',
      'openai-model': 'gpt-5.5',
      'x-models-etag': 'e',
      'x-relay-account': 'work',
      'x-codex-plan-type': 'plus',
      'x-codex-credits-has-credits': 'true',
      'x-codex-credits-unlimited': '0',
      'x-codex-credits-balance': '12.5',
      'x-codex-primary-used-percent': '42.5',
      'x-codex-primary-window-minutes': '300',
      'x-codex-primary-reset-at': '1795305903.7',
      'x-codex-secondary-used-percent': '100',
      'x-codex-secondary-window-minutes': '10080',
      'x-codex-bengalfox-primary-used-percent': '7',
    });
    const credits = { has_credits: true, unlimited: false, balance: '12.5' };
    expect(events).toEqual([
      {
        type: 'response.metadata',
        headers: {
          'x-codex-turn-state': 'ts-1',
          'openai-model': 'gpt-5.5',
          'x-models-etag': 'e',
          'x-relay-account': 'work',
          'x-codex-plan-type': 'plus',
          'x-codex-credits-has-credits': 'true',
          'x-codex-credits-unlimited': '0',
          'x-codex-credits-balance': '12.5',
        },
      },
      {
        type: 'codex.rate_limits',
        plan_type: 'plus',
        metered_limit_name: 'codex',
        credits,
        rate_limits: {
          allowed: false,
          limit_reached: true,
          primary: { used_percent: 42.5, window_minutes: 300, reset_at: 1_795_305_903 },
          secondary: { used_percent: 100, window_minutes: 10_080, reset_at: null },
        },
      },
      {
        type: 'codex.rate_limits',
        plan_type: 'plus',
        metered_limit_name: 'codex_bengalfox',
        credits,
        rate_limits: {
          allowed: true,
          limit_reached: false,
          primary: { used_percent: 7, window_minutes: null, reset_at: null },
          secondary: null,
        },
      },
    ]);
  });

  test.each(['', 'NaN', 'Infinity', 'lots'])('a window that says "%s" is left out', (used) => {
    const [event] = headerEvents({ 'x-codex-primary-used-percent': used, 'x-codex-primary-window-minutes': '300' });
    expect(event).toMatchObject({ type: 'codex.rate_limits', rate_limits: { primary: null, secondary: null }, credits: null });
  });

  test('is nothing where there are none', () => {
    expect(headerEvents({ 'content-type': 'text/event-stream' })).toEqual([]);
  });
});

describe('other events', () => {
  test('an error has the status and the headers an HTTP answer would have had', () => {
    const error = { type: 'server_error', code: 'overloaded', message: 'busy', param: null };
    expect(
      errorEvent(503, error, { 'retry-after': '2', 'content-length': '9', 'content-type': 'application/json', 'x-request-id': 'req_1' }),
    ).toEqual({ type: 'error', status: 503, error, headers: { 'retry-after': '2', 'x-request-id': 'req_1' } });
  });

  test('an event stands under its lane', () => {
    expect(JSON.parse(eventMessage({ type: 'x' }, 'a"b'))).toEqual({ type: 'x', stream_id: 'a"b' });
    expect(JSON.parse(eventMessage({ type: 'x' }, null))).toEqual({ type: 'x' });
  });

  test('an answer that generates nothing is a whole response, at no cost', () => {
    const events = emptyAnswerEvents({ id: 'resp_1', createdAt: 7, model: 'm', body: { instructions: 'Be brief.', input: 'hi' } });
    expect(events).toMatchObject([
      { type: 'response.created', response: { id: 'resp_1', status: 'in_progress', usage: null } },
      {
        type: 'response.completed',
        response: {
          id: 'resp_1',
          object: 'response',
          status: 'completed',
          model: 'm',
          instructions: 'Be brief.',
          output: [],
          usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
        },
      },
    ]);
  });

  test('steering is refused with its input, so that it is not lost', () => {
    expect(steerRefusal('stop', 'r1')).toMatchObject({
      type: 'response.steer.failed',
      steer: { input: 'stop', previous_response_id: 'r1' },
      error: { code: 'steering_not_supported' },
    });
  });
});
