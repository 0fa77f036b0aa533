const SECRETS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{4,}/gi, '$1 [redacted]'],
  // API keys of the vendors Relay knows, and its own: sk-…, sk-relay-…, at-…, rt_…, AIza…, gsk_….
  [/\b(?:sk|at|rt|pk|gsk|xai)[-_][\w-]{8,}/g, '[redacted]'],
  [/\bAIza[\w-]{20,}/g, '[redacted]'],
  [/\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?/g, '[redacted]'],
  [
    /("?(?:(?:access|refresh|id)_token|api_?key|authorization|\w{1,40}_secret|\w{1,40}_verifier|pass\w{0,40})"?\s*[:=]\s*)(?:"[^"]*"|[^\s,;&}]+)/gi,
    '$1[redacted]',
  ],
  // A query can hold a key or a prompt; a path is enough to find the call again.
  [/\b(https?:\/\/)(?:[^\s/@]*@)?([^\s?#]+)\?[^\s"']*/g, '$1$2?[redacted]'],
  [/\b(https?:\/\/)[^\s/@]+:[^\s/@]*@/g, '$1'],
];

/** Characters that move a cursor, hide text or turn it around; JSON leaves most of them as they are. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A log line is shorter than this by far; what a hostile text can cost is bounded with it. */
const MOST_CHARACTERS = 16_384;

/** Takes out of a text whatever looks like a secret: a net below the rule that none gets there. Cut to 16 Ki characters. */
export function redact(text: string): string {
  return SECRETS.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), text.slice(0, MOST_CHARACTERS));
}

/** Writes control and direction characters as `\uXXXX`, so that a text says what it holds and does nothing. */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeUnits);
}

/** Escapes each UTF-16 unit by itself: some format characters lie beyond the first plane. */
function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`).join('');
}
