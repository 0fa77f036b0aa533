import type { JsonValue } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';

/** What a value costs beside its text: a header and a slot in its parent, near enough. */
const VALUE_BYTES = 16;

/** Memory a JSON value takes, roughly, in bytes: text counts by its length. Walks without recursion, since depth is the client's. */
export function jsonSize(value: JsonValue | readonly JsonValue[] | undefined): number {
  const open: (JsonValue | readonly JsonValue[] | undefined)[] = [value];
  let bytes = 0;
  while (open.length > 0) {
    const next = open.pop();
    bytes += VALUE_BYTES;
    if (typeof next === 'string') bytes += next.length;
    else if (Array.isArray(next)) for (const element of next) open.push(element);
    else if (isJsonObject(next)) {
      for (const name of Object.keys(next)) {
        bytes += name.length;
        open.push(next[name]);
      }
    }
  }
  return bytes;
}
