import type { Credential } from '../core/account.ts';
import type { TransportFailure } from '../core/byte-source.ts';
import { numberAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock, RefreshCredential, Send, UpstreamCall } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import type { WholeResult } from './read-answer.ts';
import { sendWhole } from './read-answer.ts';

/** The public client id of Codex's sign-in at auth.openai.com; it has no secret (observed 2026-11). */
export const CLIENT_ID = 'app_EMoamEEZ73f0CkXaXp7hrann';

/** The sign-in server and what it takes to speak to it. */
export interface OAuthServer {
  /** `https://auth.openai.com`, without a slash at the end. */
  readonly issuer: string;
  readonly send: Send;
  readonly clock: Clock;
  /** Relay's own version, for an honest User-Agent. */
  readonly version: string;
  /** When an access token ends by its own claims; null when it does not say. */
  readonly readExpiry: (accessToken: string) => EpochMs | null;
}

export type OAuthCredential = Extract<Credential, { readonly kind: 'oauth' }>;

/** What became of a code's exchange. */
export type TokenResult =
  | { readonly kind: 'tokens'; readonly credential: OAuthCredential }
  | { readonly kind: 'refused'; readonly status: number; readonly body: string }
  | { readonly kind: 'failed'; readonly failure: TransportFailure };

const MAX_ANSWER_BYTES = 1_048_576;
const TIMEOUTS = { connect: 5_000, headers: 30_000, idle: 15_000 } as const;
const REVOKE_MS = 10_000;

/** Trades an authorization code for tokens: a form, as RFC 6749 has it. */
export async function exchangeCode(
  server: OAuthServer,
  grant: { readonly code: string; readonly codeVerifier: string; readonly redirectUri: string },
  signal: AbortSignal,
): Promise<TokenResult> {
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    code: grant.code,
    redirect_uri: grant.redirectUri,
    client_id: CLIENT_ID,
    code_verifier: grant.codeVerifier,
  });
  const call = callTo(server, '/oauth/token', { contentType: 'application/x-www-form-urlencoded', body: form.toString() });
  return readTokens(server, await sendWhole(server.send, call, { limitBytes: MAX_ANSWER_BYTES, signal }), null);
}

/**
 * Renews a sign-in, once: refresh tokens are single-use, so a call that may have arrived is never repeated here. The
 * body is JSON, as Codex sends it (observed 2026-11). Fields missing from the answer keep their old values. A refusal
 * is handed on as it was told; nothing is judged here.
 */
export function createRefresh(server: Omit<OAuthServer, 'issuer'>): RefreshCredential {
  return async (authUrl, credential, signal) => {
    if (credential.kind !== 'oauth' || credential.refreshToken === null) {
      return { ok: false, kind: 'unreachable', code: 'no_refresh_token', message: 'There is no refresh token to renew this sign-in with.' };
    }
    const issuer = { ...server, issuer: authUrl };
    const body = { client_id: CLIENT_ID, grant_type: 'refresh_token', refresh_token: credential.refreshToken };
    const result = readTokens(issuer, await postJson(issuer, '/oauth/token', body, signal), credential);
    switch (result.kind) {
      case 'tokens':
        return { ok: true, credential: result.credential };
      case 'refused':
        return { ok: false, ...result };
      case 'failed':
        return { ok: false, kind: 'unreachable', code: result.failure.code, message: result.failure.message };
    }
  };
}

/** Asks the server to forget the credential, best effort, for at most 10 s. False when it did not say yes. */
export async function revokeCredential(server: OAuthServer, credential: OAuthCredential): Promise<boolean> {
  const { refreshToken, accessToken } = credential;
  const body: JsonObject =
    refreshToken === null
      ? { token: accessToken, token_type_hint: 'access_token' }
      : { token: refreshToken, token_type_hint: 'refresh_token', client_id: CLIENT_ID };
  const deadline = new AbortController();
  const cancel = server.clock.after(REVOKE_MS, () => deadline.abort());
  const result = await postJson(server, '/oauth/revoke', body, deadline.signal);
  cancel();
  return result.ok && result.answer.status >= 200 && result.answer.status < 300;
}

/** Posts JSON to the sign-in server and reads the answer whole. */
export function postJson(server: OAuthServer, path: string, body: JsonObject, signal: AbortSignal): Promise<WholeResult> {
  const call = callTo(server, path, { contentType: 'application/json', body: JSON.stringify(body) });
  return sendWhole(server.send, call, { limitBytes: MAX_ANSWER_BYTES, signal });
}

function callTo(server: OAuthServer, path: string, content: { readonly contentType: string; readonly body: string }): UpstreamCall {
  return {
    method: 'POST',
    url: server.issuer.replace(/\/+$/, '') + path,
    headers: { 'content-type': content.contentType, accept: 'application/json', 'user-agent': `relay/${server.version}` },
    body: Buffer.from(content.body),
    timeouts: TIMEOUTS,
  };
}

function readTokens(server: OAuthServer, result: WholeResult, old: OAuthCredential | null): TokenResult {
  if (!result.ok) return { kind: 'failed', failure: result.failure };
  const { status, body } = result.answer;
  if (status < 200 || status > 299) return { kind: 'refused', status, body };
  const answer = parseJsonObject(body);
  const accessToken = stringAt(answer, 'access_token') ?? old?.accessToken;
  const saysNothing = stringAt(answer, 'access_token') === undefined && stringAt(answer, 'refresh_token') === undefined;
  if (accessToken === undefined || saysNothing) {
    const failure: TransportFailure = {
      kind: 'invalid-response',
      code: 'no_tokens',
      message: 'The sign-in server said yes and gave no tokens.',
    };
    return { kind: 'failed', failure };
  }
  const now = server.clock.now();
  return {
    kind: 'tokens',
    credential: {
      kind: 'oauth',
      accessToken,
      refreshToken: stringAt(answer, 'refresh_token') ?? old?.refreshToken ?? null,
      idToken: stringAt(answer, 'id_token') ?? old?.idToken ?? null,
      expiresAt: server.readExpiry(accessToken) ?? expiryOf(answer, now),
      refreshedAt: now,
    },
  };
}

function expiryOf(answer: JsonObject | undefined, now: EpochMs): EpochMs | null {
  const seconds = numberAt(answer, 'expires_in');
  return seconds === undefined || seconds <= 0 ? null : now + seconds * 1_000;
}
