import type { JsonObject, JsonValue } from '../core/json.ts';
import type { Seen } from './passage.ts';
import type { StopCutter } from './stream-to-chat-stop.ts';
import { createStopCutter } from './stream-to-chat-stop.ts';

/** Takes one delta of a chat answer, and log probabilities where the upstream gave them. */
export type DeltaSink = (delta: JsonObject, logprobs: readonly JsonValue[] | null) => void;

/** Speaks the deltas of one chat choice: the role once and first, text cut at the client's stop sequences, output counted. */
export class ChatVoice {
  /** Characters of content so far, held back ones included: where the next piece begins. */
  contentLength = 0;
  /** A stop sequence was reached: nothing more may be said. */
  stopped = false;
  readonly #seen: Seen;
  readonly #sink: DeltaSink;
  readonly #stop: StopCutter;
  #began = false;

  constructor(stop: readonly string[], seen: Seen, sink: DeltaSink) {
    this.#seen = seen;
    this.#sink = sink;
    this.#stop = createStopCutter(stop);
  }

  /** Says the role, if nothing was said yet; content is null where the answer begins with a call. */
  begin(content: '' | null = ''): void {
    if (this.#began) return;
    this.#began = true;
    this.#sink({ role: 'assistant', content }, null);
  }

  sayContent(text: string, logprobs: readonly JsonValue[] | undefined): void {
    if (this.stopped) return;
    this.contentLength += text.length;
    const cut = this.#stop.take(text);
    if (cut.text !== '') this.sayOutput({ content: cut.text }, cut.text.length, logprobs?.length ? logprobs : null);
    this.stopped = cut.stopped;
  }

  /** Says what was held back as a possible stop sequence, when no more text comes. */
  sayRest(): void {
    const rest = this.#stop.rest();
    if (rest !== '') this.sayOutput({ content: rest }, rest.length);
  }

  /** Says a delta that carries so many characters of output. */
  sayOutput(delta: JsonObject, characters: number, logprobs: readonly JsonValue[] | null = null): void {
    this.begin();
    this.#seen.meaningful = true;
    this.#seen.outputEvents += 1;
    this.#seen.outputCharacters += characters;
    this.#sink(delta, logprobs);
  }

  /** Says a delta that is no text: the head of a call, an annotation, an image. */
  sayMark(delta: JsonObject): void {
    this.begin();
    this.#sink(delta, null);
  }
}
