import { createHash } from 'node:crypto';

import { stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import { readBody } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import type { MockAccount } from './mock-account.ts';
import { mockId } from './mock-id.ts';
import { sendJson } from './play-step.ts';

/** Codex's public client id, which Relay signs in with too (auth.openai.com, observed 2026-10). */
export const CODEX_CLIENT_ID = 'app_EMoamEEZ73f0CkXaXp7hrann';

/** What a test says of the people behind the mock's sign-in pages. */
export interface SignIn {
  /** The account the next sign-in is approved as; the first ChatGPT account unless said. */
  approveAs(account: string): void;
  /** The next browser sign-in comes back with this error instead of a code. */
  deny(error: string, description: string): void;
  /** How often the device flow says "not yet" before it is approved. */
  pendingPolls: number;
}

/** The sign-in server: authorize, token, revoke and the device flow. */
export interface MockAuth {
  readonly signIn: SignIn;
  /** False when the path is none of its own. */
  handle(exchange: Exchange): Promise<boolean>;
}

interface Grant {
  readonly account: MockAccount;
  readonly challenge: string;
  readonly redirectUri: string;
}

interface DeviceGrant {
  readonly userCode: string;
  readonly verifier: string;
  pollsLeft: number;
}

/** Makes the sign-in server over the mock's accounts. */
export function createMockAuth(accounts: ReadonlyMap<string, MockAccount>, random: Random): MockAuth {
  const grants = new Map<string, Grant>();
  const devices = new Map<string, DeviceGrant>();
  let approved: string | null = null;
  let denial: { readonly error: string; readonly description: string } | null = null;
  const signIn: SignIn = {
    pendingPolls: 1,
    approveAs(account) {
      approved = account;
    },
    deny(error, description) {
      denial = { error, description };
    },
  };
  const whoSignsIn = (): MockAccount | undefined =>
    approved === null ? [...accounts.values()].find(({ kind }) => kind === 'chatgpt') : accounts.get(approved);

  const authorize = (exchange: Exchange): void => {
    const { query } = exchange.record;
    const fault = authorizeFault(query);
    if (fault !== null) return sendJson(exchange, 400, { error: { message: fault, code: 'invalid_request' } });
    const redirect = new URL(query['redirect_uri'] ?? '');
    redirect.searchParams.set('state', query['state'] ?? '');
    const account = whoSignsIn();
    if (denial !== null || account === undefined) {
      redirect.searchParams.set('error', denial?.error ?? 'access_denied');
      redirect.searchParams.set('error_description', denial?.description ?? 'No account to sign in with.');
      denial = null;
    } else {
      const code = mockId('ac_mock_', random);
      grants.set(code, { account, challenge: query['code_challenge'] ?? '', redirectUri: query['redirect_uri'] ?? '' });
      redirect.searchParams.set('code', code);
      exchange.note({ account: account.name });
    }
    sendJson(exchange, 302, '', { location: redirect.href });
  };

  const beginDevice = (exchange: Exchange): void => {
    const id = mockId('deviceauth_', random);
    const userCode = mockId('', random).slice(0, 8).toUpperCase().replace(/^(.{4})/, '$1-');
    devices.set(id, { userCode, verifier: mockId('verifier_', random), pollsLeft: signIn.pendingPolls });
    // The interval is text at the real endpoint.
    sendJson(exchange, 200, { device_auth_id: id, user_code: userCode, interval: '1', expires_in: 900 });
  };

  const pollDevice = (exchange: Exchange, body: JsonObject, origin: string): void => {
    const device = devices.get(stringAt(body, 'device_auth_id') ?? '');
    const account = whoSignsIn();
    if (device === undefined || account === undefined || device.userCode !== body['user_code']) return sendJson(exchange, 404, { error: { code: 'not_found' } });
    if (device.pollsLeft-- > 0) return sendJson(exchange, 403, { error: { code: 'authorization_pending' } });
    const code = mockId('ac_mock_', random);
    const challenge = challengeOf(device.verifier);
    grants.set(code, { account, challenge, redirectUri: `${origin}/deviceauth/callback` });
    sendJson(exchange, 200, { authorization_code: code, code_challenge: challenge, code_verifier: device.verifier });
  };

  const revoke = (exchange: Exchange, body: JsonObject): void => {
    const token = stringAt(body, 'token') ?? '';
    const owner = [...accounts.values()].find((account) => account.accepts(token) !== 'no' || account.owns(token));
    owner?.revoke();
    exchange.note({ account: owner?.name ?? null });
    sendJson(exchange, 200, {});
  };

  return {
    signIn,
    async handle(exchange) {
      const { method, path, headers } = exchange.record;
      if (method === 'GET' && path === '/oauth/authorize') return done(authorize(exchange));
      if (method === 'GET' && path === '/codex/device') return done(sendJson(exchange, 200, '<!DOCTYPE html><title>Sign in to Codex</title><p>Approved.</p>'));
      if (method !== 'POST' || !/^\/(?:oauth\/(?:token|revoke)|api\/accounts\/deviceauth\/(?:usercode|token))$/.test(path)) return false;
      if (!(await readBody(exchange))) return done(sendJson(exchange, 400, { error: { code: 'invalid_request' } }));
      const body = exchange.record.body ?? Object.fromEntries(new URLSearchParams(exchange.record.text));
      if (path === '/oauth/revoke') return done(revoke(exchange, body));
      if (body['client_id'] !== CODEX_CLIENT_ID && !path.endsWith('deviceauth/token')) return done(oauthError(exchange, 400, 'invalid_client'));
      if (path === '/oauth/token') return done(await grantTokens(exchange, body, { accounts, grants }));
      if (path.endsWith('/usercode')) return done(beginDevice(exchange));
      return done(pollDevice(exchange, body, `http://${headers['host'] ?? ''}`));
    },
  };
}

async function grantTokens(
  exchange: Exchange,
  body: JsonObject,
  known: { readonly accounts: ReadonlyMap<string, MockAccount>; readonly grants: Map<string, Grant> },
): Promise<void> {
  if (body['grant_type'] === 'authorization_code') return exchangeCode(exchange, body, known.grants);
  if (body['grant_type'] !== 'refresh_token') return oauthError(exchange, 400, 'unsupported_grant_type');
  const spent = stringAt(body, 'refresh_token') ?? '';
  const account = [...known.accounts.values()].find((candidate) => candidate.owns(spent));
  exchange.note({ account: account?.name ?? null });
  if (account === undefined) return oauthError(exchange, 400, 'invalid_grant');
  await refresh(exchange, account, spent);
}

/** Single use: a token that was spent is refused as reused, whoever comes with it (observed 2026-10). */
async function refresh(exchange: Exchange, account: MockAccount, spent: string): Promise<void> {
  const fault = account.nextRefreshFault();
  switch (fault?.do) {
    case 'refuse':
      return oauthError(exchange, fault.status ?? 401, fault.code);
    case 'status':
      return sendJson(exchange, fault.status, { error: { message: 'The mock sign-in server fails on request.', code: 'server_error' } });
    case 'hang':
      return exchange.stand();
    case 'reset':
    case 'lost':
      if (fault.do === 'lost' && account.refresh(spent) === 'ok') account.issue();
      exchange.note({ state: 'broken' });
      exchange.response.socket?.resetAndDestroy();
      return;
    case undefined:
      break;
  }
  const verdict = account.refresh(spent);
  if (verdict !== 'ok') return oauthError(exchange, 401, verdict === 'reused' ? 'refresh_token_reused' : 'refresh_token_invalidated');
  account.expireAccessToken();
  sendJson(exchange, 200, { ...account.issue(), token_type: 'Bearer' });
}

function exchangeCode(exchange: Exchange, body: JsonObject, grants: Map<string, Grant>): void {
  const code = stringAt(body, 'code') ?? '';
  const grant = grants.get(code);
  grants.delete(code);
  const fits = grant !== undefined && challengeOf(stringAt(body, 'code_verifier') ?? '') === grant.challenge && body['redirect_uri'] === grant.redirectUri;
  if (!fits) return oauthError(exchange, 400, 'invalid_grant');
  exchange.note({ account: grant.account.name });
  sendJson(exchange, 200, { ...grant.account.issue(), token_type: 'Bearer' });
}

function authorizeFault(query: Readonly<Record<string, string>>): string | null {
  const redirect = query['redirect_uri'] ?? '';
  if (query['client_id'] !== CODEX_CLIENT_ID) return 'unknown client_id';
  if (query['response_type'] !== 'code') return 'response_type must be code';
  if (query['code_challenge_method'] !== 'S256' || !/^[\w-]{43}$/.test(query['code_challenge'] ?? '')) return 'a S256 code_challenge is required';
  if ((query['state'] ?? '') === '') return 'state is required';
  return /^http:\/\/(?:localhost|127\.0\.0\.1):\d+\/auth\/callback$/.test(redirect) ? null : 'redirect_uri is not allowed';
}

function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

function oauthError(exchange: Exchange, status: number, code: string): void {
  sendJson(exchange, status, { error: { message: `The sign-in server refused: ${code}.`, type: 'invalid_request_error', param: null, code } });
}

function done(_sent: void): true {
  return true;
}
