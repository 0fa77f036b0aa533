import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import { hang, ok } from '../../src/mock/steps.ts';
import type { CommandResult, RelayHome } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';
import { waitFor } from '../support/wait-for.ts';

/** The built `relay budgets` and `relay clients`, beside a running daemon and without one. */
describe('relay budgets', () => {
  let upstream: MockUpstream;
  let home: RelayHome;
  beforeEach(async () => {
    upstream = await startMockUpstream({ accounts: [{ name: 'key', kind: 'api-key', apiKey: 'sk-made-up' }] });
    home = await makeRelayHome({
      providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } },
      pricing: { 'relay-mini': { input: 1, output: 2 } },
    });
    const added = await home.run(['keys', 'add', 'key', '--provider', 'openai', '--api-key-stdin', '--json'], { input: 'sk-made-up' });
    expect(added.code, added.stderr).toBe(0);
  });
  afterEach(async () => {
    await home.remove();
    await upstream.close();
  });

  const relay = async (...args: readonly string[]): Promise<CommandResult> => {
    const result = await home.run(args);
    expect(result.code, result.stderr).toBe(0);
    return result;
  };
  const json = async (...args: readonly string[]) => JSON.parse((await relay(...args, '--json')).stdout);
  const journalText = async (): Promise<string> => {
    const folder = join(home.path, 'ledger', 'journal');
    const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl'));
    return (await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))).join('');
  };
  const ask = (url: string, key: string, change = {}): Promise<Response> =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'relay-mini', messages: [{ role: 'user', content: 'Say hi' }], ...change }),
    });

  test('set, list and remove, for people and for scripts, with nothing running', async () => {
    expect((await relay('budgets', 'list')).stdout).toContain('No budgets yet');
    expect((await relay('budgets', 'set', 'project', 'web', '50usd/month', '5M', 'tokens/day')).stdout).toBe(
      'project web 50usd/month set\nproject web 5000000tokens/day set\n',
    );
    expect(await json('budgets', 'set', 'member', 'ada', '0.5usd-charged/week')).toEqual([
      { of: 'member', name: 'ada', budget: { unit: 'usd-charged', limit: 500_000_000, window: 'week' } },
    ]);
    await relay('clients', 'add', 'own', '--budget', '10requests/hour');
    expect(await json('budgets', 'list')).toMatchObject([
      { of: 'project', name: 'web', unit: 'usd', limit: 50e9, window: 'month', spent: 0, reserved: 0, left: 50e9, resetsAt: expect.any(Number) },
      { of: 'project', name: 'web', unit: 'tokens', left: 5_000_000 },
      { of: 'member', name: 'ada' },
      { of: 'client', name: 'own', unit: 'requests', limit: 10, window: 'hour' },
    ]);
    expect((await relay('budgets', 'list')).stdout).toMatch(/OF +NAME +LIMIT +SPENT +RUNNING +LEFT +RESETS\n(.+\n)*member +ada +0\.5usd-charged\/week +0 +0 +0\.5 /);
    expect((await relay('budgets', 'remove', 'project', 'web', 'usd/month')).stdout).toBe('project web 50usd/month removed\n');
    expect(await json('budgets', 'remove', 'project', 'web')).toHaveLength(1);
    const again = await home.run(['budgets', 'remove', 'project', 'web']);
    expect({ code: again.code, stderr: again.stderr }).toEqual({ code: 1, stderr: 'relay: The project "web" has no budget; relay budgets list shows them.\n' });
  });

  test.each([
    [['budgets', 'set', 'client', 'x', '5usd/day'], 'relay clients set NAME --budget'],
    [['budgets', 'set', 'project', 'x', '5usd/year'], 'write it like 20usd/month'],
    [['budgets', 'remove', 'project', 'x', '5usd/day'], 'names no budget'],
    [['clients', 'add'], 'relay clients add NAME'],
    [['clients', 'set', 'default'], 'nothing to set'],
  ])('%j is refused with what to write instead', async (args, hint) => {
    const result = await home.run(args);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(hint);
  });

  test('S01 after kill -9 in the middle of an answer a budget holds what was spent and what the cut answer\'s input cost', async () => {
    const { key } = await json('clients', 'add', 'web-app', '--project', 'web');
    await relay('budgets', 'set', 'project', 'web', '1M', 'tokens/month', '100requests/month', '5usd/month');
    const first = await home.start();
    upstream.script('key', [ok({ usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 } }), hang({ afterDeltas: 1 })]);
    expect((await ask(first.url, key)).status).toBe(200);
    await waitFor(async () => (await json('budgets', 'list'))[1].spent === 1, 'the first to be booked');
    const cut = ask(first.url, key, { stream: true }).then((response) => response.text()).catch(() => '');
    const held = await waitFor(async () => {
      const list = await json('budgets', 'list');
      return list[0].reserved > 0 ? list : undefined;
    }, 'the reservation');
    expect(held).toMatchObject([{ unit: 'tokens', spent: 30 }, { unit: 'requests', spent: 1, reserved: 1 }, { unit: 'usd', spent: 50_000 }]);
    await waitFor(() => upstream.account('key').inFlight === 1, 'the second call');
    await waitFor(async () => (await journalText()).split('"k":"open"').length === 3, 'both opening lines');
    await first.kill('SIGKILL');
    await cut;
    const second = await home.start();
    const after = await json('budgets', 'list');
    expect(after.map(({ reserved }: { reserved: number }) => reserved)).toEqual([0, 0, 0]);
    expect(after[0].spent).toBeGreaterThan(30);
    expect(after[1].spent).toBe(2);
    expect(after[2].spent).toBe(50_000 + (after[0].spent - 30) * 1_000);
    await second.kill('SIGTERM');
    expect(await json('budgets', 'list')).toEqual(after);
  });

  test('a client\'s whole life: boundaries lifted, its key kept, turned with a grace and an end, revoked', async () => {
    const running = await home.start();
    const { key, scopes } = await json('clients', 'add', 'tool', '--member', 'ada', '--budget', '2requests/day', '--expires', '30d', '--keep');
    expect(scopes).toEqual(['chat', 'responses', 'embeddings', 'models']);
    expect(await json('clients', 'token', 'tool')).toEqual({ name: 'tool', key });
    expect((await relay('clients', 'show', 'tool')).stdout).toMatch(/expires +\S/);
    for (const status of [200, 200, 429]) expect((await ask(running.url, key)).status).toBe(status);
    expect(await json('clients', 'set', 'tool', '--budget', 'none', '--member', 'none', '--expires', 'never')).toMatchObject({
      budgets: [], member: null, keys: [{ expiresAt: null }],
    });
    expect((await ask(running.url, key)).status).toBe(200);
    const turned = await json('clients', 'rotate', 'tool', '--grace', '1h', '--expires', '7d');
    expect(turned.keys).toMatchObject([{ expiresAt: expect.any(Number) }, { tail: key.slice(-4), expiresAt: expect.any(Number) }]);
    for (const either of [key, turned.key]) expect((await ask(running.url, either)).status).toBe(200);
    expect((await relay('clients', 'token', 'tool')).stdout).toBe(`${turned.key}\n`);
    expect((await json('clients', 'revoke', 'tool')).revokedAt).toEqual(expect.any(Number));
    for (const either of [key, turned.key]) expect((await ask(running.url, either)).status).toBe(401);
  });

  test('A01 a key revoked from another process is refused within a second by the daemon that runs', async () => {
    const running = await home.start();
    const { key } = await json('clients', 'add', 'gone');
    expect((await ask(running.url, key)).status).toBe(200);
    await relay('clients', 'revoke', 'gone');
    await waitFor(async () => (await ask(running.url, key)).status === 401, 'the refusal', 1_000);
    expect((await ask(running.url, key)).status).toBe(401);
  });
});
