import type { JsonObject, JsonValue } from '../core/json.ts';

/** Maps a list; the very same list comes back when no element changed, so that untouched requests stay recognisable. */
export function mapUnlessSame<T>(list: readonly T[], change: (element: T, index: number) => T): readonly T[] {
  const mapped = list.map(change);
  return mapped.some((element, index) => element !== list[index]) ? mapped : list;
}

/** Sets members; the very same object comes back when it has them so already. `undefined` leaves a member out. */
export function withMembers(object: JsonObject, members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const news = Object.entries(members).filter(([name, value]) => object[name] !== value);
  if (news.length === 0) return object;
  const removed = new Set(news.filter(([, value]) => value === undefined).map(([name]) => name));
  return Object.fromEntries(Object.entries({ ...object, ...Object.fromEntries(news) }).filter(([name]) => !removed.has(name)));
}
