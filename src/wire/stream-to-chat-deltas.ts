import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { Seen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { noteFailure, readResponsesFailure } from './stream-failure.ts';
import type { CallWriter, ChatCall } from './stream-to-chat-calls.ts';
import { adoptCall, callWriterFor, newChatCall, snapshotCall } from './stream-to-chat-calls.ts';
import type { Slot, Slots } from './stream-to-chat-slots.ts';
import { createSlots } from './stream-to-chat-slots.ts';
import type { DeltaSink } from './stream-to-chat-voice.ts';
import { ChatVoice } from './stream-to-chat-voice.ts';

/**
 * Tells a Responses stream as the deltas of one chat choice, append-only. Knows no framing: the stream writes the deltas
 * as chunks, the fold adds them up. Once `finish` is not null, or `seen.failure` is set, nothing more is told.
 */
export class ChatDeltas {
  /** The finish reason, once the upstream ended. */
  finish: string | null = null;
  readonly #plan: AnswerPlan;
  readonly #seen: Seen;
  readonly #voice: ChatVoice;
  readonly #calls: CallWriter;
  readonly #slots: Slots = createSlots();
  #callCount = 0;
  #reasoned = false;

  constructor(plan: AnswerPlan, seen: Seen, sink: DeltaSink) {
    this.#plan = plan;
    this.#seen = seen;
    this.#voice = new ChatVoice(plan, seen, sink);
    this.#calls = callWriterFor(plan);
  }

  /** Takes one upstream event. Events of unknown types are ignored. */
  take(event: JsonObject): void {
    if (this.finish !== null || this.#seen.failure) return;
    switch (event.type) {
      case 'response.output_text.delta':
        return this.#addText(event, stringAt(event, 'delta') ?? '', arrayAt(event, 'logprobs'));
      case 'response.output_text.done':
        return this.#snapshotText(this.#slots.ofEvent(event), partIndex(event), event);
      case 'response.refusal.delta':
        return this.#addRefusal(this.#slots.ofEvent(event), partIndex(event), stringAt(event, 'delta') ?? '');
      case 'response.refusal.done':
        return this.#snapshotRefusal(this.#slots.ofEvent(event), partIndex(event), event);
      case 'response.content_part.done':
        return this.#snapshotPart(this.#slots.ofEvent(event), partIndex(event), objectAt(event, 'part') ?? {});
      case 'response.output_text.annotation.added':
        return this.#addAnnotation(this.#slots.ofEvent(event), partIndex(event), event.annotation);
      case 'response.output_item.added':
        return this.#openItem(this.#slots.ofEvent(event), objectAt(event, 'item') ?? {});
      case 'response.output_item.done':
        return this.#snapshotItem(this.#slots.ofEvent(event), objectAt(event, 'item') ?? {});
      default:
        return this.#takeRarer(event);
    }
  }

  #takeRarer(event: JsonObject): void {
    switch (event.type) {
      case 'response.reasoning_summary_text.delta':
        return this.#addReasoning(this.#slots.ofEvent(event), 'summary', summaryIndex(event), stringAt(event, 'delta') ?? '');
      case 'response.reasoning_summary_text.done':
        return this.#snapshotReasoning(this.#slots.ofEvent(event), 'summary', summaryIndex(event), stringAt(event, 'text'));
      case 'response.reasoning_text.delta':
      case 'response.reasoning.delta':
        return this.#addReasoning(this.#slots.ofEvent(event), 'text', partIndex(event), stringAt(event, 'delta') ?? '');
      case 'response.reasoning_text.done':
      case 'response.reasoning.done':
        return this.#snapshotReasoning(this.#slots.ofEvent(event), 'text', partIndex(event), stringAt(event, 'text'));
      case 'response.function_call_arguments.delta':
        return this.#addArguments(this.#callOf(this.#slots.ofEvent(event), false), stringAt(event, 'delta') ?? '');
      case 'response.function_call_arguments.done':
        return this.#snapshotArguments(this.#callOf(this.#slots.ofEvent(event), false), stringAt(event, 'arguments'));
      case 'response.custom_tool_call_input.delta':
        return this.#addArguments(this.#callOf(this.#slots.ofEvent(event), true), stringAt(event, 'delta') ?? '');
      case 'response.custom_tool_call_input.done':
        return this.#snapshotArguments(this.#callOf(this.#slots.ofEvent(event), true), stringAt(event, 'input'));
      default:
        return this.#takeTerminal(event);
    }
  }

  #takeTerminal(event: JsonObject): void {
    const response = objectAt(event, 'response') ?? {};
    switch (event.type) {
      case 'response.completed':
      case 'response.done':
        this.#snapshotOutput(response);
        if (this.finish !== null) return;
        for (const slot of this.#slots.all()) if (slot.call) this.#closeArguments(slot.call);
        return this.#end(this.#callCount === 0 ? 'stop' : this.#plan.legacyFunctions ? 'function_call' : 'tool_calls', 'completed');
      case 'response.incomplete':
        this.#snapshotOutput(response);
        if (this.finish !== null) return;
        return this.#end(incompleteReason(stringAt(objectAt(response, 'incomplete_details'), 'reason')), 'incomplete');
      case 'response.failed':
      case 'response.cancelled':
      case 'error':
        return noteFailure(this.#seen, readResponsesFailure(event));
      default:
        return;
    }
  }

  #end(finish: string, terminal: 'completed' | 'incomplete'): void {
    this.#voice.sayRest();
    this.#voice.begin();
    this.finish = finish;
    this.#seen.terminal = terminal;
  }

  #snapshotOutput(response: JsonObject): void {
    for (const [position, item] of (arrayAt(response, 'output') ?? []).entries()) {
      if (isJsonObject(item)) this.#snapshotItem(this.#slots.ofItem(item, position), item);
    }
  }

  #openItem(slot: Slot, item: JsonObject): void {
    if (item.type !== 'function_call' && item.type !== 'custom_tool_call') return;
    const call = this.#callOf(slot, item.type === 'custom_tool_call');
    adoptCall(call, item);
    this.#flushCall(call);
  }

  #snapshotItem(slot: Slot, item: JsonObject): void {
    switch (item.type) {
      case 'message':
        for (const [index, part] of (arrayAt(item, 'content') ?? []).entries()) {
          if (isJsonObject(part)) this.#snapshotPart(slot, index, part);
        }
        return;
      case 'reasoning':
        return this.#snapshotThought(slot, item);
      case 'function_call':
      case 'custom_tool_call': {
        const call = this.#callOf(slot, item.type === 'custom_tool_call');
        adoptCall(call, item);
        this.#snapshotArguments(call, stringAt(item, call.custom ? 'input' : 'arguments'));
        if (item.status !== 'incomplete' && item.status !== 'in_progress') this.#closeArguments(call);
        return;
      }
      case 'image_generation_call':
        return this.#addImage(slot, item);
      default:
        return;
    }
  }

  #snapshotPart(slot: Slot, index: number, part: JsonObject): void {
    if (part.type === 'refusal') return this.#snapshotRefusal(slot, index, part);
    if (part.type === 'output_text') return this.#snapshotText(slot, index, part);
    if (part.type === 'reasoning_text') return this.#snapshotReasoning(slot, 'text', index, stringAt(part, 'text'));
  }

  #addText(event: JsonObject, text: string, logprobs?: readonly JsonValue[]): void {
    if (text !== '') this.#sendText(this.#slots.ofEvent(event), partIndex(event), text, logprobs);
  }

  #snapshotText(slot: Slot, index: number, part: JsonObject): void {
    const missing = missingOf(slot, `text:${index}`, stringAt(part, 'text'));
    if (missing !== '') this.#sendText(slot, index, missing, slot.sent.has(`text:${index}`) ? undefined : arrayAt(part, 'logprobs'));
    const annotations = arrayAt(part, 'annotations') ?? [];
    for (const annotation of annotations.slice(slot.annotations.get(index) ?? 0)) this.#addAnnotation(slot, index, annotation);
  }

  #sendText(slot: Slot, index: number, text: string, logprobs?: readonly JsonValue[]): void {
    const voice = this.#voice;
    const key = `text:${index}`;
    const sent = slot.sent.get(key) ?? '';
    voice.endThought();
    const apart = sent === '' && voice.contentLength > 0 ? '\n\n' : '';
    if (sent === '') slot.partStarts.set(index, voice.contentLength + apart.length);
    slot.sent.set(key, sent + text);
    voice.sayContent(apart + text, logprobs);
    if (voice.stopped) this.#end('stop', 'completed');
  }

  #addRefusal(slot: Slot, index: number, refusal: string): void {
    if (refusal === '') return;
    slot.sent.set(`refusal:${index}`, (slot.sent.get(`refusal:${index}`) ?? '') + refusal);
    this.#voice.sayOutput({ refusal }, refusal.length);
  }

  #snapshotRefusal(slot: Slot, index: number, part: JsonObject): void {
    this.#addRefusal(slot, index, missingOf(slot, `refusal:${index}`, stringAt(part, 'refusal')));
  }

  #addReasoning(slot: Slot, kind: 'summary' | 'text', index: number, text: string): void {
    if (text === '') return;
    slot.reasoning ??= kind;
    if (slot.reasoning !== kind) return;
    const key = `${kind}:${index}`;
    const sent = slot.sent.get(key) ?? '';
    const apart = sent === '' && this.#reasoned ? '\n\n' : '';
    this.#reasoned = true;
    slot.sent.set(key, sent + text);
    this.#voice.sayThought(apart + text);
  }

  #snapshotReasoning(slot: Slot, kind: 'summary' | 'text', index: number, text: string | undefined): void {
    this.#addReasoning(slot, kind, index, missingOf(slot, `${kind}:${index}`, text));
  }

  #snapshotThought(slot: Slot, item: JsonObject): void {
    for (const [index, part] of (arrayAt(item, 'summary') ?? []).entries()) {
      this.#snapshotReasoning(slot, 'summary', index, stringAt(part, 'text'));
    }
    for (const [index, part] of (arrayAt(item, 'content') ?? []).entries()) {
      this.#snapshotReasoning(slot, 'text', index, stringAt(part, 'text'));
    }
  }

  #callOf(slot: Slot, custom: boolean): ChatCall {
    slot.call ??= newChatCall(custom);
    return slot.call;
  }

  #addArguments(call: ChatCall, text: string): void {
    call.text += text;
    this.#flushCall(call);
  }

  #snapshotArguments(call: ChatCall, text: string | undefined): void {
    if (text !== undefined) snapshotCall(call, text);
    this.#flushCall(call);
  }

  /** A finished function call without arguments is an empty object: clients parse what they get. */
  #closeArguments(call: ChatCall): void {
    if (!call.custom && call.text === '') call.text = '{}';
    this.#flushCall(call);
  }

  #flushCall(call: ChatCall): void {
    if (call.name === null) return;
    if (this.#plan.legacyFunctions && call.index === null && this.#callCount > 0) return;
    if (call.index === null) {
      this.#voice.begin(null);
      this.#voice.sayMark(this.#calls.head(call, this.#callCount));
      call.index = this.#callCount;
      this.#callCount += 1;
      this.#seen.meaningful = true;
    }
    if (call.sent === call.text.length) return;
    const text = call.text.slice(call.sent);
    call.sent = call.text.length;
    this.#voice.sayOutput(this.#calls.tail(call, text), text.length);
  }

  #addAnnotation(slot: Slot, index: number, annotation: JsonValue | undefined): void {
    slot.annotations.set(index, (slot.annotations.get(index) ?? 0) + 1);
    if (!isJsonObject(annotation) || annotation.type !== 'url_citation') return;
    const start = slot.partStarts.get(index) ?? 0;
    const citation: JsonObject = {
      url: annotation.url ?? '',
      title: annotation.title ?? '',
      start_index: start + (numberAt(annotation, 'start_index') ?? 0),
      end_index: start + (numberAt(annotation, 'end_index') ?? 0),
    };
    this.#voice.sayMark({ annotations: [{ type: 'url_citation', url_citation: citation }] });
  }

  #addImage(slot: Slot, item: JsonObject): void {
    const result = stringAt(item, 'result');
    if (slot.imageSent || !result) return;
    slot.imageSent = true;
    const format = stringAt(item, 'output_format') ?? 'png';
    this.#seen.meaningful = true;
    this.#voice.sayMark({ images: [{ type: 'image_url', image_url: { url: `data:image/${format};base64,${result}` } }] });
  }
}

function partIndex(event: JsonObject): number {
  return numberAt(event, 'content_index') ?? 0;
}

function summaryIndex(event: JsonObject): number {
  return numberAt(event, 'summary_index') ?? 0;
}

/** What a snapshot has beyond the text already sent; nothing when it contradicts it. */
function missingOf(slot: Slot, key: string, snapshot: string | undefined): string {
  const sent = slot.sent.get(key) ?? '';
  if (snapshot === undefined || snapshot.length <= sent.length || !snapshot.startsWith(sent)) return '';
  return snapshot.slice(sent.length);
}

/** A cut answer is `length` also when it was cut inside a call: a client must not run half a call. */
function incompleteReason(reason: string | undefined): string {
  if (reason === 'max_output_tokens' || reason === 'max_tokens') return 'length';
  return reason === 'content_filter' ? 'content_filter' : 'stop';
}
