import type { AccountIdentity } from '../core/account.ts';
import { numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { EpochMs } from '../core/units.ts';

/** What a ChatGPT token says of its holder. Read, never verified: only the upstream can judge a token. */
export interface TokenClaims {
  readonly identity: AccountIdentity;
  /** An open set; the plan in a refusal or a usage report is fresher. */
  readonly plan: string | null;
  readonly expiresAt: EpochMs | null;
}

const AUTH = 'https://api.openai.com/auth';
const PROFILE = 'https://api.openai.com/profile';

/**
 * Reads the claims of an id or access token as auth.openai.com issues them (observed 2026-11). Null when the text is
 * no JWT; a claim that is missing or of another type is null. `chatgpt_account_id` is the workspace, which two seats
 * of a team share, so the person is read from `chatgpt_user_id`.
 */
export function readClaims(jwt: string): TokenClaims | null {
  const payload = payloadOf(jwt);
  if (payload === null) return null;
  const auth = objectAt(payload, AUTH) ?? {};
  const expiresAtSeconds = numberAt(payload, 'exp');
  return {
    identity: {
      userId: stringAt(auth, 'chatgpt_user_id') ?? stringAt(auth, 'user_id') ?? null,
      workspaceId: stringAt(auth, 'chatgpt_account_id') ?? null,
      email: stringAt(payload, 'email') ?? stringAt(objectAt(payload, PROFILE), 'email') ?? null,
      fedramp: auth['chatgpt_account_is_fedramp'] === true,
    },
    plan: stringAt(auth, 'chatgpt_plan_type') ?? null,
    expiresAt: expiresAtSeconds === undefined ? null : expiresAtSeconds * 1_000,
  };
}

function payloadOf(jwt: string): JsonObject | null {
  const parts = jwt.split('.');
  const payload = parts[1];
  if (parts.length !== 3 || payload === undefined || !/^[A-Za-z0-9_-]+={0,2}$/.test(payload)) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(decodeBase64Url(payload));
    return parseJsonObject(text) ?? null;
  } catch {
    return null;
  }
}

function decodeBase64Url(text: string): Uint8Array {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, ''));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}
