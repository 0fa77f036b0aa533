import type { Context } from 'hono';

import { RelayError } from '../core/errors.ts';
import type { Model } from '../core/model.ts';

/** A served model: what it is, and the providers that serve it. */
export interface ModelListing {
  readonly model: Model;
  readonly providers: readonly string[];
}

/** `GET /v1/models`: OpenAI's list; with `client_version` in the query also Codex's `models`, in one body. */
export function answerModels(context: Context, listings: readonly ModelListing[]): Response {
  const list = { object: 'list', data: listings.map(toOpenAi) };
  if (context.req.query('client_version') === undefined) return context.json(list);
  return context.json({ ...list, models: listings.flatMap(({ model }) => (model.raw === null ? [] : [model.raw])) });
}

/** `GET /v1/models/{id}`; ids may hold slashes. Throws `model_not_found`. */
export function answerModel(context: Context, id: string, listings: readonly ModelListing[]): Response {
  const found = listings.find(({ model }) => model.id === id);
  if (found === undefined) throw modelNotFound(id);
  return context.json(toOpenAi(found));
}

function toOpenAi({ model, providers }: ModelListing): object {
  return {
    id: model.id,
    object: 'model',
    created: 0,
    owned_by: providers[0] ?? 'relay',
    ...(model.contextTokens !== null && { metadata: { context_window: model.contextTokens } }),
  };
}

/** The refusal of a model that is not in the list; what was asked is told in printable characters. */
export function modelNotFound(id: string): RelayError {
  const shown = id.replace(/[^\x21-\x7e]/g, '?').slice(0, 100);
  return new RelayError('model_not_found', `The model "${shown}" is not served here; GET /v1/models and relay models list those that are.`, { param: 'model' });
}
