import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { MessagesOrigin } from '../core/relay-request.ts';
import type { MessagesEvent } from './messages-blocks.ts';
import { BlockQueue } from './messages-blocks.ts';
import type { ToldCall } from './messages-calls.ts';
import { MessageCalls } from './messages-calls.ts';
import { WebSearches } from './messages-searches.ts';
import { MessageText } from './messages-text.ts';
import { MessageThoughts } from './messages-thoughts.ts';
import { usageToMessages } from './messages-usage.ts';
import type { PassageDeps } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import type { Slot } from './stream-to-chat-slots.ts';
import { createSlots } from './stream-to-chat-slots.ts';

/** How a message ended. */
export interface MessageEnd {
  readonly reason: string;
  readonly sequence: string | null;
  /** The model stopped at a limit. */
  readonly incomplete: boolean;
}

const NO_ORIGIN: Pick<MessagesOrigin, 'thinking' | 'inputTokens'> = { thinking: 'off', inputTokens: 0 };

/**
 * Tells Responses events as the events of a Messages stream, append-only. Knows no framing: the stream writes them, the
 * fold adds them up. Once `ended` is not null nothing more is told but `terminal`.
 */
export class MessageEvents {
  ended: MessageEnd | null = null;
  /** Something the client can act on has been told. */
  spoke = false;
  /** Pieces of output told, and their characters. */
  outputEvents = 0;
  outputCharacters = 0;
  readonly #deps: PassageDeps;
  readonly #origin: Pick<MessagesOrigin, 'thinking' | 'inputTokens'>;
  readonly #sink: (event: MessagesEvent) => void;
  readonly #blocks: BlockQueue;
  readonly #texts: MessageText;
  readonly #thoughts: MessageThoughts;
  readonly #calls: MessageCalls;
  readonly #searches: WebSearches;
  readonly #slots = createSlots();
  #usage: JsonObject | null = null;
  #began = false;
  #refused = false;

  constructor(plan: AnswerPlan, deps: PassageDeps, sink: (event: MessagesEvent) => void) {
    this.#deps = deps;
    this.#origin = plan.messages ?? NO_ORIGIN;
    this.#sink = sink;
    this.#blocks = new BlockQueue(sink);
    this.#texts = new MessageText(this.#blocks, plan.stop);
    this.#thoughts = new MessageThoughts(this.#blocks, this.#origin.thinking);
    this.#calls = new MessageCalls(plan, deps, this.#blocks, () => this.#endSpeech());
    this.#searches = new WebSearches(this.#blocks, (prefix) => deps.makeId(prefix));
  }

  /** Takes one event. Events of unknown types are ignored; failures are for whoever hands the events on. */
  take(event: JsonObject): void {
    if (this.ended !== null || !stringAt(event, 'type')?.startsWith('response.')) return;
    this.#adopt(objectAt(event, 'response'));
    switch (event.type) {
      case 'response.output_text.delta':
        return this.#addText(this.#slots.ofEvent(event), `text:${partIndex(event)}`, stringAt(event, 'delta') ?? '');
      case 'response.refusal.delta':
        return this.#addRefusal(this.#slots.ofEvent(event), partIndex(event), stringAt(event, 'delta') ?? '');
      case 'response.output_text.done':
      case 'response.refusal.done':
      case 'response.content_part.done':
        return this.#snapshotPart(this.#slots.ofEvent(event), partIndex(event), partOf(event));
      case 'response.output_text.annotation.added':
        return this.#annotate(this.#slots.ofEvent(event), partIndex(event), event.annotation);
      case 'response.output_item.added':
        return this.#openItem(this.#slots.ofEvent(event), objectAt(event, 'item') ?? {});
      case 'response.output_item.done':
        return this.#snapshotItem(this.#slots.ofEvent(event), objectAt(event, 'item') ?? {});
      default:
        return this.#takeRarer(event);
    }
  }

