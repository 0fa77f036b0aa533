import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { CODEX_CLIENT_ID } from '../../src/mock/mock-auth.ts';
import type { RefreshFault } from '../../src/mock/mock-account.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { readClaims } from '../../src/providers/claims.ts';
import { fakeUpstream, signedIn } from '../support/fake-upstream.ts';
import { waitFor } from '../support/wait-for.ts';

interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly id_token: string;
}

function post(upstream: MockUpstream, path: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${upstream.authOrigin}${path}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...(signal !== undefined && { signal }),
  });
}

function refresh(upstream: MockUpstream, refreshToken: string): Promise<Response> {
  return post(upstream, '/oauth/token', { client_id: CODEX_CLIENT_ID, grant_type: 'refresh_token', refresh_token: refreshToken });
}

function refreshTokenOf(upstream: MockUpstream, name = 'personal'): string {
  const { credential } = upstream.account(name);
  return credential.kind === 'oauth' ? (credential.refreshToken ?? '') : '';
}

async function tokensIn(response: Response): Promise<TokenAnswer> {
  const tokens: TokenAnswer = JSON.parse(await response.text());
  return tokens;
}

async function codeOf(response: Response): Promise<string> {
  const body: { readonly error: { readonly code: string } } = JSON.parse(await response.text());
  return body.error.code;
}

describe('refreshing', () => {
  test('gives new tokens once: the spent one is refused as reused, and old access tokens end', async () => {
    const upstream = await fakeUpstream();
    const before = signedIn(upstream, 'personal');
    const spent = refreshTokenOf(upstream);
    const first = await tokensIn(await refresh(upstream, spent));
    expect(first.refresh_token).not.toBe(spent);
    expect(readClaims(first.access_token)).toMatchObject({
      identity: { workspaceId: 'ws-personal', userId: 'user-personal' },
      plan: 'plus',
    });
    const again = await refresh(upstream, spent);
    expect([again.status, await codeOf(again)]).toEqual([401, 'refresh_token_reused']);
    const models = (headers: Record<string, string>): Promise<Response> => fetch(`${upstream.chatgptBaseUrl}/codex/models`, { headers });
    expect((await models(before)).status).toBe(401);
    expect((await models({ authorization: `Bearer ${first.access_token}` })).status).toBe(200);
    expect((await refresh(upstream, first.refresh_token)).status).toBe(200);
  });

  test('of two at once with the same token, one wins', async () => {
    const upstream = await fakeUpstream();
    const token = refreshTokenOf(upstream);
    const statuses = (await Promise.all([refresh(upstream, token), refresh(upstream, token)])).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 401]);
  });

  test('takes a form as well as JSON, and no other client', async () => {
    const upstream = await fakeUpstream();
    const body = new URLSearchParams({ client_id: CODEX_CLIENT_ID, grant_type: 'refresh_token', refresh_token: refreshTokenOf(upstream) });
    expect((await fetch(`${upstream.authOrigin}/oauth/token`, { method: 'POST', body })).status).toBe(200);
    const stranger = await post(upstream, '/oauth/token', { client_id: 'app_other', grant_type: 'refresh_token', refresh_token: 'x' });
    expect(await codeOf(stranger)).toBe('invalid_client');
    expect(await codeOf(await refresh(upstream, 'never issued'))).toBe('invalid_grant');
  });

  test.each<[string, RefreshFault, number, string]>([
    ['an expired login', { do: 'refuse', code: 'refresh_token_expired' }, 401, 'refresh_token_expired'],
    ['a reused token with another status', { do: 'refuse', code: 'refresh_token_reused', status: 400 }, 400, 'refresh_token_reused'],
    ['a deactivated account', { do: 'refuse', code: 'account_deactivated' }, 401, 'account_deactivated'],
    ['a bad moment', { do: 'status', status: 503 }, 503, 'server_error'],
  ])('can meet %s, and the token stays good', async (_what, fault, status, code) => {
    const upstream = await fakeUpstream();
    upstream.failRefresh('personal', fault);
    const refused = await refresh(upstream, refreshTokenOf(upstream));
    expect([refused.status, await codeOf(refused)]).toEqual([status, code]);
    expect((await refresh(upstream, refreshTokenOf(upstream))).status).toBe(200);
  });

  test('can lose its answer after the token was spent', async () => {
    const upstream = await fakeUpstream();
    const token = refreshTokenOf(upstream);
    upstream.failRefresh('personal', { do: 'lost' });
    await expect(refresh(upstream, token)).rejects.toThrow();
    expect(await codeOf(await refresh(upstream, token))).toBe('refresh_token_reused');
  });

  test('can hang until the caller leaves', async () => {
    const upstream = await fakeUpstream();
    upstream.failRefresh('personal', { do: 'hang' });
    const abort = new AbortController();
    const body = { client_id: CODEX_CLIENT_ID, grant_type: 'refresh_token', refresh_token: refreshTokenOf(upstream) };
    const waiting = post(upstream, '/oauth/token', body, abort.signal);
    await waitFor(() => upstream.calls.some(({ account }) => account === 'personal'), 'the refresh');
    abort.abort();
    await expect(waiting).rejects.toThrow();
    await waitFor(() => upstream.calls[0]?.state === 'aborted', 'the end of the refresh');
  });
});

