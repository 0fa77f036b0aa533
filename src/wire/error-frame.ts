import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { toBytes, writeChatEvent, writeResponsesEvent } from './sse-writer.ts';

/**
 * An error inside a Chat Completions stream: one bare `{"error":…}` frame. It has no `choices`, or the AI SDK would read
 * it as an empty chunk and end normally (ai 7.0, probed 2026-11).
 */
export function chatErrorFrame(error: ErrorBody): Uint8Array {
  return writeChatEvent(JSON.stringify({ error }));
}

/**
 * An error inside a Responses stream: `response.failed` with the whole response, since Codex does not understand a bare
 * `error` event (0.169, observed 2026-11). `response` is the answer as far as it came.
 */
export function responsesErrorFrame(error: ErrorBody, response: JsonObject, sequenceNumber: number): Uint8Array {
  return writeResponsesEvent({ type: 'response.failed', sequence_number: sequenceNumber, response: failedResponse(error, response) });
}

/** A response turned into a failed one. `code` is what Codex decides by, so it keeps the upstream's word. */
export function failedResponse(error: ErrorBody, response: JsonObject): JsonObject {
  const { plan_type, resets_at, resets_in_seconds } = error;
  return {
    ...response,
    status: 'failed',
    completed_at: null,
    incomplete_details: null,
    error: {
      code: error.code === null || error.code === 'upstream_error' ? 'server_error' : error.code,
      message: error.message,
      ...(plan_type !== undefined && { plan_type }),
      ...(resets_at !== undefined && { resets_at }),
      ...(resets_in_seconds !== undefined && { resets_in_seconds }),
    },
  };
}

/** An error in place of a whole answer: the JSON envelope. */
export function errorEnvelope(error: ErrorBody): Uint8Array {
  return toBytes(JSON.stringify({ error }));
}
