import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { serveInProcess } from '../support/serve-in-process.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';

const warnings = (relay: ServedRelay): readonly string[] =>
  relay.log().split('\n').filter((line) => line.includes('whoever has a client key'));

test('a Relay that only this machine can reach warns of nothing', async () => {
  const relay = await serveInProcess({ accounts: [] });
  expect(relay.daemon.exposure).toBeNull();
  expect(warnings(relay)).toEqual([]);
});

test('hosts and pages that were let in are named at the start, and again when the settings change', async () => {
  const relay = await serveInProcess({ accounts: [], config: { server: { allowedHosts: ['relay.tunnel.example'] } } });
  expect(relay.daemon.exposure).toBe(
    'Relay also answers requests for relay.tunnel.example (server.allowedHosts): whoever has a client key can use your accounts from there',
  );
  expect(warnings(relay)).toHaveLength(1);
  const file = join(relay.home, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  const server = { allowedHosts: ['relay.tunnel.example'], allowedOrigins: ['https://mine.example'] };
  await writeFile(file, JSON.stringify({ ...config, server }), { mode: 0o600 });
  await relay.daemon.reload();
  expect(warnings(relay).at(-1)).toContain('relay.tunnel.example (server.allowedHosts) and web pages of https://mine.example (server.allowedOrigins)');
});
