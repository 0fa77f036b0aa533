/** A place in a text, both counted from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** A JSON value as it stands in its text: where it begins and ends, and its members with the place of their keys. */
export interface JsonNode {
  readonly start: number;
  readonly end: number;
  readonly value: unknown;
  readonly members: readonly JsonMember[] | null;
  readonly items: readonly JsonNode[] | null;
}

export interface JsonMember {
  readonly key: string;
  readonly keyStart: number;
  readonly node: JsonNode;
}

/** Says what is wrong with a JSON text, and at which offset. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Reads JSON together with its places. Throws a JsonSyntaxError, also for a key that is given twice in one object. */
export function parseJsonNode(text: string): JsonNode {
  const reader = new JsonReader(text);
  return reader.document();
}

/** Line and column of an offset. */
export function placeOf(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - (before.lastIndexOf('\n') + 1) + 1 };
}

/** The node at a path, or null. */
export function nodeAt(root: JsonNode, path: readonly string[]): JsonNode | null {
  let node: JsonNode | undefined = root;
  for (const step of path) node = node?.members?.find(({ key }) => key === step)?.node ?? node?.items?.[Number(step)];
  return node ?? null;
}

/** Where a person would look for what a path names: its key, else its value, else the nearest thing around it that is there. */
export function offsetOf(root: JsonNode, path: readonly string[]): number {
  let node = root;
  let offset = root.start;
  for (const step of path) {
    const member: JsonMember | undefined = node.members?.find(({ key }) => key === step);
    const next: JsonNode | undefined = member?.node ?? node.items?.[Number(step)];
    if (!next) return offset;
    offset = member?.keyStart ?? next.start;
    node = next;
  }
  return offset;
}

/** Deeper than any settings; keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 200;
const WHITE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\]|\\[^])*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** A string's token takes anything up to its closing quote; escapes and line breaks in it are judged here. */
function readString(token: string, offset: number): string {
  try {
    return String(JSON.parse(token));
  } catch {
    throw new JsonSyntaxError('this text has a line break or a wrong escape in it, or its closing quote is missing', offset);
  }
}

class JsonReader {
  readonly #text: string;
  #offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    // Some editors put a byte order mark in front.
    if (this.#text.startsWith('\uFEFF')) this.#offset = 1;
    const node = this.#value(0);
    this.#skipWhite();
    if (this.#offset < this.#text.length) throw this.#fault('nothing may follow the closing bracket');
    return node;
  }

  #value(depth: number): JsonNode {
    this.#skipWhite();
    if (depth > MAX_DEPTH) throw this.#fault('nested too deeply');
    const next = this.#text[this.#offset];
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    const start = this.#offset;
    const token = this.#match(next === '"' ? STRING : SCALAR);
    if (token === null) throw this.#fault(this.#expectation('a value'));
    const value = next === '"' ? readString(token, start) : JSON.parse(token);
    return { start, end: this.#offset, value, members: null, items: null };
  }

  #object(depth: number): JsonNode {
    const start = this.#offset;
    const members: JsonMember[] = [];
    this.#offset += 1;
    this.#skipWhite();
    if (!this.#take('}')) {
      do members.push(this.#member(members, depth));
      while (this.#goesOn('}'));
    }
    const value = Object.fromEntries(members.map(({ key, node }) => [key, node.value]));
    return { start, end: this.#offset, value, members, items: null };
  }

  #member(before: readonly JsonMember[], depth: number): JsonMember {
    this.#skipWhite();
    const keyStart = this.#offset;
    const token = this.#match(STRING);
    if (token === null) throw this.#fault(this.#expectation('a key in double quotes'));
    const key = readString(token, keyStart);
    if (before.some((member) => member.key === key)) throw new JsonSyntaxError(`${token} is given twice`, keyStart);
    this.#skipWhite();
    if (!this.#take(':')) throw this.#fault(this.#expectation('":"'));
    return { key, keyStart, node: this.#value(depth + 1) };
  }

  #array(depth: number): JsonNode {
    const start = this.#offset;
    const items: JsonNode[] = [];
    this.#offset += 1;
    this.#skipWhite();
    if (!this.#take(']')) {
      do items.push(this.#value(depth + 1));
      while (this.#goesOn(']'));
    }
    return { start, end: this.#offset, value: items.map(({ value }) => value), members: null, items };
  }

  /** True after a comma, false after the closing bracket. */
  #goesOn(close: string): boolean {
    this.#skipWhite();
    if (this.#take(close)) return false;
    if (!this.#take(',')) throw this.#fault(this.#expectation(`"," or "${close}"`));
    this.#skipWhite();
    if (this.#text[this.#offset] === close) throw this.#fault(`no comma may stand before "${close}"`);
    return true;
  }

  #take(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false;
    this.#offset += 1;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#offset;
    const token = pattern.exec(this.#text)?.[0] ?? null;
    this.#offset += token?.length ?? 0;
    return token;
  }

  #skipWhite(): void {
    this.#match(WHITE);
  }

  #expectation(wanted: string): string {
    const found = this.#text.slice(this.#offset, this.#offset + 1);
    if (found === '') return `${wanted} is missing: the file ends here`;
    if (found === '/' || found === '#') return 'JSON has no comments';
    return `expected ${wanted}, found ${JSON.stringify(found)}`;
  }

  #fault(message: string): JsonSyntaxError {
    return new JsonSyntaxError(message, this.#offset);
  }
}
