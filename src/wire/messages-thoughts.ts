import type { JsonObject } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import type { MessagesOrigin } from '../core/relay-request.ts';
import type { Block, BlockQueue } from './messages-blocks.ts';
import { sealThought } from './messages-thinking.ts';
import type { Slot } from './stream-to-chat-slots.ts';

/** The thinking blocks of a message, told as the client asked: with their text, as signatures alone, or not at all. */
export class MessageThoughts {
  readonly #blocks: BlockQueue;
  readonly #thinking: MessagesOrigin['thinking'];
  readonly #open = new Map<Slot, Block>();
  readonly #told = new Set<Slot>();

  constructor(blocks: BlockQueue, thinking: MessagesOrigin['thinking']) {
    this.#blocks = blocks;
    this.#thinking = thinking;
  }

  /** Tells a piece of a thought. Of a summary and the reasoning itself only the first to come is told; true when it was. */
  think(slot: Slot, kind: 'summary' | 'text', index: number, text: string): boolean {
    if (text === '' || this.#thinking !== 'shown' || this.#told.has(slot)) return false;
    slot.reasoning ??= kind;
    if (slot.reasoning !== kind) return false;
    const key = `${kind}:${index}`;
    const known = this.#open.get(slot);
    const block = known ?? this.#blocks.open({ type: 'thinking', thinking: '', signature: '' });
    this.#open.set(slot, block);
    const apart = !slot.sent.has(key) && known ? '\n\n' : '';
    slot.sent.set(key, (slot.sent.get(key) ?? '') + text);
    this.#blocks.add(block, { type: 'thinking_delta', thinking: apart + text });
    return true;
  }

  /** The thought is finished: its item is sealed into the signature, with which the client gives it back. */
  finish(slot: Slot, item: JsonObject): void {
    if (this.#thinking === 'off' || this.#told.has(slot)) return;
    const block = this.#open.get(slot);
    if (block) return this.#seal(slot, block, item);
    this.#told.add(slot);
    if (stringAt(item, 'encrypted_content') === undefined) return;
    // Where the client hides thinking it expects a signature without text; where it shows it, what cannot be read is redacted.
    if (this.#thinking === 'omitted') this.#seal(slot, this.#blocks.open({ type: 'thinking', thinking: '', signature: '' }), item);
    else this.#blocks.close(this.#blocks.open({ type: 'redacted_thinking', data: sealThought(item) }));
  }

  /** Ends every open thought: an upstream that never says so would hold back all that follows. */
  close(): void {
    for (const [slot, block] of this.#open) this.#seal(slot, block, {});
  }

  #seal(slot: Slot, block: Block, item: JsonObject): void {
    this.#told.add(slot);
    this.#open.delete(slot);
    this.#blocks.add(block, { type: 'signature_delta', signature: sealThought(item) });
    this.#blocks.close(block);
  }
}
