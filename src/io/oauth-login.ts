import {
  AuthorizationResponseError,
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomState,
  validateAuthResponse,
} from 'oauth4webapi';

import type { OAuthServer } from './oauth-tokens.ts';
import { CLIENT_ID, exchangeCode } from './oauth-tokens.ts';
import type { ReadCallback, SignInAnswer, SignInListener } from './sign-in-listener.ts';
import { listenForSignIn } from './sign-in-listener.ts';
import type { SignInResult } from './sign-in-result.ts';
import { refusalText, signInResult } from './sign-in-result.ts';

/** The ports auth.openai.com sends a browser back to; it refuses any other (observed 2026-11). */
export const SIGN_IN_PORTS: readonly number[] = [1455, 1457];
const SIGN_IN_MS = 5 * 60_000;
/** The least that yields an identity and a refresh token; Codex also asks for connectors, which Relay has no use for. */
const SCOPE = 'openid profile email offline_access';

export interface BrowserSignIn {
  readonly server: OAuthServer;
  /** Opens the person's browser; a failure is no matter, since the address is shown as well. */
  readonly open: (url: string) => Promise<void>;
  /** Shows the address to a person whose browser did not open. */
  readonly show: (url: string) => void;
  /** Sends the person through the account chooser even when the browser is signed in: for a second account. */
  readonly account: 'current' | 'choose';
  /** Restricts the sign-in to these workspaces; null leaves the choice to the person. */
  readonly workspaceIds: readonly string[] | null;
  readonly ports: readonly number[];
}

/**
 * Signs a person in through their browser: authorization code with PKCE, back to a listener on loopback that takes one
 * answer within five minutes. Never rejects; a `state` that is not ours is refused by the listener and does not end it.
 */
export async function signInWithBrowser(options: BrowserSignIn, signal: AbortSignal): Promise<SignInResult> {
  const { server, ports } = options;
  const state = generateRandomState();
  const codeVerifier = generateRandomCodeVerifier();
  const listener = await listenForSignIn(ports, readCallback(server.issuer, state));
  if (listener === null) return portsInUse(ports);
  try {
    const redirectUri = `http://localhost:${listener.port}/auth/callback`;
    const url = authorizeUrl(options, { state, redirectUri, codeChallenge: await calculatePKCECodeChallenge(codeVerifier) });
    options.show(url);
    void options.open(url).catch(() => {});
    const answer = await answerWithin(listener, server, signal);
    const result =
      answer.kind === 'code'
        ? signInResult(await exchangeCode(server, { code: answer.code, codeVerifier, redirectUri }, signal))
        : unanswered(answer);
    if (result.ok) listener.finish('Signed in', 'You can close this tab and go back to the terminal.');
    else listener.finish('Sign-in failed', result.message);
    return result;
  } finally {
    listener.close();
  }
}

type Waited = SignInAnswer | { readonly kind: 'timed-out' | 'cancelled' };

function answerWithin(listener: SignInListener, server: OAuthServer, signal: AbortSignal): Promise<Waited> {
  return new Promise((resolve) => {
    const settle = (how: Waited): void => {
      cancel();
      signal.removeEventListener('abort', abort);
      resolve(how);
    };
    const abort = (): void => settle({ kind: 'cancelled' });
    const cancel = server.clock.after(SIGN_IN_MS, () => settle({ kind: 'timed-out' }));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    void listener.answered.then(settle);
  });
}

function unanswered(waited: Exclude<Waited, { kind: 'code' }>): SignInResult {
  switch (waited.kind) {
    case 'cancelled':
      return { ok: false, reason: 'cancelled', message: 'The sign-in was cancelled.' };
    case 'timed-out':
      return {
        ok: false,
        reason: 'timed-out',
        message: 'Nobody signed in within five minutes. Try again, or use --device on a machine without a browser.',
      };
    case 'error':
      return {
        ok: false,
        reason: 'refused',
        message: `The sign-in server said: ${refusalText(JSON.stringify({ error: waited.error, error_description: waited.description }))}`,
      };
  }
}

function portsInUse(ports: readonly number[]): SignInResult {
  return {
    ok: false,
    reason: 'unavailable',
    message: `The ports a sign-in comes back to (${ports.join(', ')}) are in use, perhaps by another sign-in. Close it, or use --device.`,
  };
}

function authorizeUrl(
  options: BrowserSignIn,
  request: { readonly state: string; readonly redirectUri: string; readonly codeChallenge: string },
): string {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT_ID,
    redirect_uri: request.redirectUri,
    scope: SCOPE,
    code_challenge: request.codeChallenge,
    code_challenge_method: 'S256',
    state: request.state,
    id_token_add_organizations: 'true',
    codex_cli_simplified_flow: 'true',
    originator: 'relay',
    ...(options.account === 'choose' && { prompt: 'login' }),
    ...(options.workspaceIds !== null && { allowed_workspace_id: options.workspaceIds.join(',') }),
  });
  return `${options.server.issuer.replace(/\/+$/, '')}/oauth/authorize?${query}`;
}

/** Reads a callback's query; null unless its state is the one sent out. */
function readCallback(issuer: string, state: string): ReadCallback {
  return (query) => {
    try {
      const code = validateAuthResponse({ issuer }, { client_id: CLIENT_ID }, query, state).get('code');
      return code === null || code === '' ? null : { kind: 'code', code };
    } catch (error) {
      if (!(error instanceof AuthorizationResponseError)) return null;
      return { kind: 'error', error: error.error, description: error.error_description ?? '' };
    }
  };
}
