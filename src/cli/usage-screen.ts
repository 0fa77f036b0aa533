import { CommandError, EXIT } from '../core/errors.ts';
import type { LiveEvent } from '../core/ports.ts';
import { DAY_MS } from '../core/units.ts';
import type { FinishedRequest, TuiSource } from '../tui/source.ts';
import type { CommandContext } from './context.ts';
import { followDaemon } from './control-access.ts';

const KEPT = 300;
/** How often the running requests and the accounts are looked at. */
const LOOK_MS = 250;
/** How often the files are, while no daemon runs. */
const IDLE_LOOK_MS = 2_000;

/** Opens the live screen and resolves when the user closes it. A daemon may come and go meanwhile. */
export async function openUsageScreen(context: CommandContext): Promise<void> {
  const { terminal } = context;
  if (terminal === null) throw new CommandError(EXIT.failed, 'the live screen needs a terminal; relay usage --json gives a report anywhere');
  const { openScreen } = await import('../tui/open-screen.tsx');
  await openScreen({
    source: createTuiSource(context), clock: context.clock, ...terminal, colour: context.stdout.colour, timeZone: context.timeZone, signal: context.signal,
  });
}

/** The screen's source: the daemon's live state over its control socket while one runs, else the files. */
export function createTuiSource(context: CommandContext): TuiSource {
  const control = followDaemon(context);
  return {
    subscribe(listener) {
      let finished: readonly FinishedRequest[] | null = null;
      let closed = false;
      let cancel = (): void => {};
      const look = async (): Promise<void> => {
        finished ??= await control.call('requests.list', {
          since: context.clock.now() - 30 * DAY_MS, until: null, client: null, account: null, errorsOnly: false, limit: KEPT, before: null,
        });
        const { daemon, accounts, running } = await control.call('live.snapshot', {});
        if (closed) return;
        listener({ daemon: daemon ?? { state: 'stopped' }, accounts, running, finished });
        cancel = context.clock.after(daemon === null ? IDLE_LOOK_MS : LOOK_MS, again);
      };
      const again = (): void => {
        look().catch(() => {
          cancel = context.clock.after(IDLE_LOOK_MS, again);
        });
      };
      const stopEvents = control.events((event) => {
        // The other end is this same program: its events are LiveEvents.
        const live = event as unknown as LiveEvent;
        if (live.type === 'finish' && finished !== null) finished = [live.record, ...finished].slice(0, KEPT);
      });
      again();
      return () => {
        closed = true;
        cancel();
        stopEvents();
      };
    },
    async act({ kind, account }) {
      await control.call(`accounts.${kind}`, { name: account });
    },
    usage: (query) => control.call('usage.report', query),
    request: (id) => control.call('requests.get', { id }),
  };
}
