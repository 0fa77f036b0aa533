import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';

/** Adds up a Responses stream to its response. */
export interface ResponseFold {
  take(event: JsonObject): void;
  /** The newest response object told, with `output` filled in where the upstream left it empty. */
  response(): JsonObject;
  output(): readonly JsonObject[];
}

/** An item while only its deltas are known. */
interface Draft {
  item: JsonObject;
  /** The finished item; it outranks whatever the deltas came to. */
  done: JsonObject | null;
  /** Pieces of text by part: `output_text:0`, `refusal:1`, `summary_text:0`, `reasoning_text:0`, `arguments:0`, `input:0`. */
  readonly texts: Map<string, string[]>;
}

const DELTAS: Readonly<Record<string, { readonly part: string; readonly index: string; readonly item: string }>> = {
  'response.output_text.delta': { part: 'output_text', index: 'content_index', item: 'message' },
  'response.refusal.delta': { part: 'refusal', index: 'content_index', item: 'message' },
  'response.reasoning_summary_text.delta': { part: 'summary_text', index: 'summary_index', item: 'reasoning' },
  'response.reasoning_text.delta': { part: 'reasoning_text', index: 'content_index', item: 'reasoning' },
  'response.reasoning.delta': { part: 'reasoning_text', index: 'content_index', item: 'reasoning' },
  'response.function_call_arguments.delta': { part: 'arguments', index: '', item: 'function_call' },
  'response.custom_tool_call_input.delta': { part: 'input', index: '', item: 'custom_tool_call' },
};

/**
 * An empty fold. The terminal event's `output` is kept when it has items; else the finished items stand in order of their
 * output index, those without one behind, and an item that never finished is rebuilt from its deltas.
 */
export function createResponseFold(): ResponseFold {
  const placed = new Map<number, Draft>();
  const unplaced: Draft[] = [];
  let told: JsonObject = {};

  const draftFor = (event: JsonObject, kind: string): Draft => {
    const place = numberAt(event, 'output_index');
    const itemId = stringAt(event, 'item_id') ?? stringAt(objectAt(event, 'item'), 'id');
    const known = place === undefined ? unplaced.findLast((draft) => itemId === undefined || draft.item.id === itemId) : placed.get(place);
    if (known && (place !== undefined || itemId !== undefined)) return known;
    const draft: Draft = { item: { type: kind, ...(itemId !== undefined && { id: itemId }) }, done: null, texts: new Map() };
    if (place === undefined) unplaced.push(draft);
    else placed.set(place, draft);
    return draft;
  };
  const output = (): readonly JsonObject[] => {
    const given = (arrayAt(told, 'output') ?? []).filter(isJsonObject);
    if (given.length > 0) return given.map((item, index) => ({ ...idOf(placed.get(index)), ...item }));
    const status = told.status === 'incomplete' ? 'incomplete' : 'completed';
    const drafts = [...[...placed].toSorted(([a], [b]) => a - b).map(([, draft]) => draft), ...unplaced];
    return drafts.map((draft) => draft.done ?? rebuildItem(draft, status));
  };
  return {
    take(event) {
      const { type } = event;
      const response = objectAt(event, 'response');
      if (response) told = { ...told, ...response };
      const item = objectAt(event, 'item');
      if (item && type === 'response.output_item.added') draftFor(event, String(item.type)).item = item;
      else if (item && type === 'response.output_item.done') draftFor(event, String(item.type)).done = item;
      else addDelta(event);
    },
    response: () => ({ ...told, output: [...output()] }),
    output,
  };

  function addDelta(event: JsonObject): void {
    const kind = typeof event.type === 'string' && Object.hasOwn(DELTAS, event.type) ? DELTAS[event.type] : undefined;
    if (!kind || typeof event.delta !== 'string') return;
    const { texts } = draftFor(event, kind.item);
    const key = `${kind.part}:${numberAt(event, kind.index) ?? 0}`;
    const pieces = texts.get(key);
    if (pieces) pieces.push(event.delta);
    else texts.set(key, [event.delta]);
  }
}

function idOf(draft: Draft | undefined): JsonObject {
  const id = draft?.done?.id ?? draft?.item.id;
  return id === undefined ? {} : { id };
}

function rebuildItem(draft: Draft, status: string): JsonObject {
  const { item, texts } = draft;
  switch (item.type) {
    case 'message':
      return { role: 'assistant', ...item, status, content: partsOf(texts, ['output_text', 'refusal']) };
    case 'reasoning': {
      const content = partsOf(texts, ['reasoning_text']);
      return { ...item, summary: partsOf(texts, ['summary_text']), ...(content.length > 0 && { content }) };
    }
    case 'function_call': {
      const none = status === 'completed' ? '{}' : '';
      return { ...item, status, arguments: textAt(texts, 'arguments') || stringAt(item, 'arguments') || none };
    }
    case 'custom_tool_call':
      return { ...item, status, input: textAt(texts, 'input') || stringAt(item, 'input') || '' };
    default:
      return item;
  }
}

function partsOf(texts: Draft['texts'], kinds: readonly string[]): JsonValue[] {
  const parts = [...texts].flatMap(([key, pieces]) => {
    const [kind = '', index] = key.split(':');
    return kinds.includes(kind) ? [{ index: Number(index), part: partOf(kind, pieces.join('')) }] : [];
  });
  return parts.toSorted((a, b) => a.index - b.index).map(({ part }) => part);
}

function partOf(type: string, text: string): JsonObject {
  if (type === 'refusal') return { type, refusal: text };
  return type === 'output_text' ? { type, text, annotations: [], logprobs: [] } : { type, text };
}

function textAt(texts: Draft['texts'], kind: string): string {
  return texts.get(`${kind}:0`)?.join('') ?? '';
}
