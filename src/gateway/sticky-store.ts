import { createHmac } from 'node:crypto';

import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { Clock, Log, Random } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import type { StickyEntry, StickySessions } from '../routing/sticky-sessions.ts';
import { createStickySessions } from '../routing/sticky-sessions.ts';

/** Written this long after a change, together with what came meanwhile: a crash forgets at most this much. */
const SAVE_AFTER_MS = 10 * SECOND_MS;
const KEY_BYTES = 32;
/** 132 bits: no two conversations of a lifetime share one. */
const DIGEST_CHARACTERS = 22;
const MOST_ENTRIES = 10_000;

/** What stands in `sticky.json`: the local key that digests are made with, and which conversation is on which account. No text of anybody's. */
export interface StickyFile {
  readonly version: 1;
  /** Base64. */
  readonly key: string;
  /** `[digest, account id, last used]`, least recently used first. */
  readonly sessions: readonly (readonly [string, string, number])[];
}

/** Where the file is kept; reading gives null where there is none that can be used. */
export interface StickyDocument {
  read(): Promise<StickyFile | null>;
  write(file: StickyFile): Promise<void>;
}

export interface StickyStoreDeps {
  readonly document: StickyDocument;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Ids of the accounts there are: conversations of others are not kept. */
  readonly accountIds: () => ReadonlySet<string>;
}

/** Conversations that stay on their accounts over a restart. */
export interface StickyStore {
  readonly sessions: StickySessions;
  /** A conversation's name as it stands in memory and on disk: an HMAC under the local key. */
  readonly digest: (text: string) => string;
  /** Writes what is not written yet; for the drain. */
  flush(): Promise<void>;
}

/** Reads a value as a sticky file. Throws an Error where it is none. */
export function parseStickyFile(value: unknown): StickyFile {
  const key = stringAt(value, 'key') ?? '';
  if (!isJsonObject(value) || value['version'] !== 1 || Buffer.from(key, 'base64').length !== KEY_BYTES) throw new Error('it is no file of conversations');
  const sessions = (arrayAt(value, 'sessions') ?? []).flatMap((entry): (readonly [string, string, number])[] => {
    if (!Array.isArray(entry)) return [];
    const [digest, accountId, seenAt] = entry;
    return typeof digest === 'string' && typeof accountId === 'string' && typeof seenAt === 'number' ? [[digest, accountId, seenAt]] : [];
  });
  return { version: 1, key, sessions };
}

/** Opens the store: what was kept is taken up again, as far as it is still live. A file that cannot be used begins a new one. */
export async function openStickyStore(deps: StickyStoreDeps): Promise<StickyStore> {
  const { document, clock, random, log } = deps;
  const kept = await document.read().catch((error: unknown) => {
    log.warn('conversations kept from before could not be read', { reason: error instanceof Error ? error.message : 'unknown' });
    return null;
  });
  const key = kept === null ? Buffer.from(random.bytes(KEY_BYTES)) : Buffer.from(kept.key, 'base64');
  const sessions = createStickySessions((kept?.sessions ?? []).map(([digest, accountId, seenAt]): StickyEntry => ({
    // A clock that was set back must not keep a conversation forever.
    key: digest, accountId, seenAt: Math.min(seenAt, clock.now()),
  })));
  let isDirty = false;
  let writing = Promise.resolve();
  let cancel: (() => void) | null = null;

  const save = (): Promise<void> => {
    cancel?.();
    cancel = null;
    writing = writing.then(async () => {
      if (!isDirty) return;
      isDirty = false;
      const known = deps.accountIds();
      const live = sessions.serialise(clock.now()).filter(({ accountId }) => known.has(accountId)).slice(-MOST_ENTRIES);
      try {
        await document.write({ version: 1, key: key.toString('base64'), sessions: live.map((entry) => [entry.key, entry.accountId, entry.seenAt]) });
      } catch (error) {
        isDirty = true;
        log.warn('conversations could not be kept for the next start', { reason: error instanceof Error ? error.message : 'unknown' });
      }
    });
    return writing;
  };
  const changed = (): void => {
    isDirty = true;
    cancel ??= clock.after(SAVE_AFTER_MS, () => {
      cancel = null;
      void save();
    });
  };
  return {
    digest: (text) => createHmac('sha256', key).update(text).digest('base64url').slice(0, DIGEST_CHARACTERS),
    sessions: {
      lookup: (keys, now) => sessions.lookup(keys, now),
      remember(keys, accountId, now) {
        if (keys.length === 0) return;
        sessions.remember(keys, accountId, now);
        changed();
      },
      forgetAccount(accountId) {
        sessions.forgetAccount(accountId);
        changed();
      },
      countOf: (accountId, now) => sessions.countOf(accountId, now),
      serialise: (now) => sessions.serialise(now),
      get size() {
        return sessions.size;
      },
    },
    flush: save,
  };
}
