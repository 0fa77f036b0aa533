import { RelayError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { RequestMemory } from './prepared-request.ts';
import { refuseMissing, refuseType, refuseValue } from './refuse-request.ts';
import { mapUnlessSame } from './unless-same.ts';

/** Items the history was expanded from, by id, for `item_reference`. */
type ById = ReadonlyMap<string, JsonValue>;

/** A body's input as a list: text becomes a user message. Refuses a body without input, and an empty one. */
export function inputItems(body: JsonObject): readonly JsonValue[] {
  const { input } = body;
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }];
  if (input === undefined || input === null) refuseMissing('input');
  if (!Array.isArray(input)) refuseType('input', 'a string or an array of items');
  if (input.length === 0) refuseMissing('input');
  return input;
}

/**
 * The body with the answer it continues written out in front of its input, for upstreams that keep nothing. The very
 * same body when it continues none. An unknown id is a 400 `previous_response_not_found`, on which Codex sends all anew.
 */
export function expandPrevious(body: JsonObject, memory: Pick<RequestMemory, 'storedResponse' | 'storedItem'>): JsonObject {
  const previous = body['previous_response_id'];
  if (previous === undefined || previous === null) return withReferences(body, new Map(), memory);
  if (typeof previous !== 'string') refuseType('previous_response_id', 'a string');
  const stored = memory.storedResponse(previous);
  if (!stored) throw previousNotFound(previous);
  const history = [...stored.input, ...stored.output];
  const byId = new Map(history.flatMap((item) => {
    const id = stringAt(item, 'id');
    return id === undefined ? [] : [[id, item] as const];
  }));
  const { previous_response_id: _, ...rest } = body;
  const current = body['input'] === undefined || body['input'] === null ? [] : inputItems(body);
  return withReferences({ ...rest, input: [...history.map(withoutOwnId), ...current] }, byId, memory);
}

/**
 * The body with every reference written out that Relay's own store can answer; the rest is the upstream's to know. The
 * very same body where there is none.
 */
export function expandKnownReferences(body: JsonObject, memory: RequestMemory): JsonObject {
  const input = arrayAt(body, 'input');
  const written = (item: JsonValue): JsonValue => {
    const found = isReference(item) ? memory.storedItem?.(stringAt(item, 'id') ?? '') : undefined;
    return found === undefined ? item : withoutOwnId(found);
  };
  const expanded = input && mapUnlessSame(input, written);
  return expanded === undefined || expanded === input ? body : { ...body, input: [...expanded] };
}

/** What is answered to an id nobody knows: on this very code Codex sends its whole history instead. */
export function previousNotFound(id: string): RelayError {
  return new RelayError('previous_response_not_found', `Previous response with id '${id.slice(0, 80)}' not found.`, {
    param: 'previous_response_id',
  });
}

/** Ids of items that nobody stored are refused ("Item with id … not found"); reasoning keeps the one it is sealed with. */
function withoutOwnId(item: JsonValue): JsonValue {
  if (!isJsonObject(item) || item['type'] === 'reasoning' || item['call_id'] === undefined && item['type'] !== 'message') return item;
  const { id: _, status: __, ...rest } = item;
  return rest;
}

function withReferences(body: JsonObject, byId: ById, memory: Pick<RequestMemory, 'storedItem'>): JsonObject {
  const { input } = body;
  if (!Array.isArray(input) || !input.some(isReference)) return body;
  const find = (id: string): JsonValue | undefined => byId.get(id) ?? memory.storedItem?.(id);
  return { ...body, input: input.map((item, index) => resolved(item, `input[${index}]`, find)) };
}

function isReference(item: JsonValue): boolean {
  return stringAt(item, 'type') === 'item_reference';
}

function resolved(item: JsonValue, at: string, find: (id: string) => JsonValue | undefined): JsonValue {
  if (!isReference(item)) return item;
  const id = stringAt(item, 'id') ?? '';
  const found = find(id);
  if (found === undefined) refuseValue(`${at}.id`, `no item '${id.slice(0, 80)}' is known here; send the item itself.`);
  return withoutOwnId(found);
}
