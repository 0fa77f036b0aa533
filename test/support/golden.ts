import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../../src/core/json.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/golden/', import.meta.url));

/** One golden case: a recorded input of a translator and what must come of it. */
export interface Golden {
  /** The file's name without `.json`. */
  readonly name: string;
  /** `request/chat-to-responses`, `response/responses-to-chat-stream`, `aggregate/responses`, … */
  readonly direction: string;
  /** The kind of upstream: `openai`, `codex`, `chat-generic`, `deepseek`, `gemini`. */
  readonly profile: string;
  readonly input: JsonObject;
  readonly expected: JsonObject;
}

/** What a translator made of a golden input; which members stand there depends on the direction. */
export interface Translated {
  readonly body?: JsonObject;
  readonly dropped?: readonly string[];
  readonly error?: { readonly status: number; readonly error: JsonObject };
  /** The whole stream as text. */
  readonly sse?: string;
  /** A terminal response or a whole object. */
  readonly final?: JsonObject;
}

/** A frame of a server-sent event stream. */
export interface Frame {
  readonly event: string;
  readonly data: string;
}

/** Every golden case whose direction starts with `direction`, in file order. Throws when there is none. */
export function goldenCases(direction: string): readonly Golden[] {
  const cases = readdirSync(FOLDER)
    .filter((file) => /^\d+.*\.json$/.test(file))
    .toSorted()
    .map(readGolden)
    .filter((golden) => golden.direction.startsWith(direction));
  if (cases.length === 0) throw new Error(`no golden case of direction ${direction}`);
  return cases;
}

function readGolden(file: string): Golden {
  const value: unknown = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
  const direction = stringAt(value, 'direction');
  const profile = stringAt(value, 'profile');
  const input = objectAt(value, 'input');
  const expected = objectAt(value, 'expected');
  if (direction === undefined || profile === undefined || !input || !expected) throw new Error(`${file} is not a golden case`);
  return { name: basename(file, '.json'), direction, profile, input, expected };
}

/**
 * The bytes a golden input's stream stands for, cut as `rechunk` says (a size, or sizes in turn); one piece without it.
 * `$BIG` in a template becomes the big text.
 */
export function goldenChunks(golden: Golden): readonly Uint8Array[] {
  const bytes = new TextEncoder().encode(goldenStream(golden));
  const rechunk = golden.input['rechunk'];
  const sizes = (Array.isArray(rechunk) ? rechunk : [rechunk]).filter((size) => typeof size === 'number' && size > 0);
  if (sizes.length === 0) return [bytes];
  const chunks: Uint8Array[] = [];
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const end = start + Number(sizes[turn % sizes.length]);
    chunks.push(bytes.subarray(start, end));
    start = end;
  }
  return chunks;
}

/** The text of a golden input's stream; empty when it has none. */
export function goldenStream(golden: Golden): string {
  const template = stringAt(golden.input, 'sse_template');
  if (template === undefined) return stringAt(golden.input, 'sse') ?? '';
  return template.replaceAll('$BIG', bigText(golden.input['big']));
}

/** `big` is a character and how often it comes. */
function bigText(big: JsonValue | undefined): string {
  return (stringAt(big, 'char') ?? '').repeat(numberAt(big, 'count') ?? 0);
}

/** Reads a whole event stream by the WHATWG rules, and a last event without its blank line too. */
export function parseFrames(text: string): readonly Frame[] {
  const frames: Frame[] = [];
  let event = '';
  let data: string[] = [];
  const flush = (): void => {
    if (data.length > 0) frames.push({ event, data: data.join('\n') });
    event = '';
    data = [];
  };
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)) {
    if (line === '') flush();
    if (line === '' || line.startsWith(':')) continue;
    const colon = line.indexOf(':');
    const key = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (key === 'event') event = value;
    if (key === 'data') data.push(value);
  }
  flush();
  return frames;
}

/**
 * `one-megabyte-event` spells its text by length and character and leaves `content` null, which as a subset match would
 * mean "no text": where the length is given, it alone speaks for the content.
 */
export function spelledOut(golden: Golden): Golden {
  const fold = objectAt(golden.expected, 'fold');
  if (fold?.['content_length'] === undefined || fold['content'] !== null) return golden;
  const { content: _, ...members } = fold;
  return { ...golden, expected: { ...golden.expected, fold: members } };
}