test('revoking ends a sign-in for good', async () => {
  const upstream = await fakeUpstream();
  const token = refreshTokenOf(upstream);
  expect((await post(upstream, '/oauth/revoke', { token, token_type_hint: 'refresh_token', client_id: CODEX_CLIENT_ID })).status).toBe(200);
  expect(await codeOf(await refresh(upstream, token))).toBe('refresh_token_invalidated');
});

describe('signing in', () => {
  const verifier = 'a'.repeat(64);
  const redirectUri = 'http://localhost:1455/auth/callback';

  function authorizeUrl(upstream: MockUpstream, change: Record<string, string> = {}): string {
    const url = new URL('/oauth/authorize', upstream.authOrigin);
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: CODEX_CLIENT_ID,
      redirect_uri: redirectUri,
      scope: 'openid',
      state: 'st',
      code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      ...change,
    }).toString();
    return url.href;
  }

  async function comeBack(upstream: MockUpstream): Promise<URL> {
    const response = await fetch(authorizeUrl(upstream), { redirect: 'manual' });
    expect(response.status).toBe(302);
    return new URL(response.headers.get('location') ?? '');
  }

  function exchange(upstream: MockUpstream, change: Record<string, string>): Promise<Response> {
    const body = {
      grant_type: 'authorization_code',
      client_id: CODEX_CLIENT_ID,
      redirect_uri: redirectUri,
      code_verifier: verifier,
      ...change,
    };
    return fetch(`${upstream.authOrigin}/oauth/token`, { method: 'POST', body: new URLSearchParams(body) });
  }

  test('in a browser comes back with the state and a code for the account approved, good once', async () => {
    const upstream = await fakeUpstream();
    upstream.signIn.approveAs('work');
    const back = await comeBack(upstream);
    expect([back.origin, back.searchParams.get('state')]).toEqual(['http://localhost:1455', 'st']);
    const code = back.searchParams.get('code') ?? '';
    expect(readClaims((await tokensIn(await exchange(upstream, { code }))).id_token)?.identity.workspaceId).toBe('ws-work');
    expect(await codeOf(await exchange(upstream, { code }))).toBe('invalid_grant');
  });

  test.each([
    ['a wrong verifier', { code_verifier: 'b'.repeat(64) }],
    ['another redirect', { redirect_uri: 'http://localhost:1457/auth/callback' }],
  ])('refuses a code with %s', async (_what, change) => {
    const upstream = await fakeUpstream();
    const code = (await comeBack(upstream)).searchParams.get('code') ?? '';
    expect((await exchange(upstream, { code, ...change })).status).toBe(400);
  });

  test.each([
    ['another client', { client_id: 'app_other' }], ['a plain challenge', { code_challenge_method: 'plain' }],
    ['a redirect elsewhere', { redirect_uri: 'https://evil.example/auth/callback' }], ['no state', { state: '' }],
  ])('refuses %s without redirecting', async (_what, change) => {
    const upstream = await fakeUpstream();
    expect((await fetch(authorizeUrl(upstream, change), { redirect: 'manual' })).status).toBe(400);
  });

  test('can be denied, once', async () => {
    const upstream = await fakeUpstream();
    upstream.signIn.deny('access_denied', '<b>no</b>');
    expect((await comeBack(upstream)).searchParams.get('error_description')).toBe('<b>no</b>');
    expect((await comeBack(upstream)).searchParams.get('code')).not.toBeNull();
  });

  test('on a device is pending, then approved, and its code is exchanged', async () => {
    const upstream = await fakeUpstream();
    upstream.signIn.pendingPolls = 2;
    const begun = await (await post(upstream, '/api/accounts/deviceauth/usercode', { client_id: CODEX_CLIENT_ID })).text();
    const device: { readonly device_auth_id: string; readonly user_code: string; readonly interval: string } = JSON.parse(begun);
    expect(device.interval).toBe('1');
    const poll = (): Promise<Response> =>
      post(upstream, '/api/accounts/deviceauth/token', { device_auth_id: device.device_auth_id, user_code: device.user_code });
    expect([(await poll()).status, (await poll()).status]).toEqual([403, 403]);
    const granted: { readonly authorization_code: string; readonly code_verifier: string } = JSON.parse(await (await poll()).text());
    const done = await exchange(upstream, {
      code: granted.authorization_code, code_verifier: granted.code_verifier, redirect_uri: `${upstream.authOrigin}/deviceauth/callback`,
    });
    expect(done.status).toBe(200);
  });
});
