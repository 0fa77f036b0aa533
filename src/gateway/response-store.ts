import type { JsonObject, JsonValue } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { HOUR_MS } from '../core/units.ts';
import { jsonSize } from './json-size.ts';

/** An answer on its way into the store. */
export interface ResponseToKeep {
  readonly clientId: string;
  /** The id the client saw. */
  readonly id: string;
  /** The answer it continued; null for the beginning of a conversation. */
  readonly previousId: string | null;
  /** The input items of this request alone. */
  readonly input: readonly JsonValue[];
  readonly output: readonly JsonValue[];
  /** The response object as the client was told it. */
  readonly response: JsonObject;
  readonly accountId: string;
  readonly provider: string;
  readonly model: string;
  /** The account's upstream keeps the answer, too, and can go on from its id. */
  readonly keptUpstream: boolean;
}

/** An answer as it lies in the store. */
export interface KeptResponse extends ResponseToKeep {
  /** The conversation is here from its beginning, so that any upstream can go on with it; else its own alone. */
  readonly isWhole: boolean;
  /** Everything the model had been told before it answered: the input of this request behind all that it continued. */
  history(): readonly JsonValue[];
  /** Everything that goes before the next request: the history and the answer, or what a compaction made of them. */
  conversation(): readonly JsonValue[];
}

export interface StoreBounds {
  readonly count: number;
  readonly bytes: number;
  /** After this long without use an answer is forgotten. */
  readonly idleMs: number;
}

const DEFAULT_BOUNDS: StoreBounds = { count: 4_096, bytes: 67_108_864, idleMs: HOUR_MS };

/**
 * The answers clients may come back to, in memory alone: what was said is never written to a disk. A client finds only
 * its own. Bounded; the client that holds most loses its least recently used first, so that no other is pushed out.
 */
export interface ResponseStore {
  /** Keeps an answer. One larger than a quarter of the store is not kept. */
  keep(response: ResponseToKeep): void;
  find(clientId: string, id: string): KeptResponse | undefined;
  /** The newest kept answer of this client whose output has an item of this id, and the item. */
  findItem(clientId: string, itemId: string): { readonly item: JsonValue; readonly of: KeptResponse } | undefined;
  /** Forgets an answer; those that continued it keep what they need. */
  forget(clientId: string, id: string): boolean;
  readonly size: number;
  /** Near enough. */
  readonly bytes: number;
}

/** An answer with those it continued. `holders` counts who needs it: its place in the store and each continuation. */
interface Node {
  readonly kept: ResponseToKeep;
  readonly previous: Node | null;
  readonly isWhole: boolean;
  readonly bytes: number;
  holders: number;
  usedAt: number;
}

interface Shelf {
  /** Least recently used first. */
  readonly nodes: Map<string, Node>;
  readonly items: Map<string, Node>;
  bytes: number;
}

