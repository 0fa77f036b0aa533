import { createHash } from 'node:crypto';

import { RelayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import { messagesToResponses } from '../wire/messages-to-responses.ts';

/** What is known of a Messages call beside what its body asks. */
export type MessagesHead = Pick<RelayRequest, 'id' | 'client' | 'headers' | 'receivedAt' | 'model' | 'stream' | 'bytes'>;

/** A Messages body as a request to relay: in the hub's words from here on. Throws what is wrong with it as a RelayError. */
export function toMessagesRequest(head: MessagesHead, body: JsonObject): RelayRequest {
  const { body: hubBody, origin } = messagesToResponses(body, sha256);
  return { ...head, endpoint: 'messages', clientWire: 'messages', bodyWire: 'responses', body: hubBody, isCodex: false, messages: origin };
}

/** How many tokens a Messages body's input has, by Relay's own count. Throws where the body could not be relayed. */
export function countMessageTokens(body: JsonObject): number {
  if (typeof body['model'] !== 'string' || body['model'] === '') {
    throw new RelayError('missing_required_parameter', 'Missing required parameter: "model".', { param: 'model' });
  }
  return messagesToResponses(body, sha256).origin.inputTokens;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
