import type { JsonObject } from '../core/json.ts';
import { numberAt, objectAt, stringAt } from '../core/json.ts';
import type { ChatCall } from './stream-to-chat-calls.ts';

/** One output item of a Responses stream while it is told to a chat client. */
export interface Slot {
  /** Text sent so far by `kind:index`; a snapshot adds only what is missing. */
  readonly sent: Map<string, string>;
  /** Where each text part begins in the client's `content`. */
  readonly partStarts: Map<number, number>;
  call: ChatCall | null;
  /** Which of the two tellings of reasoning came first; the other is the same thought again. */
  reasoning: 'summary' | 'text' | null;
  /** Annotations told so far, by content index. */
  readonly annotations: Map<number, number>;
  imageSent: boolean;
}

/** Finds the item an event is about, by output index, then item id, then call id: upstreams leave out any of them. */
export interface Slots {
  ofEvent(event: JsonObject): Slot;
  /** For an item of a finished answer, whose place need not be its output index: ids go first. */
  ofItem(item: JsonObject, position: number): Slot;
  all(): readonly Slot[];
}

/** An empty set of slots. */
export function createSlots(): Slots {
  const byAlias = new Map<string, Slot>();
  const slots: Slot[] = [];
  const find = (aliases: readonly string[]): Slot => {
    const known = aliases.map((alias) => byAlias.get(alias)).find((slot) => slot !== undefined);
    const slot = known ?? newSlot();
    if (!known) slots.push(slot);
    for (const alias of aliases) if (!byAlias.has(alias)) byAlias.set(alias, slot);
    return slot;
  };
  return {
    ofEvent(event) {
      const item = objectAt(event, 'item');
      const index = numberAt(event, 'output_index');
      const itemId = stringAt(event, 'item_id') ?? stringAt(item, 'id');
      const callId = stringAt(event, 'call_id') ?? stringAt(item, 'call_id');
      return find([...(index === undefined ? [] : [`at:${index}`]), ...idsOf(itemId, callId)]);
    },
    ofItem: (item, position) => find([...idsOf(stringAt(item, 'id'), stringAt(item, 'call_id')), `at:${position}`]),
    all: () => slots,
  };
}

function idsOf(itemId: string | undefined, callId: string | undefined): readonly string[] {
  return [...(itemId ? [`item:${itemId}`] : []), ...(callId ? [`call:${callId}`] : [])];
}

function newSlot(): Slot {
  return { sent: new Map(), partStarts: new Map(), call: null, reasoning: null, annotations: new Map(), imageSent: false };
}
