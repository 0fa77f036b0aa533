import type { JsonObject, JsonValue } from '../core/json.ts';
import { sealReasoning } from './reasoning-envelope.ts';

/** Sends one event of a Responses stream; the sequence number is added behind. */
export type EmitEvent = (type: string, fields: JsonObject) => void;

/** How an item stands when it is closed. */
export type ItemStatus = 'completed' | 'incomplete';

/** Where an item lives in the answer. */
export interface ItemPlace {
  readonly id: string;
  readonly outputIndex: number;
}

/**
 * A reasoning item as it is told. Its text goes out as summary: Codex shows summaries and sends back nothing else of a
 * reasoning item but them and `encrypted_content`, where the upstream's own words travel sealed.
 */
export class ReasoningItem {
  readonly #place: ItemPlace;
  readonly #emit: EmitEvent;
  readonly #details: JsonValue[] = [];
  #text = '';

  constructor(place: ItemPlace, emit: EmitEvent) {
    this.#place = place;
    this.#emit = emit;
    emit('response.output_item.added', { output_index: place.outputIndex, item: { type: 'reasoning', id: place.id, summary: [] } });
  }

  addText(text: string): void {
    if (this.#text === '') this.#emit('response.reasoning_summary_part.added', this.#part('', 'part'));
    this.#text += text;
    this.#emit('response.reasoning_summary_text.delta', { ...this.#at(), delta: text });
  }

  addDetails(details: readonly JsonValue[]): void {
    this.#details.push(...details);
  }

  /** Ends the item and gives it whole. `thoughtSignatures` are those known by now. */
  close(thoughtSignatures: Readonly<Record<string, string>>): JsonObject {
    if (this.#text !== '') {
      this.#emit('response.reasoning_summary_text.done', { ...this.#at(), text: this.#text });
      this.#emit('response.reasoning_summary_part.done', this.#part(this.#text, 'part'));
    }
    const item: JsonObject = {
      type: 'reasoning',
      id: this.#place.id,
      summary: this.#text === '' ? [] : [{ type: 'summary_text', text: this.#text }],
      encrypted_content: sealReasoning({ reasoningContent: this.#text || null, reasoningDetails: this.#details, thoughtSignatures }),
    };
    this.#emit('response.output_item.done', { output_index: this.#place.outputIndex, item });
    return item;
  }

  #at(): JsonObject {
    return { item_id: this.#place.id, output_index: this.#place.outputIndex, summary_index: 0 };
  }

  #part(text: string, key: string): JsonObject {
    return { ...this.#at(), [key]: { type: 'summary_text', text } };
  }
}

const IMAGE_DATA = /^data:image\/([\w.+-]+);base64,/;

/** A data URL as the item a Responses client finds a generated image in; null for any other address, whose bytes are not here. */
export function imageItem(url: string): JsonObject | null {
  const [prefix, format] = IMAGE_DATA.exec(url) ?? [];
  if (prefix === undefined || format === undefined) return null;
  return { type: 'image_generation_call', status: 'completed', output_format: format, result: url.slice(prefix.length) };
}

type Part =
  | { readonly type: 'output_text'; text: string; readonly annotations: JsonValue[]; readonly logprobs: JsonValue[] }
  | { readonly type: 'refusal'; text: string };

/** An assistant message as it is told: parts one after the other, text and refusal apart. */
export class MessageItem {
  readonly #place: ItemPlace;
  readonly #emit: EmitEvent;
  readonly #parts: Part[] = [];

  constructor(place: ItemPlace, emit: EmitEvent) {
    this.#place = place;
    this.#emit = emit;
    const item = { type: 'message', id: place.id, status: 'in_progress', role: 'assistant', content: [] };
    emit('response.output_item.added', { output_index: place.outputIndex, item });
  }

  addText(text: string, logprobs: readonly JsonValue[]): void {
    const part = this.#openPart('output_text');
    part.text += text;
    if (part.type === 'output_text') part.logprobs.push(...logprobs);
    this.#emit('response.output_text.delta', { ...this.#at(), delta: text, logprobs: [...logprobs] });
  }

  addRefusal(refusal: string): void {
    this.#openPart('refusal').text += refusal;
    this.#emit('response.refusal.delta', { ...this.#at(), delta: refusal });
  }

  addAnnotation(annotation: JsonObject): void {
    const part = this.#openPart('output_text');
    if (part.type !== 'output_text') return;
    this.#emit('response.output_text.annotation.added', { ...this.#at(), annotation_index: part.annotations.length, annotation });
    part.annotations.push(annotation);
  }

  /** Ends the item and gives it whole. One without any part gets an empty text. */
  close(status: ItemStatus): JsonObject {
    if (this.#parts.length === 0) this.#openPart('output_text');
    this.#closePart();
    const item: JsonObject = {
      type: 'message', id: this.#place.id, status, role: 'assistant', content: this.#parts.map(partContent),
    };
    this.#emit('response.output_item.done', { output_index: this.#place.outputIndex, item });
    return item;
  }

  #openPart(type: Part['type']): Part {
    const current = this.#parts.at(-1);
    if (current?.type === type) return current;
    if (current) this.#closePart();
    const part: Part = type === 'refusal' ? { type, text: '' } : { type, text: '', annotations: [], logprobs: [] };
    this.#parts.push(part);
    this.#emit('response.content_part.added', { ...this.#at(), part: partContent(part) });
    return part;
  }

  #closePart(): void {
    const part = this.#parts.at(-1);
    if (!part) return;
    if (part.type === 'refusal') this.#emit('response.refusal.done', { ...this.#at(), refusal: part.text });
    else this.#emit('response.output_text.done', { ...this.#at(), text: part.text, logprobs: [...part.logprobs] });
    this.#emit('response.content_part.done', { ...this.#at(), part: partContent(part) });
  }

  #at(): JsonObject {
    return { item_id: this.#place.id, output_index: this.#place.outputIndex, content_index: Math.max(0, this.#parts.length - 1) };
  }
}

function partContent(part: Part): JsonObject {
  if (part.type === 'refusal') return { type: 'refusal', refusal: part.text };
  return { type: 'output_text', text: part.text, annotations: [...part.annotations], logprobs: [...part.logprobs] };
}
