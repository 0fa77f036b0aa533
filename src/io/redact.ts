const SECRETS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{4,}/gi, '$1 [redacted]'],
  // API keys of the vendors Relay knows, and its own: sk-…, sk-relay-…, at-…, rt_…, AIza…, gsk_….
  [/\b(?:sk|at|rt|pk|gsk|xai)[-_][\w-]{8,}/g, '[redacted]'],
  [/\bAIza[\w-]{20,}/g, '[redacted]'],
  [/\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?/g, '[redacted]'],
  [/("?(?:access_token|refresh_token|id_token|api_?key|authorization|client_secret|code_verifier|passphrase|password)"?\s*[:=]\s*)(?:"[^"]*"|[^\s,;&}]+)/gi, '$1[redacted]'],
  // A query can hold a key or a prompt; a path is enough to find the call again.
  [/\b(https?:\/\/)(?:[^\s/@]*@)?([^\s?#]+)\?[^\s"']*/g, '$1$2?[redacted]'],
  [/\b(https?:\/\/)[^\s/@]+:[^\s/@]*@/g, '$1'],
];

/** Characters that move a cursor, hide text or turn it around; JSON leaves most of them as they are. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Takes out of a text whatever looks like a secret: a net below the rule that none gets there. */
export function redact(text: string): string {
  return SECRETS.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), text);
}

/** Writes control and direction characters as `\uXXXX`, so that a text says what it holds and does nothing. */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
