import type { JsonObject } from '../core/json.ts';
import type { Block, BlockQueue } from './messages-blocks.ts';
import type { Slot } from './stream-to-chat-slots.ts';
import type { StopCutter } from './stream-to-chat-stop.ts';
import { createStopCutter } from './stream-to-chat-stop.ts';

/** What saying a piece of text came to. */
export interface Said {
  /** Characters that were told; the rest may yet become a stop sequence. */
  readonly characters: number;
  /** The stop sequence that was reached; nothing may follow. */
  readonly stoppedAt: string | null;
}

interface TextBlock {
  readonly block: Block;
  readonly slot: Slot;
  readonly key: string;
  readonly cutter: StopCutter;
}

/** The text blocks of a message, each cut at the client's stop sequences. One is open at a time. */
export class MessageText {
  readonly #blocks: BlockQueue;
  readonly #stop: readonly string[];
  #open: TextBlock | null = null;

  constructor(blocks: BlockQueue, stop: readonly string[]) {
    this.#blocks = blocks;
    this.#stop = stop;
  }

  /** Says text of one part of an item, in a block of its own. */
  say(slot: Slot, key: string, text: string): Said {
    const before = this.#isOpen(slot, key) ? 0 : this.close();
    this.#open ??= { block: this.#blocks.open({ type: 'text', text: '' }), slot, key, cutter: createStopCutter(this.#stop) };
    const cut = this.#open.cutter.take(text);
    this.#tell(this.#open.block, cut.text);
    if (cut.stopped) {
      this.#blocks.close(this.#open.block);
      this.#open = null;
    }
    return { characters: before + cut.text.length, stoppedAt: cut.sequence };
  }

  /** Adds a citation to the part's block; one that is closed takes none. */
  cite(slot: Slot, key: string, citation: JsonObject): void {
    if (this.#open && this.#isOpen(slot, key)) this.#blocks.add(this.#open.block, { type: 'citations_delta', citation });
  }

  /** Closes the open block and tells what was held back; gives its characters. */
  close(): number {
    if (this.#open === null) return 0;
    const { block, cutter } = this.#open;
    this.#open = null;
    const rest = cutter.rest();
    this.#tell(block, rest);
    this.#blocks.close(block);
    return rest.length;
  }

  #isOpen(slot: Slot, key: string): boolean {
    return this.#open !== null && this.#open.slot === slot && this.#open.key === key;
  }

  #tell(block: Block, text: string): void {
    if (text !== '') this.#blocks.add(block, { type: 'text_delta', text });
  }
}
