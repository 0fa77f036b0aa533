import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { within } from '../support/wait-for.ts';

const INSTALL_MS = 240_000;

/** A client program at one version, in a folder of its own outside the project. */
export interface PinnedClient {
  /** Where its `node_modules` is. */
  readonly folder: string;
  /** Where its commands are; goes first in `PATH`. */
  readonly bin: string;
}

/**
 * Installs packages at their exact versions into the cache folder, or finds them there. Null, with the reason printed,
 * where they cannot be had: then the tests that need them are skipped and not failed.
 */
export async function pinnedClient(...packages: readonly [string, ...string[]]): Promise<PinnedClient | null> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'relay-test-clients');
  const folder = join(cache, packages.join('+').replaceAll('/', '-'));
  const client: PinnedClient = { folder, bin: join(folder, 'node_modules', '.bin') };
  if (await exists(folder)) return client;
  try {
    await mkdir(cache, { recursive: true });
    // Made aside and moved, so that a folder that is there is whole.
    const aside = await mkdtemp(join(cache, '.new-'));
    await writeFile(join(aside, 'package.json'), '{"private":true}\n');
    await install(aside, packages).catch(async (error: unknown) => {
      await rm(aside, { recursive: true, force: true });
      throw error;
    });
    await rename(aside, folder);
    return client;
  } catch (error) {
    if (await exists(folder)) return client;
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`skipped, since it cannot be installed: ${packages.join(' ')}\n${reason}\n`);
    return null;
  }
}

async function install(folder: string, packages: readonly string[]): Promise<void> {
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--no-progress', '--loglevel=error', ...packages];
  const child = spawn('npm', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const code = await within(ended, `npm install ${packages.join(' ')}`, INSTALL_MS).finally(() => child.kill());
  if (code !== 0) throw new Error(`npm ended with ${code}: ${said.trim().slice(-2_000)}`);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}