/** What differs between a golden expectation and a translation, in words; empty when it holds. */
export function judge(golden: Golden, got: Translated): readonly string[] {
  const { expected } = golden;
  if (expected['error'] !== undefined) {
    return got.error ? match(expected['error'], got.error) : ['wanted an HTTP error'];
  }
  if (got.error) return [`unexpected error ${JSON.stringify(got.error)}`];
  const body = got.body ?? got.final;
  const faults: string[] = [];
  if (expected['equals'] !== undefined && canonical(expected['equals']) !== canonical(body)) {
    faults.push(`not equal: ${JSON.stringify(body)?.slice(0, 300)}`);
  }
  if (expected['contains'] !== undefined) faults.push(...match(expected['contains'], body));
  for (const path of arrayAt(expected, 'absent') ?? []) {
    if (typeof path === 'string' && valueAt(body, path) !== undefined) faults.push(`${path} must be absent`);
  }
  const dropped = [...(got.dropped ?? [])].toSorted();
  if (expected['dropped'] !== undefined && JSON.stringify(expected['dropped']) !== JSON.stringify(dropped)) {
    faults.push(`dropped ${JSON.stringify(dropped)} wanted ${JSON.stringify(expected['dropped'])}`);
  }
  if (expected['fold'] !== undefined) faults.push(...match(expected['fold'], foldChat(got.sse ?? ''), 'fold'));
  if (expected['final'] !== undefined || expected['types'] !== undefined) faults.push(...judgeResponses(expected, got));
  return faults;
}

function judgeResponses(expected: JsonObject, got: Translated): readonly string[] {
  const events = got.sse === undefined ? null : parseFrames(got.sse).map((frame) => readObject(frame.data));
  const final = got.final ?? objectAt(events?.at(-1), 'response') ?? {};
  const faults: string[] = [];
  const wanted = objectAt(expected, 'final');
  if (wanted) {
    const { replay: _, ...members } = wanted;
    faults.push(...match(members, final, 'final'));
  }
  if (events === null) return faults;
  const types = collapse(events.map((event) => stringAt(event, 'type') ?? ''));
  if (expected['types'] !== undefined && JSON.stringify(expected['types']) !== JSON.stringify(types)) {
    faults.push(`types ${types.join(' ')}`);
  }
  for (const [position, event] of events.entries()) {
    if (event['sequence_number'] !== position) faults.push(`sequence_number ${String(event['sequence_number'])} at ${position}`);
  }
  if (final['status'] !== 'completed') return faults;
  const done = events.filter((event) => event['type'] === 'response.output_item.done').map((event) => stringAt(event['item'], 'id') ?? '');
  const listed = (arrayAt(final, 'output') ?? []).map((item) => stringAt(item, 'id') ?? '');
  if (JSON.stringify(done.toSorted()) !== JSON.stringify(listed.toSorted())) faults.push('terminal output differs from the items');
  return faults;
}

/** Runs of one delta type become `type+`, so that a case need not say how often it came. */
function collapse(types: readonly string[]): readonly string[] {
  const collapsed: string[] = [];
  for (const type of types) {
    if (!type.endsWith('.delta')) collapsed.push(type);
    else if (collapsed.at(-1) !== `${type}+`) collapsed.push(`${type}+`);
  }
  return collapsed;
}

/**
 * Subset match: every member of `expected` must stand in `got`, arrays have the same length. `$NONEMPTY` is any
 * non-empty string, `MAXLEN64` bounds it, `SAMEn` must be the same string wherever it stands.
 */
export function match(
  expected: JsonValue | undefined, got: unknown, at = '$', same: Map<string, string> = new Map(),
): readonly string[] {
  if (typeof expected === 'string' && expected.startsWith('$')) return matchPlaceholder(expected, got, at, same);
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length) {
      return [`${at}: wanted an array of ${expected.length}, got ${JSON.stringify(got)?.slice(0, 200)}`];
    }
    return expected.flatMap((value, index) => match(value, got[index], `${at}[${index}]`, same));
  }
  if (isJsonObject(expected)) {
    if (typeof got !== 'object' || got === null) return [`${at}: wanted an object`];
    const members = new Map(Object.entries(got));
    return Object.entries(expected).flatMap(([key, value]) => match(value, members.get(key), `${at}.${key}`, same));
  }
  if (expected === got || (expected === null && got === undefined)) return [];
  return [`${at}: ${JSON.stringify(got)?.slice(0, 80)} wanted ${JSON.stringify(expected)?.slice(0, 80)}`];
}

