import { request } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { signInWithDevice } from '../../src/io/device-login.ts';
import type { DeviceCode } from '../../src/io/device-login.ts';
import { importCodexAuth } from '../../src/io/import-codex-auth.ts';
import type { BrowserSignIn } from '../../src/io/oauth-login.ts';
import { signInWithBrowser } from '../../src/io/oauth-login.ts';
import type { OAuthCredential, OAuthServer } from '../../src/io/oauth-tokens.ts';
import { CLIENT_ID, createRefresh, revokeCredential } from '../../src/io/oauth-tokens.ts';
import type { SignInResult } from '../../src/io/sign-in-result.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { createUpstream } from '../../src/io/upstream.ts';
import { readClaims } from '../../src/providers/claims.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { FAKE_START, fakeClock } from '../support/fake-clock.ts';
import { waitFor, within } from '../support/wait-for.ts';
import type { FakeAuthServer } from './fake-auth-server.ts';
import { ISSUED_ACCESS, startAuthServer } from './fake-auth-server.ts';

const NEVER = new AbortController().signal;
const OLD: OAuthCredential = {
  kind: 'oauth',
  accessToken: 'old-access',
  refreshToken: 'refresh-0',
  idToken: 'old-id',
  expiresAt: 5,
  refreshedAt: 1,
};

function serverAt(issuer: string, clock: FakeClock = fakeClock()): OAuthServer {
  const upstream = createUpstream({ useProxyEnv: false, clock: systemClock });
  onTestFinished(() => upstream.close());
  return { issuer, send: upstream.send, clock, version: '1.2.3', readExpiry: (token) => readClaims(token)?.expiresAt ?? null };
}

/** What came back to a page opened in a browser, with the headers a test cares for. */
async function get(
  url: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ readonly status: number; readonly text: string; readonly csp: string }> {
  const { port, pathname, search } = new URL(url);
  return within(
    new Promise((resolve, reject) => {
      request(
        { host: '127.0.0.1', port, path: pathname + search, method, headers: { host: `localhost:${port}`, ...headers } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text, csp: String(response.headers['content-security-policy']) }),
          );
        },
      )
        .on('error', reject)
        .end();
    }),
  );
}

interface Started {
  readonly auth: FakeAuthServer;
  readonly authorize: URL;
  readonly redirect: string;
  readonly state: string;
  readonly result: Promise<SignInResult>;
  readonly clock: FakeClock;
  readonly abort: AbortController;
}

async function startSignIn(over: Partial<BrowserSignIn> = {}): Promise<Started> {
  const auth = await startAuthServer();
  const clock = fakeClock();
  const abort = new AbortController();
  const shown: string[] = [];
  const result = signInWithBrowser(
    {
      server: serverAt(auth.issuer, clock),
      open: () => Promise.reject(new Error('no browser here')),
      show: (url) => shown.push(url),
      account: 'current',
      workspaceIds: null,
      ports: [0],
      ...over,
    },
    abort.signal,
  );
  onTestFinished(() => abort.abort());
  const url = new URL(await waitFor(() => shown[0]));
  const redirect = url.searchParams.get('redirect_uri') ?? '';
  auth.grant('code-1', { challenge: url.searchParams.get('code_challenge'), redirectUri: redirect });
  return { auth, authorize: url, redirect, state: url.searchParams.get('state') ?? '', result, clock, abort };
}

