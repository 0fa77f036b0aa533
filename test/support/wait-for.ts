/** How long a test waits before it gives up, unless it says otherwise. */
export const DEADLINE_MS = 5_000;

/**
 * Waits until `condition` gives something truthy and returns it. Looks again after every turn of the event loop at
 * first, then every 5 ms. Rejects at the deadline, naming `what`; an exception of the condition counts as "not yet"
 * and is the rejection's cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  what = 'the condition',
  deadlineMs: number = DEADLINE_MS,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const started = performance.now();
  let reason: unknown;
  for (let looks = 0; performance.now() - started < deadlineMs; looks++) {
    try {
      const found = await condition();
      if (isTruthy(found)) return found;
      reason = undefined;
    } catch (error) {
      reason = error;
    }
    await (looks < 50 ? new Promise((resolve) => setImmediate(resolve)) : new Promise((resolve) => setTimeout(resolve, 5)));
  }
  throw new Error(`${what} did not come about within ${deadlineMs} ms`, { cause: reason });
}

/** Gives the promise's value, or rejects at the deadline, naming `what`. */
export async function within<T>(promise: Promise<T>, what = 'the promise', deadlineMs: number = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not settle within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function isTruthy<T>(value: T): value is Exclude<T, false | null | undefined | 0 | ''> {
  return Boolean(value);
}
