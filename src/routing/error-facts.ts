import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { Refusal } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';

/** What an upstream's error says, whatever shape it came in. Words as told; null where nothing was told. */
export interface ErrorFacts {
  readonly status: number | null;
  /** Lower-cased machine word. */
  readonly code: string | null;
  /** Lower-cased `type`; Google's `status` word where that is what there is. */
  readonly type: string | null;
  readonly message: string;
  readonly param: string | null;
  readonly planType: string | null;
  /** `json`: an object was read. `page`: HTML or a challenge. `text`: anything else. `empty`: nothing. */
  readonly form: 'json' | 'page' | 'text' | 'empty';
  readonly headers: Headers;
  /** The object the members stand in; empty when there is none. */
  readonly error: JsonObject;
}

/**
 * Reads the error out of a refusal: `{"error":{…}}`, `{"error":"…"}`, `{"detail":…}`, `{"message":…}`, a list of one,
 * `response.failed`, the base64 `x-error-json` header (ChatGPT backend, observed 2026-11), HTML, text or nothing.
 * Never throws.
 */
export function readErrorFacts(refusal: Pick<Refusal, 'status' | 'headers' | 'body'>): ErrorFacts {
  const { status, headers, body } = refusal;
  const fromHeader = readErrorHeader(headers);
  const object = readObject(body);
  const form = object !== undefined ? 'json' : formOf(headers, body);
  const facts = factsOf(object ?? {}, headers);
  const told = fromHeader === undefined ? undefined : factsOf(fromHeader, headers);
  return {
    status,
    code: facts.code ?? told?.code ?? null,
    type: facts.type ?? told?.type ?? null,
    message: facts.message !== '' ? facts.message : (told?.message ?? '') || (form === 'text' ? body.trim() : ''),
    param: facts.param,
    planType: facts.planType,
    form: form === 'empty' && told !== undefined ? 'json' : form,
    headers,
    error: facts.error,
  };
}

/** Members of an error object, wherever it is nested. */
export function factsOf(body: JsonObject, headers: Headers): Omit<ErrorFacts, 'status' | 'form'> {
  const error = objectAt(body, 'error') ?? objectAt(objectAt(body, 'response'), 'error') ?? objectAt(body, 'detail') ?? body;
  const message = stringAt(error, 'message') ?? stringAt(error, 'error_description') ?? stringAt(error, 'error') ?? detailText(error);
  const refused = /^Unsupported parameter: ['"`]?([\w.]{1,80})/.exec(message)?.[1];
  const inner = objectAt(error, 'innererror') ?? objectAt(error, 'inner_error');
  return {
    code: word(stringAt(inner, 'code') ?? codeOf(error)) ?? (refused === undefined ? null : 'unsupported_parameter'),
    type: word(stringAt(error, 'type') ?? stringAt(error, 'status')),
    message,
    param: stringAt(error, 'param') ?? refused ?? null,
    planType: stringAt(error, 'plan_type') ?? headers['x-codex-plan-type'] ?? null,
    headers,
    error,
  };
}

/** A code that is only the status again (Gemini, vLLM, Azure) says nothing. */
function codeOf(error: JsonObject): string | undefined {
  const code = stringAt(error, 'code');
  if (code !== undefined && !/^\d*$/.test(code)) return code;
  const bare = stringAt(error, 'error');
  return bare !== undefined && /^[a-z][a-z0-9_]{2,60}$/.test(bare) ? bare : undefined;
}

/** `DeploymentNotFound` and `RESOURCE_EXHAUSTED` become snake case, so that one table serves all vendors. */
function word(text: string | undefined): string | null {
  if (text === undefined || text.trim() === '') return null;
  const split = text.trim().slice(0, 80).replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2');
  return split.toLowerCase().replaceAll(/[\s-]+/g, '_');
}

/** FastAPI's `detail`: a text, or a list of `{loc, msg}`. */
function detailText(error: JsonObject): string {
  const detail = error['detail'];
  if (typeof detail === 'string') return detail;
  const messages = (arrayAt(error, 'detail') ?? []).flatMap((entry: JsonValue) => stringAt(entry, 'msg') ?? []);
  return messages.join('; ');
}

function readObject(body: string): JsonObject | undefined {
  const object = parseJsonObject(body);
  if (object !== undefined || !body.trimStart().startsWith('[')) return object;
  // Gemini answers some errors with a list of one.
  const first = arrayAt(parseJsonObject(`{"list":${body}}`), 'list')?.[0];
  return isJsonObject(first) ? first : undefined;
}

function formOf(headers: Headers, body: string): 'page' | 'text' | 'empty' {
  if (headers['cf-mitigated'] !== undefined) return 'page';
  if (/^\s*(?:<!--[^>]{0,200}-->\s*)?<(?:!doctype html|html|head|body)\b/i.test(body.slice(0, 1_000))) return 'page';
  if (body.trim() === '') return 'empty';
  return /\b(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? '') ? 'page' : 'text';
}

function readErrorHeader(headers: Headers): JsonObject | undefined {
  const encoded = headers['x-error-json'];
  if (encoded === undefined || encoded.length > 8_192) return undefined;
  try {
    return parseJsonObject(new TextDecoder().decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))));
  } catch {
    return parseJsonObject(encoded);
  }
}
