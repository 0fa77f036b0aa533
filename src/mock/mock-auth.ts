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

/** What the sign-in server remembers between two calls. */
interface Desk {
  readonly accounts: ReadonlyMap<string, MockAccount>;
  readonly random: Random;
  readonly grants: Map<string, Grant>;
  readonly devices: Map<string, DeviceGrant>;
  readonly signIn: SignIn;
  approved: string | null;
  denial: { readonly error: string; readonly description: string } | null;
}

/** Makes the sign-in server over the mock's accounts. */
export function createMockAuth(accounts: ReadonlyMap<string, MockAccount>, random: Random): MockAuth {
  const signIn: SignIn = {
    pendingPolls: 1,
    approveAs(account) {
      desk.approved = account;
    },
    deny(error, description) {
      desk.denial = { error, description };
    },
  };
  const desk: Desk = { accounts, random, grants: new Map(), devices: new Map(), signIn, approved: null, denial: null };
  return { signIn, handle: (exchange) => handle(exchange, desk) };
}

async function handle(exchange: Exchange, desk: Desk): Promise<boolean> {
  const { method, path } = exchange.record;
  if (method === 'GET' && path === '/oauth/authorize') return done(authorize(exchange, desk));
  if (method === 'GET' && path === '/codex/device') {
    return done(sendJson(exchange, 200, '<!DOCTYPE html><title>Sign in to Codex</title><p>Approved.</p>'));
  }
  if (method !== 'POST' || !/^\/(?:oauth\/(?:token|revoke)|api\/accounts\/deviceauth\/(?:usercode|token))$/.test(path)) return false;
  if (!(await readBody(exchange))) return done(sendJson(exchange, 400, { error: { code: 'invalid_request' } }));
  const body = exchange.record.body ?? Object.fromEntries(new URLSearchParams(exchange.record.text));
  if (path === '/oauth/revoke') return done(revoke(exchange, body, desk));
  if (path.endsWith('/deviceauth/token')) return done(pollDevice(exchange, body, desk));
  if (body['client_id'] !== CODEX_CLIENT_ID) return done(oauthError(exchange, 400, 'invalid_client'));
  if (path === '/oauth/token') return done(await grantTokens(exchange, body, desk));
  return done(beginDevice(exchange, desk));
}

function whoSignsIn({ approved, accounts }: Desk): MockAccount | undefined {
  return approved === null ? [...accounts.values()].find(({ kind }) => kind === 'chatgpt') : accounts.get(approved);
}

function authorize(exchange: Exchange, desk: Desk): void {
  const { query } = exchange.record;
  const fault = authorizeFault(query);
  if (fault !== null) return sendJson(exchange, 400, { error: { message: fault, code: 'invalid_request' } });
  const redirect = new URL(query['redirect_uri'] ?? '');
  redirect.searchParams.set('state', query['state'] ?? '');
  const account = whoSignsIn(desk);
  if (desk.denial !== null || account === undefined) {
    redirect.searchParams.set('error', desk.denial?.error ?? 'access_denied');
    redirect.searchParams.set('error_description', desk.denial?.description ?? 'No account to sign in with.');
    desk.denial = null;
  } else {
    const code = mockId('ac_mock_', desk.random);
    desk.grants.set(code, { account, challenge: query['code_challenge'] ?? '', redirectUri: query['redirect_uri'] ?? '' });
    redirect.searchParams.set('code', code);
    exchange.note({ account: account.name });
  }
  sendJson(exchange, 302, '', { location: redirect.href });
}

function beginDevice(exchange: Exchange, { random, devices, signIn }: Desk): void {
  const id = mockId('deviceauth_', random);
  const userCode = mockId('', random).slice(0, 8).toUpperCase().replace(/^(.{4})/, '$1-');
  devices.set(id, { userCode, verifier: mockId('verifier_', random), pollsLeft: signIn.pendingPolls });
  // The interval is text at the real endpoint.
  sendJson(exchange, 200, { device_auth_id: id, user_code: userCode, interval: '1', expires_in: 900 });
}

function pollDevice(exchange: Exchange, body: JsonObject, desk: Desk): void {
  const device = desk.devices.get(stringAt(body, 'device_auth_id') ?? '');
  const account = whoSignsIn(desk);
  if (device === undefined || account === undefined || device.userCode !== body['user_code']) {
    return sendJson(exchange, 404, { error: { code: 'not_found' } });
  }
  if (device.pollsLeft-- > 0) return sendJson(exchange, 403, { error: { code: 'authorization_pending' } });
  const code = mockId('ac_mock_', desk.random);
  const challenge = challengeOf(device.verifier);
  desk.grants.set(code, { account, challenge, redirectUri: `http://${exchange.headers['host'] ?? ''}/deviceauth/callback` });
  sendJson(exchange, 200, { authorization_code: code, code_challenge: challenge, code_verifier: device.verifier });
}

function revoke(exchange: Exchange, body: JsonObject, { accounts }: Desk): void {
  const token = stringAt(body, 'token') ?? '';
  const owner = [...accounts.values()].find((account) => account.accepts(token) !== 'no' || account.owns(token));
  owner?.revoke();
  exchange.note({ account: owner?.name ?? null });
  sendJson(exchange, 200, {});
}

async function grantTokens(exchange: Exchange, body: JsonObject, { accounts, grants }: Desk): Promise<void> {
  if (body['grant_type'] === 'authorization_code') return exchangeCode(exchange, body, grants);
  if (body['grant_type'] !== 'refresh_token') return oauthError(exchange, 400, 'unsupported_grant_type');
  const spent = stringAt(body, 'refresh_token') ?? '';
  const account = [...accounts.values()].find((candidate) => candidate.owns(spent));
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
  const fits =
    grant !== undefined &&
    challengeOf(stringAt(body, 'code_verifier') ?? '') === grant.challenge &&
    body['redirect_uri'] === grant.redirectUri;
  if (!fits) return oauthError(exchange, 400, 'invalid_grant');
  exchange.note({ account: grant.account.name });
  sendJson(exchange, 200, { ...grant.account.issue(), token_type: 'Bearer' });
}

function authorizeFault(query: Readonly<Record<string, string>>): string | null {
  const redirect = query['redirect_uri'] ?? '';
  if (query['client_id'] !== CODEX_CLIENT_ID) return 'unknown client_id';
  if (query['response_type'] !== 'code') return 'response_type must be code';
  if (query['code_challenge_method'] !== 'S256' || !/^[\w-]{43}$/.test(query['code_challenge'] ?? ''))
    return 'a S256 code_challenge is required';
  if ((query['state'] ?? '') === '') return 'state is required';
  return /^http:\/\/(?:localhost|127\.0\.0\.1):\d+\/auth\/callback$/.test(redirect) ? null : 'redirect_uri is not allowed';
}

function challengeOf(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url');
}

function oauthError(exchange: Exchange, status: number, code: string): void {
  sendJson(exchange, status, {
    error: { message: `The sign-in server refused: ${code}.`, type: 'invalid_request_error', param: null, code },
  });
}

function done(_sent: void): true {
  return true;
}
