import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { onTestFinished } from 'vitest';

import { runProgram } from '../../src/cli/program.ts';
import { FAKE_START } from './fake-clock.ts';
import { testContext } from './command-context.ts';
import { within } from './wait-for.ts';

/** What a command did, in this process. */
export interface RanCommand {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line over a home, as a pipe unless it is given columns. */
export async function runCommand(
  home: string,
  args: readonly string[],
  {
    input = '',
    env = {},
    columns,
  }: { readonly input?: string; readonly env?: Readonly<Record<string, string>>; readonly columns?: number } = {},
): Promise<RanCommand> {
  const context = testContext(FAKE_START, { home, env, stdin: Readable.from([input]), ...(columns !== undefined && { columns }) });
  const code = await within(runProgram(args, context), `relay ${args.join(' ')}`, 15_000);
  return { code, ...context.written };
}

/** A home with settings of its own, removed when the test is over. Credentials are kept in a vault file with a key file. */
export async function commandHome(
  settings: object = {},
): Promise<{ readonly path: string; readonly env: Readonly<Record<string, string>> }> {
  const path = await mkdtemp(join(tmpdir(), 'relay-command-'));
  const keys = await mkdtemp(join(tmpdir(), 'relay-command-key-'));
  onTestFinished(async () => {
    await rm(path, { recursive: true, force: true });
    await rm(keys, { recursive: true, force: true });
  });
  const keyFile = join(keys, 'vault.key');
  await writeFile(keyFile, Buffer.alloc(32, 7), { mode: 0o600 });
  await writeFile(join(path, 'config.json'), JSON.stringify({ keychain: 'file', ...settings }), { mode: 0o600 });
  return { path, env: { RELAY_VAULT_KEYFILE: keyFile } };
}
