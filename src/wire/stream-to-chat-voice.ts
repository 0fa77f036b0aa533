import type { JsonObject, JsonValue } from '../core/json.ts';
import type { Seen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import type { StopCutter } from './stream-to-chat-stop.ts';
import { createStopCutter } from './stream-to-chat-stop.ts';
import type { ReasoningField } from './reasoning-field.ts';
import { THINK_BEGIN, THINK_END, reasoningMembers } from './reasoning-field.ts';

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
  readonly #field: ReasoningField;
  #began = false;
  #thinking = false;

  constructor({ stop, reasoningField = 'reasoning_content' }: Pick<AnswerPlan, 'stop' | 'reasoningField'>, seen: Seen, sink: DeltaSink) {
    this.#field = reasoningField;
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

  /** Says a piece of reasoning where this client is told it. */
  sayThought(text: string): void {
    if (this.#field === 'think-tags') {
      const begin = this.#thinking ? '' : THINK_BEGIN;
      this.contentLength += begin.length + text.length;
      this.#say({ content: begin + text }, text.length);
      this.#thinking = true;
      return;
    }
    const members = reasoningMembers(this.#field, text);
    if (this.#field === 'none') this.#count(text.length);
    else this.sayOutput(members, text.length);
  }

  /** Ends a thought that stands inside the text, before anything else is said. */
  endThought(): void {
    if (!this.#thinking) return;
    this.#thinking = false;
    this.contentLength += THINK_END.length;
    this.#sink({ content: THINK_END }, null);
  }

  sayContent(text: string, logprobs: readonly JsonValue[] | undefined): void {
    if (this.stopped) return;
    this.endThought();
    this.contentLength += text.length;
    const cut = this.#stop.take(text);
    if (cut.text !== '') this.sayOutput({ content: cut.text }, cut.text.length, logprobs?.length ? logprobs : null);
    this.stopped = cut.stopped;
  }

  /** Says what was held back as a possible stop sequence, when no more text comes. */
  sayRest(): void {
    this.endThought();
    const rest = this.#stop.rest();
    if (rest !== '') this.sayOutput({ content: rest }, rest.length);
  }

  /** Says a delta that carries so many characters of output. */
  sayOutput(delta: JsonObject, characters: number, logprobs: readonly JsonValue[] | null = null): void {
    this.endThought();
    this.#say(delta, characters, logprobs);
  }

  /** Says a delta that is no text: the head of a call, an annotation, an image. */
  sayMark(delta: JsonObject): void {
    this.begin();
    this.endThought();
    this.#sink(delta, null);
  }

  #say(delta: JsonObject, characters: number, logprobs: readonly JsonValue[] | null = null): void {
    this.begin();
    this.#count(characters);
    this.#sink(delta, logprobs);
  }

  #count(characters: number): void {
    this.#seen.meaningful = true;
    this.#seen.outputEvents += 1;
    this.#seen.outputCharacters += characters;
  }
}
