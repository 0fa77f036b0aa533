import type { IncomingMessage } from 'node:http';

import type { RelayError } from '../core/errors.ts';
import { statusToward } from '../core/errors.ts';
import { messagesError } from '../wire/messages-error.ts';
import type { ErrorReply } from './error-reply.ts';
import { errorReply } from './error-reply.ts';

/** Whether a caller speaks Anthropic's API: on the Messages routes, and where it asks for models with the version header. */
export function speaksMessages({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): boolean {
  if (/^\/v1\/messages(?:[/?]|$)/.test(url)) return true;
  return headers['anthropic-version'] !== undefined && /^\/v1\/models(?:[/?]|$)/.test(url);
}

/** Writes a RelayError in Anthropic's envelope, with the headers SDKs read before they retry. */
export function messagesErrorReply(error: RelayError, requestId: string | undefined): ErrorReply {
  const status = statusToward('messages', error);
  const body = { ...messagesError(error.body, status), ...(requestId !== undefined && { request_id: requestId }) };
  return { ...errorReply(error), status, body: new TextEncoder().encode(JSON.stringify(body)) };
}
