import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, onTestFinished, test } from 'vitest';

import { ControlError } from '../../src/control/control.ts';
import { CredentialStoreError } from '../../src/core/ports.ts';
import { claimControlSocket } from '../../src/io/claim-control-socket.ts';
import type { ControlClaim } from '../../src/io/claim-control-socket.ts';
import { connectControl } from '../../src/io/connect-control.ts';
import type { ControlConnection } from '../../src/io/connect-control.ts';
import { controlPath } from '../../src/io/control-path.ts';
import type { ControlHandler } from '../../src/io/control-socket.ts';
import { serveControl } from '../../src/io/control-socket.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { waitFor, within } from '../support/wait-for.ts';

const CALL = { clock: systemClock, timeoutMs: 5_000 };

function freshHome(): string {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'relay-home-')));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

async function claimed(path: string): Promise<ControlClaim> {
  const claim = await claimControlSocket(path);
  if (claim === null) throw new Error('the socket was not to be had');
  onTestFinished(() => claim.release());
  return claim;
}

interface Daemon {
  readonly path: string;
  readonly claim: ControlClaim;
  readonly connection: ControlConnection;
  readonly calls: unknown[];
  readonly logged: unknown[];
  emit(event: unknown): void;
  readonly listeners: number;
}

async function startDaemon(call: ControlHandler['call'] = () => Promise.resolve(null)): Promise<Daemon> {
  const path = join(freshHome(), 'relay.sock');
  const claim = await claimed(path);
  const calls: unknown[] = [];
  const logged: unknown[] = [];
  const listeners = new Set<(event: unknown) => void>();
  serveControl(
    claim,
    {
      call(method, params) {
        calls.push([method, params]);
        return method === 'ping' ? Promise.resolve({ gateway: 'up' }) : call(method, params);
      },
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    { error: (message, facts) => logged.push([message, facts]) },
  );
  const connection = await connectControl(path, CALL);
  if (connection === null) throw new Error('nobody answers');
  return {
    path,
    claim,
    connection,
    calls,
    logged,
    emit: (event) => listeners.forEach((listener) => listener(event)),
    get listeners() {
      return listeners.size;
    },
  };
}

async function raw(
  path: string,
  options: { readonly method: string; readonly path: string; readonly body?: string | Buffer },
): Promise<{ readonly status: number; readonly body: string }> {
  return within(
    new Promise((resolve, reject) => {
      const call = request({ socketPath: path, method: options.method, path: options.path, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      call.on('error', reject);
      call.end(options.body);
    }),
  );
}

describe('control calls', () => {
  test('carry a method and its parameters there and its value back', async () => {
    const { connection, calls } = await startDaemon(() => Promise.resolve({ revoked: true }));
    expect(await connection.call('accounts.remove', { name: 'work' })).toEqual({ revoked: true });
    expect(calls.at(-1)).toEqual(['accounts.remove', { name: 'work' }]);
  });

  test('a value of nothing is null', async () => {
    const { connection } = await startDaemon(() => Promise.resolve(undefined));
    expect(await connection.call('stop', {})).toBeNull();
  });

  test.each([
    [new ControlError('not_found', 'There is no account "x".'), 'not_found', 'There is no account "x".'],
    [new CredentialStoreError('locked', 'The OS keychain is locked.'), 'keychain', 'The OS keychain is locked.'],
  ])('%s arrives as code %s', async (thrown, code, message) => {
    const { connection } = await startDaemon(() => Promise.reject(thrown));
    await expect(connection.call('accounts.pause', { name: 'x' })).rejects.toMatchObject({ name: 'ControlError', code, message });
  });

  test('X06 an error nobody expected stays inside: its name is logged, its text goes nowhere', async () => {
    const { connection, logged } = await startDaemon(() => Promise.reject(new TypeError('Bearer sk-secret')));
    const error = await connection.call('accounts.list', {}).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(String(error)).toContain('its log says where');
    expect(JSON.stringify([String(error), logged])).not.toContain('sk-secret');
    expect(logged).toEqual([['a control request failed', { method: 'accounts.list', error: 'TypeError' }]]);
  });

  test('many at once are all answered', async () => {
    const { connection } = await startDaemon((_method, params) => Promise.resolve(params));
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => connection.call('requests.get', { id: `req_${index}` })));
    expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => ({ id: `req_${index}` })));
  });

  test('what is no control call is refused', async () => {
    const { path, calls } = await startDaemon();
    const before = calls.length;
    expect(await raw(path, { method: 'GET', path: '/ping' })).toMatchObject({ status: 405 });
    expect(await raw(path, { method: 'POST', path: '/ping', body: '{' })).toMatchObject({ status: 400 });
    expect(await raw(path, { method: 'POST', path: '/ping', body: Buffer.alloc(1_100_000, ' ') })).toMatchObject({ status: 413 });
    expect(calls).toHaveLength(before);
  });

  test('the socket is the user’s own', async () => {
    const { path } = await startDaemon();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a daemon that goes away in the middle is said to be not running', async () => {
    const { connection, claim } = await startDaemon(() => new Promise(() => {}));
    const pending = connection.call('accounts.list', {}).then(
      () => null,
      (reason: unknown) => reason,
    );
    await waitFor(() => true);
    await claim.release();
    expect(await pending).toMatchObject({ name: 'ControlError', code: 'not_running' });
    await expect(connection.call('accounts.list', {})).rejects.toMatchObject({ code: 'not_running' });
  });

  test('a call that takes too long is given up', async () => {
    const { path } = await startDaemon(() => new Promise(() => {}));
    const connection = await connectControl(path, { clock: systemClock, timeoutMs: 200 });
    await expect(connection?.call('accounts.list', {})).rejects.toMatchObject({ message: expect.stringContaining('did not answer') });
  });

  test('nobody there is null; somebody else there is an error', async () => {
    const home = freshHome();
    expect(await connectControl(join(home, 'relay.sock'), CALL)).toBeNull();
    const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
    await new Promise<void>((resolve) => other.listen(join(home, 'other.sock'), () => resolve()));
    onTestFinished(() => void other.close());
    await expect(connectControl(join(home, 'other.sock'), CALL)).rejects.toMatchObject({ message: expect.stringContaining('not Relay') });
  });

  test('a daemon that is still starting is waited for', async () => {
    const path = join(freshHome(), 'relay.sock');
    const claim = await claimed(path);
    const connecting = connectControl(path, CALL);
    expect((await raw(path, { method: 'POST', path: '/ping' })).status).toBe(503);
    serveControl(claim, { call: () => Promise.resolve({}), subscribe: () => () => {} }, { error: () => {} });
    expect(await within(connecting)).not.toBeNull();
  });
});

