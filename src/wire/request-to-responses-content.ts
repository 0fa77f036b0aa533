import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, stringAt } from '../core/json.ts';
import { fileDataUrl, tidyDataUrl } from './data-url.ts';
import { refuseContent, refuseMissing, refuseType, refuseValue, requireObject } from './refuse-request.ts';
import type { Translation } from './translation.ts';

/** A chat message's content as Responses input parts. `at` names the content, e.g. `messages[0].content`. */
export function inputParts(content: JsonValue | undefined, at: string, translation: Translation): JsonObject[] {
  if (content === undefined || content === null) return [{ type: 'input_text', text: '' }];
  if (typeof content === 'string') return [{ type: 'input_text', text: content }];
  if (!Array.isArray(content)) refuseType(at, 'a string or an array of parts');
  if (content.length === 0) return [{ type: 'input_text', text: '' }];
  return content.map((part, index) => inputPart(part, `${at}[${index}]`, translation));
}

/** An assistant's text and refusal as Responses output parts; empty when it said nothing. */
export function outputParts(message: JsonObject, at: string): JsonObject[] {
  const { content } = message;
  const refusal = stringAt(message, 'refusal');
  const tail: JsonObject[] = refusal ? [{ type: 'refusal', refusal }] : [];
  if (content === undefined || content === null) return tail;
  if (typeof content === 'string') return content === '' ? tail : [{ type: 'output_text', text: content }, ...tail];
  if (!Array.isArray(content)) refuseType(`${at}.content`, 'a string or an array of parts');
  return [...content.flatMap((part, index) => outputPart(part, `${at}.content[${index}]`)), ...tail];
}

/** A tool's answer: a string stays one, text parts are joined, anything with an image or a file stays a list. */
export function toolOutput(content: JsonValue | undefined, at: string, translation: Translation): string | JsonObject[] {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return JSON.stringify(content);
  const texts = content.map(plainText);
  if (texts.every((text) => text !== undefined)) return texts.join('');
  return content.map((part, index) => inputPart(part, `${at}[${index}]`, translation));
}

function plainText(part: JsonValue): string | undefined {
  if (typeof part === 'string') return part;
  const type = stringAt(part, 'type');
  return type === 'text' || type === 'input_text' || type === 'output_text' ? stringAt(part, 'text') : undefined;
}

/** Some clients keep another vendor's thinking as a part: nothing a Responses upstream could verify, so it stays behind. */
const THINKING = ['thinking', 'redacted_thinking', 'reasoning'];

function outputPart(value: JsonValue, at: string): JsonObject[] {
  const text = plainText(value);
  if (text !== undefined) return [{ type: 'output_text', text }];
  const part = requireObject(value, at);
  if (THINKING.includes(stringAt(part, 'type') ?? '')) return [];
  const refusal = stringAt(part, 'refusal');
  if (part['type'] === 'refusal' && refusal !== undefined) return [{ type: 'refusal', refusal }];
  refuseContent(at, stringAt(part, 'type') ?? 'unknown');
}

function inputPart(value: JsonValue, at: string, translation: Translation): JsonObject {
  const text = plainText(value);
  if (typeof value === 'string') return { type: 'input_text', text: value };
  const part = requireObject(value, at);
  if (text !== undefined) return withBreakpoint({ type: 'input_text', text }, part, at, translation);
  switch (part['type']) {
    case 'image_url':
      return withBreakpoint(chatImage(part['image_url'], at), part, at, translation);
    case 'file':
      return withBreakpoint(chatFile(requireObject(part['file'], `${at}.file`), `${at}.file`, translation), part, at, translation);
    case 'input_image':
    case 'input_file':
      refuseForeignFile(part, at, translation);
      return withBreakpoint(withoutBreakpoint(part), part, at, translation);
    default:
      refuseContent(at, stringAt(part, 'type') ?? 'unknown');
  }
}

function chatImage(image: JsonValue | undefined, at: string): JsonObject {
  const url = typeof image === 'string' ? image : stringAt(image, 'url');
  if (url === undefined || url === '') refuseMissing(`${at}.image_url.url`);
  return { type: 'input_image', image_url: tidyDataUrl(url), detail: stringAt(image, 'detail') ?? 'auto' };
}

function chatFile(file: JsonObject, at: string, translation: Translation): JsonObject {
  refuseForeignFile(file, at, translation);
  const filename = stringAt(file, 'filename');
  const fileData = stringAt(file, 'file_data');
  const fileId = stringAt(file, 'file_id');
  const fileUrl = stringAt(file, 'file_url');
  if (fileData === undefined && fileId === undefined && fileUrl === undefined) refuseMissing(`${at}.file_data`);
  return {
    type: 'input_file',
    ...(fileId !== undefined && { file_id: fileId }),
    ...(filename !== undefined && { filename }),
    ...(fileData !== undefined && { file_data: fileDataUrl(fileData, filename) }),
    ...(fileUrl !== undefined && { file_url: fileUrl }),
  };
}

/** A file id belongs to the account it was uploaded to; no upload to a ChatGPT account goes through Relay. */
export function refuseForeignFile(part: JsonObject, at: string, { target }: Pick<Translation, 'target'>): void {
  if (target.dialect !== 'codex' || typeof part['file_id'] !== 'string') return;
  refuseValue(`${at}.file_id`, 'a file id is known only to the account it was uploaded to; send the file\'s data instead.');
}

function withBreakpoint(made: JsonObject, part: JsonObject, at: string, { target, notes }: Translation): JsonObject {
  const breakpoint = part['prompt_cache_breakpoint'];
  if (!isJsonObject(breakpoint) && typeof breakpoint !== 'string') return made;
  if (target.dialect === 'openai') return { ...made, prompt_cache_breakpoint: breakpoint };
  notes.drop('prompt_cache_breakpoint', `${at}.prompt_cache_breakpoint`);
  return made;
}

function withoutBreakpoint(part: JsonObject): JsonObject {
  const { prompt_cache_breakpoint: _, ...rest } = part;
  return rest;
}

/** The text a message begins with, for a stable key; empty when it has none. */
export function leadingText(message: JsonValue): string {
  const content = isJsonObject(message) ? message['content'] : undefined;
  if (typeof content === 'string') return content;
  const first = Array.isArray(content) ? content[0] : undefined;
  return stringAt(first, 'text') ?? '';
}
