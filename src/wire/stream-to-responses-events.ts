import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import { failedResponse } from './error-frame.ts';
import type { PassageDeps, Seen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { sealReasoning } from './reasoning-envelope.ts';
import { endedInError, noteFailure, readChatFailure } from './stream-failure.ts';
import { clientCallId } from './stream-names.ts';
import { noteCompletion, terminalOfFinish } from './stream-seen.ts';
import { CallItems } from './stream-to-responses-calls.ts';
import type { ItemStatus } from './stream-to-responses-items.ts';
import { MessageItem, ReasoningItem, imageItem } from './stream-to-responses-items.ts';
import { newResponse } from './whole-response.ts';
import { usageToResponses } from './whole-usage.ts';

/** An event of a Responses stream. */
export type ResponsesEvent = JsonObject & { readonly type: string };

/**
 * Tells a Chat Completions stream as Responses events. Knows no framing: the stream writes the events, the fold takes the
 * terminal response alone. `seen.terminal` says when it is over; the terminal event itself is asked for with `terminal`.
 */
export class ResponseEvents {
  readonly #plan: AnswerPlan;
  readonly #deps: PassageDeps;
  readonly #seen: Seen;
  readonly #sink: (event: ResponsesEvent) => void;
  readonly #calls: CallItems;
  readonly #output: JsonObject[] = [];
  #sequence = 0;
  #places = 0;
  #response: JsonObject | null = null;
  #created: number | undefined;
  #reasoning: { readonly item: ReasoningItem; readonly place: number } | null = null;
  #message: { readonly item: MessageItem; readonly place: number } | null = null;
  #lateDetails: JsonValue[] = [];
  #finish: string | null = null;

  constructor(plan: AnswerPlan, deps: PassageDeps, seen: Seen, sink: (event: ResponsesEvent) => void) {
    this.#plan = plan;
    this.#deps = deps;
    this.#seen = seen;
    this.#sink = sink;
    this.#calls = new CallItems(plan, deps, this.#emit, this.#takePlace);
  }

  /** Takes one chunk. Chunks without choices only tell usage. */
  take(chunk: JsonObject): void {
    if (this.#seen.terminal !== null) return;
    const failure = readChatFailure(chunk);
    if (failure) return noteFailure(this.#seen, failure);
    this.#created ??= numberAt(chunk, 'created');
    noteCompletion(this.#seen, chunk);
    for (const choice of arrayAt(chunk, 'choices') ?? []) {
      if (isJsonObject(choice) && (numberAt(choice, 'index') ?? 0) === 0) this.#takeChoice(choice);
    }
  }

  /** The upstream said `[DONE]`: the answer is over, with or without a finish reason. */
  done(): void {
    if (this.#seen.terminal !== null) return;
    this.#begin();
    const terminal = terminalOfFinish(this.#finish ?? 'stop');
    if (terminal === 'failed') return noteFailure(this.#seen, endedInError());
    this.#closeItems(terminal);
    this.#seen.terminal = terminal;
    this.#seen.meaningful = true;
  }

  /** The upstream ended its body: fine after a finish reason, else a truncation, and nothing is said. */
  end(): void {
    if (this.#finish !== null) this.done();
  }

  /** The terminal event of an answer that is over. */
  terminal(): ResponsesEvent {
    const response = this.terminalResponse();
    return this.#numbered(`response.${String(response.status)}`, { response });
  }

  /** The finished response. */
  terminalResponse(): JsonObject {
    const incomplete = this.#seen.terminal === 'incomplete';
    const reason = this.#finish === 'content_filter' ? 'content_filter' : 'max_output_tokens';
    return {
      ...this.response(),
      status: incomplete ? 'incomplete' : 'completed',
      completed_at: incomplete ? null : this.#deps.nowSeconds(),
      incomplete_details: incomplete ? { reason } : null,
      output: this.#output.filter(isJsonObject),
      usage: usageToResponses(this.#seen.usage),
      ...(this.#seen.tier !== null && { service_tier: this.#seen.tier }),
    };
  }

  /** The event that ends the answer with an error. */
  failed(error: ErrorBody): ResponsesEvent {
    const output = this.#output.filter(isJsonObject);
    return this.#numbered('response.failed', { response: failedResponse(error, { ...this.response(), output }) });
  }

  /**
   * The output items, for Relay's own store. Thought signatures that came without any reasoning text stand in a sealed
   * reasoning item of their own, which the client does not get.
   */
  items(): readonly JsonObject[] {
    const items = this.#output.filter(isJsonObject);
    const thoughtSignatures = this.#calls.signatures();
    const told = items.some((item) => item.type === 'reasoning');
    const unsaid = Object.keys(thoughtSignatures).length > 0 || this.#lateDetails.length > 0;
    if (told || !unsaid || items.length === 0) return items;
    const sealed = sealReasoning({ reasoningContent: null, reasoningDetails: this.#lateDetails, thoughtSignatures });
    const firstCall = items.findIndex((item) => item.call_id !== undefined);
    const thought = { type: 'reasoning', id: this.#deps.makeId('rs_'), summary: [], encrypted_content: sealed };
    return items.toSpliced(Math.max(0, firstCall), 0, thought);
  }

  /** The response as it stands in `response.created`. */
  response(): JsonObject {
    this.#response ??= newResponse(
      {
        id: this.#deps.makeId('resp_'),
        createdAt: this.#created ?? this.#deps.nowSeconds(),
        model: this.#seen.model ?? this.#deps.model,
        tier: this.#seen.tier,
      },
      this.#plan.echo,
    );
    return this.#response;
  }

  #takeChoice(choice: JsonObject): void {
    this.#begin();
    const delta = objectAt(choice, 'delta');
    if (delta) this.#takeDelta(delta, arrayAt(objectAt(choice, 'logprobs'), 'content') ?? []);
    this.#finish = stringAt(choice, 'finish_reason') || this.#finish;
  }

  #takeDelta(delta: JsonObject, logprobs: readonly JsonValue[]): void {
    this.#takeReasoning(delta);
    const content = textIn(delta.content);
    if (content !== '') {
      this.#count(content.length);
      this.#openMessage().addText(content, logprobs);
    }
    const refusal = stringAt(delta, 'refusal') ?? '';
    if (refusal !== '') {
      this.#count(refusal.length);
      this.#openMessage().addRefusal(refusal);
    }
    for (const annotation of arrayAt(delta, 'annotations') ?? []) this.#takeAnnotation(annotation);
    for (const image of arrayAt(delta, 'images') ?? []) this.#takeImage(image);
    const calls = (arrayAt(delta, 'tool_calls') ?? []).filter(isJsonObject);
    const legacy = objectAt(delta, 'function_call');
    for (const call of legacy ? [...calls, { function: legacy }] : calls) this.#takeCall(call);
  }

  #takeReasoning(delta: JsonObject): void {
    const details = arrayAt(delta, 'reasoning_details') ?? [];
    const plain = stringAt(delta, 'reasoning_content') || stringAt(delta, 'reasoning');
    const text = plain || textOfDetails(details) || thinkingIn(delta.content);
    if (text === '' && this.#reasoning === null) {
      this.#lateDetails.push(...details);
      return;
    }
    if (this.#reasoning === null) {
      this.#closeMessage('completed');
      const place = this.#takePlace();
      this.#reasoning = { item: new ReasoningItem({ id: this.#deps.makeId('rs_'), outputIndex: place }, this.#emit), place };
    }
    this.#reasoning.item.addDetails(details);
    if (text === '') return;
    this.#count(text.length);
    this.#reasoning.item.addText(text);
  }

  #takeCall(call: JsonObject): void {
    // Told first, so that a signature that comes with the call is sealed into the reasoning before it.
    this.#closeMessage('completed');
    const thought = this.#reasoning;
    if (thought) this.#closeReasoningFor(call);
    const characters = this.#calls.take(call);
    if (characters > 0) this.#count(characters);
    this.#seen.meaningful = true;
  }

  #closeReasoningFor(call: JsonObject): void {
    const signature = stringAt(objectAt(objectAt(call, 'extra_content'), 'google'), 'thought_signature');
    const id = stringAt(call, 'id');
    const callId = id === undefined ? undefined : clientCallId(this.#plan, id);
    this.#closeReasoning(signature === undefined || callId === undefined ? {} : { [callId]: signature });
  }

  #takeAnnotation(given: JsonValue): void {
    const citation = objectAt(given, 'url_citation');
    if (!citation) return;
    const { url, title, start_index, end_index } = citation;
    this.#openMessage().addAnnotation({
      type: 'url_citation', url: url ?? '', title: title ?? '', start_index: start_index ?? 0, end_index: end_index ?? 0,
    });
  }

  /** An image inside the answer (OpenRouter's member of deltas and messages). One that is told again counts once. */
  #takeImage(given: JsonValue): void {
    const item = imageItem(stringAt(objectAt(given, 'image_url'), 'url') ?? '');
    if (item === null || this.#output.some((known) => known?.result === item.result)) return;
    this.#closeReasoning({});
    const place = this.#takePlace();
    const image = { ...item, id: this.#deps.makeId('ig_') };
    this.#emit('response.output_item.added', { output_index: place, item: { ...image, status: 'in_progress', result: null } });
    this.#emit('response.image_generation_call.completed', { item_id: image.id, output_index: place });
    this.#emit('response.output_item.done', { output_index: place, item: image });
    this.#output[place] = image;
    this.#seen.meaningful = true;
  }

  #openMessage(): MessageItem {
    this.#closeReasoning({});
    if (this.#message === null) {
      const place = this.#takePlace();
      this.#message = { item: new MessageItem({ id: this.#deps.makeId('msg_'), outputIndex: place }, this.#emit), place };
    }
    return this.#message.item;
  }

  #closeReasoning(thoughtSignatures: Readonly<Record<string, string>>): void {
    if (this.#reasoning === null) return;
    this.#output[this.#reasoning.place] = this.#reasoning.item.close(thoughtSignatures);
    this.#reasoning = null;
  }

  #closeMessage(status: ItemStatus): void {
    if (this.#message === null) return;
    this.#output[this.#message.place] = this.#message.item.close(status);
    this.#message = null;
  }

  #closeItems(status: ItemStatus): void {
    this.#closeReasoning({});
    if (this.#places === 0) this.#openMessage();
    this.#closeMessage(status);
    for (const { outputIndex, item } of this.#calls.close(status)) this.#output[outputIndex] = item;
  }

  #begin(): void {
    if (this.#sequence > 0) return;
    const response = this.response();
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
  }

  #count(characters: number): void {
    this.#seen.meaningful = true;
    this.#seen.outputEvents += 1;
    this.#seen.outputCharacters += characters;
  }

  readonly #takePlace = (): number => {
    this.#places += 1;
    return this.#places - 1;
  };

  readonly #emit = (type: string, fields: JsonObject): void => this.#sink(this.#numbered(type, fields));

  #numbered(type: string, fields: JsonObject): ResponsesEvent {
    this.#sequence += 1;
    return { type, sequence_number: this.#sequence - 1, ...fields };
  }
}

/** Text of `content`: a string, or the text parts of a list (Mistral). */
function textIn(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (stringAt(part, 'type') === 'text' ? (stringAt(part, 'text') ?? '') : '')).join('');
}

/** Mistral's `thinking` parts inside `content`. */
function thinkingIn(content: JsonValue | undefined): string {
  if (!Array.isArray(content)) return '';
  const parts = content.filter((part) => stringAt(part, 'type') === 'thinking');
  return parts.map((part) => stringAt(part, 'thinking') ?? textIn(arrayAt(part, 'thinking'))).join('');
}

/** Readable text of OpenRouter's `reasoning_details`; encrypted ones have none. */
function textOfDetails(details: readonly JsonValue[]): string {
  return details.map((detail) => stringAt(detail, 'text') ?? stringAt(detail, 'summary') ?? '').join('');
}
