import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Model } from '../core/model.ts';

/** A model nothing but the name is known of. */
export function plainModel(id: string): Model {
  return { id, displayName: null, contextTokens: null, efforts: [], defaultEffort: null, inputModalities: [], raw: null };
}

/** The shortest list that is one: `{"data": [{"id": …}]}`. Entries without an id are left out; null for another shape. */
export function parseModelList(body: unknown): readonly Model[] | null {
  const entries = arrayAt(body, 'data');
  if (entries === undefined) return null;
  const models = entries.filter(isJsonObject).flatMap((entry) => readModel(entry) ?? []);
  return entries.length > 0 && models.length === 0 ? null : models;
}

/**
 * Reads one entry of a list, with what vendors add to OpenAI's: a context length under its several names
 * (OpenRouter `context_length`, vLLM `max_model_len`, LM Studio `loaded_context_length` and `max_context_length`,
 * llama.cpp `meta.n_ctx_train`; observed 2026-11), modalities and a display name.
 */
export function readModel(entry: JsonObject): Model | null {
  const id = stringAt(entry, 'id');
  if (id === undefined || id === '') return null;
  return {
    ...plainModel(id),
    displayName: stringAt(entry, 'name') ?? stringAt(entry, 'display_name') ?? null,
    contextTokens: contextTokens(entry),
    inputModalities: stringsAt(objectAt(entry, 'architecture'), 'input_modalities'),
  };
}

function contextTokens(entry: JsonObject): number | null {
  const told =
    numberAt(entry, 'context_length') ?? numberAt(entry, 'context_window') ?? numberAt(entry, 'max_model_len') ??
    numberAt(entry, 'loaded_context_length') ?? numberAt(entry, 'max_context_length') ??
    numberAt(objectAt(entry, 'meta'), 'n_ctx') ?? numberAt(objectAt(entry, 'meta'), 'n_ctx_train');
  return told !== undefined && told > 0 ? told : null;
}

/** The strings in an array behind a key; anything else in it is left out. */
export function stringsAt(value: unknown, key: string): readonly string[] {
  return (arrayAt(value, key) ?? []).filter((member) => typeof member === 'string');
}
