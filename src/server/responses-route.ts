import type { Context } from 'hono';

import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { ItemPage, ResponseCall, StoredResponses } from '../gateway/stored-responses.ts';

const MOST_ITEMS = 100;
const DEFAULT_ITEMS = 20;

/** What is done with a stored response. */
export type ResponseAction = 'retrieve' | 'remove' | 'input-items' | 'cancel';

/** `GET`, `DELETE /v1/responses/{id}`, `GET …/input_items`, `POST …/cancel`, as the Responses API answers them. */
export async function answerStoredResponse(action: ResponseAction, context: Context, { client, responses }: AskedOf): Promise<Response> {
  const call: ResponseCall = { clientId: client.id, id: context.req.param('id') ?? '', search: new URL(context.req.url).search };
  const { signal } = context.req.raw;
  switch (action) {
    case 'retrieve':
      if (context.req.query('stream') === 'true') {
        const message = 'A stored response is not streamed again here; leave "stream" out.';
        throw new RelayError('unsupported_parameter', message, { param: 'stream' });
      }
      return context.json(await responses.retrieve(call, signal));
    case 'remove':
      return context.json(await responses.remove(call, signal));
    case 'input-items':
      return context.json(await responses.inputItems(call, pageIn(context), signal));
    case 'cancel':
      return context.json(await responses.cancel(call, signal));
  }
}

/** Who asks, and what is asked. */
export interface AskedOf {
  readonly client: Client;
  readonly responses: StoredResponses;
}

function pageIn(context: Context): ItemPage {
  const { limit = String(DEFAULT_ITEMS), order = 'desc', after } = context.req.query();
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_ITEMS) {
    throw new RelayError('invalid_request_error', `"limit" must be a whole number from 1 to ${MOST_ITEMS}.`, { param: 'limit' });
  }
  if (order !== 'asc' && order !== 'desc') {
    throw new RelayError('invalid_request_error', '"order" must be "asc" or "desc".', { param: 'order' });
  }
  return { limit: Number(limit), order, after: after ?? null };
}
