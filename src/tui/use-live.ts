import { useMemo, useSyncExternalStore } from 'react';

import type { Clock } from '../core/ports.ts';
import type { LiveState } from './live.ts';
import { createLive } from './live.ts';
import type { TuiSource } from './source.ts';

/** The newest snapshot and the time it is shown at; subscribes while the component is there. */
export function useLive(source: TuiSource, clock: Clock): LiveState {
  const live = useMemo(() => createLive(source, clock), [source, clock]);
  return useSyncExternalStore(live.subscribe, live.get);
}
