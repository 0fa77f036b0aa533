import type { Budget } from './client.ts';

const NANO = 1e9;

/** A budget as a person writes it: `20usd/month`, `1000requests/day`. */
export function budgetWords(budget: Pick<Budget, 'unit' | 'limit' | 'window'>): string {
  return `${budgetAmount(budget.unit, budget.limit)}${budget.unit}/${budget.window}`;
}

/** An amount in a budget's unit, without the unit: money in USD to the sixth decimal, the rest as it is. */
export function budgetAmount(unit: Budget['unit'], amount: number): string {
  const isMoney = unit === 'usd' || unit === 'usd-charged';
  return isMoney ? String(Math.round(amount / (NANO / 1e6)) / 1e6) : String(amount);
}
