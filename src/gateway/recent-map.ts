import type { Clock } from '../core/ports.ts';

/** How much a {@link RecentMap} holds, and for how long after its last use. */
export interface RecentBounds {
  readonly count: number;
  readonly bytes: number;
  readonly idleMs: number;
}

/** A bounded map: what was used least recently is forgotten first, and what was not used for a while too. */
export interface RecentMap<V> {
  /** The value, which counts as a use; undefined when it is not there any more. */
  get(key: string): V | undefined;
  set(key: string, value: V, bytes?: number): void;
  delete(key: string): boolean;
  readonly size: number;
  readonly bytes: number;
}

interface Entry<V> {
  readonly value: V;
  readonly bytes: number;
  usedAt: number;
}

/** An empty map. A value larger than all of `bytes` is not kept at all. */
export function createRecentMap<V>(clock: Clock, bounds: RecentBounds): RecentMap<V> {
  // A Map keeps insertion order: taking a key out and putting it back makes it the newest.
  const entries = new Map<string, Entry<V>>();
  let bytes = 0;

  const remove = (key: string): boolean => {
    bytes -= entries.get(key)?.bytes ?? 0;
    return entries.delete(key);
  };
  const trim = (): void => {
    for (const [key, entry] of entries) {
      const isOver = entries.size > bounds.count || bytes > bounds.bytes;
      if (!isOver && clock.now() - entry.usedAt < bounds.idleMs) return;
      remove(key);
    }
  };
  return {
    get(key) {
      trim();
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      entry.usedAt = clock.now();
      return entry.value;
    },
    set(key, value, size = 0) {
      remove(key);
      if (size > bounds.bytes) return;
      entries.set(key, { value, bytes: size, usedAt: clock.now() });
      bytes += size;
      trim();
    },
    delete: remove,
    get size() {
      return entries.size;
    },
    get bytes() {
      return bytes;
    },
  };
}
