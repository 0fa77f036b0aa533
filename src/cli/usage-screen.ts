import type { LiveEvent } from '../core/ports.ts';
import { DAY_MS } from '../core/units.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { FinishedRequest, TuiSource } from '../tui/source.ts';
import type { CommandContext } from './context.ts';
import type { ControlAccess } from './control-access.ts';

const KEPT = 300;
/** How often the running requests and the accounts are looked at. */
const LOOK_MS = 250;
/** How often the files are, while no daemon runs. */
const IDLE_LOOK_MS = 2_000;

/** Opens the live screen over a control and resolves when the user closes it. */
export async function openUsageScreen(access: ControlAccess, context: CommandContext): Promise<void> {
  const { terminal } = context;
  if (terminal === null) throw new CommandError(EXIT.failed, 'the live screen needs a terminal; relay usage --json gives a report anywhere');
  const { openScreen } = await import('../tui/open-screen.tsx');
  await openScreen({
    source: createTuiSource(access, context), clock: context.clock, ...terminal, colour: context.stdout.colour, timeZone: context.timeZone, signal: context.signal,
  });
}

/** The screen's source over a control: the daemon's live state, or the files where none runs. */
export function createTuiSource({ control, daemon }: ControlAccess, context: CommandContext): TuiSource {
  return {
    subscribe(listener) {
      let finished: readonly FinishedRequest[] = [];
      const ends: (() => void)[] = [];
      let closed = false;
      const look = async (): Promise<void> => {
        const { daemon: view, accounts, running } = await control.call('live.snapshot', {});
        if (closed) return;
        listener({ daemon: view ?? { state: 'stopped' }, accounts, running, finished });
        ends[0] = context.clock.after(daemon === null ? IDLE_LOOK_MS : LOOK_MS, () => void look().catch(sayStopped));
      };
      const sayStopped = (): void => {
        if (!closed) listener({ daemon: { state: 'stopped' }, accounts: [], running: [], finished });
      };
      const begin = async (): Promise<void> => {
        const since = context.clock.now() - 30 * DAY_MS;
        finished = await control.call('requests.list', { since, until: null, client: null, account: null, errorsOnly: false, limit: KEPT, before: null });
        await look();
        if (closed || daemon === null) return;
        ends[1] = daemon.events({
          onEvent(event) {
            // The other end is this same program: its events are LiveEvents.
            const live = event as unknown as LiveEvent;
            if (live.type === 'finish') finished = [live.record, ...finished].slice(0, KEPT);
          },
          onEnd: () => {},
        });
      };
      void begin().catch(sayStopped);
      return () => {
        closed = true;
        for (const end of ends) end();
      };
    },
    async act({ kind, account }) {
      await control.call(`accounts.${kind}`, { name: account });
    },
    usage: (query) => control.call('usage.report', query),
    request: (id) => control.call('requests.get', { id }),
  };
}
