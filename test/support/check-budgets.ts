import { expect } from 'vitest';

import { emptyTotals, foldRecord } from '../../src/accounting/totals.ts';
import { spentSince } from '../../src/accounting/usage-report.ts';
import type { BudgetView } from '../../src/control/control.ts';
import type { Budget } from '../../src/core/client.ts';
import type { ServedRelay } from './serve-in-process.ts';

/** A budget in every unit, none of which is ever reached. */
export const WIDE_BUDGETS: readonly Budget[] = [
  { unit: 'usd', limit: 1_000e9, window: 'month' },
  { unit: 'usd-charged', limit: 1_000e9, window: 'month' },
  { unit: 'tokens', limit: 1e9, window: 'month' },
  { unit: 'requests', limit: 1e6, window: 'month' },
];

/**
 * Once nothing runs: nothing is held, and every budget stands where the journal alone would put it after a restart. Gives
 * the budgets back.
 */
export async function checkBudgets(relay: ServedRelay): Promise<readonly BudgetView[]> {
  await relay.idle();
  const totals = (await relay.journal()).reduce(foldRecord, emptyTotals());
  const budgets = await relay.daemon.control.call('budgets.list', {});
  const owed = ({ of, name }: BudgetView): Parameters<typeof spentSince>[2] => {
    if (of === 'client') return { client: name };
    return of === 'member' ? { member: name } : { project: name };
  };
  const expected = budgets.map((budget) => ({ ...budget, spent: spentSince(totals, 0, owed(budget))[budget.unit], reserved: 0 }));
  expect(budgets.map(({ spent, reserved }) => ({ spent, reserved }))).toEqual(expected.map(({ spent, reserved }) => ({ spent, reserved })));
  return budgets;
}
