import type { JsonObject } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import type { Block, BlockQueue } from './messages-blocks.ts';
import type { PassageDeps } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { clientCallId, clientTool } from './stream-names.ts';
import type { ChatCall } from './stream-to-chat-calls.ts';
import { adoptCall, newChatCall, snapshotCall } from './stream-to-chat-calls.ts';
import type { Slot } from './stream-to-chat-slots.ts';

/** What telling a piece of a call came to: null when nothing was told yet, as its name is not known. */
export type ToldCall = { readonly characters: number } | null;

/** The tool_use blocks of a message. A block opens once its tool's name is known; arguments wait until then. */
export class MessageCalls {
  readonly #plan: AnswerPlan;
  readonly #deps: PassageDeps;
  readonly #blocks: BlockQueue;
  readonly #beforeOpen: () => void;
  readonly #open = new Map<ChatCall, Block>();

  /** `beforeOpen` is called when a call begins, so that what was being said can end. */
  constructor(plan: AnswerPlan, deps: PassageDeps, blocks: BlockQueue, beforeOpen: () => void) {
    this.#plan = plan;
    this.#deps = deps;
    this.#blocks = blocks;
    this.#beforeOpen = beforeOpen;
  }

  /** How many calls the message makes. */
  get count(): number {
    return this.#open.size;
  }

  add(slot: Slot, text: string): ToldCall {
    const call = callOf(slot);
    call.text += text;
    return this.#tell(call);
  }

  snapshot(slot: Slot, text: string | undefined): ToldCall {
    if (text !== undefined) snapshotCall(callOf(slot), text);
    return this.#tell(callOf(slot));
  }

  /** Takes an item that begins a call or tells it whole; a finished one closes its block. */
  take(slot: Slot, item: JsonObject, isDone: boolean): ToldCall {
    const call = callOf(slot);
    adoptCall(call, item);
    const told = this.snapshot(slot, stringAt(item, 'arguments'));
    const block = this.#open.get(call);
    if (isDone && block && item['status'] !== 'incomplete' && item['status'] !== 'in_progress') this.#blocks.close(block);
    return told;
  }

  #tell(call: ChatCall): ToldCall {
    if (call.name === null) return null;
    const block = this.#open.get(call) ?? this.#begin(call, call.name);
    const text = call.text.slice(call.sent);
    call.sent = call.text.length;
    if (text !== '') this.#blocks.add(block, { type: 'input_json_delta', partial_json: text });
    return { characters: text.length };
  }

  #begin(call: ChatCall, name: string): Block {
    this.#beforeOpen();
    const id = call.id === null ? this.#deps.makeId('toolu_') : clientCallId(this.#plan, call.id);
    const block = this.#blocks.open({ type: 'tool_use', id, name: clientTool(this.#plan, name).name, input: {} });
    this.#open.set(call, block);
    return block;
  }
}

function callOf(slot: Slot): ChatCall {
  slot.call ??= newChatCall(false);
  return slot.call;
}
