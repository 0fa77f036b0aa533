import { digits, tableOf } from './figures.ts';

/** One figure with the goal it is held against. */
export interface Goal {
  readonly name: string;
  readonly unit: string;
  /** The yardstick's figure; null where the goal is absolute. */
  readonly yardstick: number | null;
  readonly relay: number;
  /** What is compared: Relay's figure over the yardstick's (the median of the rounds' ratios), or Relay's figure itself. */
  readonly value: number;
  readonly limit: number | null;
  /** The lowest and highest value of a round. */
  readonly range: readonly [number, number] | null;
  /** CPU of generator and upstream while Relay was measured, as shares of a core: neither may be at its end. */
  readonly generatorShare?: number;
  readonly upstreamShare?: number;
}

/** Writes the figures as a table for people. A figure over its limit is marked; nothing fails on a time. */
export function printGoals(goals: readonly Goal[]): void {
  const rows = goals.map((goal) => [
    goal.name,
    goal.yardstick === null ? '' : `${digits(goal.yardstick)} ${goal.unit}`,
    `${digits(goal.relay)} ${goal.unit}`,
    digits(goal.value),
    goal.range === null ? '' : `${digits(goal.range[0])}-${digits(goal.range[1])}`,
    goal.limit === null ? '' : `<= ${goal.limit}`,
    goal.limit === null ? '' : goal.value <= goal.limit ? 'kept' : 'OVER',
    goal.generatorShare === undefined ? '' : `${Math.round(goal.generatorShare * 100)} %`,
    goal.upstreamShare === undefined ? '' : `${Math.round((goal.upstreamShare ?? 0) * 100)} %`,
  ]);
  process.stdout.write(tableOf([['', 'yardstick', 'relay', 'value', 'rounds', 'goal', '', 'generator', 'upstream'], ...rows]));
}
