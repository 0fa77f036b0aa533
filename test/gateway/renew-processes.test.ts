import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, onTestFinished, test } from 'vitest';

import { createVaultStore } from '../../src/io/vault-file.ts';
import { accountNamed } from '../routing/builders.ts';
import { fakeUpstream } from '../support/fake-upstream.ts';
import { waitFor, within } from '../support/wait-for.ts';

const CHILD = fileURLToPath(new URL('./renew-child.ts', import.meta.url));

interface Child {
  output(): string;
  go(): void;
  readonly ended: Promise<number | null>;
}

function startChild(args: readonly string[]): Child {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  return { output: () => output, go: () => void child.stdin.write('go\n'), ended: new Promise((resolve) => child.once('exit', resolve)) };
}

test('a hundred callers in four processes renew a refused token once, and all get the new one', async () => {
  const upstream = await fakeUpstream({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
  const home = await mkdtemp(join(tmpdir(), 'relay-renew-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await mkdir(join(home, 'locks'), { mode: 0o700 });
  const keyFolder = await mkdtemp(join(tmpdir(), 'relay-renew-key-'));
  onTestFinished(() => rm(keyFolder, { recursive: true, force: true }));
  const keyFile = join(keyFolder, 'vault.key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
  await writeFile(join(home, 'account.json'), JSON.stringify(accountNamed('a')));
  const vault = createVaultStore({ path: join(home, 'vault.json'), environment: { RELAY_VAULT_KEYFILE: keyFile }, prompt: null });
  await vault.set('acc_a', upstream.account('a').credential);
  upstream.account('a').expireAccessToken();

  const children = Array.from({ length: 4 }, () => startChild([home, keyFile, upstream.authOrigin]));
  await waitFor(() => children.every((child) => child.output().includes('ready')), 'every process', 20_000);
  for (const child of children) child.go();
  expect(await within(Promise.all(children.map(({ ended }) => ended)), 'their ends', 20_000), children.map((child) => child.output()).join('\n')).toEqual([0, 0, 0, 0]);

  const { credential } = upstream.account('a');
  const newest = credential.kind === 'oauth' ? credential.accessToken : '';
  for (const child of children) expect(JSON.parse(child.output().split('\n')[1] ?? '')).toEqual([newest]);
  expect(upstream.calls.filter(({ path }) => path === '/oauth/token')).toHaveLength(1);
  expect(await vault.get('acc_a')).toMatchObject({ accessToken: newest });
}, 60_000);
