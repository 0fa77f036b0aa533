import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { CredentialStoreError } from '../../src/core/ports.ts';
import type { CredentialStore } from '../../src/core/ports.ts';
import { createVaultStore } from '../../src/io/vault-file.ts';
import { describeCredentialStore } from './credential-store-contract.ts';

let home = '';
let keyFile = '';

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'relay-vault-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function withKeyFile(folder = freshFolder()): { readonly path: string; readonly open: () => CredentialStore } {
  const path = join(folder, 'vault.json');
  return { path, open: () => createVaultStore({ path, environment: { RELAY_VAULT_KEYFILE: keyFile }, prompt: null }) };
}

async function refusalOf(promise: Promise<unknown>): Promise<CredentialStoreError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialStoreError)) throw new Error('the store did not refuse', { cause: error });
  return error;
}

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'relay-key-'));
  keyFile = join(home, 'key');
  writeFileSync(keyFile, Buffer.alloc(32, 7), { mode: 0o600 });
  return () => rmSync(home, { recursive: true, force: true });
});

describe('the vault', () => {
  describeCredentialStore(() => withKeyFile().open());

  test('is a 0600 file that holds no secret in the clear, and survives a restart', async () => {
    const { path, open } = withKeyFile();
    await open().set('acc', { kind: 'api-key', apiKey: 'sk-very-secret' });
    expect(readFileSync(path, 'utf8')).not.toContain('sk-very-secret');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await open().get('acc')).toEqual({ kind: 'api-key', apiKey: 'sk-very-secret' });
    expect(readdirSync(join(path, '..'))).toEqual(['vault.json']);
  });

  test('two processes writing at once lose nothing of each other’s', async () => {
    const { open } = withKeyFile();
    const stores = Array.from({ length: 4 }, open);
    await Promise.all(
      stores.flatMap((store, s) =>
        Array.from({ length: 5 }, (_, n) => store.set(`acc_${s}_${n}`, { kind: 'api-key', apiKey: `${s}.${n}` })),
      ),
    );
    for (let s = 0; s < 4; s++)
      for (let n = 0; n < 5; n++) expect(await open().get(`acc_${s}_${n}`)).toEqual({ kind: 'api-key', apiKey: `${s}.${n}` });
  });

  test('a record moved to another name does not open', async () => {
    const { path, open } = withKeyFile();
    await open().set('acc_a', { kind: 'api-key', apiKey: 'a' });
    await open().set('acc_b', { kind: 'api-key', apiKey: 'b' });
    const vault = JSON.parse(readFileSync(path, 'utf8'));
    [vault.records.acc_a, vault.records.acc_b] = [vault.records.acc_b, vault.records.acc_a];
    writeFileSync(path, JSON.stringify(vault));
    expect((await refusalOf(open().get('acc_a'))).state).toBe('corrupt');
  });

  test('a changed bit is corruption', async () => {
    const { path, open } = withKeyFile();
    await open().set('acc', { kind: 'api-key', apiKey: 'a' });
    const vault = JSON.parse(readFileSync(path, 'utf8'));
    const data = Buffer.from(vault.records.acc.data, 'base64');
    data[0] = (data[0] ?? 0) ^ 1;
    vault.records.acc.data = data.toString('base64');
    writeFileSync(path, JSON.stringify(vault));
    expect((await refusalOf(open().get('acc'))).state).toBe('corrupt');
  });

  test('the same secret is sealed differently each time', async () => {
    const { path, open } = withKeyFile();
    const seals = new Set<string>();
    for (let round = 0; round < 3; round++) {
      await open().setSecret('s', 'same');
      seals.add(JSON.parse(readFileSync(path, 'utf8')).records.s.iv);
    }
    expect(seals.size).toBe(3);
  });

  test.each([
    '',
    '{',
    '[]',
    '{"version":2}',
    '{"version":1,"key":{"name":"scrypt","n":2,"r":8,"p":1,"salt":"AA=="},"check":{"iv":"","tag":"","data":""},"records":{}}',
  ])('the text %j is no vault: said so, and left as it is', async (text) => {
    const { path, open } = withKeyFile();
    writeFileSync(path, text);
    expect((await refusalOf(open().get('acc'))).state).toBe('corrupt');
    expect((await refusalOf(open().set('acc', { kind: 'none' }))).state).toBe('corrupt');
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('a lock left by a killed process is taken over', async () => {
    const { path, open } = withKeyFile();
    writeFileSync(`${path}.lock`, '');
    const old = Date.now() / 1_000 - 60;
    utimesSync(`${path}.lock`, old, old);
    await open().setSecret('s', 'v');
    expect(await open().getSecret('s')).toBe('v');
  });
});

describe('the vault’s key', () => {
  test('a passphrase opens the vault, and another does not', async () => {
    const path = join(freshFolder(), 'vault.json');
    const open = (passphrase: string): CredentialStore =>
      createVaultStore({ path, environment: { RELAY_VAULT_PASSPHRASE: passphrase }, prompt: null });
    await open('right').setSecret('s', 'v');
    expect(await open('right').getSecret('s')).toBe('v');
    const error = await refusalOf(open('wrong').getSecret('s'));
    expect(error.state).toBe('denied');
    expect(error.message).not.toContain('wrong');
    expect((await refusalOf(open('wrong').setSecret('s', 'w'))).state).toBe('denied');
    expect(await open('wrong').probe()).toMatchObject({ state: 'denied' });
    expect(await open('right').getSecret('s')).toBe('v');
  });

  test('a passphrase file may end in a newline', async () => {
    const folder = freshFolder();
    const path = join(folder, 'vault.json');
    writeFileSync(join(folder, 'pass'), 'right\n');
    await createVaultStore({ path, environment: { RELAY_VAULT_PASSPHRASE: 'right' }, prompt: null }).setSecret('s', 'v');
    const store = createVaultStore({ path, environment: { RELAY_VAULT_PASSPHRASE_FILE: join(folder, 'pass') }, prompt: null });
    expect(await store.getSecret('s')).toBe('v');
  });

  test('a person is asked once, and again after a wrong answer', async () => {
    const path = join(freshFolder(), 'vault.json');
    const answers = ['right', 'wrong', 'right'];
    const prompt = (): Promise<string | null> => Promise.resolve(answers.shift() ?? null);
    const first = createVaultStore({ path, environment: {}, prompt });
    await first.setSecret('s', 'v');
    await first.setSecret('t', 'v');
    expect(answers).toHaveLength(2);
    const second = createVaultStore({ path, environment: {}, prompt });
    expect((await refusalOf(second.getSecret('s'))).state).toBe('denied');
    expect(await second.getSecret('s')).toBe('v');
  });

  test('without a key a vault stays shut, naming the ways, and no new one is made', async () => {
    const { path, open } = withKeyFile();
    await open().setSecret('s', 'v');
    const before = readFileSync(path, 'utf8');
    const shut = createVaultStore({ path, environment: {}, prompt: null });
    const error = await refusalOf(shut.getSecret('s'));
    expect(error.state).toBe('unavailable');
    expect(error.message).toContain('RELAY_VAULT_KEYFILE');
    await refusalOf(shut.setSecret('s', 'w'));
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  test('the other kind of key is refused by name', async () => {
    const { path, open } = withKeyFile();
    await open().setSecret('s', 'v');
    const error = await refusalOf(createVaultStore({ path, environment: { RELAY_VAULT_PASSPHRASE: 'x' }, prompt: null }).getSecret('s'));
    expect(error).toMatchObject({ state: 'denied' });
    expect(error.message).toContain('RELAY_VAULT_KEYFILE');
  });

  test.each([
    ['is missing', (folder: string) => join(folder, 'none')],
    ['has another length', (folder: string) => write(join(folder, 'short'), Buffer.alloc(31), 0o600)],
    ['is open to everyone', (folder: string) => write(join(folder, 'open'), Buffer.alloc(32), 0o644)],
  ])('a key file that %s is refused', async (_what, make) => {
    const path = join(freshFolder(), 'vault.json');
    const store = createVaultStore({ path, environment: { RELAY_VAULT_KEYFILE: make(freshFolder()) }, prompt: null });
    expect((await refusalOf(store.setSecret('s', 'v'))).state).toBe('unavailable');
  });

  test('a key file beside the vault is refused', async () => {
    const folder = freshFolder();
    const beside = write(join(folder, 'key'), Buffer.alloc(32), 0o600);
    const store = createVaultStore({ path: join(folder, 'vault.json'), environment: { RELAY_VAULT_KEYFILE: beside }, prompt: null });
    expect((await refusalOf(store.setSecret('s', 'v'))).message).toContain('beside the vault');
  });
});

function write(path: string, content: Buffer, mode: number): string {
  writeFileSync(path, content, { mode });
  return path;
}
