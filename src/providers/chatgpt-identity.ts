import type { AccountIdentity, Credential } from '../core/account.ts';
import { objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';

const AUTH = 'https://api.openai.com/auth';
const PROFILE = 'https://api.openai.com/profile';

/**
 * Who a ChatGPT sign-in is and on which plan, from the claims of its tokens (auth.openai.com, observed 2026-10). The
 * id token is believed before the access token. Nothing is verified: the tokens came from their issuer over TLS.
 * Null when neither token can be read.
 */
export function identify(credential: Credential): { readonly identity: AccountIdentity; readonly plan: string | null } | null {
  if (credential.kind !== 'oauth') return null;
  const claims = [credential.idToken, credential.accessToken].map(claimsOf).filter((all) => all !== null);
  if (claims.length === 0) return null;
  const first = (read: (claims: JsonObject) => string | undefined): string | null =>
    claims.map(read).find((value) => value !== undefined && value !== '') ?? null;
  return {
    identity: {
      userId: first(inAuth('chatgpt_user_id')) ?? first(inAuth('user_id')),
      workspaceId: first(inAuth('chatgpt_account_id')),
      email: first((all) => stringAt(all, 'email')) ?? first((all) => stringAt(objectAt(all, PROFILE), 'email')),
      fedramp: claims.some((all) => objectAt(all, AUTH)?.['chatgpt_account_is_fedramp'] === true),
    },
    plan: first(inAuth('chatgpt_plan_type')),
  };
}

function inAuth(name: string): (all: JsonObject) => string | undefined {
  return (all) => stringAt(objectAt(all, AUTH), name);
}

function claimsOf(jwt: string | null): JsonObject | null {
  const [, payload, signature] = jwt?.split('.') ?? [];
  if (payload === undefined || signature === undefined) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
    return parseJsonObject(new TextDecoder().decode(bytes)) ?? null;
  } catch {
    return null;
  }
}
