const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;

/** What a scan of one event's JSON found, without parsing it. */
export interface Scan {
  /** Characters inside strings of the members asked for. */
  characters: number;
  /** Bits of the members that stand there with a value other than null or an empty list. */
  found: number;
}

/** A member to look for: its characters are counted, or its bit is set. */
export interface WantedMember {
  readonly name: string;
  readonly does: 'count' | number;
}

/**
 * Walks over JSON text token by token and looks at members by name at any depth. Escaped quotes inside strings cannot
 * deceive it; broken JSON gives whatever came before the break. Linear, allocates nothing.
 */
export function scanMembers(bytes: Uint8Array, start: number, end: number, wanted: readonly WantedMember[], into: Scan): void {
  into.characters = 0;
  into.found = 0;
  let at = start;
  while (at < end) {
    if (bytes[at] !== QUOTE) {
      at += 1;
      continue;
    }
    const keyStart = at + 1;
    const keyEnd = stringEnd(bytes, keyStart, end);
    at = keyEnd + 1;
    const colon = skipSpace(bytes, at, end);
    if (bytes[colon] !== COLON || colon >= end) continue;
    at = skipSpace(bytes, colon + 1, end);
    const member = memberNamed(bytes, keyStart, keyEnd, wanted);
    if (member === undefined) continue;
    if (member.does === 'count') at = countString(bytes, at, end, into);
    else if (hasValue(bytes, at, end)) into.found |= member.does;
  }
}

function memberNamed(bytes: Uint8Array, start: number, end: number, wanted: readonly WantedMember[]): WantedMember | undefined {
  for (const member of wanted) if (isNamed(bytes, start, end, member.name)) return member;
  return undefined;
}

/** The place of the closing quote, or the end. */
function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return Math.min(at, end);
}

function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === 32 || bytes[at] === 9 || bytes[at] === 10 || bytes[at] === 13)) at += 1;
  return at;
}

function isNamed(bytes: Uint8Array, start: number, end: number, name: string): boolean {
  if (end - start !== name.length) return false;
  for (let index = 0; index < name.length; index++) if (bytes[start + index] !== name.charCodeAt(index)) return false;
  return true;
}

/** Counts the characters of a string value; an escape is one, and so is a whole UTF-8 sequence. */
function countString(bytes: Uint8Array, start: number, end: number, into: Scan): number {
  if (bytes[start] !== QUOTE) return start;
  let at = start + 1;
  while (at < end && bytes[at] !== QUOTE) {
    const byte = bytes[at] ?? 0;
    if (byte === BACKSLASH) at += bytes[at + 1] === 117 ? 6 : 2;
    else at += 1;
    if ((byte & 0xc0) !== 0x80) into.characters += 1;
  }
  return Math.min(at + 1, end);
}

/** Whether a value says something: not null, not an empty list or string. */
function hasValue(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return false;
  const first = bytes[at];
  if (first === 110) return false;
  if (first === QUOTE) return bytes[at + 1] !== QUOTE;
  return first !== 91 || bytes[skipSpace(bytes, at + 1, end)] !== 93;
}
