import type { AccountIdentity, Credential } from '../core/account.ts';
import { readClaims } from './claims.ts';

/**
 * Who a ChatGPT sign-in is and on which plan, from the claims of its tokens: the id token is believed before the
 * access token, each claim by itself. Null when neither can be read.
 */
export function identify(credential: Credential): { readonly identity: AccountIdentity; readonly plan: string | null } | null {
  if (credential.kind !== 'oauth') return null;
  const read = [credential.idToken, credential.accessToken]
    .map((token) => (token === null ? null : readClaims(token)))
    .filter((claims) => claims !== null);
  if (read.length === 0) return null;
  const identities = read.map(({ identity }) => identity);
  return {
    identity: {
      userId: firstTold(identities.map(({ userId }) => userId)),
      workspaceId: firstTold(identities.map(({ workspaceId }) => workspaceId)),
      email: firstTold(identities.map(({ email }) => email)),
      fedramp: identities.some(({ fedramp }) => fedramp),
    },
    plan: firstTold(read.map(({ plan }) => plan)),
  };
}

function firstTold(values: readonly (string | null)[]): string | null {
  return values.find((value) => value !== null && value !== '') ?? null;
}
