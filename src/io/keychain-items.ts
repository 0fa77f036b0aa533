import { createHash } from 'node:crypto';

/** One item of the keychain. */
export interface KeychainItem {
  readonly name: string;
  readonly value: string;
}

/** What an item's value means: the secret itself, or where its parts are. */
export type KeychainValue =
  | { readonly kind: 'whole'; readonly text: string }
  | { readonly kind: 'parts'; readonly names: readonly string[]; readonly digest: string };

const MARK = 'relay-parts/1:';
/** No secret of Relay's comes near this; a larger count is not one of ours. */
const MAX_PARTS = 256;

/**
 * Cuts a secret into items of at most `cap` UTF-16 units (null: the platform has no limit). The item that bears the
 * secret's own name comes last, so a write that breaks off leaves the older secret as it was: the parts are named
 * after their content and cannot overwrite another's.
 */
export function splitSecret(name: string, text: string, cap: number | null): readonly KeychainItem[] {
  if ((cap === null || text.length <= cap) && !text.startsWith(MARK)) return [{ name, value: text }];
  const digest = digestOf(text);
  const parts = cut(text, cap ?? text.length);
  return [
    ...parts.map((value, index) => ({ name: partName(name, digest, index), value })),
    { name, value: `${MARK}${digest}:${parts.length}` },
  ];
}

/** Reads an item's value; null when it is marked as an index and is none. */
export function readKeychainValue(name: string, value: string): KeychainValue | null {
  if (!value.startsWith(MARK)) return { kind: 'whole', text: value };
  const [digest, count] = value.slice(MARK.length).split(':');
  const parts = Number(count);
  if (digest === undefined || !/^[0-9a-f]{32}$/.test(digest) || !Number.isInteger(parts) || parts < 1 || parts > MAX_PARTS) return null;
  return { kind: 'parts', digest, names: Array.from({ length: parts }, (_, index) => partName(name, digest, index)) };
}

/** Joins the parts in their order; null when one is missing or they are not what was cut. */
export function joinParts(parts: readonly (string | null)[], digest: string): string | null {
  if (parts.some((part) => part === null)) return null;
  const text = parts.join('');
  return digestOf(text) === digest ? text : null;
}

const partName = (name: string, digest: string, index: number): string => `${name}#${digest.slice(0, 12)}.${index}`;

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

function cut(text: string, cap: number): string[] {
  const parts: string[] = [];
  for (let from = 0; from < text.length; ) {
    // Never between the halves of a surrogate pair: alone, neither survives the way through UTF-8.
    const splitsPair = from + cap < text.length && isHighSurrogate(text.charCodeAt(from + cap - 1));
    const to = from + (splitsPair && cap > 1 ? cap - 1 : cap);
    parts.push(text.slice(from, to));
    from = to;
  }
  return parts;
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