describe('live events', () => {
  test('arrive one by one until closed, and the daemon forgets the listener', async () => {
    const daemon = await startDaemon();
    const events: unknown[] = [];
    const close = daemon.connection.events({ onEvent: (event) => events.push(event), onEnd: () => events.push('end') });
    await waitFor(() => daemon.listeners === 1);
    for (let n = 0; n < 500; n++) daemon.emit({ type: 'progress', n, text: 'zoë\n' });
    await waitFor(() => events.length === 500);
    expect(events[499]).toEqual({ type: 'progress', n: 499, text: 'zoë\n' });
    close();
    await waitFor(() => daemon.listeners === 0);
    expect(events).toHaveLength(500);
  });

  test('the end of the daemon is told', async () => {
    const daemon = await startDaemon();
    const ended = new Promise<void>((resolve) => daemon.connection.events({ onEvent: () => {}, onEnd: resolve }));
    await waitFor(() => daemon.listeners === 1);
    await daemon.claim.release();
    await within(ended);
  });

  test('P14 a reader that stands still is cut off and costs the daemon no more than a bounded buffer', async () => {
    const daemon = await startDaemon();
    const call = request({ socketPath: daemon.path, path: '/events', agent: false });
    call.on('error', () => {});
    call.on('response', (response) => response.on('error', () => {}).pause());
    call.end();
    onTestFinished(() => void call.destroy());
    await waitFor(() => daemon.listeners === 1);
    const event = { type: 'progress', text: 'x'.repeat(10_000) };
    for (let n = 0; n < 1_000 && daemon.listeners > 0; n++) {
      daemon.emit(event);
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor(() => daemon.listeners === 0, 'the reader to be cut off');
  });
});

describe('one daemon a home', () => {
  test('S11 a second claim in the same process or another is refused, and granted after the release', async () => {
    const path = join(freshHome(), 'relay.sock');
    const first = await claimed(path);
    expect(await claimControlSocket(path)).toBeNull();
    await first.release();
    expect(existsSync(path)).toBe(false);
    await claimed(path);
  });

  test('S11 of twenty processes that start at once exactly one wins, also over a file a killed one left', async () => {
    const path = join(freshHome(), 'relay.sock');
    for (let round = 0; round < 2; round++) {
      const children = Array.from({ length: 20 }, () => startClaimant(path));
      const outcomes = await Promise.all(children.map((child) => child.outcome));
      expect(outcomes.filter((outcome) => outcome === 'won')).toHaveLength(1);
      expect(await raw(path, { method: 'POST', path: '/ping' })).toMatchObject({ status: 503 });
      for (const { child } of children) child.kill('SIGKILL');
      await waitFor(() => children.every(({ child }) => child.exitCode !== null || child.signalCode !== null));
      expect(existsSync(path)).toBe(true);
    }
  }, 60_000);

  test('S12 a socket file nobody listens on is replaced', async () => {
    const path = join(freshHome(), 'relay.sock');
    writeFileSync(path, 'left over');
    await claimed(path);
    expect((await raw(path, { method: 'POST', path: '/ping' })).status).toBe(503);
  });

  test('a socket that somebody answers on is left alone, whoever that is', async () => {
    const path = join(freshHome(), 'relay.sock');
    const other = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => other.listen(path, () => resolve()));
    onTestFinished(() => void other.close());
    expect(await claimControlSocket(path)).toBeNull();
    expect(existsSync(path)).toBe(true);
  });
});

