import type { Budget } from '../core/client.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';
import { windowEnd, windowStart } from './budget-window.ts';

/** A budget that applies to a request, with whose it is. One client may stand under several, its own and shared ones. */
export interface BudgetLine {
  /** Whose budget, unit and window: see {@link budgetId}. */
  readonly id: string;
  /** For people: `client aider`, `project web`. */
  readonly owner: string;
  readonly budget: Budget;
}

/** Amounts in every unit a budget can have. Null: not known, because the model has no price or told no tokens. */
export type Amounts = Readonly<Record<Budget['unit'], number | null>>;
/** Amounts that are known, as the ledger sums them. */
export type SpentAmounts = Readonly<Record<Budget['unit'], number>>;

/** Where one budget stands: spent in the window that began at `windowStart`, and held by requests in flight. */
export interface Spend {
  readonly windowStart: EpochMs;
  readonly spent: number;
  readonly reserved: number;
}

/** All budgets by id. A value: every step gives a new one. */
export type SpendBook = Readonly<Record<string, Spend>>;

/** What an admitted request holds until it is settled or released, once. */
export interface Reservation {
  readonly parts: readonly { readonly line: BudgetLine; readonly amount: number }[];
}

export type Admission =
  | { readonly ok: true; readonly book: SpendBook; readonly reservation: Reservation }
  | { readonly ok: false; readonly refusal: BudgetRefusal };

/** Which budget refused, and when it has room again. */
export interface BudgetRefusal {
  readonly line: BudgetLine;
  /** `exhausted`: spent. `in-flight`: what is left is held by running requests. `unpriced`: the cost cannot be known. */
  readonly reason: 'exhausted' | 'in-flight' | 'unpriced';
  readonly spent: number;
  readonly reserved: number;
  /** What the request would have reserved; null when that is not known. */
  readonly asked: number | null;
  /** The end of the window, when all that was spent is forgotten. */
  readonly resetsAt: EpochMs;
}

/** No budget touched yet. */
export const EMPTY_BOOK: SpendBook = {};

/** A budget's id: stable while owner, unit and window are, so that raising the limit keeps what was spent. */
export function budgetId(of: 'client' | 'member' | 'project', name: string, { unit, window }: Budget): string {
  return JSON.stringify([of, name, unit, window]);
}

/** Tokens and money as the amounts budgets count. What has no price is unknown, not free; so are tokens nobody told. */
export function amountsOf(tokens: TokenCounts | null, cost: Cost): Amounts {
  const isPriced = cost.price !== null;
  return {
    requests: 1, tokens: tokens && tokens.input + tokens.output,
    usd: isPriced ? cost.list : null, 'usd-charged': isPriced ? cost.charged : null,
  };
}

/**
 * Reserves the estimate in every budget, or in none. A budget refuses when spent, reserved and this together pass its
 * limit; but while anything is left and nothing is reserved one request may have the rest, however much it is for: so
 * near the limit requests go one at a time. A money budget refuses what has no price, since it could not be held, and
 * lets through what is free.
 */
export function admit(book: SpendBook, lines: readonly BudgetLine[], estimate: Amounts, now: EpochMs): Admission {
  const parts: { readonly line: BudgetLine; readonly amount: number }[] = [];
  let next = book;
  for (const line of lines) {
    const spend = spendNow(next, line, now);
    const asked = estimate[line.budget.unit];
    const room = roomFor(spend, line.budget, asked);
    if (typeof room === 'string') {
      const { spent, reserved } = spend;
      return { ok: false, refusal: { line, reason: room, spent, reserved, asked, resetsAt: windowEnd(line.budget.window, now) } };
    }
    parts.push({ line, amount: room });
    next = { ...next, [line.id]: { ...spend, reserved: spend.reserved + room } };
  }
  return { ok: true, book: next, reservation: { parts } };
}

/**
 * Books what a request really used, in the window of `now`, and frees its reservation. An amount that is not known
 * keeps what was reserved: an unmetered answer is never free.
 */
export function settle(book: SpendBook, reservation: Reservation, actual: Amounts, now: EpochMs): SpendBook {
  return giveBack(book, reservation, now, ({ line, amount }) => actual[line.budget.unit] ?? amount);
}

/** Frees a reservation as if the request had never been: every attempt was refused cleanly, or the client left before one began. */
export function release(book: SpendBook, reservation: Reservation, now: EpochMs): SpendBook {
  return giveBack(book, reservation, now, () => 0);
}

/** Sets what the ledger says was spent in the present window, keeping what is in flight: after a restart, or a new budget. */
export function restoreSpend(book: SpendBook, line: BudgetLine, spent: SpentAmounts, now: EpochMs): SpendBook {
  return { ...book, [line.id]: { ...spendNow(book, line, now), spent: spent[line.budget.unit] } };
}

/** Where a budget stands in the window of `now`. What was spent before is forgotten; what is in flight is not. */
export function spendNow(book: SpendBook, line: BudgetLine, now: EpochMs): Spend {
  const start = windowStart(line.budget.window, now);
  const spend = Object.hasOwn(book, line.id) ? book[line.id] : undefined;
  if (!spend) return { windowStart: start, spent: 0, reserved: 0 };
  return start > spend.windowStart ? { ...spend, windowStart: start, spent: 0 } : spend;
}

/** How much to reserve, or why nothing can be. */
function roomFor({ spent, reserved }: Spend, { limit }: Budget, asked: number | null): number | BudgetRefusal['reason'] {
  if (asked === null) return 'unpriced';
  const left = limit - spent - reserved;
  if (asked === 0 || asked <= left) return asked;
  if (spent >= limit) return 'exhausted';
  return reserved === 0 ? left : 'in-flight';
}

function giveBack(
  book: SpendBook, { parts }: Reservation, now: EpochMs, spentOf: (part: Reservation['parts'][number]) => number,
): SpendBook {
  let next = book;
  for (const part of parts) {
    const spend = spendNow(next, part.line, now);
    next = {
      ...next,
      [part.line.id]: {
        ...spend, spent: spend.spent + spentOf(part), reserved: Math.max(0, spend.reserved - part.amount),
      },
    };
  }
  return next;
}
