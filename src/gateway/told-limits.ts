import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import type { Seen } from '../wire/passage.ts';

/** What a stream itself said of its account's quota: its newest limits event, else the headers inside its error. Null when nothing. */
export function toldLimits({ rateLimits, failure }: Seen): JsonObject | null {
  if (failure !== null && objectAt(failure.raw, 'headers') !== undefined) return failure.raw;
  return rateLimits;
}
