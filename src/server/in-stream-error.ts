import type { ErrorBody } from '../core/errors.ts';
import type { ClientWire } from '../core/provider-kind.ts';
import { messagesErrorFrame } from '../wire/messages-error.ts';

/**
 * An error for a stream that has only been kept alive so far: `response.failed` for Responses clients, since Codex does not
 * understand a bare `error` event; for chat a frame without `choices`, since SDKs take one with them for a chunk; for Messages
 * clients their own `error` event.
 */
export function inStreamError(wire: ClientWire, error: ErrorBody): Uint8Array {
  if (wire === 'messages') return messagesErrorFrame(error);
  const text = wire === 'chat'
    ? `data: ${JSON.stringify({ error })}\n\n`
    : `event: response.failed\ndata: ${JSON.stringify({
      type: 'response.failed',
      sequence_number: 0,
      response: { id: 'resp_failed', object: 'response', status: 'failed', error: { code: error.code ?? 'server_error', message: error.message }, output: [], usage: null },
    })}\n\n`;
  return new TextEncoder().encode(text);
}
