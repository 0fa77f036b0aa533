import type { JsonObject } from '../core/json.ts';
import { stringAt } from '../core/json.ts';

const MARK = 'relay-thought1.';
const LEGAL_ID = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * The `signature` of a thinking block, or the `data` of a redacted one: the only members of a Messages answer that a
 * client gives back unread. In it a reasoning item travels with its id, since the ciphertext is bound to that.
 */
export function sealThought(item: JsonObject): string {
  const id = stringAt(item, 'id') ?? '';
  return `${MARK}${LEGAL_ID.test(id) ? id : ''}.${stringAt(item, 'encrypted_content') ?? ''}`;
}

/** The reasoning item behind a signature; undefined for another vendor's, and for one that held no ciphertext. */
export function openThought(signature: string | undefined, thinking: string): JsonObject | undefined {
  if (signature === undefined || !signature.startsWith(MARK)) return undefined;
  const dot = signature.indexOf('.', MARK.length);
  const encrypted = dot < 0 ? '' : signature.slice(dot + 1);
  if (encrypted === '') return undefined;
  const id = signature.slice(MARK.length, dot);
  return {
    type: 'reasoning',
    ...(id !== '' && { id }),
    summary: thinking === '' ? [] : [{ type: 'summary_text', text: thinking }],
    encrypted_content: encrypted,
  };
}
