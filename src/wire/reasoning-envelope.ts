import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';

const MARK = 'relay1.';

/**
 * What a chat upstream said while it thought and wants back next turn. A Responses client has one place that it
 * returns unread, `encrypted_content`; there it travels, sealed (not encrypted: the client has seen it all).
 */
export interface ReasoningEnvelope {
  readonly reasoningContent: string | null;
  /** OpenRouter's `reasoning_details`, as told. */
  readonly reasoningDetails: readonly JsonValue[];
  /** Gemini's `extra_content.google.thought_signature`, by call id. */
  readonly thoughtSignatures: Readonly<Record<string, string>>;
}

/** The envelope as a value for `encrypted_content`: `relay1.` and base64url of its JSON; what is empty is left out. */
export function sealReasoning({ reasoningContent, reasoningDetails, thoughtSignatures }: ReasoningEnvelope): string {
  const body = {
    ...(reasoningContent !== null && { reasoning_content: reasoningContent }),
    ...(reasoningDetails.length > 0 && { reasoning_details: reasoningDetails }),
    ...(Object.keys(thoughtSignatures).length > 0 && { thought_signature: thoughtSignatures }),
  };
  return MARK + toBase64Url(JSON.stringify(body));
}

/** Reads an `encrypted_content` that Relay sealed; undefined for an upstream's own ciphertext and for anything broken. */
export function openReasoning(encryptedContent: string | undefined): ReasoningEnvelope | undefined {
  if (encryptedContent === undefined || !isRelayReasoning(encryptedContent)) return undefined;
  const body = parseJsonObject(fromBase64Url(encryptedContent.slice(MARK.length)) ?? '');
  if (!body) return undefined;
  return {
    reasoningContent: stringAt(body, 'reasoning_content') ?? null,
    reasoningDetails: arrayAt(body, 'reasoning_details') ?? [],
    thoughtSignatures: stringMembers(objectAt(body, 'thought_signature') ?? {}),
  };
}

/** True for an `encrypted_content` that only Relay can read: no Responses upstream may be sent it. */
export function isRelayReasoning(encryptedContent: string): boolean {
  return encryptedContent.startsWith(MARK);
}

function stringMembers(members: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function toBase64Url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; start += 0x6000) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(start, start + 0x6000))));
  }
  return pieces.join('').replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text: string): string | undefined {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
  } catch {
    return undefined;
  }
}
