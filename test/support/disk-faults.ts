import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

import { waitFor } from './wait-for.ts';

/** A fault injected into a running process's calls on certain paths, until it is taken away. */
export interface InjectedFault {
  /** Ends it; the process goes on. */
  remove(): Promise<void>;
}

/** What is injected: strace's own words, such as `write:error=ENOSPC` or `fdatasync:error=EIO:when=1`. */
export interface FaultPlan {
  readonly pid: number;
  readonly inject: string;
  readonly paths: readonly string[];
}

/** Why faults cannot be injected here; null where they can. */
export function whyNoInjection(): string | null {
  if (process.platform !== 'linux') return 'strace is a Linux program';
  if (spawnSync('strace', ['-V']).status !== 0) return 'strace is not installed';
  const probe = spawn('sleep', ['30']);
  const attached = spawnSync('timeout', ['1', 'strace', '-p', String(probe.pid), '-e', 'trace=none'], { encoding: 'utf8' });
  probe.kill();
  return attached.stderr.includes('attached') ? null : 'this user may not trace its own processes';
}

/** Injects a fault and resolves when every thread of the process is under it. */
export async function injectFault({ pid, inject, paths }: FaultPlan): Promise<InjectedFault> {
  const call = inject.split(':')[0] ?? '';
  const tracer = spawn('strace', ['-f', '-p', String(pid), ...paths.flatMap((path) => ['-P', path]), '-e', `trace=${call}`, '-e', `inject=${inject}`, '-o', '/dev/null']);
  let said = '';
  tracer.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
  let isOver = false;
  tracer.once('exit', () => {
    isOver = true;
  });
  await waitFor(() => said.includes('attached'), `strace to attach (${said})`);
  return {
    async remove() {
      tracer.kill('SIGINT');
      await waitFor(() => isOver, 'strace to let go');
    },
  };
}

/** Why no file system of one's own can be mounted here; null where one can. */
export function whyNoMount(): string | null {
  if (process.platform !== 'linux') return 'mount namespaces are Linux\'s';
  const tried = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt'], { encoding: 'utf8' });
  return tried.status === 0 ? null : 'this user may not make a mount namespace';
}

/** Runs a program with a folder of its own mounted for it alone: a `tmpfs` of the given options, or the folder itself read-only. */
export function spawnMounted(
  { folder, options, command, env }: { readonly folder: string; readonly options: string; readonly command: readonly string[]; readonly env: NodeJS.ProcessEnv },
): ChildProcess {
  const mount = options === 'ro'
    ? 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
    : `cp -a "$0" "$0.copy" && mount -t tmpfs -o mode=0700,${options} tmpfs "$0" && cp -a "$0.copy/." "$0/" && rm -rf "$0.copy"`;
  return spawn('unshare', ['-rm', 'sh', '-c', `${mount} && exec "$@"`, folder, ...command], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}
