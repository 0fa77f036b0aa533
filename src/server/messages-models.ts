import type { Context } from 'hono';

import { RelayError } from '../core/errors.ts';
import type { ModelListing } from './models-route.ts';
import { modelNotFound } from './models-route.ts';

/** Anthropic's page size where none is asked for, and its largest (its models reference, 2026). */
const USUAL_PAGE = 20;
const LARGEST_PAGE = 1_000;
/** What Anthropic tells of a model whose day is not known. */
const UNKNOWN_DAY = '1970-01-01T00:00:00Z';

/** `GET /v1/models` in Anthropic's shape, page by page: `limit`, `after_id`, `before_id`. */
export function answerMessagesModels(context: Context, listings: readonly ModelListing[]): Response {
  const limit = pageSize(context.req.query('limit'));
  const after = placeOf(context.req.query('after_id'), listings);
  const before = placeOf(context.req.query('before_id'), listings);
  const rest = listings.slice(after === null ? 0 : after + 1, before ?? undefined);
  const page = before === null ? rest.slice(0, limit) : rest.slice(-limit);
  return context.json({
    data: page.map(toAnthropic),
    has_more: page.length < rest.length,
    first_id: page[0]?.model.id ?? null,
    last_id: page.at(-1)?.model.id ?? null,
  });
}

/** `GET /v1/models/{id}` in Anthropic's shape. Throws `model_not_found`. */
export function answerMessagesModel(context: Context, id: string, listings: readonly ModelListing[]): Response {
  const found = listings.find(({ model }) => model.id === id);
  if (found === undefined) throw modelNotFound(id);
  return context.json(toAnthropic(found));
}

function toAnthropic({ model }: ModelListing): object {
  return {
    type: 'model',
    id: model.id,
    display_name: model.displayName ?? model.id,
    created_at: UNKNOWN_DAY,
    ...(model.contextTokens !== null && { max_input_tokens: model.contextTokens }),
  };
}

function pageSize(asked: string | undefined): number {
  if (asked === undefined) return USUAL_PAGE;
  const limit = Number(asked);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LARGEST_PAGE) return limit;
  throw new RelayError('invalid_request_error', `limit: it must be an integer from 1 to ${LARGEST_PAGE}.`, { param: 'limit' });
}

/** Where a cursor stands in the list; null where none was given. */
function placeOf(id: string | undefined, listings: readonly ModelListing[]): number | null {
  if (id === undefined) return null;
  const place = listings.findIndex(({ model }) => model.id === id);
  if (place < 0) throw modelNotFound(id);
  return place;
}