function matchPlaceholder(expected: string, got: unknown, at: string, same: Map<string, string>): readonly string[] {
  if (typeof got !== 'string' || got === '') return [`${at}: wanted a non-empty string`];
  const faults: string[] = [];
  if (expected.includes('MAXLEN64') && got.length > 64) faults.push(`${at}: longer than 64`);
  const label = /SAME\d/.exec(expected)?.[0];
  if (label === undefined) return faults;
  if (same.has(label) && same.get(label) !== got) faults.push(`${at}: ${label} differs`);
  same.set(label, got);
  return faults;
}

interface FoldedCall { index: JsonValue; id?: JsonValue; type?: JsonValue; name?: JsonValue; arguments: string }

/** What a client would hold after reading a whole chat stream. */
export interface FoldedChat {
  role_first: boolean | null;
  content: string | null;
  tool_calls: FoldedCall[];
  finish_reason: JsonValue;
  usage: JsonValue;
  done: boolean;
  [member: string]: unknown;
}

/** Accumulates chat chunks as a client does. */
export function foldChat(text: string): FoldedChat {
  const folded: FoldedChat = { role_first: null, content: null, tool_calls: [], finish_reason: null, usage: null, done: false };
  for (const { data } of parseFrames(text)) {
    if (data === '[DONE]') {
      folded.done = true;
      continue;
    }
    const chunk = readObject(data);
    if (chunk['error'] !== undefined) {
      folded['error'] = chunk['error'];
      folded['error_frame_has_no_choices'] = !('choices' in chunk);
      continue;
    }
    foldChunk(folded, chunk);
  }
  folded['content_length'] = folded.content?.length;
  if (folded.content !== null && folded.content !== '') folded['content_char'] = [...new Set(folded.content)].join('');
  return folded;
}

function foldChunk(folded: FoldedChat, chunk: JsonObject): void {
  folded['model'] ??= chunk['model'];
  folded['created'] ??= chunk['created'];
  const id = stringAt(chunk, 'id');
  folded['id_prefix'] ??= id?.startsWith('chatcmpl-') ? 'chatcmpl-' : id;
  if (chunk['service_tier'] !== undefined && chunk['service_tier'] !== null) folded['service_tier'] = chunk['service_tier'];
  const choices = arrayAt(chunk, 'choices') ?? [];
  if (isJsonObject(chunk['usage'])) {
    folded.usage = chunk['usage'];
    folded['usage_chunk_choices_empty'] = choices.length === 0;
  } else {
    folded['usage_null_on_other_chunks'] = 'usage' in chunk && folded['usage_null_on_other_chunks'] !== false;
  }
  for (const choice of choices) {
    foldDelta(folded, objectAt(choice, 'delta') ?? {});
    folded.finish_reason = (isJsonObject(choice) ? choice['finish_reason'] : null) ?? folded.finish_reason;
  }
}

function foldDelta(folded: FoldedChat, delta: JsonObject): void {
  folded.role_first ??= delta['role'] === 'assistant';
  const content = stringAt(delta, 'content');
  if (content) folded.content = (folded.content ?? '') + content;
  for (const member of ['reasoning_content', 'refusal']) {
    const piece = stringAt(delta, member);
    if (piece) folded[member] = String(folded[member] ?? '') + piece;
  }
  const annotations = arrayAt(delta, 'annotations');
  if (annotations) folded['annotations'] = [...(Array.isArray(folded['annotations']) ? folded['annotations'] : []), ...annotations];
  for (const call of arrayAt(delta, 'tool_calls') ?? []) {
    const index = numberAt(call, 'index') ?? 0;
    const known = (folded.tool_calls[index] ??= { index, arguments: '' });
    const body = objectAt(call, 'function') ?? objectAt(call, 'custom');
    known.id ??= stringAt(call, 'id') ?? null;
    known.type ??= stringAt(call, 'type') ?? null;
    known.name ??= stringAt(body, 'name') ?? null;
    known.arguments += stringAt(objectAt(call, 'function'), 'arguments') ?? stringAt(objectAt(call, 'custom'), 'input') ?? '';
  }
}

function valueAt(value: unknown, path: string): unknown {
  return path.replaceAll(/\[(\d+)\]/g, '.$1').split('.').reduce<unknown>((found, key) => {
    if (Array.isArray(found)) return found[Number(key)];
    return isJsonObject(found) ? found[key] : undefined;
  }, value);
}

function readObject(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new Error(`not an object: ${text.slice(0, 80)}`);
  return value;
}

/** JSON with sorted keys, so that only what is said counts. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.keys(value).toSorted().map((key) => [key, sorted(value[key])]));
}
