import type { EpochMs } from '../core/units.ts';
import { HOUR_MS } from '../core/units.ts';

/** One conversation on its account, as it is stored. */
export interface StickyEntry {
  readonly key: string;
  readonly accountId: string;
  readonly seenAt: EpochMs;
}

export interface StickyLimits {
  readonly capacity: number;
  /** Idle time after which a conversation is forgotten; at least 30 minutes, the life of the upstream's prompt cache. */
  readonly idleMs: number;
}

const DEFAULT_LIMITS: StickyLimits = { capacity: 10_000, idleMs: HOUR_MS };

/** Which account each live conversation is on: bounded, least recently used forgotten first. */
export interface StickySessions {
  /** The account of the first of these keys that is known, which counts as a use. Null when none is. */
  lookup(keys: readonly string[], now: EpochMs): string | null;
  /** Puts the conversation, under all its names, on the account that serves it now; it stays there, whoever comes back. */
  remember(keys: readonly string[], accountId: string, now: EpochMs): void;
  /** Forgets every conversation of an account that was removed. */
  forgetAccount(accountId: string): void;
  /** Live conversations of an account. */
  countOf(accountId: string, now: EpochMs): number;
  /** Everything still live, least recently used first. */
  serialise(now: EpochMs): readonly StickyEntry[];
  readonly size: number;
}

/** Sessions as {@link StickySessions.serialise} gave them, in any order; what has gone idle since is left out. */
export function createStickySessions(entries: readonly StickyEntry[] = [], limits: StickyLimits = DEFAULT_LIMITS): StickySessions {
  // A Map keeps insertion order: taking a key out and putting it back makes it the newest.
  const sessions = new Map<string, { accountId: string; seenAt: EpochMs }>();
  const isLive = (seenAt: EpochMs, now: EpochMs): boolean => now - seenAt < limits.idleMs;

  const put = (key: string, accountId: string, seenAt: EpochMs): void => {
    sessions.delete(key);
    sessions.set(key, { accountId, seenAt });
    const oldest = sessions.size > limits.capacity ? sessions.keys().next().value : undefined;
    if (oldest !== undefined) sessions.delete(oldest);
  };

  for (const { key, accountId, seenAt } of entries.toSorted((left, right) => left.seenAt - right.seenAt)) put(key, accountId, seenAt);

  return {
    lookup(keys, now) {
      for (const key of keys) {
        const session = sessions.get(key);
        if (session === undefined) continue;
        if (isLive(session.seenAt, now)) {
          put(key, session.accountId, now);
          return session.accountId;
        }
        sessions.delete(key);
      }
      return null;
    },
    remember(keys, accountId, now) {
      for (const key of keys) put(key, accountId, now);
    },
    forgetAccount(accountId) {
      for (const [key, session] of sessions) if (session.accountId === accountId) sessions.delete(key);
    },
    countOf(accountId, now) {
      let count = 0;
      for (const session of sessions.values()) if (session.accountId === accountId && isLive(session.seenAt, now)) count += 1;
      return count;
    },
    serialise(now) {
      return [...sessions].filter(([, session]) => isLive(session.seenAt, now)).map(([key, session]) => ({ key, ...session }));
    },
    get size() {
      return sessions.size;
    },
  };
}