/** An empty store. */
export function createResponseStore(clock: Clock, bounds: StoreBounds = DEFAULT_BOUNDS): ResponseStore {
  const shelves = new Map<string, Shelf>();
  let size = 0;
  let bytes = 0;
  let isSweeping = false;

  const release = (shelf: Shelf, released: Node): void => {
    for (let node: Node | null = released; node !== null; node = node.previous) {
      node.holders -= 1;
      if (node.holders > 0) return;
      shelf.bytes -= node.bytes;
      bytes -= node.bytes;
    }
  };
  const remove = (clientId: string, id: string): boolean => {
    const shelf = shelves.get(clientId);
    const node = shelf?.nodes.get(id);
    if (shelf === undefined || node === undefined) return false;
    shelf.nodes.delete(id);
    size -= 1;
    for (const item of node.kept.output) {
      const itemId = stringAt(item, 'id') ?? '';
      if (shelf.items.get(itemId) === node) shelf.items.delete(itemId);
    }
    release(shelf, node);
    if (shelf.nodes.size === 0) shelves.delete(clientId);
    return true;
  };
  const sweep = (): void => {
    const now = clock.now();
    for (const [clientId, shelf] of shelves) {
      for (const [id, node] of shelf.nodes) {
        if (now - node.usedAt < bounds.idleMs) break;
        remove(clientId, id);
      }
    }
  };
  // What was said does not outstay its hour because nobody calls any more.
  const sweepLater = (): void => {
    if (isSweeping) return;
    isSweeping = true;
    clock.after(bounds.idleMs, () => {
      isSweeping = false;
      sweep();
      if (size > 0) sweepLater();
    });
  };
  const makeRoom = (): void => {
    while (size > bounds.count || bytes > bounds.bytes) {
      const [clientId, shelf] = [...shelves].reduce((most, next) => (next[1].bytes > most[1].bytes ? next : most));
      const [oldest] = shelf.nodes.keys();
      if (oldest === undefined) return;
      remove(clientId, oldest);
    }
  };
  const use = (shelf: Shelf, node: Node): KeptResponse => {
    node.usedAt = clock.now();
    shelf.nodes.delete(node.kept.id);
    shelf.nodes.set(node.kept.id, node);
    return { ...node.kept, isWhole: node.isWhole, history: () => historyOf(node), conversation: () => conversationOf(node) };
  };

  return {
    keep(kept) {
      sweep();
      const own = jsonSize(kept.input) + jsonSize(kept.output) + jsonSize(kept.response);
      if (own > bounds.bytes / 4) return;
      remove(kept.clientId, kept.id);
      const shelf = shelves.get(kept.clientId) ?? { nodes: new Map(), items: new Map(), bytes: 0 };
      shelves.set(kept.clientId, shelf);
      const previous = kept.previousId === null ? null : (shelf.nodes.get(kept.previousId) ?? null);
      const isWhole = (kept.previousId === null || previous?.isWhole === true) && !isUnderWay(kept.response);
      if (previous !== null) previous.holders += 1;
      const node: Node = { kept, previous, isWhole, bytes: own, holders: 1, usedAt: clock.now() };
      shelf.nodes.set(kept.id, node);
      for (const item of kept.output) {
        const itemId = stringAt(item, 'id');
        if (itemId !== undefined) shelf.items.set(itemId, node);
      }
      shelf.bytes += own;
      bytes += own;
      size += 1;
      makeRoom();
      sweepLater();
    },
    find(clientId, id) {
      sweep();
      const shelf = shelves.get(clientId);
      const node = shelf?.nodes.get(id);
      return shelf === undefined || node === undefined ? undefined : use(shelf, node);
    },
    findItem(clientId, itemId) {
      sweep();
      const shelf = shelves.get(clientId);
      const node = shelf?.items.get(itemId);
      const item = node?.kept.output.find((candidate) => stringAt(candidate, 'id') === itemId);
      return shelf === undefined || node === undefined || item === undefined ? undefined : { item, of: use(shelf, node) };
    },
    forget: remove,
    get size() {
      return size;
    },
    get bytes() {
      return bytes;
    },
  };
}

/** A background run: its id is known before its output is, and only its upstream can tell the end. */
export function isUnderWay(response: JsonObject): boolean {
  return response['status'] === 'queued' || response['status'] === 'in_progress';
}

/** Everything told before an answer, oldest first. */
function historyOf({ previous, kept }: Node): readonly JsonValue[] {
  return [...conversationOf(previous), ...kept.input];
}

/** A conversation up to an answer, oldest first. A compaction takes the place of all that went before it. */
function conversationOf(last: Node | null): readonly JsonValue[] {
  const pieces: (readonly JsonValue[])[] = [];
  for (let node = last; node !== null; node = node.previous) {
    const { input, output } = node.kept;
    const compaction = output.findLastIndex((item) => stringAt(item, 'type') === 'compaction');
    pieces.push(compaction < 0 ? output : output.slice(compaction));
    if (compaction >= 0) break;
    pieces.push(input);
  }
  return pieces.toReversed().flat();
}
