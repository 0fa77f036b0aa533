import type { JsonObject } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { clientCallId, clientTool, customTool } from './stream-names.ts';

/** A tool call on its way to a chat client. Its head is sent once the name is known; arguments wait until then. */
export interface ChatCall {
  readonly custom: boolean;
  /** Position among the calls of this answer, dense, in the order of first sight; null until the head is out. */
  index: number | null;
  id: string | null;
  name: string | null;
  /** Everything the upstream has said of the arguments so far. */
  text: string;
  /** How much of `text` the client has. */
  sent: number;
}

/** A call nothing is known of but its kind. */
export function newChatCall(custom: boolean): ChatCall {
  return { custom, index: null, id: null, name: null, text: '', sent: 0 };
}

/** Takes over what an item says of a call: its id is `call_id`, never the item's own. */
export function adoptCall(call: ChatCall, item: JsonObject): void {
  call.id ??= stringAt(item, 'call_id') ?? stringAt(item, 'id') ?? null;
  call.name ??= stringAt(item, 'name') ?? null;
}

/** Takes a snapshot of the arguments. One that contradicts what was sent is ignored: a stream can only append. */
export function snapshotCall(call: ChatCall, text: string): void {
  if (text.length > call.text.length && text.startsWith(call.text)) call.text = text;
}

/** How calls are told to one client: deltas for the head and for arguments. */
export interface CallWriter {
  head(call: ChatCall, index: number): JsonObject;
  tail(call: ChatCall, text: string): JsonObject;
}

/**
 * The client's own form of a call: `function_call` of 2023, the native custom call where the tool was declared nested,
 * and a function with raw text where it was declared flat (Cursor 3.14 crashes on the native one, observed 2026-11).
 */
export function callWriterFor(plan: AnswerPlan): CallWriter {
  if (plan.legacyFunctions) return legacyWriter(plan);
  return {
    head(call, index) {
      const id = call.id === null ? '' : (clientCallId(plan, call.id));
      const name = clientName(plan, call);
      if (isNativeCustom(plan, call)) return { tool_calls: [{ index, id, type: 'custom', custom: { name, input: '' } }] };
      return { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] };
    },
    tail(call, text) {
      const index = call.index ?? 0;
      if (isNativeCustom(plan, call)) return { tool_calls: [{ index, custom: { input: text } }] };
      return { tool_calls: [{ index, function: { arguments: text } }] };
    },
  };
}

function legacyWriter(plan: AnswerPlan): CallWriter {
  return {
    head: (call) => ({ function_call: { name: clientName(plan, call), arguments: '' } }),
    tail: (_call, text) => ({ function_call: { arguments: text } }),
  };
}

function clientName(plan: AnswerPlan, call: ChatCall): string {
  return clientTool(plan, call.name ?? '').name;
}

function isNativeCustom(plan: AnswerPlan, call: ChatCall): boolean {
  const declared = customTool(plan, call.name ?? '');
  return call.custom && declared !== 'flat' && declared !== 'wrapped';
}
