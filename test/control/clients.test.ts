import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { DAY_MS } from '../../src/core/units.ts';
import { chat, serveInProcess, serveTimed } from '../support/serve-in-process.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';

const statusOf = async (relay: ServedRelay, key: string): Promise<number> =>
  (await relay.ask('/v1/chat/completions', { key, body: chat('Say hi') })).status;

describe('client keys', () => {
  test('X09 a key is shown once, and only its digest and last letters are kept', async () => {
    const relay = await serveInProcess();
    const issued = await relay.daemon.control.call('clients.add', { name: 'once', keep: false });
    expect(issued.key).toMatch(/^sk-relay-[\w-]{43}$/);
    const listed = (await relay.daemon.control.call('clients.list', {})).find(({ name }) => name === 'once');
    expect(listed?.keys).toEqual([{ tail: issued.key.slice(-4), createdAt: expect.any(Number), expiresAt: null }]);
    expect(JSON.stringify(listed)).not.toMatch(/sha256|sk-relay/);
    expect(await readFile(join(relay.home, 'state.json'), 'utf8')).not.toContain(issued.key);
  });

  test("a name is one client's, until that one is revoked", async () => {
    const relay = await serveInProcess();
    const first = await relay.client('name');
    await expect(relay.daemon.control.call('clients.add', { name: 'name', keep: false })).rejects.toMatchObject({ code: 'exists' });
    await relay.daemon.control.call('clients.revoke', { name: 'name' });
    const second = await relay.client('name');
    expect([await statusOf(relay, first), await statusOf(relay, second)]).toEqual([401, 200]);
  });

  test("by default a client may do everything but read everybody's usage", async () => {
    const relay = await serveInProcess();
    const issued = await relay.daemon.control.call('clients.add', { name: 'plain', keep: false });
    expect(issued.endpoints).toEqual(['chat', 'responses', 'embeddings', 'models']);
  });

  test('a kept key can be read again, follows its rotation, and goes with its client', async () => {
    const relay = await serveInProcess();
    const { key } = await relay.daemon.control.call('clients.add', { name: 'kept', keep: true });
    expect(await relay.daemon.control.call('clients.token', { name: 'kept' })).toEqual({ key });
    const rotated = await relay.daemon.control.call('clients.rotate', { name: 'kept', graceMs: 0 });
    expect(await relay.daemon.control.call('clients.token', { name: 'kept' })).toEqual({ key: rotated.key });
    expect([await statusOf(relay, key), await statusOf(relay, rotated.key)]).toEqual([401, 200]);
    await relay.daemon.control.call('clients.revoke', { name: 'kept' });
    await expect(relay.daemon.control.call('clients.token', { name: 'kept' })).rejects.toMatchObject({ code: 'not_found' });
    await relay.client('not-kept');
    await expect(relay.daemon.control.call('clients.token', { name: 'not-kept' })).rejects.toMatchObject({
      message: expect.stringContaining('relay clients rotate not-kept'),
    });
  });

  test('setting changes what is named and leaves the rest, from the next request on', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('changing', { models: ['gpt-5.5'], member: 'ada' });
    await relay.daemon.control.call('clients.set', { name: 'changing', models: ['gpt-6-*'] });
    expect(await statusOf(relay, key)).toBe(403);
    const changed = await relay.daemon.control.call('clients.set', { name: 'changing', models: null, concurrency: 3 });
    expect(changed).toMatchObject({ member: 'ada', models: null, concurrency: 3 });
    expect(await statusOf(relay, key)).toBe(200);
  });

  test('revoked clients are listed for a week', async () => {
    const relay = await serveTimed({ accounts: [] });
    for (let index = 0; index < 5; index += 1) {
      await relay.client(`run-${index}`);
      await relay.daemon.control.call('clients.revoke', { name: `run-${index}` });
      relay.clock.advance(2 * DAY_MS);
    }
    await relay.client('newest');
    expect((await relay.daemon.control.call('clients.list', {})).map(({ name }) => name)).toEqual([
      'default',
      'run-2',
      'run-3',
      'run-4',
      'newest',
    ]);
  });

  test('S13 five hundred changes at once are all there', async () => {
    const relay = await serveInProcess({ accounts: [] });
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => relay.daemon.control.call('clients.add', { name: `c-${index}`, keep: false })),
    );
    const state: { readonly clients: readonly { readonly name: string }[] } = JSON.parse(
      await readFile(join(relay.home, 'state.json'), 'utf8'),
    );
    expect(new Set(state.clients.map(({ name }) => name)).size).toBe(501);
  });

  test('one that is not there is named', async () => {
    const relay = await serveInProcess({ accounts: [] });
    for (const call of [
      relay.daemon.control.call('clients.set', { name: 'nobody' }),
      relay.daemon.control.call('clients.revoke', { name: 'nobody' }),
      relay.daemon.control.call('clients.rotate', { name: 'nobody', graceMs: 0 }),
      relay.daemon.control.call('clients.token', { name: 'nobody' }),
    ])
      await expect(call).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('nobody') });
  });
});
