import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

/** A system tool that does not answer within this is not waited for. */
const ASK_MS = 2_000;

/**
 * Who listens on a port of this machine, in words for a person: a Relay of another home with its address, a program, each
 * with its pid, or how to find out. The port itself is not touched: whoever holds it would have to serve the question.
 * Never rejects.
 */
export async function describePortHolder(host: string, port: number): Promise<string> {
  const program = await (process.platform === 'linux' ? findInProc(port) : findWithLsof(port)).catch(() => null);
  if (program === null) return `another program (find it with: lsof -nP -iTCP:${port} -sTCP:LISTEN)`;
  const [runtime = '', script = ''] = program.command;
  // The command line may hold a secret: only the program's own name is shown.
  const name = basename(runtime).replace(/[^\x20-\x7e]/g, '?').slice(0, 60);
  if (/^(relay|relay\.js)$/.test(basename(script))) {
    const authority = host.includes(':') ? `[${host}]` : host;
    return `a Relay with another RELAY_HOME at http://${authority}:${port} (pid ${program.pid})`;
  }
  return `${name || 'another program'} (pid ${program.pid})`;
}

interface Program {
  readonly pid: number;
  readonly command: readonly string[];
}

/** Linux tells a listening socket's inode by its port, and each process's sockets by inode, for the user's own processes. */
async function findInProc(port: number): Promise<Program | null> {
  const inodes = new Set([...(await listeningInodes('/proc/net/tcp', port)), ...(await listeningInodes('/proc/net/tcp6', port))]);
  if (inodes.size === 0) return null;
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    for (const file of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${file}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      return { pid: Number(pid), command: (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0') };
    }
  }
  return null;
}

async function listeningInodes(table: string, port: number): Promise<readonly string[]> {
  const LISTEN = '0A';
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const text = await readFile(table, 'utf8').catch(() => '');
  return text.split('\n').slice(1).flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return local?.endsWith(suffix) === true && state === LISTEN && inode !== undefined ? [inode] : [];
  });
}

async function findWithLsof(port: number): Promise<Program | null> {
  const pid = /^p(\d+)$/m.exec(await outputOf('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fp']))?.[1];
  if (pid === undefined) return null;
  return { pid: Number(pid), command: (await outputOf('ps', ['-o', 'command=', '-p', pid])).trim().split(' ') };
}

function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program, [...args], { timeout: ASK_MS }, (_error, stdout) => resolve(stdout));
  });
}
