import { spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parseJsonObject } from '../../src/core/json.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { within } from '../support/wait-for.ts';
import type { PinnedClient } from './pinned-client.ts';

const PROGRAM_MS = 60_000;

export interface ProgramRun {
  readonly client: PinnedClient;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs one of `programs/` beside a client library, where its imports resolve as in a project that installed it, and
 * gives the JSON it prints. Rejects when it prints none.
 */
export async function runProgram(name: string, { client, args, env }: ProgramRun): Promise<JsonObject> {
  const folder = await mkdtemp(join(client.folder, 'program-'));
  const program = join(folder, name);
  try {
    await copyFile(fileURLToPath(new URL(`./programs/${name}`, import.meta.url)), program);
    const child = spawn(process.execPath, [program, ...args], {
      env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    const closed = new Promise((resolve) => child.once('close', resolve));
    await within(closed, `${name} ${args.join(' ')}`, PROGRAM_MS).finally(() => child.kill('SIGKILL'));
    const said = parseJsonObject(stdout.trim());
    if (said === undefined) throw new Error(`${name} ${args.join(' ')} printed no JSON: ${stdout}\n${stderr}`);
    return said;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
