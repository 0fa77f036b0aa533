import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { fileDataUrl, tidyDataUrl } from './data-url.ts';
import { refuseContent, refuseMissing, refuseType, refuseValue, requireObject } from './refuse-request.ts';
import type { Translation } from './translation.ts';

/** What stands in a tool message for an image that only a user message can carry. */
export const OMITTED_IMAGE = '[image omitted]';

/** A Responses message's content for chat: plain text wherever it is only text, since many local servers take no parts. */
export function chatContent(content: JsonValue | undefined, at: string, translation: Translation): string | JsonObject[] {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) refuseType(at, 'a string or an array of parts');
  const parts = content.map((part, index) => chatPart(part, `${at}[${index}]`, translation));
  const texts = parts.map((part) => (part['type'] === 'text' ? stringAt(part, 'text') : undefined));
  return texts.every((text) => text !== undefined) ? texts.join('') : parts;
}

/** An assistant's own words; anything but text has no place in a chat history and is left out. */
export function assistantText(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => plainText(part) ?? '').join('');
}

/** A tool's answer: its text for the tool message, and the images that must follow in a user message. */
export interface ToolAnswer {
  readonly text: string;
  readonly images: readonly JsonObject[];
}

/** Splits a tool's output into what a chat tool message can carry and what it cannot. */
export function toolAnswer(output: JsonValue | undefined, at: string, translation: Translation): ToolAnswer {
  if (output === undefined || output === null) return { text: '', images: [] };
  if (typeof output === 'string') return { text: output, images: [] };
  if (!Array.isArray(output)) return { text: JSON.stringify(output), images: [] };
  const images: JsonObject[] = [];
  const texts = output.map((part, index) => {
    const text = plainText(part);
    if (text !== undefined) return text;
    // A shell's chunks and other structured answers are told as they are.
    if (!isMedia(part)) return JSON.stringify(part);
    images.push(chatPart(part, `${at}[${index}]`, translation));
    return stringAt(part, 'type') === 'input_image' ? OMITTED_IMAGE : '[file omitted]';
  });
  return { text: texts.join(''), images };
}

function isMedia(part: JsonValue): boolean {
  const type = stringAt(part, 'type');
  return type === 'input_image' || type === 'image_url' || type === 'input_file' || type === 'file' || type === 'input_audio';
}

function plainText(part: JsonValue): string | undefined {
  if (typeof part === 'string') return part;
  switch (stringAt(part, 'type')) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return stringAt(part, 'text');
    case 'refusal':
      return stringAt(part, 'refusal');
    default:
      return undefined;
  }
}

function chatPart(value: JsonValue, at: string, translation: Translation): JsonObject {
  const text = plainText(value);
  if (text !== undefined) return { type: 'text', text };
  const part = requireObject(value, at);
  switch (part['type']) {
    case 'input_image':
    case 'image_url':
      return chatImage(part, at);
    case 'input_file':
    case 'file':
      return chatFile(objectAt(part, 'file') ?? part, at, translation);
    case 'input_audio':
      return { type: 'input_audio', input_audio: requireObject(part['input_audio'], `${at}.input_audio`) };
    default:
      refuseContent(at, stringAt(part, 'type') ?? 'unknown');
  }
}

function chatImage(part: JsonObject, at: string): JsonObject {
  const image = part['image_url'];
  const url = isJsonObject(image) ? stringAt(image, 'url') : image;
  if (typeof part['file_id'] === 'string') refuseValue(`${at}.file_id`, 'a chat upstream takes images as URLs or data URLs only.');
  if (typeof url !== 'string' || url === '') refuseMissing(`${at}.image_url`);
  const detail = stringAt(part, 'detail') ?? stringAt(image, 'detail');
  return {
    type: 'image_url',
    image_url: { url: tidyDataUrl(url), ...(detail !== undefined && { detail: detail === 'original' ? 'high' : detail }) },
  };
}

/** DeepSeek's and Google's references for their chat endpoints name no file parts (2026); the rest are asked. */
function chatFile(file: JsonObject, at: string, { target }: Translation): JsonObject {
  if (target.dialect === 'deepseek' || target.dialect === 'gemini') refuseContent(at, 'input_file');
  const filename = stringAt(file, 'filename');
  const fileData = stringAt(file, 'file_data');
  const fileId = stringAt(file, 'file_id');
  if (fileData === undefined && fileId === undefined) {
    if (typeof file['file_url'] === 'string') refuseValue(`${at}.file_url`, 'a chat upstream takes files as data only.');
    refuseMissing(`${at}.file_data`);
  }
  return {
    type: 'file',
    file: {
      ...(filename !== undefined && { filename }),
      ...(fileData !== undefined && { file_data: fileDataUrl(fileData, filename) }),
      ...(fileId !== undefined && { file_id: fileId }),
    },
  };
}
