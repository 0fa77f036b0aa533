import { describe, expect, test } from 'vitest';

import { RelayError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { readClientMessage, requestHeaders } from '../../src/server/websocket-request.ts';

const read = (message: unknown) =>
  readClientMessage(new TextEncoder().encode(typeof message === 'string' ? message : JSON.stringify(message)));
const create = (change: JsonObject) => {
  const message = read({ type: 'response.create', model: 'm', input: 'hi', ...change });
  if (message.kind !== 'create') throw new Error('it is no create');
  return message;
};

function refusal(message: unknown): Pick<RelayError, 'code' | 'message'> & { readonly param: string | null } {
  try {
    read(message);
  } catch (error) {
    if (error instanceof RelayError) return { code: error.code, message: error.message, param: error.body.param };
  }
  throw new Error('it was not refused');
}

describe('a message of the Responses WebSocket', () => {
  test('is the body of a streamed request, without what belongs to the transport', () => {
    const message = create({
      stream: false,
      background: false,
      generate: true,
      stream_id: 'lane',
      previous_response_id: 'r1',
      store: false,
    });
    expect(message.body).toEqual({ model: 'm', input: 'hi', previous_response_id: 'r1', store: false, stream: true });
    expect(message).toMatchObject({ generate: true, streamId: 'lane' });
  });

  test('generates unless it says it does not', () => {
    expect([create({}), create({ generate: null }), create({ generate: false })].map(({ generate }) => generate)).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('brings the headers of its turn in client_metadata, and leaves in the body what HTTP would have there', () => {
    const { body, headers } = create({
      client_metadata: {
        session_id: 's',
        thread_id: 't',
        turn_id: 'u',
        'x-codex-window-id': 't:1',
        'x-codex-turn-metadata': '{"request_kind":"turn"}',
        'x-codex-turn-state': 'ts-1',
        ws_request_header_x_openai_internal_codex_responses_lite: 'true',
        'x-codex-ws-stream-request-start-ms': '1',
        'x-codex-installation-id': 'i',
      },
    });
    expect(headers).toEqual({
      'session-id': 's',
      'thread-id': 't',
      'x-client-request-id': 't',
      'x-codex-window-id': 't:1',
      'x-codex-turn-metadata': '{"request_kind":"turn"}',
      'x-codex-turn-state': 'ts-1',
      'x-openai-internal-codex-responses-lite': 'true',
    });
    expect(body['client_metadata']).toEqual({
      session_id: 's',
      thread_id: 't',
      turn_id: 'u',
      'x-codex-window-id': 't:1',
      'x-codex-turn-metadata': '{"request_kind":"turn"}',
      'x-codex-installation-id': 'i',
    });
  });

  test('brings no header that is none of its own, and none that would break a call', () => {
    const { headers, body } = create({
      client_metadata: {
        ws_request_header_authorization: 'Bearer x',
        ws_request_header_host: 'elsewhere',
        authorization: 'Bearer x',
        cookie: 'c',
        'x-codex-turn-state': 'a\r\nb: c',
        'x-codex-window-id': 7,
        ws_request_header_x_codex_odd: 'ä',
        'x-forwarded-for': '1.2.3.4',
      },
    });
    expect(headers).toEqual({});
    expect(Object.keys(body['client_metadata'] as JsonObject)).toEqual(['authorization', 'cookie', 'x-codex-window-id', 'x-forwarded-for']);
  });

  test('leaves client_metadata out where nothing is left of it', () => {
    expect(create({ client_metadata: { 'x-codex-turn-state': 'ts' } }).body).not.toHaveProperty('client_metadata');
    expect(create({ client_metadata: null }).body['client_metadata']).toBeNull();
  });

  test.each([
    ['text that is no JSON', '{', 'invalid_request_error', null],
    ['a scalar', '7', 'invalid_request_error', null],
    ['a list', '[]', 'invalid_request_error', null],
    ['nothing', '', 'invalid_request_error', null],
    ['no type', { model: 'm' }, 'invalid_request_error', 'type'],
    ['another type', { type: 'response.cancel' }, 'invalid_request_error', 'type'],
    ['background', { type: 'response.create', background: true }, 'unsupported_parameter', 'background'],
    ['a generate that is no boolean', { type: 'response.create', generate: 'no' }, 'invalid_request_error', 'generate'],
    [
      'a previous answer that is no string',
      { type: 'response.create', previous_response_id: 7 },
      'invalid_request_error',
      'previous_response_id',
    ],
    ['an empty lane', { type: 'response.create', stream_id: '' }, 'invalid_stream_id', 'stream_id'],
    ['a lane that is no string', { type: 'response.create', stream_id: 7 }, 'invalid_stream_id', 'stream_id'],
    ['an endless lane', { type: 'response.create', stream_id: 'x'.repeat(257) }, 'invalid_stream_id', 'stream_id'],
  ])('C10 %s is refused by name', (_what, message, code, param) => {
    expect(refusal(message)).toMatchObject({ code, param });
  });

  test('control characters of a type are not echoed', () => {
    expect(refusal({ type: 'a\u0000\u001b[31m' }).message).toMatch(/^[ -~]*$/);
  });

  test('what Codex has read is a notice, and steering is known by its target', () => {
    expect(read({ type: 'response.processed', response_id: 'r' })).toEqual({ kind: 'notice' });
    expect(read({ type: 'response.steer', previous_response_id: 'r', input: 'stop' })).toEqual({
      kind: 'steer',
      input: 'stop',
      responseId: 'r',
    });
  });
});

describe('the headers of a request on a WebSocket', () => {
  const handshake = {
    host: '127.0.0.1',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'k',
    'sec-websocket-version': '13',
    originator: 'codex_exec',
    'openai-beta': 'responses_websockets=2026-02-06',
    'x-codex-turn-state': 'of the first turn',
    'x-codex-turn-metadata': 'of the prewarm',
    'session-id': 'old',
    'thread-id': 'old',
  };

  test("are those of the handshake without the handshake's own, and the turn's", () => {
    expect(requestHeaders(handshake, { 'x-codex-turn-state': 'of this turn' })).toEqual({
      host: '127.0.0.1',
      originator: 'codex_exec',
      'session-id': 'old',
      'thread-id': 'old',
      'x-codex-turn-state': 'of this turn',
    });
  });

  test('hold no turn state of an earlier turn', () => {
    expect(requestHeaders(handshake, {})).not.toHaveProperty('x-codex-turn-state');
  });

  test('keep other betas', () => {
    const two = { ...handshake, 'openai-beta': 'responses_websockets=2026-02-06, other=1' };
    expect(requestHeaders(two, {})['openai-beta']).toBe('other=1');
    expect(requestHeaders(handshake, {})).not.toHaveProperty('openai-beta');
  });

  test('name the thread of the message where the handshake named one, and none where it did not', () => {
    const brought = { 'session-id': 's', 'thread-id': 't', 'x-client-request-id': 't' };
    expect(requestHeaders(handshake, brought)).toMatchObject({ 'session-id': 's', 'thread-id': 't' });
    expect(requestHeaders({ host: 'h' }, brought)).toEqual({ host: 'h' });
  });
});
