import { expect, test } from 'vitest';

import type { Account } from '../../src/core/account.ts';
import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { StateStore } from '../../src/core/ports.ts';
import type { State } from '../../src/core/state.ts';
import { EMPTY_STATE, parseState } from '../../src/core/state.ts';
import type { AccountPool } from '../../src/gateway/account-pool.ts';
import { createAccountPool } from '../../src/gateway/account-pool.ts';
import { classifyTransport } from '../../src/routing/classify-failure.ts';
import { mayCall } from '../../src/routing/endpoint-breaker.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { fixedRandom } from '../support/seeded-random.ts';

const account = (name: string): Account => ({
  id: `acc_${name}`, name, provider: 'openai', kind: 'openai', priority: 20, baseUrl: 'http://127.0.0.1:9/v1', wire: null, plan: null, identity: null,
  paused: false, needsLogin: null, createdAt: 0,
});

/** A state that survives as `state.json` does: through JSON and its schema. */
function keptState(state: State): StateStore {
  let current = parseState(JSON.parse(JSON.stringify(state)));
  return {
    read: () => current,
    note(change) {
      current = change(current);
    },
    update: async (change) => (current = change(current)),
    flush: async () => {},
  };
}

const refused = classifyTransport({ kind: 'unreachable', code: 'connect_refused', message: 'refused' }, 'connect');

test('an origin set aside after faults of two accounts stays so over a restart, is probed at its time, and is forgotten once it serves', () => {
  const clock = fakeClock();
  const open = (state: StateStore): AccountPool => createAccountPool({ state, settings: () => DEFAULT_CONFIG, clock, random: fixedRandom(0.5) });
  const endpointIn = (pool: AccountPool) => pool.candidates('gpt-x')[0]!.endpoint;
  const before = keptState({ ...EMPTY_STATE, accounts: [account('one'), account('two')] });
  const pool = open(before);
  for (const one of before.read().accounts) {
    const { use, leave } = pool.enter(one, 'gpt-x');
    pool.failed(use, refused, false);
    leave();
  }
  expect(mayCall(endpointIn(pool), clock.now())).toBe(false);

  const after = keptState(before.read());
  const restarted = open(after);
  expect(endpointIn(restarted)).toMatchObject({ state: 'open', until: endpointIn(pool).until, openings: 1 });
  expect(mayCall(endpointIn(restarted), clock.now())).toBe(false);
  clock.set(endpointIn(restarted).until);
  expect(mayCall(endpointIn(restarted), clock.now())).toBe(true);
  for (let success = 0; success < 2; success++) {
    const { use, leave } = restarted.enter(after.read().accounts[0]!, 'gpt-x');
    restarted.served(use, 10);
    leave();
  }
  expect(endpointIn(restarted).state).toBe('closed');
  expect(after.read().origins).toEqual({});
});
