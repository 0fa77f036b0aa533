import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { fileDataUrl, tidyDataUrl } from './data-url.ts';
import { refuseContent, refuseType, refuseValue, requireObject, requireString } from './refuse-request.ts';
import type { RequestNotes } from './request-notes.ts';

/** A Messages content as its blocks: text is one block, and what is missing is none. */
export function blocksOf(content: JsonValue | undefined, at: string): readonly JsonObject[] {
  if (content === undefined || content === null) return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) refuseType(at, 'a string or an array of blocks');
  return content.map((block, index) => requireObject(block, `${at}[${index}]`));
}

/** What a person or a tool showed, as Responses input parts. Empty text says nothing and is left out. */
export function blockToParts(block: JsonObject, at: string, notes: RequestNotes): JsonObject[] {
  const type = stringAt(block, 'type') ?? '';
  switch (type) {
    case 'text':
      return textPart(requireText(block, at));
    case 'image':
      return [imagePart(requireObject(block['source'], `${at}.source`), `${at}.source`)];
    case 'document':
      return documentParts(block, at, notes);
    case 'search_result':
      return textPart([stringAt(block, 'title'), stringAt(block, 'source'), ...textsIn(block['content'])].filter(isSaid).join('\n'));
    case 'tool_reference':
      return textPart(`The tool ${stringAt(block, 'tool_name') ?? ''} is loaded and can be called now.`);
    case 'container_upload':
      return refuseContent(at, type);
    default:
      notes.drop(`content:${type.slice(0, 64)}`, `${at}.type`);
      return [];
  }
}

/** A tool's result as the output of its call: plain text where it is only text, else a list of parts. */
export function resultOutput(block: JsonObject, at: string, notes: RequestNotes): string | JsonObject[] {
  const within = `${at}.content`;
  const parts = blocksOf(block['content'], within).flatMap((inner, index) => blockToParts(inner, `${within}[${index}]`, notes));
  const texts = parts.map((part) => stringAt(part, 'text'));
  const failed = block['is_error'] === true;
  if (!texts.every((text) => text !== undefined)) return failed ? [{ type: 'input_text', text: 'Error:' }, ...parts] : parts;
  const text = texts.join('\n');
  // No output of a call can say that it failed but its own words.
  return failed && !/error/i.test(text.slice(0, 200)) ? `Error: ${text}` : text;
}

function textPart(text: string): JsonObject[] {
  return text === '' ? [] : [{ type: 'input_text', text }];
}

function requireText(block: JsonObject, at: string): string {
  const { text } = block;
  if (typeof text !== 'string') refuseType(`${at}.text`, 'a string');
  return text;
}

function imagePart(source: JsonObject, at: string): JsonObject {
  return { type: 'input_image', image_url: sourceUrl(source, at), detail: 'auto' };
}

/** A base64 or url source as one URL. Files are known only to the API they were uploaded to. */
function sourceUrl(source: JsonObject, at: string): string {
  switch (source['type']) {
    case 'base64':
      return base64Url(requireString(source['media_type'], `${at}.media_type`), requireString(source['data'], `${at}.data`));
    case 'url':
      return requireString(source['url'], `${at}.url`);
    case 'file':
      refuseValue(`${at}.type`, 'a file id is known only to the account it was uploaded to; send the file\'s data instead.');
    // falls through
    default:
      refuseValue(`${at}.type`, 'it must be "base64" or "url".');
  }
}

function base64Url(mediaType: string, data: string): string {
  return tidyDataUrl(`data:${mediaType};base64,${data}`);
}

function documentParts(block: JsonObject, at: string, notes: RequestNotes): JsonObject[] {
  const source = requireObject(block['source'], `${at}.source`);
  const title = stringAt(block, 'title');
  const heading = textPart([title, stringAt(block, 'context')].filter(isSaid).join('\n'));
  switch (source['type']) {
    case 'text':
      return [...heading, ...textPart(requireString(source['data'], `${at}.source.data`))];
    case 'content':
      return [...heading, ...blocksOf(source['content'], `${at}.source.content`)
        .flatMap((inner, index) => blockToParts(inner, `${at}.source.content[${index}]`, notes))];
    case 'url':
      return [...heading, { type: 'input_file', file_url: requireString(source['url'], `${at}.source.url`) }];
    default: {
      const url = sourceUrl(source, `${at}.source`);
      const filename = fileName(title, url);
      return [...textPart(stringAt(block, 'context') ?? ''), { type: 'input_file', filename, file_data: fileDataUrl(url, filename) }];
    }
  }
}

function fileName(title: string | undefined, url: string): string {
  const extension = url.startsWith('data:application/pdf') ? '.pdf' : '.txt';
  const name = (title ?? 'document').replaceAll(/[^\p{L}\p{N} ._-]/gu, '_').slice(0, 100);
  return name.toLowerCase().endsWith(extension) ? name : name + extension;
}

function textsIn(content: JsonValue | undefined): readonly string[] {
  if (typeof content === 'string') return [content];
  return (Array.isArray(content) ? content : []).map((block) => stringAt(block, 'text')).filter((text) => text !== undefined);
}

function isSaid(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

/** Names of tools that a tool search of the client's own has found: their definitions are wanted from then on. */
export function referencedTools(messages: readonly JsonValue[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const message of messages) {
    for (const block of arrayAt(message, 'content') ?? []) {
      for (const inner of [block, ...(arrayAt(block, 'content') ?? [])]) {
        const name = isJsonObject(inner) && inner['type'] === 'tool_reference' ? stringAt(inner, 'tool_name') : undefined;
        if (name !== undefined) names.add(name);
      }
      for (const reference of arrayAt(objectAt(block, 'content'), 'tool_references') ?? []) {
        const name = stringAt(reference, 'tool_name');
        if (name !== undefined) names.add(name);
      }
    }
  }
  return names;
}
