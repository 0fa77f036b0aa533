/** Calls that are being served, so that a drain can wait for them and, at its deadline, cut what is left. */
export interface InFlight {
  readonly count: number;
  /** Aborted when what is still running must end. */
  readonly cut: AbortSignal;
  begin(): () => void;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
  cutAll(reason: Error): void;
}

export function createInFlight(): InFlight {
  const cut = new AbortController();
  const waiting = new Set<() => void>();
  let count = 0;
  return {
    get count() {
      return count;
    },
    cut: cut.signal,
    begin() {
      count += 1;
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        count -= 1;
        if (count > 0) return;
        for (const resolve of waiting) resolve();
        waiting.clear();
      };
    },
    idle: () => (count === 0 ? Promise.resolve() : new Promise((resolve) => waiting.add(resolve))),
    cutAll: (reason) => cut.abort(reason),
  };
}
