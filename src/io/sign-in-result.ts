import { isJsonObject, parseJsonObject, stringAt } from '../core/json.ts';
import type { OAuthCredential, TokenResult } from './oauth-tokens.ts';

/** How a sign-in ended, in words for the person who tried. */
export type SignInResult =
  | { readonly ok: true; readonly credential: OAuthCredential }
  | { readonly ok: false; readonly reason: 'cancelled' | 'timed-out' | 'refused' | 'unavailable'; readonly message: string };

/** Says what the token endpoint made of a sign-in. Holds no code and no token. */
export function signInResult(result: TokenResult): SignInResult {
  switch (result.kind) {
    case 'tokens':
      return { ok: true, credential: result.credential };
    case 'refused':
      return { ok: false, reason: 'refused', message: `The sign-in server refused (${result.status}): ${refusalText(result.body)}` };
    case 'failed':
      return result.failure.kind === 'client-gone'
        ? { ok: false, reason: 'cancelled', message: 'The sign-in was cancelled.' }
        : { ok: false, reason: 'unavailable', message: result.failure.message };
  }
}

/** The server's own words out of an error body, one line, at most 200 characters. */
export function refusalText(body: string): string {
  const value = parseJsonObject(body);
  const error = value?.['error'];
  const text = (isJsonObject(error) ? stringAt(error, 'message') ?? stringAt(error, 'code') : undefined)
    ?? stringAt(value, 'error_description') ?? stringAt(value, 'error') ?? stringAt(value, 'detail') ?? 'no reason given';
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200);
}
