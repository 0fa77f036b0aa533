import { CommandError, EXIT } from '../core/errors.ts';
import type { CommandContext } from './context.ts';
import { findDaemon } from './control-access.ts';

const DRAIN_AND_SOME_MS = 40_000;
const LOOK_MS = 100;

/** `relay stop`: asks the daemon over its control socket to end, and waits until it has. Nothing running is no fault. */
export async function runStop(context: CommandContext): Promise<void> {
  const daemon = await findDaemon(context);
  if (daemon === null) {
    await context.stderr.write('Relay is not running\n');
    return;
  }
  await daemon.call('stop', {});
  const deadline = context.clock.now() + DRAIN_AND_SOME_MS;
  while ((await findDaemon(context)) !== null) {
    if (context.clock.now() > deadline) throw new CommandError(EXIT.failed, 'Relay did not end within 40 s');
    await new Promise<void>((resolve) => context.clock.after(LOOK_MS, resolve));
  }
  await context.stderr.write('Relay has ended\n');
}
