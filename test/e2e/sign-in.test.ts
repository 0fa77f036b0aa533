import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { RelayHome } from '../support/start-relay.ts';
import { importAccount, makeRelayHome } from '../support/start-relay.ts';
import { waitFor, within } from '../support/wait-for.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/relay.js', import.meta.url));

/** The built `relay keys add` as a person meets it, against a sign-in server that speaks the real one's flows. */
describe('relay keys add', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  beforeEach(async () => {
    upstream = await startMockUpstream({
      accounts: [{ name: 'ada', kind: 'chatgpt', plan: 'plus', email: 'ada@example.com', userId: 'u-ada' }, { name: 'bob', kind: 'chatgpt', email: 'bob@example.com', userId: 'u-bob' }, { name: 'key', kind: 'api-key', apiKey: 'sk-made-up-key' }],
    });
    home = await makeRelayHome({
      providers: { chatgpt: { kind: 'chatgpt', baseUrl: upstream.chatgptBaseUrl, authUrl: upstream.authOrigin }, openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } },
    });
  });
  afterEach(async () => {
    await home.remove();
    await upstream.close();
  });

  function runBeside(args: readonly string[]): { readonly child: ChildProcess; readonly output: () => string; readonly ended: Promise<number | null> } {
    // No browser may open here: nothing that could start one is on the path.
    const child = spawn(process.execPath, [LAUNCHER, ...args], { env: { ...home.env, PATH: '' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, output: () => output, ended };
  }

  const secretsOf = (name: string): readonly string[] => {
    const { credential } = upstream.account(name);
    return credential.kind === 'oauth' ? [credential.accessToken, credential.refreshToken ?? ''] : [];
  };

  test('signs in with the browser: PKCE, back to loopback, verified with one call, nothing secret in any file', async () => {
    upstream.signIn.approveAs('ada');
    const adding = runBeside(['keys', 'add', 'personal']);
    const url = await waitFor(() => /^http:\/\/127\S+\/oauth\/authorize\S+$/m.exec(adding.output())?.[0], 'the address to open');
    expect(new URL(url).searchParams.get('code_challenge_method')).toBe('S256');
    expect((await fetch(url)).status).toBe(200);
    expect(await within(adding.ended, 'keys add'), adding.output()).toBe(0);
    const [account] = JSON.parse((await home.run(['keys', 'list', '--json'])).stdout);
    expect(account).toMatchObject({ name: 'personal', provider: 'chatgpt', plan: 'plus', state: 'ready' });
    for (const file of ['state.json', 'vault.json', 'logs/relay.log']) {
      const text = await readFile(join(home.path, file), 'utf8').catch(() => '');
      for (const secret of secretsOf('ada')) expect(text).not.toContain(secret);
    }
  });

  test('signs in with a device code', async () => {
    upstream.signIn.approveAs('ada');
    const adding = runBeside(['keys', 'add', '--device']);
    expect(await within(adding.ended, 'keys add --device', 20_000), adding.output()).toBe(0);
    expect(adding.output()).toMatch(/enter the code \S+/);
    expect(JSON.parse((await home.run(['keys', 'list', '--json'])).stdout)).toMatchObject([{ name: 'ada', state: 'ready' }]);
  }, 30_000);

  test('a second ChatGPT account wants the notice accepted, and the same sign-in twice is refused', async () => {
    await importAccount(home, upstream, 'ada');
    const auth = join(home.path, 'ada-auth.json');
    const again = await home.run(['keys', 'add', 'again', '--import', auth, '--accept-terms']);
    expect(again).toMatchObject({ code: 1 });
    expect(again.stderr).toContain('relay keys login ada');
    const bob = upstream.account('bob').credential;
    const file = join(home.path, 'bob.json');
    await writeFile(file, JSON.stringify({ tokens: bob.kind === 'oauth' ? { id_token: bob.idToken, access_token: bob.accessToken, refresh_token: bob.refreshToken } : {} }));
    const second = await home.run(['keys', 'add', 'bob', '--import', file]);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain('OpenAI\'s terms');
    expect((await home.run(['keys', 'add', 'bob', '--import', file, '--accept-terms'])).code).toBe(0);
    expect(JSON.parse(await readFile(join(home.path, 'state.json'), 'utf8')).termsAcceptedAt).toBeGreaterThan(0);
  });

  test('an API key comes over stdin, is checked, and a wrong one is not kept', async () => {
    const wrong = await home.run(['keys', 'add', 'mine', '--provider', 'openai', '--api-key-stdin'], { input: 'sk-wrong\n' });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('--no-verify');
    expect(wrong.stderr).not.toContain('sk-wrong');
    expect(JSON.parse((await home.run(['keys', 'list', '--json'])).stdout)).toEqual([]);
    const right = await home.run(['keys', 'add', 'mine', '--provider', 'openai', '--api-key-stdin', '--json'], { input: 'sk-made-up-key\n' });
    expect(right.code, right.stderr).toBe(0);
    expect(JSON.parse(right.stdout)).toMatchObject({ name: 'mine', state: 'ready', test: { ok: true } });
    expect((await home.run(['keys', 'test', 'mine'])).code).toBe(0);
  });

  test('remove revokes the tokens upstream and leaves nothing behind', async () => {
    await importAccount(home, upstream, 'ada');
    const removed = await home.run(['keys', 'remove', 'ada', '--json']);
    expect(JSON.parse(removed.stdout)).toEqual({ name: 'ada', removed: true, revoked: true });
    expect(upstream.calls.some(({ path }) => path === '/oauth/revoke')).toBe(true);
    expect(JSON.parse((await home.run(['keys', 'list', '--json'])).stdout)).toEqual([]);
    expect(JSON.parse(await readFile(join(home.path, 'vault.json'), 'utf8')).records ?? {}).toEqual({});
  });

  test('without a keychain the choices are named and nothing is stored: exit 78', async () => {
    await home.writeConfig({});
    const added = await home.run(['keys', 'add', 'mine', '--provider', 'openai', '--api-key-stdin', '--no-verify'], { input: 'sk-made-up-key' });
    expect(added.code).toBe(78);
    expect(added.stderr).toContain('relay config set keychain file');
    expect(JSON.parse((await home.run(['keys', 'list', '--json'])).stdout)).toEqual([]);
  });
});
