import type { LiveEvent } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { CommandContext } from './context.ts';
import type { ControlAccess } from './control-access.ts';
import { openControl } from './control-access.ts';
import type { RequestQuery, UsageData } from './usage-data.ts';

const PAGE = 500;

/** Runs `work` with the ledger as commands read it. */
export async function openLedger(context: CommandContext, work: (data: UsageData) => Promise<void>): Promise<void> {
  await openControl(context, (access) => work(usageData(access)));
}

/** The ledger behind a control. */
export function usageData({ control, daemon }: ControlAccess): UsageData {
  return {
    report: (query) => control.call('usage.report', query),
    request: (id) => control.call('requests.get', { id }),
    requests: (query) => readRequests(query, control),
    follow(listener, signal) {
      if (daemon === null) return Promise.reject(new Error('Relay is not running, so there is nothing to follow; start it with: relay start'));
      return new Promise((resolve, reject) => {
        const stop = daemon.events({
          onEvent(event) {
            // The other end is this same program: its events are LiveEvents.
            const live = event as unknown as LiveEvent;
            if (live.type === 'finish') listener(live.record);
          },
          onEnd: () => (signal.aborted ? resolve() : reject(new Error('Relay stopped'))),
        });
        signal.addEventListener('abort', () => {
          stop();
          resolve();
        }, { once: true });
      });
    },
  };
}

async function* readRequests(query: RequestQuery, control: ControlAccess['control']): AsyncGenerator<JournalLine<CloseRecord>> {
  if (query.order === 'oldest-first') {
    const all: JournalLine<CloseRecord>[] = [];
    for await (const line of readRequests({ ...query, order: 'newest-first' }, control)) all.push(line);
    yield* all.toReversed();
    return;
  }
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  let before: number | null = null;
  while (left > 0) {
    const page: readonly JournalLine<CloseRecord>[] = await control.call('requests.list', {
      since: query.since, until: query.until, client: query.client, account: query.account, errorsOnly: query.only === 'errors',
      limit: Math.min(PAGE, left), before,
    });
    yield* page;
    left -= page.length;
    before = page.at(-1)?.seq ?? null;
    if (page.length < PAGE || before === null) return;
  }
}
