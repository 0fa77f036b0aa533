import { randomBytes } from 'node:crypto';

import type { Account } from '../core/account.ts';
import type { Clock, Random, StateStore } from '../core/ports.ts';
import type { MockUpstream } from '../mock/mock-upstream.ts';

const NAMES = ['mock-a', 'mock-b'];
/** Milliseconds a token of the mock's streams, so that one sees them stream. */
const PACE_MS = 15;

/** Starts the built-in fake upstream and adds its accounts to the state; they go when Relay stops. */
export async function startMockProvider(state: StateStore, { clock, random }: { readonly clock: Clock; readonly random: Random }): Promise<MockUpstream> {
  const { startMockUpstream } = await import('../mock/mock-upstream.ts');
  const upstream = await startMockUpstream({ accounts: NAMES.map((name) => ({ name, kind: 'open' })), paceMs: PACE_MS, keepCalls: 0, clock, random });
  await state.update((current) => ({ ...current, accounts: [...current.accounts, ...NAMES.map((name) => mockAccount(name, upstream.platformBaseUrl, clock.now()))] }));
  return upstream;
}

/** Takes out mock accounts, also those of a process that was killed. */
export async function removeMockAccounts(state: StateStore): Promise<void> {
  if (!state.read().accounts.some(({ kind }) => kind === 'mock')) return;
  await state.update((current) => {
    const gone = new Set(current.accounts.filter(({ kind }) => kind === 'mock').map(({ id }) => id));
    return {
      ...current,
      accounts: current.accounts.filter(({ id }) => !gone.has(id)),
      health: Object.fromEntries(Object.entries(current.health).filter(([id]) => !gone.has(id))),
      catalogues: current.catalogues.filter(({ accountId }) => !gone.has(accountId)),
    };
  });
}

function mockAccount(name: string, baseUrl: string, createdAt: number): Account {
  return {
    id: `acc_${randomBytes(8).toString('hex')}`, name, provider: 'mock', kind: 'mock', priority: 30, baseUrl, wire: null, plan: null, identity: null,
    paused: false, needsLogin: null, createdAt,
  };
}
