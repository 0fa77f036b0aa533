import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';

/** Adds up the chunks of a Chat Completions stream to the object the same request would have got without streaming. */
export interface CompletionFold {
  chunk(chunk: JsonObject): void;
  /** The completion so far; choices in the order of their index. */
  completion(): JsonObject;
}

interface Choice {
  readonly index: number;
  readonly texts: Map<string, string[]>;
  readonly lists: Map<string, JsonValue[]>;
  readonly others: Map<string, JsonValue>;
  readonly calls: Call[];
  functionCall: Call | null;
  readonly logprobs: Map<string, JsonValue[]>;
  finish: string | null;
}

interface Call {
  readonly index: number | null;
  id: string | null;
  type: string | null;
  name: string | null;
  readonly text: string[];
  readonly others: Map<string, JsonValue>;
}

const CONCATENATED = new Set(['content', 'refusal', 'reasoning_content', 'reasoning']);

/** An empty fold. It never throws: members of an unexpected type are left out. */
export function createCompletionFold(): CompletionFold {
  const choices = new Map<number, Choice>();
  const head: JsonObject = {};
  let usage: JsonObject | null = null;
  return {
    chunk(chunk) {
      for (const key of ['id', 'created', 'model', 'system_fingerprint', 'service_tier']) {
        if (chunk[key] !== undefined && chunk[key] !== null && chunk[key] !== '') head[key] = chunk[key];
      }
      usage = objectAt(chunk, 'usage') ?? usage;
      for (const choice of arrayAt(chunk, 'choices') ?? []) if (isJsonObject(choice)) addChoice(choices, choice);
    },
    completion: () => ({
      ...head,
      object: 'chat.completion',
      choices: [...choices.values()].toSorted((a, b) => a.index - b.index).map(choiceOf),
      ...(usage && { usage }),
    }),
  };
}

function addChoice(choices: Map<number, Choice>, given: JsonObject): void {
  const index = numberAt(given, 'index') ?? 0;
  const choice = choices.get(index) ?? newChoice(index);
  choices.set(index, choice);
  choice.finish = stringAt(given, 'finish_reason') ?? choice.finish;
  for (const [key, value] of Object.entries(objectAt(given, 'logprobs') ?? {})) {
    if (Array.isArray(value)) append(choice.logprobs, key, value);
  }
  for (const [key, value] of Object.entries(objectAt(given, 'delta') ?? {})) addMember(choice, key, value);
}

function addMember(choice: Choice, key: string, value: JsonValue | undefined): void {
  if (value === undefined || value === null || key === 'role') return;
  if (key === 'tool_calls') {
    for (const call of Array.isArray(value) ? value : []) if (isJsonObject(call)) addCall(choice, call);
    return;
  }
  if (key === 'function_call') {
    choice.functionCall ??= newCall(null);
    addToCall(choice.functionCall, { function: value });
    return;
  }
  if (CONCATENATED.has(key) && typeof value === 'string') append(choice.texts, key, [value]);
  else if (Array.isArray(value)) append(choice.lists, key, value);
  else choice.others.set(key, value);
}

/** Same index but another id is another call: Gemini numbers every parallel call 0 (observed 2026-11). */
function addCall(choice: Choice, given: JsonObject): void {
  const index = numberAt(given, 'index') ?? null;
  const id = stringAt(given, 'id') || null;
  const known = choice.calls.findLast((call) => (index === null ? id === null || call.id === id : call.index === index));
  const call = known && (id === null || known.id === null || known.id === id) ? known : newCall(index);
  if (call !== known) choice.calls.push(call);
  addToCall(call, given);
}

function addToCall(call: Call, given: JsonObject): void {
  const inner = objectAt(given, 'function') ?? objectAt(given, 'custom');
  call.id ??= stringAt(given, 'id') || null;
  call.type ??= stringAt(given, 'type') ?? (given.custom === undefined ? null : 'custom');
  call.name ??= stringAt(inner, 'name') || null;
  const text = inner?.arguments ?? inner?.input;
  if (typeof text === 'string') call.text.push(text);
  else if (isJsonObject(text)) call.text.push(JSON.stringify(text));
  for (const [key, value] of Object.entries(given)) {
    if (!['index', 'id', 'type', 'function', 'custom'].includes(key) && value !== undefined) call.others.set(key, value);
  }
}

function choiceOf(choice: Choice): JsonObject {
  const [content, refusal] = [textOf(choice, 'content'), textOf(choice, 'refusal')];
  const message: JsonObject = { role: 'assistant', content, refusal, annotations: [] };
  for (const key of choice.texts.keys()) message[key] = textOf(choice, key);
  for (const [key, value] of [...choice.lists, ...choice.others]) message[key] = value;
  if (choice.calls.length > 0) message.tool_calls = choice.calls.map(callOf);
  if (choice.functionCall) message.function_call = { name: choice.functionCall.name ?? '', arguments: choice.functionCall.text.join('') };
  const logprobs = choice.logprobs.size === 0 ? null : { content: null, refusal: null, ...Object.fromEntries(choice.logprobs) };
  return { index: choice.index, message, logprobs, finish_reason: choice.finish };
}

function callOf(call: Call): JsonObject {
  const text = call.text.join('');
  const head = { id: call.id ?? '', ...Object.fromEntries(call.others) };
  if (call.type === 'custom') return { ...head, type: 'custom', custom: { name: call.name ?? '', input: text } };
  return { ...head, type: 'function', function: { name: call.name ?? '', arguments: text } };
}

/** The whole text, or null where there is none: clients tell "said nothing" from "said this". */
function textOf(choice: Choice, key: string): string | null {
  return choice.texts.get(key)?.join('') || null;
}

function append<T>(map: Map<string, T[]>, key: string, values: readonly T[]): void {
  const list = map.get(key);
  if (!list) {
    map.set(key, [...values]);
    return;
  }
  for (const value of values) list.push(value);
}

function newChoice(index: number): Choice {
  return {
    index, texts: new Map(), lists: new Map(), others: new Map(), calls: [], functionCall: null, logprobs: new Map(), finish: null,
  };
}

function newCall(index: number | null): Call {
  return { index, id: null, type: null, name: null, text: [], others: new Map() };
}
