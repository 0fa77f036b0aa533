import type { JsonObject } from '../core/json.ts';
import { isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { HostedTool } from './hosted-tools.ts';
import { hostedCall } from './hosted-tools.ts';
import type { PassageDeps } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { clientCallId, clientTool, customTool, hostedTool } from './stream-names.ts';
import type { EmitEvent, ItemStatus } from './stream-to-responses-items.ts';

/** A tool call of a chat stream while it becomes an output item. */
interface Call {
  readonly index: number | null;
  id: string | null;
  name: string;
  text: string;
  signature: JsonObject | null;
  /** Set when the item is opened: the name is known by then. */
  item: OpenItem | null;
}

interface OpenItem {
  readonly id: string;
  readonly callId: string;
  readonly outputIndex: number;
  readonly kind: 'function' | 'custom' | HostedTool;
  /** The text is told as it comes: a function's arguments, and what no function was wrapped around. */
  readonly isRaw: boolean;
  readonly head: JsonObject;
}

const ID_PREFIX = { function: 'fc_', custom: 'ctc_', apply_patch: 'apc_', local_shell: 'lsh_', shell: 'sh_' } as const;

/** The calls of one answer: they stay open side by side and close together at the finish. */
export class CallItems {
  readonly #plan: AnswerPlan;
  readonly #deps: PassageDeps;
  readonly #emit: EmitEvent;
  readonly #takePlace: () => number;
  readonly #calls: Call[] = [];

  constructor(plan: AnswerPlan, deps: PassageDeps, emit: EmitEvent, takePlace: () => number) {
    this.#plan = plan;
    this.#deps = deps;
    this.#emit = emit;
    this.#takePlace = takePlace;
  }

  /** Takes one entry of `tool_calls`, or the `function_call` of 2023 as `{function: …}`; gives the characters of output in it. */
  take(given: JsonObject): number {
    const call = this.#callFor(given);
    const inner = objectAt(given, 'function') ?? objectAt(given, 'custom');
    call.id ??= stringAt(given, 'id') || null;
    // Some upstreams repeat the name on every piece; none sends it in pieces.
    if (call.name === '') call.name = stringAt(inner, 'name') ?? '';
    call.signature ??= objectAt(given, 'extra_content') ?? null;
    const text = argumentsIn(inner);
    const waiting = call.item === null ? call.text : '';
    call.text += text;
    this.#open(call);
    if (call.item?.isRaw === true) this.#tell(call.item, waiting + text);
    return text.length;
  }

  /** Ends every call in the order of its place; a call whose name never came is left out. */
  close(status: ItemStatus): readonly { readonly outputIndex: number; readonly item: JsonObject }[] {
    return this.#calls.flatMap((call) => {
      if (call.item === null) return [];
      return [{ outputIndex: call.item.outputIndex, item: this.#closeCall(call, call.item, status) }];
    });
  }

  /** Gemini's thought signatures seen so far, by the call id the client knows. */
  signatures(): Readonly<Record<string, string>> {
    const entries = this.#calls.flatMap((call) => {
      const signature = stringAt(objectAt(call.signature, 'google'), 'thought_signature');
      return signature === undefined || call.item === null ? [] : [[call.item.callId, signature] as const];
    });
    return Object.fromEntries(entries);
  }

  /**
   * By index, but the same index with another id is another call (Gemini numbers all parallel calls 0); without an index
   * by id; with neither, the latest (observed 2026-11).
   */
  #callFor(given: JsonObject): Call {
    const index = numberAt(given, 'index') ?? null;
    const id = stringAt(given, 'id') || null;
    const known = this.#calls.findLast((call) => (index !== null ? call.index === index : id === null || call.id === id));
    const repeatsName = index === null && id === null && known?.text !== '' && stringAt(objectAt(given, 'function'), 'name');
    if (known && !repeatsName && (id === null || known.id === null || known.id === id)) return known;
    const call: Call = { index, id, name: '', text: '', signature: null, item: null };
    this.#calls.push(call);
    return call;
  }

  #open(call: Call): void {
    if (call.item !== null || call.name === '') return;
    const custom = customTool(this.#plan, call.name);
    const kind = hostedTool(this.#plan, call.name) ?? (custom === undefined ? 'function' : 'custom');
    const isRaw = kind === 'function' || (kind === 'custom' && custom === 'nested');
    const callId = call.id === null ? this.#deps.makeId('call_') : clientCallId(this.#plan, call.id);
    const { name, namespace } = clientTool(this.#plan, call.name);
    const id = this.#deps.makeId(ID_PREFIX[kind]);
    const named = { name, ...(namespace !== null && { namespace }) };
    const head: JsonObject = kind === 'function' || kind === 'custom'
      ? { type: kind === 'function' ? 'function_call' : 'custom_tool_call', id, call_id: callId, ...named }
      : { type: `${kind}_call`, id, call_id: callId };
    call.item = { id, callId, outputIndex: this.#takePlace(), kind, isRaw, head };
    const empty = kind === 'function' ? { arguments: '' } : kind === 'custom' ? { input: '' } : {};
    this.#emit('response.output_item.added', { output_index: call.item.outputIndex, item: { ...head, ...empty, status: 'in_progress' } });
  }

  #tell(item: OpenItem, delta: string): void {
    if (delta === '') return;
    const type = item.kind === 'custom' ? 'response.custom_tool_call_input.delta' : 'response.function_call_arguments.delta';
    this.#emit(type, { item_id: item.id, output_index: item.outputIndex, delta });
  }

  #closeCall(call: Call, open: OpenItem, status: ItemStatus): JsonObject {
    const at = { item_id: open.id, output_index: open.outputIndex };
    if (open.kind === 'function' && call.text === '' && status === 'completed') {
      call.text = '{}';
      this.#tell(open, call.text);
    }
    const body = bodyOf(open, call.text);
    if (open.kind === 'function') {
      this.#emit('response.function_call_arguments.done', { ...at, name: open.head.name ?? '', arguments: call.text });
    } else if (open.kind === 'custom') {
      if (!open.isRaw) this.#emit('response.custom_tool_call_input.delta', { ...at, delta: body.input ?? '' });
      this.#emit('response.custom_tool_call_input.done', { ...at, input: body.input ?? '' });
    }
    const item = { ...open.head, ...body, ...(call.signature && { extra_content: call.signature }), status };
    this.#emit('response.output_item.done', { output_index: open.outputIndex, item });
    return item;
  }
}

function argumentsIn(inner: JsonObject | undefined): string {
  const given = inner?.arguments ?? inner?.input;
  if (typeof given === 'string') return given;
  return isJsonObject(given) ? JSON.stringify(given) : '';
}

function bodyOf(open: OpenItem, text: string): JsonObject {
  if (open.kind === 'function') return { arguments: text };
  if (open.kind === 'custom') return { input: open.isRaw ? text : unwrapCustomInput(text) };
  const given = parseJsonObject(text) ?? {};
  const members = objectAt(given, open.kind === 'apply_patch' ? 'operation' : 'action') ?? given;
  const { command } = members;
  // Models often give the command as one line though the schema wants words.
  return hostedCall(open.kind, typeof command === 'string' ? { ...members, command: ['bash', '-lc', command] } : members);
}

/** The raw text inside a wrapped custom call: `input`, else the only member if it is a string, else the arguments as they came. */
export function unwrapCustomInput(text: string): string {
  const wrapped = parseJsonObject(text);
  if (!wrapped) return text;
  if (typeof wrapped.input === 'string') return wrapped.input;
  const [only, ...others] = Object.values(wrapped);
  return typeof only === 'string' && others.length === 0 ? only : text;
}
