import type { Credential } from '../core/account.ts';
import type { CallContext } from '../core/provider-adapter.ts';
import type { Headers } from '../core/relay-request.ts';

/** Headers no setting may write: they belong to the transport. */
const TRANSPORT = new Set(['connection', 'content-length', 'host', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']);

/**
 * The head of a call: an honest User-Agent, the vendor's own headers, then what the user's settings add, and last
 * the credential, so that neither a setting nor a client can put another in its place. Names are lower-case.
 */
export function callHeaders(context: CallContext, credential: Headers, vendor: Headers = {}): Headers {
  return {
    'user-agent': `relay/${context.version}`,
    ...(context.request === null && { accept: 'application/json' }),
    ...vendor,
    ...settingsHeaders(context.endpoint.headers),
    ...credential,
  };
}

function settingsHeaders(headers: Headers): Headers {
  const usable = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(usable.filter(([name]) => !TRANSPORT.has(name)));
}

/** `Authorization: Bearer …`, or nothing for an account without a secret. */
export function bearer(credential: Credential): Headers {
  const secret = secretOf(credential);
  return secret === null ? {} : { authorization: `Bearer ${secret}` };
}

/** The secret a call is authorized with; null for an account without one. */
export function secretOf(credential: Credential): string | null {
  switch (credential.kind) {
    case 'api-key':
      return credential.apiKey;
    case 'oauth':
      return credential.accessToken;
    case 'none':
      return null;
  }
}
