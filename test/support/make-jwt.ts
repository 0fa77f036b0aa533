/** What a test says of a ChatGPT identity; the rest has an ordinary value. */
export interface FakeIdentity {
  readonly userId?: string;
  readonly workspaceId?: string;
  readonly email?: string;
  readonly plan?: string;
  readonly fedramp?: boolean;
  /** Unix seconds. */
  readonly expiresAtSeconds?: number;
}

/** A JWT with these claims. Its signature is no signature: nothing in Relay may depend on one it cannot check. */
export function makeJwt(claims: Readonly<Record<string, unknown>>): string {
  return `${encodePart({ alg: 'RS256', typ: 'JWT', kid: 'test' })}.${encodePart(claims)}.c2lnbmF0dXJl`;
}

function encodePart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A JWT with the claims a ChatGPT sign-in carries (auth.openai.com, observed 2026-10). */
export function makeChatGptJwt(identity: FakeIdentity = {}): string {
  return makeJwt({
    iss: 'https://auth.openai.com',
    exp: identity.expiresAtSeconds ?? 1_796_169_600,
    email: identity.email ?? 'ada@example.com',
    'https://api.openai.com/auth': {
      chatgpt_user_id: identity.userId ?? 'user-ada',
      chatgpt_account_id: identity.workspaceId ?? 'ws-ada',
      chatgpt_plan_type: identity.plan ?? 'plus',
      chatgpt_account_is_fedramp: identity.fedramp ?? false,
    },
  });
}
