import { numberAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import type { OAuthServer } from './oauth-tokens.ts';
import { CLIENT_ID, exchangeCode, postJson } from './oauth-tokens.ts';
import type { SignInResult } from './sign-in-result.ts';
import { refusalText, signInResult } from './sign-in-result.ts';

/** What a person needs to sign in on another device. */
export interface DeviceCode {
  readonly url: string;
  readonly userCode: string;
  readonly expiresAt: EpochMs;
}

interface DeviceGrant extends DeviceCode {
  readonly deviceAuthId: string;
  readonly intervalMs: number;
}

const DEFAULT_LIFE_SECONDS = 900;
const DEFAULT_INTERVAL_SECONDS = 5;
const MAX_INTERVAL_SECONDS = 60;

/**
 * Signs a person in on another device: shows an address and a code, then asks until the person is done, for as long as
 * the code lives (15 minutes). The protocol is auth.openai.com's own, not RFC 8628 (observed 2026-11). Never rejects;
 * a network that fails for a while does not end it.
 */
export async function signInWithDevice(
  { server, show }: { readonly server: OAuthServer; readonly show: (code: DeviceCode) => void },
  signal: AbortSignal,
): Promise<SignInResult> {
  const asked = await askForCode(server, signal);
  if (!('deviceAuthId' in asked)) return asked;
  show({ url: asked.url, userCode: asked.userCode, expiresAt: asked.expiresAt });
  for (;;) {
    if ((await pause(server.clock, asked.intervalMs, signal)) === 'aborted')
      return { ok: false, reason: 'cancelled', message: 'The sign-in was cancelled.' };
    if (server.clock.now() >= asked.expiresAt)
      return { ok: false, reason: 'timed-out', message: 'The code ran out before anybody signed in. Try again.' };
    const outcome = await poll(server, asked, signal);
    if (outcome !== 'pending') return outcome;
  }
}

async function askForCode(server: OAuthServer, signal: AbortSignal): Promise<DeviceGrant | SignInResult> {
  const result = await postJson(server, '/api/accounts/deviceauth/usercode', { client_id: CLIENT_ID }, signal);
  if (!result.ok) return signInResult({ kind: 'failed', failure: result.failure });
  const { status, body } = result.answer;
  if (status === 404) {
    return {
      ok: false,
      reason: 'refused',
      message: 'Device sign-in is not enabled for this account or workspace. Sign in with a browser instead: leave out --device.',
    };
  }
  if (status < 200 || status > 299) return signInResult({ kind: 'refused', status, body });
  const grant = readGrant(server, parseJsonObject(body));
  return grant ?? { ok: false, reason: 'unavailable', message: 'The sign-in server gave no device code.' };
}

function readGrant(server: OAuthServer, answer: JsonObject | undefined): DeviceGrant | null {
  const deviceAuthId = stringAt(answer, 'device_auth_id');
  const userCode = stringAt(answer, 'user_code') ?? stringAt(answer, 'usercode');
  if (deviceAuthId === undefined || userCode === undefined) return null;
  const interval = secondsAt(answer, 'interval') ?? DEFAULT_INTERVAL_SECONDS;
  const life = secondsAt(answer, 'expires_in') ?? DEFAULT_LIFE_SECONDS;
  return {
    deviceAuthId,
    userCode: userCode.replaceAll(/[^\w-]/g, '').slice(0, 40),
    url: `${server.issuer.replace(/\/+$/, '')}/codex/device`,
    expiresAt: server.clock.now() + life * 1_000,
    intervalMs: Math.min(interval, MAX_INTERVAL_SECONDS) * 1_000,
  };
}

/** A positive number of seconds, which the server writes as a number or as a string. */
function secondsAt(answer: JsonObject | undefined, key: string): number | null {
  const seconds = numberAt(answer, key) ?? Number(stringAt(answer, key) ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}

async function poll(server: OAuthServer, grant: DeviceGrant, signal: AbortSignal): Promise<SignInResult | 'pending'> {
  const result = await postJson(
    server,
    '/api/accounts/deviceauth/token',
    { device_auth_id: grant.deviceAuthId, user_code: grant.userCode },
    signal,
  );
  if (!result.ok) return result.failure.kind === 'client-gone' ? signInResult({ kind: 'failed', failure: result.failure }) : 'pending';
  const { status, body } = result.answer;
  // 403 and 404 say "not yet"; a server that is busy or broken is asked again as well, while the code lives.
  if (status === 403 || status === 404 || status === 429 || status >= 500) return 'pending';
  const answer = parseJsonObject(body);
  const code = stringAt(answer, 'authorization_code');
  const codeVerifier = stringAt(answer, 'code_verifier');
  if (status > 299 || code === undefined || codeVerifier === undefined) {
    return { ok: false, reason: 'refused', message: `The sign-in server refused (${status}): ${refusalText(body)}` };
  }
  const redirectUri = `${server.issuer.replace(/\/+$/, '')}/deviceauth/callback`;
  return signInResult(await exchangeCode(server, { code, codeVerifier, redirectUri }, signal));
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<'over' | 'aborted'> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('aborted');
    const abort = (): void => {
      cancel();
      resolve('aborted');
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', abort);
      resolve('over');
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}
