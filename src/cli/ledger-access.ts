import type { LiveEvent } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import { queryRequests } from '../storage/query.ts';
import type { CommandContext } from './context.ts';
import type { ControlAccess } from './control-access.ts';
import { openControl } from './control-access.ts';
import type { RequestQuery, UsageData } from './usage-data.ts';

/** Runs `work` with the ledger as commands read it. */
export async function openLedger(context: CommandContext, work: (data: UsageData) => Promise<void>): Promise<void> {
  await openControl(context, (access) => work(usageData(access, context.home)));
}

/** The ledger behind a control, its requests from the files. */
function usageData({ control, daemon }: ControlAccess, home: string): UsageData {
  return {
    report: (query) => control.call('usage.report', query),
    request: (id) => control.call('requests.get', { id }),
    requests: (query) => readRequests(query, home),
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

/** Straight from the journal's files, which a running daemon only appends to: any number of requests, a block at a time. */
async function* readRequests(query: RequestQuery, home: string): AsyncGenerator<JournalLine<CloseRecord>> {
  const { since, until, client, account, only, order } = query;
  const found = queryRequests(home, {
    order: order === 'oldest-first' ? 'oldest' : 'newest', errorsOnly: only === 'errors',
    ...(since !== null && { since }), ...(until !== null && { until }), ...(client !== null && { client }), ...(account !== null && { account }),
  });
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for await (const { line } of found) {
    yield line;
    left -= 1;
    if (left <= 0) return;
  }
}