describe('signing in with a browser', () => {
  test('the code is exchanged with its verifier and yields a credential', async () => {
    const { auth, authorize, redirect, state, result } = await startSignIn();
    expect(redirect).toMatch(/^http:\/\/localhost:\d+\/auth\/callback$/);
    expect(Object.fromEntries(authorize.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: CLIENT_ID,
      code_challenge_method: 'S256',
      scope: 'openid profile email offline_access',
      id_token_add_organizations: 'true',
      codex_cli_simplified_flow: 'true',
      originator: 'relay',
    });
    expect(authorize.searchParams.has('prompt')).toBe(false);
    expect(state).toHaveLength(43);
    const page = await get(`${redirect}?code=code-1&state=${state}`);
    expect(page.status).toBe(200);
    expect(page.text).toContain('Signed in');
    expect(page.csp).toContain("default-src 'none'");
    expect(await result).toEqual({
      ok: true,
      credential: {
        kind: 'oauth',
        accessToken: ISSUED_ACCESS,
        refreshToken: 'refresh-1',
        idToken: expect.any(String),
        expiresAt: 1_800_000_000_000,
        refreshedAt: FAKE_START,
      },
    });
    expect(auth.calls).toMatchObject([
      { path: '/oauth/token', contentType: 'application/x-www-form-urlencoded', userAgent: 'relay/1.2.3' },
    ]);
  });

  test('a second account goes through the account chooser, and a workspace can be demanded', async () => {
    const { authorize } = await startSignIn({ account: 'choose', workspaceIds: ['ws-1', 'ws-2'] });
    expect(authorize.searchParams.get('prompt')).toBe('login');
    expect(authorize.searchParams.get('allowed_workspace_id')).toBe('ws-1,ws-2');
  });

  test('another state changes nothing, and the right answer still counts', async () => {
    const { redirect, state, result } = await startSignIn();
    expect((await get(`${redirect}?code=evil&state=other`)).status).toBe(400);
    expect((await get(`${redirect}?code=evil`)).status).toBe(400);
    expect((await get(`${redirect}?error=access_denied&state=other`)).status).toBe(400);
    await get(`${redirect}?code=code-1&state=${state}`);
    expect(await result).toMatchObject({ ok: true });
  });

  test('the answer is taken once', async () => {
    const { auth, redirect, state, result } = await startSignIn();
    const [first, second] = await Promise.all([
      get(`${redirect}?code=code-1&state=${state}`),
      get(`${redirect}?code=code-1&state=${state}`).catch(() => ({ status: 0 })),
    ]);
    expect([first.status, second.status].filter((status) => status === 200)).toHaveLength(1);
    expect(await result).toMatchObject({ ok: true });
    expect(auth.calls).toHaveLength(1);
    await expect(get(redirect)).rejects.toThrow();
  });

  test('B19 what the server says in an error is escaped on the page and cleaned in the message', async () => {
    const { redirect, state, result } = await startSignIn();
    const hostile = '<script>alert(1)</script>"\'\u001b[2J';
    const page = await get(`${redirect}?error=access_denied&error_description=${encodeURIComponent(hostile)}&state=${state}`);
    expect(page.text).not.toContain('<script>');
    expect(page.text).toContain('&#60;script&#62;');
    const failed = await result;
    expect(failed).toMatchObject({ ok: false, reason: 'refused' });
    expect(JSON.stringify(failed)).not.toContain('\\u001b');
  });

  test.each([
    ['another Host (DNS rebinding)', 403, { host: 'evil.example' }, 'GET', ''],
    ['a foreign Origin', 403, { origin: 'https://evil.example' }, 'GET', ''],
    ['Origin null', 403, { origin: 'null' }, 'GET', ''],
    ['a POST', 405, {}, 'POST', ''],
    ['another path', 404, {}, 'GET', '/../cancel'],
  ])('%s is turned away and the sign-in goes on', async (_what, status, headers, method, path) => {
    const { redirect, state, result } = await startSignIn();
    expect((await get(`${redirect}${path}?code=code-1&state=${state}`, headers, method)).status).toBe(status);
    await get(`${redirect}?code=code-1&state=${state}`);
    expect(await result).toMatchObject({ ok: true });
  });

  test('nobody signing in ends after five minutes, and the port is free again', async () => {
    const { redirect, result, clock } = await startSignIn();
    clock.advance(5 * 60_000);
    expect(await result).toMatchObject({ ok: false, reason: 'timed-out' });
    await expect(get(redirect)).rejects.toThrow();
  });

  test('it can be cancelled', async () => {
    const { result, abort, clock } = await startSignIn();
    abort.abort();
    expect(await result).toMatchObject({ ok: false, reason: 'cancelled' });
    expect(clock.pending).toBe(0);
  });

  test('a code the server refuses is said with its words, to the terminal and to the browser', async () => {
    const { redirect, state, result } = await startSignIn();
    const page = await get(`${redirect}?code=other&state=${state}`);
    expect(page.text).toContain('Sign-in failed');
    expect(await result).toMatchObject({ ok: false, reason: 'refused', message: 'The sign-in server refused (400): no such code' });
  });

  test('a port in use makes room for the next one, and none left is said', async () => {
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => void busy.close());
    const address = busy.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { redirect } = await startSignIn({ ports: [port, 0] });
    expect(redirect).not.toContain(`:${port}/`);
    const auth = await startAuthServer();
    const refused = await signInWithBrowser(
      {
        server: serverAt(auth.issuer),
        open: () => Promise.resolve(),
        show: () => {},
        account: 'current',
        workspaceIds: null,
        ports: [port],
      },
      NEVER,
    );
    expect(refused).toMatchObject({ ok: false, reason: 'unavailable' });
    expect(refused.ok ? '' : refused.message).toContain('--device');
  });

  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.address === '::1');

  test.runIf(hasIpv6)('P07 the listener also takes ::1, since localhost may mean it', async () => {
    const { redirect, state, result } = await startSignIn();
    const { port } = new URL(redirect);
    const status = await within(
      new Promise<number>((resolve, reject) => {
        request(
          { host: '::1', port, path: `/auth/callback?code=code-1&state=${state}`, headers: { host: `localhost:${port}` } },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        )
          .on('error', reject)
          .end();
      }),
    );
    expect(status).toBe(200);
    expect(await result).toMatchObject({ ok: true });
  });
});

