import { chmod, open, unlink } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener, Server as HttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import type { ListenOptions, Server } from 'node:net';

import { homeDigest } from './control-path.ts';

/** This process is the one daemon of its home for as long as it holds this. */
export interface ControlClaim {
  readonly path: string;
  /** Listens already and answers 503 until {@link serveControl} takes it over. */
  readonly server: HttpServer;
  /** Closes the socket and lets another daemon in. The kernel does the same when the process dies. */
  release(): Promise<void>;
}

const PROBE_MS = 1_000;
/** `open(2)` on macOS: take an exclusive lock with the file, and do not wait for it. */
const DARWIN_EXCLUSIVE_LOCK = 0x20 | 0x4;
const READ_WRITE_CREATE = 0x2 | 0x200;

/**
 * Becomes the one daemon of a home, or returns null because another is. The proof is something the kernel takes back
 * when the process dies, however it dies: an abstract socket on Linux, a locked file on macOS, the pipe itself on
 * Windows. Only its holder may remove a socket file a killed daemon left, so any number may start at once.
 */
export async function claimControlSocket(path: string): Promise<ControlClaim | null> {
  const guard = await holdGuard(path);
  if (guard === null) return null;
  // A daemon in another network namespace holds another guard; its socket, which both see, still answers.
  if (await answers(path)) {
    await guard.release();
    return null;
  }
  if (process.platform !== 'win32') await unlink(path).catch(() => {});
  const server = createHttpServer({ requestTimeout: 30_000 });
  server.on('request', sayStarting);
  if (!(await listens(server, { path }))) {
    await guard.release();
    return null;
  }
  if (process.platform !== 'win32') await chmod(path, 0o600);
  return {
    path,
    server,
    async release() {
      await closed(server);
      await guard.release();
    },
  };
}

const sayStarting: RequestListener = (_request, response) => {
  response.writeHead(503, { 'content-type': 'application/json', connection: 'close' });
  response.end('{"ok":false,"error":{"code":"starting","message":"Relay is still starting."}}');
};

/** Takes over the requests of a claimed socket. */
export function answerClaim(claim: ControlClaim, listener: RequestListener): void {
  claim.server.off('request', sayStarting);
  claim.server.on('request', listener);
}

interface Guard {
  release(): Promise<void>;
}

async function holdGuard(path: string): Promise<Guard | null> {
  if (process.platform === 'win32') return { release: () => Promise.resolve() };
  if (process.platform === 'linux') return holdAbstractSocket(path);
  return holdLockedFile(`${path}.lock`);
}

async function holdAbstractSocket(path: string): Promise<Guard | null> {
  const server = createServer((socket) => socket.destroy());
  if (!(await listens(server, { path: `\0relay-${homeDigest(path)}` }))) return null;
  server.unref();
  return { release: () => closed(server) };
}

async function holdLockedFile(path: string): Promise<Guard | null> {
  try {
    const file = await open(path, READ_WRITE_CREATE | DARWIN_EXCLUSIVE_LOCK, 0o600);
    return { release: () => file.close() };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return null;
    throw error;
  }
}

/** True when somebody accepts connections at the path. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (how: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(how);
    };
    const timer = setTimeout(() => settle(true), PROBE_MS);
    socket.once('connect', () => settle(true));
    // A queue that is full says EAGAIN: somebody is there and busy.
    socket.once('error', (error) => settle('code' in error && error.code === 'EAGAIN'));
  });
}

/** False when the address is taken; throws for anything else. */
function listens(server: Server, where: ListenOptions): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      if ('code' in error && error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    };
    server.once('error', fail);
    server.listen(where, () => {
      server.off('error', fail);
      resolve(true);
    });
  });
}

function closed(server: Server | HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}