  /** The events that end the stream; the blocks have been closed before. */
  terminal(): readonly MessagesEvent[] {
    const usage = usageToMessages(this.#usage, { inputTokens: this.#origin.inputTokens, outputCharacters: this.outputCharacters });
    const requests = this.#searches.count;
    return [
      {
        type: 'message_delta',
        delta: { stop_reason: this.ended?.reason ?? 'end_turn', stop_sequence: this.ended?.sequence ?? null },
        usage: { ...usage, ...(requests > 0 && { server_tool_use: { web_search_requests: requests } }) },
      },
      { type: 'message_stop' },
    ];
  }

  #takeRarer(event: JsonObject): void {
    switch (event.type) {
      case 'response.reasoning_summary_text.delta':
        return this.#think(this.#slots.ofEvent(event), 'summary', numberAt(event, 'summary_index') ?? 0, stringAt(event, 'delta') ?? '');
      case 'response.reasoning_text.delta':
      case 'response.reasoning.delta':
        return this.#think(this.#slots.ofEvent(event), 'text', partIndex(event), stringAt(event, 'delta') ?? '');
      case 'response.function_call_arguments.delta':
        return this.#called(this.#calls.add(this.#slots.ofEvent(event), stringAt(event, 'delta') ?? ''));
      case 'response.function_call_arguments.done':
        return this.#called(this.#calls.snapshot(this.#slots.ofEvent(event), stringAt(event, 'arguments')));
      case 'response.completed':
      case 'response.done':
        return this.#complete(objectAt(event, 'response') ?? {}, null);
      case 'response.incomplete':
        return this.#complete(objectAt(event, 'response') ?? {}, incompleteReason(objectAt(event, 'response')));
      default:
    }
  }