interface StartedDevice {
  readonly auth: FakeAuthServer;
  readonly clock: FakeClock;
  readonly code: DeviceCode;
  readonly result: Promise<SignInResult>;
  readonly abort: AbortController;
}

async function startDevice(): Promise<StartedDevice> {
  const auth = await startAuthServer();
  const clock = fakeClock();
  const abort = new AbortController();
  const shown: DeviceCode[] = [];
  const result = signInWithDevice({ server: serverAt(auth.issuer, clock), show: (code) => shown.push(code) }, abort.signal);
  return { auth, clock, abort, result, code: await waitFor(() => shown[0]) };
}
const polls = (auth: FakeAuthServer): number => auth.calls.filter((call) => call.path.endsWith('deviceauth/token')).length;

describe('signing in on another device', () => {
  test('shows an address and a code, asks at the given interval, and yields a credential', async () => {
    const { auth, clock, code, result } = await startDevice();
    expect(code).toEqual({ url: `${auth.issuer}/codex/device`, userCode: 'ABCD-1234', expiresAt: FAKE_START + 900_000 });
    for (let round = 1; round <= 3; round++) {
      await waitFor(() => clock.nextIn === 2_000);
      clock.advance(2_000);
      await waitFor(() => polls(auth) === round);
    }
    auth.deviceApproved = true;
    await waitFor(() => clock.nextIn === 2_000);
    clock.advance(2_000);
    expect(await result).toMatchObject({ ok: true, credential: { accessToken: ISSUED_ACCESS } });
    expect(auth.calls.at(-1)).toMatchObject({
      path: '/oauth/token',
      body: { code_verifier: 'v', redirect_uri: `${auth.issuer}/deviceauth/callback` },
    });
  });

  test('a server that is broken for a while is asked again', async () => {
    const { auth, clock, result } = await startDevice();
    auth.next.push(
      { path: '/api/accounts/deviceauth/token', status: 502, body: '<html>' },
      { path: '/api/accounts/deviceauth/token', status: 429, body: {} },
    );
    auth.deviceApproved = true;
    for (let round = 0; round < 3; round++) {
      await waitFor(() => clock.nextIn === 2_000);
      clock.advance(2_000);
      await waitFor(() => polls(auth) === round + 1);
    }
    expect(await result).toMatchObject({ ok: true });
  });

  test('a code nobody uses runs out', async () => {
    const { clock, result } = await startDevice();
    await waitFor(() => clock.nextIn === 2_000);
    clock.set(FAKE_START + 900_000);
    clock.advance(2_000);
    expect(await result).toMatchObject({ ok: false, reason: 'timed-out' });
  });

  test('it can be cancelled', async () => {
    const { abort, result } = await startDevice();
    abort.abort();
    expect(await result).toMatchObject({ ok: false, reason: 'cancelled' });
  });

  test('where it is not enabled, the person is sent to the browser', async () => {
    const auth = await startAuthServer();
    auth.next.push({ path: '/api/accounts/deviceauth/usercode', status: 404, body: {} });
    const result = await signInWithDevice({ server: serverAt(auth.issuer), show: () => {} }, NEVER);
    expect(result).toMatchObject({ ok: false, reason: 'refused' });
    expect(result.ok ? '' : result.message).toContain('browser');
  });
});

