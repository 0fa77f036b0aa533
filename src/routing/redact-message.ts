const LONGEST_MESSAGE = 1_000;

const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic)\s+[\w~+/.=-]{8,}/gi, '$1 [redacted]'],
  [/\beyJ[\w-]{8,}(?:\.[\w-]+){0,2}/g, '[redacted]'],
  [/\b(?:sk|rt|at|sess|pk|ak|key|gsk|xai|ghp|gho)[-_][\w-]{12,}/gi, '[redacted]'],
  [/\bAIza[\w-]{20,}/g, '[redacted]'],
  [/\b((?:api|access|refresh|id|client|session)[-_ ]?(?:key|token|secret)["']?\s*[:=]\s*["']?)[^\s"',;&]{8,}/gi, '$1[redacted]'],
  [/\b[A-Za-z0-9+/_-]{64,}={0,2}/g, '[redacted]'],
];

/**
 * An upstream's message, fit for a client, a log and the journal: nothing that looks like a token or a key, no control
 * characters, one line, at most 1,000 characters. The rest stays as told, since Codex reads waiting times out of it.
 */
export function redactMessage(text: string): string {
  // Cut before matching: the bound also bounds what a hostile text can cost. Room is left so that no secret is halved.
  let clean = text.slice(0, LONGEST_MESSAGE * 4).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  for (const [pattern, replacement] of SECRETS) clean = clean.replaceAll(pattern, replacement);
  clean = clean.trim();
  return clean.length <= LONGEST_MESSAGE ? clean : `${clean.slice(0, LONGEST_MESSAGE - 1).toWellFormed()}…`;
}
