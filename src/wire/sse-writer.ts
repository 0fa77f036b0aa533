import type { JsonObject } from '../core/json.ts';

const encoder = new TextEncoder();

/** The line that ends a Chat Completions stream, as one SSE event. */
export const DONE_EVENT: Uint8Array = encoder.encode('data: [DONE]\n\n');

/** UTF-8 bytes of a text. */
export function toBytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** One SSE event without an `event:` line, LF framed: the Chat Completions form. `json` must hold no line break. */
export function writeChatEvent(json: string): Uint8Array {
  return encoder.encode(`data: ${json}\n\n`);
}

/** One SSE event whose `event:` line repeats the payload's `type`, LF framed: the Responses form. */
export function writeResponsesEvent(event: JsonObject & { readonly type: string }): Uint8Array {
  return encoder.encode(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

/** Pieces as one array; a single piece is handed back as it is. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