describe('renewing', () => {
  test('sends JSON once and takes all three tokens', async () => {
    const auth = await startAuthServer();
    const refresh = createRefresh(serverAt(auth.issuer));
    const renewed = await refresh(auth.issuer, OLD, NEVER);
    expect(renewed).toMatchObject({
      ok: true,
      credential: { accessToken: ISSUED_ACCESS, refreshToken: 'refresh-1', expiresAt: 1_800_000_000_000, refreshedAt: FAKE_START },
    });
    expect(auth.calls).toEqual([
      {
        path: '/oauth/token',
        contentType: 'application/json',
        userAgent: 'relay/1.2.3',
        body: { client_id: CLIENT_ID, grant_type: 'refresh_token', refresh_token: 'refresh-0' },
      },
    ]);
  });

  test('what the answer leaves out keeps its old value, and expires_in counts where the token does not say', async () => {
    const auth = await startAuthServer();
    auth.next.push({ path: '/oauth/token', status: 200, body: { access_token: 'opaque', expires_in: 60 } });
    const renewed = await createRefresh(serverAt(auth.issuer))(auth.issuer, OLD, NEVER);
    expect(renewed).toEqual({
      ok: true,
      credential: { ...OLD, accessToken: 'opaque', expiresAt: FAKE_START + 60_000, refreshedAt: FAKE_START },
    });
  });

  test('a refusal is handed on as it was told', async () => {
    const auth = await startAuthServer();
    const refused = await createRefresh(serverAt(auth.issuer))(auth.issuer, { ...OLD, refreshToken: 'spent' }, NEVER);
    expect(refused).toMatchObject({ ok: false, kind: 'refused', status: 400 });
    expect(refused.ok || refused.kind !== 'refused' ? '' : refused.body).toContain('refresh_token_reused');
    expect(auth.calls).toHaveLength(1);
  });

  test.each([
    ['no JSON', '<html>challenge</html>'],
    ['no tokens', {}],
    ['tokens of another type', { access_token: 1 }],
  ])('a yes with %s is no answer and no refusal', async (_what, body) => {
    const auth = await startAuthServer();
    auth.next.push({ path: '/oauth/token', status: 200, body });
    expect(await createRefresh(serverAt(auth.issuer))(auth.issuer, OLD, NEVER)).toMatchObject({
      ok: false,
      kind: 'unreachable',
      code: 'no_tokens',
    });
  });

  test('a server that cannot be reached is said so, and no token is in the message', async () => {
    const failed = await createRefresh(serverAt('http://127.0.0.1:1'))('http://127.0.0.1:1', OLD, NEVER);
    expect(failed).toMatchObject({ ok: false, kind: 'unreachable', code: 'connect_refused' });
    expect(JSON.stringify(failed)).not.toContain('refresh-0');
  });

  test('without a refresh token nothing is sent', async () => {
    const auth = await startAuthServer();
    expect(await createRefresh(serverAt(auth.issuer))(auth.issuer, { ...OLD, refreshToken: null }, NEVER)).toMatchObject({
      ok: false,
      code: 'no_refresh_token',
    });
    expect(auth.calls).toEqual([]);
  });
});

describe('revoking', () => {
  test('gives back the refresh token, or the access token where there is none', async () => {
    const auth = await startAuthServer();
    const server = serverAt(auth.issuer);
    expect(await revokeCredential(server, OLD)).toBe(true);
    expect(await revokeCredential(server, { ...OLD, refreshToken: null })).toBe(true);
    expect(auth.calls.map((call) => call.body)).toEqual([
      { token: 'refresh-0', token_type_hint: 'refresh_token', client_id: CLIENT_ID },
      { token: 'old-access', token_type_hint: 'access_token' },
    ]);
  });

  test('is best effort: no server, no error', async () => {
    expect(await revokeCredential(serverAt('http://127.0.0.1:1'), OLD)).toBe(false);
  });
});

const read = (content: string): ReturnType<typeof importCodexAuth> => {
  const folder = mkdtempSync(join(tmpdir(), 'relay-import-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'auth.json'), content);
  return importCodexAuth(join(folder, 'auth.json'), { now: FAKE_START, readExpiry: (token) => readClaims(token)?.expiresAt ?? null });
};

describe('taking over Codex’s auth.json', () => {
  test('a ChatGPT sign-in becomes a credential, with the warning that it has moved', async () => {
    const imported = await read(
      JSON.stringify({
        auth_mode: 'chatgpt',
        OPENAI_API_KEY: null,
        last_refresh: '2026-11-01T00:00:00Z',
        tokens: { id_token: 'id', access_token: ISSUED_ACCESS, refresh_token: 'r', account_id: 'ws-1' },
      }),
    );
    expect(imported).toMatchObject({
      provider: 'chatgpt',
      workspaceId: 'ws-1',
      credential: {
        kind: 'oauth',
        accessToken: ISSUED_ACCESS,
        refreshToken: 'r',
        idToken: 'id',
        expiresAt: 1_800_000_000_000,
        refreshedAt: Date.UTC(2026, 10, 1),
      },
    });
    expect(imported.warning).toContain('codex login');
  });

  test('an API key goes to the platform', async () => {
    expect(await read('{"OPENAI_API_KEY":"sk-1"}')).toMatchObject({
      provider: 'openai',
      credential: { kind: 'api-key', apiKey: 'sk-1' },
      warning: null,
    });
    expect(await read('{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1","tokens":{"access_token":"a"}}')).toMatchObject({
      provider: 'openai',
    });
  });

  test.each([
    '',
    '[]',
    '{}',
    '{"tokens":{}}',
    '{"tokens":{"access_token":""}}',
    '{"auth_mode":"apikey"}',
    '{"auth_mode":"chatgpt","OPENAI_API_KEY":"sk-secret"}',
  ])('%j is refused by the file’s name, never with its content', async (content) => {
    const error = await read(content).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ name: 'CommandError', exitCode: 1 });
    expect(String(error)).toContain('auth.json');
    expect(String(error)).not.toContain('sk-secret');
  });

  test('a file that is not there is said so', async () => {
    await expect(importCodexAuth('/nonexistent/auth.json', { now: 0, readExpiry: () => null })).rejects.toThrow('There is no file');
  });
});
