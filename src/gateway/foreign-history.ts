import type { JsonObject } from '../core/json.ts';
import { arrayAt, stringAt } from '../core/json.ts';
import { isRelayReasoning } from '../wire/reasoning-envelope.ts';

/**
 * Whether a request carries the only copy of a conversation's past in a form that one account alone may be able to read: a
 * compaction item of an upstream's. Relay's own summaries can be read by anyone.
 */
export function holdsForeignHistory(body: JsonObject): boolean {
  return (arrayAt(body, 'input') ?? []).some((item) => {
    if (stringAt(item, 'type')?.startsWith('compaction') !== true) return false;
    const ciphertext = stringAt(item, 'encrypted_content');
    return ciphertext !== undefined && !isRelayReasoning(ciphertext);
  });
}
