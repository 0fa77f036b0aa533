import { describe, expect, test } from 'vitest';

import { HOUR_MS } from '../../src/core/units.ts';
import type { BudgetView } from '../../src/control/control.ts';
import { createGate, ok } from '../../src/mock/steps.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, serveInProcess, serveTimed } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const say = (relay: ServedRelay, key: string) => relay.ask('/v1/chat/completions', { key, body: chat('Say hi') });
const list = (relay: ServedRelay): Promise<readonly BudgetView[]> => relay.daemon.control.call('budgets.list', {});

describe('budgets over several clients', () => {
  test('one owner may have several, one for each unit and window; setting one again replaces its limit and keeps what was spent', async () => {
    const relay = await serveInProcess();
    const { control } = relay.daemon;
    const key = await relay.client('one', { project: 'web' });
    await control.call('budgets.set', { of: 'project', name: 'web', budget: { unit: 'requests', limit: 5, window: 'day' } });
    await control.call('budgets.set', { of: 'project', name: 'web', budget: { unit: 'requests', limit: 50, window: 'month' } });
    await control.call('budgets.set', { of: 'member', name: 'web', budget: { unit: 'requests', limit: 7, window: 'day' } });
    expect((await say(relay, key)).status).toBe(200);
    await control.call('budgets.set', { of: 'project', name: 'web', budget: { unit: 'requests', limit: 2, window: 'day' } });
    expect((await list(relay)).map(({ of, limit, window, spent, left }) => ({ of, limit, window, spent, left }))).toEqual([
      { of: 'project', limit: 2, window: 'day', spent: 1, left: 1 },
      { of: 'project', limit: 50, window: 'month', spent: 1, left: 49 },
      { of: 'member', limit: 7, window: 'day', spent: 0, left: 7 },
    ]);
  });

  test('they count all clients of their owner together and nobody else\'s', async () => {
    const relay = await serveInProcess();
    const keys = [await relay.client('one', { member: 'ada' }), await relay.client('two', { member: 'ada' }), await relay.client('three', { member: 'bob' })];
    await relay.daemon.control.call('budgets.set', { of: 'member', name: 'ada', budget: { unit: 'requests', limit: 2, window: 'week' } });
    expect((await say(relay, keys[0] ?? '')).status).toBe(200);
    expect((await say(relay, keys[1] ?? '')).status).toBe(200);
    expect(expectError(await say(relay, keys[0] ?? ''), 429, 'budget_exceeded')).toContain('member ada (2 requests per week)');
    expect((await say(relay, keys[2] ?? '')).status).toBe(200);
  });

  test('a budget set late counts what its window has seen already', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('early', { project: 'web' });
    expect((await say(relay, key)).status).toBe(200);
    await relay.idle();
    await relay.daemon.control.call('budgets.set', { of: 'project', name: 'web', budget: { unit: 'requests', limit: 1, window: 'month' } });
    expectError(await say(relay, key), 429, 'budget_exceeded');
  });

  test.each(['client', 'project'] as const)('a budget of a %s that was lifted and comes back has counted what ran meanwhile', async (of) => {
    const relay = await serveInProcess();
    const { control } = relay.daemon;
    const budget = { unit: 'requests', limit: 3, window: 'month' } as const;
    const key = await relay.client('web', { project: 'web' });
    const put = (isIn: boolean): Promise<unknown> => {
      if (of === 'client') return control.call('clients.set', { name: 'web', budgets: isIn ? [budget] : [] });
      return isIn ? control.call('budgets.set', { of, name: 'web', budget }) : control.call('budgets.remove', { of, name: 'web', like: null });
    };
    await put(true);
    expect((await say(relay, key)).status).toBe(200);
    await put(false);
    expect((await say(relay, key)).status).toBe(200);
    await relay.idle();
    await put(true);
    expect((await list(relay)).map(({ spent }) => spent)).toEqual([2]);
    expect((await say(relay, key)).status).toBe(200);
    expectError(await say(relay, key), 429, 'budget_exceeded');
  });

  test('what running requests hold is told apart from what was spent', async () => {
    const relay = await serveInProcess();
    const key = await relay.client('busy', { budgets: [{ unit: 'requests', limit: 4, window: 'hour' }] });
    const gate = createGate();
    relay.upstream.script('a', [ok({ gate })]);
    const running = say(relay, key);
    await waitFor(() => relay.sent().length === 1, 'the request');
    expect(await list(relay)).toMatchObject([{ of: 'client', name: 'busy', spent: 0, reserved: 1, left: 3 }]);
    gate.release();
    await running;
    expect(await list(relay)).toMatchObject([{ spent: 1, reserved: 0, left: 3 }]);
  });

  test('it is told when each begins anew, in UTC', async () => {
    const relay = await serveTimed({ accounts: [] });
    for (const window of ['hour', 'day', 'week', 'month'] as const) {
      await relay.daemon.control.call('budgets.set', { of: 'project', name: 'web', budget: { unit: 'tokens', limit: 5, window } });
    }
    const now = relay.clock.now();
    const resets = (await list(relay)).map(({ resetsAt }) => resetsAt);
    expect(resets).toEqual(resets.toSorted((a, b) => a - b));
    expect(resets[0]).toBe(Math.floor(now / HOUR_MS) * HOUR_MS + HOUR_MS);
    expect(new Date(resets[2] ?? 0).getUTCDay()).toBe(1);
    expect(new Date(resets[3] ?? 0).getUTCDate()).toBe(1);
  });

  test('one is removed by its unit and window, or all of an owner at once', async () => {
    const relay = await serveInProcess({ accounts: [] });
    const { control } = relay.daemon;
    const set = async (): Promise<void> => {
      for (const unit of ['tokens', 'requests'] as const) await control.call('budgets.set', { of: 'member', name: 'ada', budget: { unit, limit: 5, window: 'day' } });
    };
    await set();
    expect(await control.call('budgets.remove', { of: 'member', name: 'ada', like: { unit: 'tokens', window: 'day' } })).toMatchObject([{ budget: { unit: 'tokens' } }]);
    await expect(control.call('budgets.remove', { of: 'member', name: 'ada', like: { unit: 'tokens', window: 'day' } })).rejects.toMatchObject({ code: 'not_found' });
    await set();
    expect(await control.call('budgets.remove', { of: 'member', name: 'ada', like: null })).toHaveLength(2);
    await expect(control.call('budgets.remove', { of: 'project', name: 'ada', like: null })).rejects.toMatchObject({ message: expect.stringContaining('relay budgets list') });
    expect(await list(relay)).toEqual([]);
  });
});

test('a rotated key ends when it is told to', async () => {
  const relay = await serveTimed();
  await relay.client('turning');
  const { key } = await relay.daemon.control.call('clients.rotate', { name: 'turning', graceMs: 0, expiresAt: relay.clock.now() + HOUR_MS });
  expect((await say(relay, key)).status).toBe(200);
  relay.clock.advance(HOUR_MS);
  expectError(await say(relay, key), 401, 'invalid_api_key');
});
