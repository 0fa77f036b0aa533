import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, objectAt, stringAt } from '../core/json.ts';

/** ASCII characters that make about one token in English prose and code; other scripts take more tokens for fewer characters. */
const ASCII_PER_TOKEN = 4;
const OTHERS_PER_TOKEN = 1.5;
/** A large image's worth: vendors scale larger ones down to it (Anthropic's vision guide, 2026). */
const IMAGE_TOKENS = 1_600;
/** Base64 characters of a PDF that make about one token: a page of 50 KB is some 2,000. */
const FILE_CHARACTERS_PER_TOKEN = 33;
/** What frames a message or a member of a schema. */
const FRAME_TOKENS = 1;
/** Nothing real is nested deeper; what is, is not counted. */
const DEEPEST = 64;
/** Said about a block and not to the model. */
const UNTOLD = new Set(['signature', 'type', 'media_type', 'id', 'tool_use_id']);

/**
 * How many tokens a Messages request's input has, near enough to tell when a conversation is about to be too long: no
 * upstream's own tokenizer is asked.
 */
export function estimateInputTokens(body: JsonObject): number {
  const told = [body['system'], body['messages'], body['tools']];
  return Math.max(1, Math.ceil(told.reduce<number>((sum, part) => sum + tokensOf(part, 0), 0)));
}

/** Tokens of an answer's text, by the same measure. */
export function estimateOutputTokens(characters: number): number {
  return Math.ceil(characters / ASCII_PER_TOKEN);
}

function tokensOf(value: JsonValue | undefined, depth: number): number {
  if (typeof value === 'string') return textTokens(value);
  if (value === null || value === undefined || depth > DEEPEST) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + tokensOf(element, depth + 1), 0);
  if (!isJsonObject(value)) return 1;
  const source = objectAt(value, 'source');
  if (value['type'] === 'image') return IMAGE_TOKENS;
  if (value['type'] === 'redacted_thinking') return 0;
  const isFile = value['type'] === 'document' && source?.['type'] === 'base64';
  if (isFile) return (stringAt(source, 'data')?.length ?? 0) / FILE_CHARACTERS_PER_TOKEN;
  return Object.entries(value).reduce(
    (sum, [key, member]) => sum + (isUntold(key, member) ? 0 : textTokens(key) + tokensOf(member, depth + 1)),
    FRAME_TOKENS,
  );
}

function textTokens(text: string): number {
  let ascii = 0;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) < 128) ascii += 1;
  return ascii / ASCII_PER_TOKEN + (text.length - ascii) / OTHERS_PER_TOKEN;
}

function isUntold(key: string, member: JsonValue | undefined): boolean {
  return key === 'cache_control' || (UNTOLD.has(key) && typeof member === 'string');
}
