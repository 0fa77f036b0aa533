import type { JsonObject } from '../core/json.ts';

/** An event of a Messages stream. */
export type MessagesEvent = JsonObject & { readonly type: string };

/** One content block of a message on its way to the client. */
export interface Block {
  readonly start: JsonObject;
  /** Its place in the message, taken when its turn comes. */
  index: number | null;
  readonly waiting: JsonObject[];
  closed: boolean;
}

/**
 * Content blocks one after another, as clients read them, though an upstream may tell several at once: what belongs to a
 * later block waits until the one before it is closed.
 */
export class BlockQueue {
  readonly #sink: (event: MessagesEvent) => void;
  readonly #queue: Block[] = [];
  #places = 0;

  constructor(sink: (event: MessagesEvent) => void) {
    this.#sink = sink;
  }

  open(start: JsonObject): Block {
    const block: Block = { start, index: null, waiting: [], closed: false };
    this.#queue.push(block);
    this.#advance();
    return block;
  }

  /** Adds a delta. A closed block takes no more. */
  add(block: Block, delta: JsonObject): void {
    if (block.closed) return;
    if (block.index === null) block.waiting.push(delta);
    else this.#sink({ type: 'content_block_delta', index: block.index, delta });
  }

  close(block: Block): void {
    if (block.closed) return;
    block.closed = true;
    this.#advance();
  }

  /** Blocks not closed yet, in their order. */
  openBlocks(): readonly Block[] {
    return this.#queue.filter(({ closed }) => !closed);
  }

  #advance(): void {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (head.index === null) this.#begin(head);
      if (!head.closed) return;
      this.#sink({ type: 'content_block_stop', index: head.index ?? 0 });
      this.#queue.shift();
    }
  }

  #begin(block: Block): void {
    block.index = this.#places;
    this.#places += 1;
    this.#sink({ type: 'content_block_start', index: block.index, content_block: block.start });
    for (const delta of block.waiting.splice(0)) this.#sink({ type: 'content_block_delta', index: block.index, delta });
  }
}