  #adopt(response: JsonObject | undefined): void {
    this.#usage = objectAt(response, 'usage') ?? this.#usage;
    if (this.#began) return;
    this.#began = true;
    const tier = stringAt(response, 'service_tier') === 'priority' ? 'priority' : 'standard';
    const usage = usageToMessages(null, { inputTokens: this.#origin.inputTokens, outputCharacters: 0 });
    this.#sink({
      type: 'message_start',
      message: {
        id: this.#deps.makeId('msg_'), type: 'message', role: 'assistant', model: stringAt(response, 'model') ?? this.#deps.model,
        content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, service_tier: tier },
      },
    });
  }

  #complete(response: JsonObject, incomplete: string | null): void {
    for (const [position, item] of (arrayAt(response, 'output') ?? []).entries()) {
      if (isJsonObject(item)) this.#snapshotItem(this.#slots.ofItem(item, position), item);
      if (this.ended !== null) return;
    }
    this.#end({ reason: incomplete ?? this.#reason(), sequence: null, incomplete: incomplete !== null });
  }

  #reason(): string {
    if (this.#calls.count > 0) return 'tool_use';
    return this.#refused ? 'refusal' : 'end_turn';
  }

  #end(end: MessageEnd): void {
    this.#endSpeech();
    for (const block of this.#blocks.openBlocks()) this.#blocks.close(block);
    this.#searches.end();
    this.ended = end;
  }

  #openItem(slot: Slot, item: JsonObject): void {
    if (item.type === 'function_call') this.#called(this.#calls.take(slot, item, false));
  }

  #snapshotItem(slot: Slot, item: JsonObject): void {
    switch (item.type) {
      case 'message':
        for (const [index, part] of (arrayAt(item, 'content') ?? []).entries()) {
          if (isJsonObject(part)) this.#snapshotPart(slot, index, part);
          if (this.ended !== null) return;
        }
        return this.#endSpeech();
      case 'reasoning':
        return this.#snapshotThought(slot, item);
      case 'function_call':
        return this.#called(this.#calls.take(slot, item, true));
      case 'web_search_call':
        this.#endSpeech();
        if (this.#searches.take(slot, item)) this.spoke = true;
        return;
      default:
    }
  }

  #snapshotPart(slot: Slot, index: number, part: JsonObject): void {
    if (part.type === 'refusal') return this.#addRefusal(slot, index, missingOf(slot, `refusal:${index}`, stringAt(part, 'refusal')));
    if (part.type !== 'output_text') return;
    this.#addText(slot, `text:${index}`, missingOf(slot, `text:${index}`, stringAt(part, 'text')));
    const annotations = arrayAt(part, 'annotations') ?? [];
    for (const annotation of annotations.slice(slot.annotations.get(index) ?? 0)) this.#annotate(slot, index, annotation);
  }

  #addText(slot: Slot, key: string, text: string): void {
    if (text === '') return;
    slot.sent.set(key, (slot.sent.get(key) ?? '') + text);
    this.#thoughts.close();
    const { characters, stoppedAt } = this.#texts.say(slot, key, text);
    this.#count(characters);
    if (stoppedAt !== null) this.#end({ reason: 'stop_sequence', sequence: stoppedAt, incomplete: false });
  }

  #addRefusal(slot: Slot, index: number, refusal: string): void {
    if (refusal !== '') this.#refused = true;
    this.#addText(slot, `refusal:${index}`, refusal);
  }

  #annotate(slot: Slot, index: number, annotation: JsonValue | undefined): void {
    slot.annotations.set(index, (slot.annotations.get(index) ?? 0) + 1);
    if (!isJsonObject(annotation) || annotation.type !== 'url_citation') return;
    this.#texts.cite(slot, `text:${index}`, this.#searches.cite(annotation));
  }

  #think(slot: Slot, kind: 'summary' | 'text', index: number, text: string): void {
    if (this.#thoughts.think(slot, kind, index, text)) this.#count(text.length);
  }

  #snapshotThought(slot: Slot, item: JsonObject): void {
    for (const [index, part] of (arrayAt(item, 'summary') ?? []).entries()) {
      this.#think(slot, 'summary', index, missingOf(slot, `summary:${index}`, stringAt(part, 'text')));
    }
    for (const [index, part] of (arrayAt(item, 'content') ?? []).entries()) {
      this.#think(slot, 'text', index, missingOf(slot, `text:${index}`, stringAt(part, 'text')));
    }
    this.#thoughts.finish(slot, item);
  }

  #endSpeech(): void {
    this.#thoughts.close();
    this.#count(this.#texts.close());
  }

  #called(told: ToldCall): void {
    if (told === null) return;
    this.spoke = true;
    this.#count(told.characters);
  }

  #count(characters: number): void {
    if (characters === 0) return;
    this.spoke = true;
    this.outputEvents += 1;
    this.outputCharacters += characters;
  }
}

function partIndex(event: JsonObject): number {
  return numberAt(event, 'content_index') ?? 0;
}

/** A `done` event as the part it tells of. */
function partOf(event: JsonObject): JsonObject {
  if (event.type === 'response.output_text.done') return { type: 'output_text', text: event.text };
  return event.type === 'response.refusal.done' ? { type: 'refusal', refusal: event.refusal } : (objectAt(event, 'part') ?? {});
}

/** What a snapshot has beyond the text already told; nothing when it contradicts it. */
function missingOf(slot: Slot, key: string, snapshot: string | undefined): string {
  const sent = slot.sent.get(key) ?? '';
  return snapshot !== undefined && snapshot.length > sent.length && snapshot.startsWith(sent) ? snapshot.slice(sent.length) : '';
}

/** A cut answer is told as cut also when it was cut inside a call: a client must not run half a call. */
function incompleteReason(response: JsonObject | undefined): string {
  const reason = stringAt(objectAt(response, 'incomplete_details'), 'reason');
  if (reason === 'max_output_tokens' || reason === 'max_tokens') return 'max_tokens';
  return reason === 'content_filter' ? 'refusal' : 'end_turn';
}
