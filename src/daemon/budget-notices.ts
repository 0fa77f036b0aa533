import type { Spend } from '../accounting/budget.ts';
import type { OwnedLine } from '../accounting/budget-lines.ts';
import { windowEnd } from '../accounting/budget-window.ts';
import { budgetAmount, budgetWords } from '../core/budget-words.ts';
import type { Config } from '../core/config.ts';
import type { BudgetMark, Clock, LiveView, Log } from '../core/ports.ts';
import type { Notifier } from '../io/notify.ts';
import { createNotifier, localMinuteOfDay, startProgram } from '../io/notify.ts';

/** Where it is told that a budget nears its end. */
export interface BudgetNoticesDeps {
  readonly clock: Clock;
  readonly live: Pick<LiveView, 'passedMark'>;
  readonly log: Log;
  readonly settings: () => Pick<Config, 'notify'>;
  /** Stands in for the desktop and the user's command. */
  readonly notifier?: Notifier;
}

const MARKS = [100, 80] as const;

/**
 * Tells of a budget that has passed 80 % and 100 % of its limit: once each in a window, to whoever watches live, in the
 * log and as a notice. A raised limit or a new window makes it ordinary again.
 */
export function createBudgetNotices({ clock, live, log, settings, notifier = desktopNotifier(settings) }: BudgetNoticesDeps): (owned: OwnedLine, spend: Spend) => void {
  const told = new Map<string, { readonly windowStart: number; readonly mark: BudgetMark['mark'] }>();
  return ({ line: { id, owner, budget } }, { windowStart, spent }) => {
    const mark = MARKS.find((percent) => spent * 100 >= budget.limit * percent);
    const before = told.get(id);
    if (before !== undefined && (mark === undefined || before.windowStart !== windowStart)) {
      told.delete(id);
      notifier.edge(id, null, { title: '', text: '' });
    }
    if (mark === undefined || (told.get(id)?.mark ?? 0) >= mark) return;
    told.set(id, { windowStart, mark });
    const resetsAt = windowEnd(budget.window, clock.now());
    live.passedMark({ owner, budget, spent, mark, resetsAt });
    log.warn('a budget has passed a mark', { owner, budget: budgetWords(budget), spent: budgetAmount(budget.unit, spent), percent: mark });
    notifier.edge(id, mark === 100 ? 'budget_spent' : 'budget_low', {
      title: mark === 100 ? `Budget of ${owner} is spent` : `Budget of ${owner} is at 80 %`,
      text: `${budgetAmount(budget.unit, spent)} of ${budgetWords(budget)}; it begins anew at ${new Date(resetsAt).toISOString()}.`,
    });
  };
}

function desktopNotifier(settings: BudgetNoticesDeps['settings']): Notifier {
  return createNotifier(() => {
    const { desktop, command, quietHours } = settings().notify;
    return { desktop, command: command ?? null, quietHours: quietHours ?? null };
  }, { start: startProgram, platform: process.platform, minuteOfDay: localMinuteOfDay });
}
