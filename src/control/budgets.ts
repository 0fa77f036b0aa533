import type { Spend } from '../accounting/budget.ts';
import type { OwnedLine } from '../accounting/budget-lines.ts';
import { clientLine, sharedLine } from '../accounting/budget-lines.ts';
import { windowEnd } from '../accounting/budget-window.ts';
import type { StateStore } from '../core/ports.ts';
import type { SharedBudget, State } from '../core/state.ts';
import type { EpochMs } from '../core/units.ts';
import type { BudgetView, ControlHandlers } from './control.ts';
import { ControlError } from './control.ts';

/** What a person does to budgets over several clients; a client's own are set with the client. */
export function budgetHandlers({ state }: { readonly state: StateStore }): Pick<ControlHandlers, 'budgets.set' | 'budgets.remove'> {
  return {
    async 'budgets.set'(wanted) {
      const isSame = (other: SharedBudget): boolean => isOf(other, wanted) && isLike(other, wanted.budget);
      await state.update((current) => ({
        ...current,
        budgets: current.budgets.some(isSame) ? current.budgets.map((other) => (isSame(other) ? wanted : other)) : [...current.budgets, wanted],
      }));
      return wanted;
    },
    async 'budgets.remove'({ of, name, like }) {
      const isMeant = (budget: SharedBudget): boolean => isOf(budget, { of, name }) && (like === null || isLike(budget, like));
      let removed: readonly SharedBudget[] = [];
      await state.update((current) => {
        removed = current.budgets.filter(isMeant);
        return { ...current, budgets: current.budgets.filter((budget) => !isMeant(budget)) };
      });
      if (removed.length > 0) return removed;
      const kind = like === null ? 'budget' : `budget in ${like.unit}/${like.window}`;
      throw new ControlError('not_found', `The ${of} "${name}" has no ${kind}; relay budgets list shows them.`);
    },
  };
}

/** Every budget in force with where it stands at `now`: those of members and projects first, then each client's own. */
export function listBudgets({ budgets, clients }: State, standing: (owned: OwnedLine) => Spend, now: EpochMs): readonly BudgetView[] {
  const view = (of: BudgetView['of'], name: string, owned: OwnedLine): BudgetView => {
    const { budget } = owned.line;
    const { spent, reserved } = standing(owned);
    return { of, name, ...budget, spent, reserved, left: Math.max(0, budget.limit - spent - reserved), resetsAt: windowEnd(budget.window, now) };
  };
  const living = clients.filter(({ revokedAt }) => revokedAt === null);
  return [
    ...budgets.map((shared) => view(shared.of, shared.name, sharedLine(shared))),
    ...living.flatMap(({ name, budgets: own }) => own.map((budget) => view('client', name, clientLine(name, budget)))),
  ];
}

function isOf(budget: SharedBudget, { of, name }: Pick<SharedBudget, 'of' | 'name'>): boolean {
  return budget.of === of && budget.name === name;
}

function isLike({ budget }: SharedBudget, { unit, window }: Pick<SharedBudget['budget'], 'unit' | 'window'>): boolean {
  return budget.unit === unit && budget.window === window;
}
