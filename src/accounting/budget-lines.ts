import type { Budget, Client } from '../core/client.ts';
import type { SharedBudget } from '../core/state.ts';
import type { BudgetLine } from './budget.ts';
import { budgetId } from './budget.ts';

/** Whose requests a budget counts. */
export type BudgetOwner = { readonly client: string } | { readonly member: string } | { readonly project: string };

/** A budget together with whose requests it counts. */
export interface OwnedLine {
  readonly line: BudgetLine;
  readonly owner: BudgetOwner;
}

/** A client's own budget. */
export function clientLine(name: string, budget: Budget): OwnedLine {
  return { line: { id: budgetId('client', name, budget), owner: `client ${name}`, budget }, owner: { client: name } };
}

/** A budget over all clients of a member or a project. */
export function sharedLine({ of, name, budget }: SharedBudget): OwnedLine {
  return {
    line: { id: budgetId(of, name, budget), owner: `${of} ${name}`, budget },
    owner: of === 'member' ? { member: name } : { project: name },
  };
}

/** Every budget a client's requests stand under: its own, its member's, its project's. */
export function linesOf(client: Client, shared: readonly SharedBudget[]): readonly OwnedLine[] {
  return [
    ...client.budgets.map((budget) => clientLine(client.name, budget)),
    ...shared.filter(({ of, name }) => client[of] === name).map(sharedLine),
  ];
}
