import type { LiveEvent, LiveRequest, LiveView } from '../core/ports.ts';

/** The running requests and who wants to hear of finished ones. */
export function createLiveView(): LiveView {
  const running = new Map<string, () => LiveRequest>();
  const listeners = new Set<(event: LiveEvent) => void>();
  const tell = (event: LiveEvent): void => {
    for (const listener of listeners) listener(event);
  };
  return {
    running: () => [...running.values()].map((read) => read()),
    begin(id, read) {
      running.set(id, read);
      if (listeners.size > 0) tell({ type: 'begin', request: read() });
    },
    finish(id, record) {
      running.delete(id);
      tell({ type: 'finish', record });
    },
    passedMark: (budget) => tell({ type: 'budget', budget }),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
