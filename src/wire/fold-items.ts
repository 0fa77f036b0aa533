import type { JsonObject } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt } from '../core/json.ts';

/** Gathers finished output items: the ChatGPT backend leaves `output` of its terminal event empty (observed 2026-11). */
export interface ItemCollector {
  /** Takes any Responses event; only `response.output_item.done` and terminal events matter. */
  take(event: JsonObject): void;
  /** By output index, then those without one in the order they came. A terminal event's own list wins. */
  items(): readonly JsonObject[];
}

/** An empty collector. A later event for the same place replaces the earlier. */
export function createItemCollector(): ItemCollector {
  const placed = new Map<number, JsonObject>();
  const unplaced: JsonObject[] = [];
  let told: readonly JsonObject[] = [];
  return {
    take(event) {
      if (event.type === 'response.output_item.done') {
        const item = objectAt(event, 'item');
        const place = numberAt(event, 'output_index');
        if (item && place !== undefined) placed.set(place, item);
        else if (item) unplaced.push(item);
        return;
      }
      const output = arrayAt(objectAt(event, 'response'), 'output');
      if (output && output.length > 0) told = output.filter(isJsonObject);
    },
    items: () => (told.length > 0 ? told : [...[...placed].toSorted(([a], [b]) => a - b).map(([, item]) => item), ...unplaced]),
  };
}
