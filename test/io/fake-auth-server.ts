import { createHash } from 'node:crypto';

import { makeChatGptJwt } from '../support/make-jwt.ts';
import { bodyOf, sendJson, serveHttp } from './fake-server.ts';

/** A call the sign-in server took. */
export interface AuthCall {
  readonly path: string;
  readonly contentType: string;
  readonly userAgent: string;
  readonly body: Readonly<Record<string, string>>;
}

/** A small sign-in server with single-use refresh tokens. */
export interface FakeAuthServer {
  readonly issuer: string;
  readonly calls: AuthCall[];
  /** Registers a code as the authorize page would: bound to a challenge and a redirect. */
  grant(code: string, bound: { readonly challenge: string | null; readonly redirectUri: string }): void;
  /** The refresh token that is good now. */
  refreshToken: string;
  /** Answers of this status and body come before anything else, in order. */
  readonly next: { readonly path: string; readonly status: number; readonly body: unknown }[];
  /** How the device endpoint answers next: pending, or with a code. */
  deviceApproved: boolean;
}

/** The access token the server issues. */
export const ISSUED_ACCESS = makeChatGptJwt({ expiresAtSeconds: 1_800_000_000 });

/** Starts a {@link FakeAuthServer} on loopback. */
export async function startAuthServer(): Promise<FakeAuthServer> {
  const codes = new Map<string, { readonly challenge: string | null; readonly redirectUri: string }>();
  const calls: AuthCall[] = [];
  const next: FakeAuthServer['next'] = [];
  let turn = 0;
  const tokens = (): Record<string, unknown> => {
    server.refreshToken = `refresh-${++turn}`;
    return { access_token: ISSUED_ACCESS, refresh_token: server.refreshToken, id_token: makeChatGptJwt(), expires_in: 864_000 };
  };
  const token = (body: Readonly<Record<string, string>>): { readonly status: number; readonly body: unknown } => {
    if (body['grant_type'] === 'refresh_token') {
      if (body['refresh_token'] === server.refreshToken) return { status: 200, body: tokens() };
      return { status: 400, body: { error: { code: 'refresh_token_reused', message: 'spent' } } };
    }
    const bound = codes.get(body['code'] ?? '');
    codes.delete(body['code'] ?? '');
    const challenge = createHash('sha256')
      .update(body['code_verifier'] ?? '')
      .digest('base64url');
    const fits =
      bound !== undefined && (bound.challenge === null || bound.challenge === challenge) && bound.redirectUri === body['redirect_uri'];
    return fits ? { status: 200, body: tokens() } : { status: 400, body: { error: 'invalid_grant', error_description: 'no such code' } };
  };
  const answer = (path: string, body: Readonly<Record<string, string>>): { readonly status: number; readonly body: unknown } => {
    if (path === '/oauth/token') return token(body);
    if (path === '/oauth/revoke') return { status: 200, body: {} };
    if (path === '/api/accounts/deviceauth/usercode')
      return { status: 200, body: { device_auth_id: 'dev-1', usercode: 'ABCD-1234', interval: '2' } };
    if (path === '/api/accounts/deviceauth/token') {
      if (!server.deviceApproved) return { status: 403, body: {} };
      codes.set('device-code', { challenge: null, redirectUri: `${origin}/deviceauth/callback` });
      return { status: 200, body: { authorization_code: 'device-code', code_challenge: 'c', code_verifier: 'v' } };
    }
    return { status: 404, body: {} };
  };
  const { origin } = await serveHttp(async (request, response) => {
    const path = request.url ?? '';
    const contentType = request.headers['content-type'] ?? '';
    const text = await bodyOf(request);
    const body = contentType.includes('json') ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
    calls.push({ path, contentType, userAgent: request.headers['user-agent'] ?? '', body });
    const forced = next.findIndex((step) => step.path === path);
    const step = forced >= 0 ? next.splice(forced, 1)[0] : undefined;
    const said = step ?? answer(path, body);
    if (typeof said.body === 'string') response.writeHead(said.status, { 'content-type': 'text/html' }).end(said.body);
    else sendJson(response, said.status, said.body);
  });
  const server: FakeAuthServer = {
    issuer: origin,
    calls,
    next,
    refreshToken: 'refresh-0',
    deviceApproved: false,
    grant: (code, bound) => void codes.set(code, bound),
  };
  return server;
}