describe('where the socket is', () => {
  test('in the home, where its path is short enough', async () => {
    const home = freshHome();
    expect(await controlPath(home, {})).toBe(join(home, 'relay.sock'));
  });

  test('a home too long gets one in the runtime folder, each home its own, and it works', async () => {
    const runtime = freshHome();
    const home = join(freshHome(), 'h'.repeat(100));
    mkdirSync(home);
    const path = await controlPath(home, { XDG_RUNTIME_DIR: runtime });
    expect(path.startsWith(`${runtime}/relay-`)).toBe(true);
    expect(await controlPath(join(home, 'other'), { XDG_RUNTIME_DIR: runtime })).not.toBe(path);
    await claimed(path);
    expect((await raw(path, { method: 'POST', path: '/ping' })).status).toBe(503);
  });

  test('a runtime folder open to others is passed over for one of the user’s own', async () => {
    const runtime = freshHome();
    chmodSync(runtime, 0o755);
    const home = join(freshHome(), 'h'.repeat(100));
    const path = await controlPath(home, { XDG_RUNTIME_DIR: runtime });
    expect(path.startsWith(runtime)).toBe(false);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  });

  test('a home reached by two ways has one socket', async () => {
    const home = freshHome();
    expect(await controlPath(join(home, '.', 'x', '..'), {})).toBe(await controlPath(home, {}));
  });
});

function startClaimant(path: string): { readonly child: ChildProcess; readonly outcome: Promise<string> } {
  const child = spawn(
    process.execPath,
    ['--experimental-strip-types', '--no-warnings', fileURLToPath(new URL('claim-child.ts', import.meta.url)), path],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const outcome = new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    child.once('exit', (code) => reject(new Error(`a claimant ended with ${code}`)));
  });
  return { child, outcome };
}
