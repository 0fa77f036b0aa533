import type { JsonObject } from '../core/json.ts';
import { numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { createResponseFold } from './fold-response.ts';
import type { FrameFields } from './splice-framer.ts';
import { textOf } from './splice-passage.ts';

/** The most that is kept of unfinished items, in bytes of event data; one that grows past it is not rebuilt. */
const MAX_UNFINISHED_SIZE = 8 * 1024 * 1024;

/**
 * What a splice keeps of output items until they are finished, should their end never be told. Frames are kept as they
 * came and read only at the answer's end; once every opened item is finished nothing is kept.
 */
export interface UnfinishedItems {
  /** `response.output_item.added`. */
  opened(fields: FrameFields): void;
  /** A delta of whatever item. */
  delta(fields: FrameFields): void;
  /** `response.output_item.done`, read. */
  finished(event: JsonObject): void;
  /** `response.output_item.done` events for the items whose own never came, as far as their deltas went. */
  rest(status: 'completed' | 'incomplete'): readonly JsonObject[];
}

/** Nothing kept. `maxSize` is in bytes of event data. */
export function createUnfinishedItems(maxSize: number = MAX_UNFINISHED_SIZE): UnfinishedItems {
  const open = new Set<string>();
  const done = new Set<string>();
  let frames: FrameFields[] = [];
  let size = 0;
  let isTooLarge = false;
  const keep = (fields: FrameFields): void => {
    if (isTooLarge) return;
    size += fields.dataEnd - fields.dataStart;
    isTooLarge = size > maxSize;
    if (isTooLarge) frames = [];
    else frames.push(fields);
  };
  return {
    opened(fields) {
      const event = parseJsonObject(textOf(fields));
      if (event === undefined) return;
      open.add(placeOf(event));
      keep(fields);
    },
    delta: keep,
    finished(event) {
      const place = placeOf(event);
      done.add(place);
      open.delete(place);
      if (open.size > 0) return;
      frames = [];
      size = 0;
      isTooLarge = false;
    },
    rest(status) {
      const byPlace = new Map<string, JsonObject[]>();
      for (const event of frames.map((fields) => parseJsonObject(textOf(fields)))) {
        const place = event === undefined ? undefined : placeOf(event);
        if (event === undefined || place === undefined || done.has(place)) continue;
        const events = byPlace.get(place);
        if (events) events.push(event);
        else byPlace.set(place, [event]);
      }
      return [...byPlace.values()].flatMap((events) => finishedBy(events, status));
    },
  };
}

/** By its place in the output, which all events of an item share; else by the item's id. */
function placeOf(event: JsonObject): string {
  const place = numberAt(event, 'output_index');
  return place === undefined ? stringAt(event, 'item_id') ?? stringAt(objectAt(event, 'item'), 'id') ?? '' : String(place);
}

function finishedBy(events: readonly JsonObject[], status: 'completed' | 'incomplete'): readonly JsonObject[] {
  const fold = createResponseFold();
  for (const event of events) fold.take(event);
  fold.take({ type: `response.${status}`, response: { status } });
  const place = numberAt(events[0], 'output_index');
  return fold.output().map((item) => ({ type: 'response.output_item.done', ...(place !== undefined && { output_index: place }), item }));
}
