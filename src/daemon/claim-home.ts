import { setTimeout as pause } from 'node:timers/promises';

import { CommandError, EXIT } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { ControlClaim } from '../io/claim-control-socket.ts';
import { claimControlSocket } from '../io/claim-control-socket.ts';
import { connectControl } from '../io/connect-control.ts';
import { controlPath } from '../io/control-path.ts';

const ASK_MS = 5_000;
const LOOK_AGAIN_MS = 50;
const MOST_LOOKS = 100;

export interface ClaimOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/**
 * Becomes the one daemon of a home. Throws a CommandError (75) that names the one there is. A home that is held while
 * nobody answers is looked at again for a few seconds: its holder is about to listen, or about to be gone.
 */
export async function claimHome(home: string, { env, clock }: ClaimOptions): Promise<ControlClaim> {
  const path = await controlPath(home, env);
  for (let looks = 1; ; looks += 1) {
    const claim = await claimControlSocket(path);
    if (claim !== null) return claim;
    const holder = await askHolder(path, clock);
    if (holder !== null || looks >= MOST_LOOKS) {
      throw new CommandError(EXIT.inUse, `Relay is running already${holder ?? ''}; relay status shows it, relay stop ends it`);
    }
    await pause(LOOK_AGAIN_MS);
  }
}

/** Where the holder listens and who it is, in words; null when nobody answers. */
async function askHolder(path: string, clock: Clock): Promise<string | null> {
  const control = await connectControl(path, { clock, timeoutMs: ASK_MS }).catch(() => null);
  const answer = await control?.call('ping', {}).catch(() => null);
  if (answer === null || answer === undefined) return null;
  return `${answer.url === null ? '' : ` at ${answer.url}`} (pid ${answer.pid})`;
}
