import { Low } from 'lowdb';

import { CommandError, EXIT } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import { StorageError } from '../core/ports.ts';
import type { Clock, Log, StateStore } from '../core/ports.ts';
import { EMPTY_STATE, parseState } from '../core/state.ts';
import type { State } from '../core/state.ts';
import { errorText, toStorageError } from './error-code.ts';
import { homePaths } from './home.ts';
import { JsonDocument } from './json-document.ts';

/** What `state.json` is kept with. */
export interface StateOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** How long a `note` may wait for others before it is written, in ms. 1,000. */
  readonly noteMs?: number;
}

type Change = (state: State) => State;

/** A change that is in memory and not yet on disk. A note has no caller who waits. */
interface Pending {
  readonly change: Change;
  readonly caller: { resolve(state: State): void; reject(error: unknown): void } | null;
}

/** While nothing can be written the oldest notes are let go, so that they do not fill memory. */
const KEPT_NOTES = 1_000;

class NewerStateError extends Error {}

/**
 * Opens `state.json`. An unreadable one is kept aside as `.corrupt-<time>` and its `.bak` taken, which is said. Throws a
 * CommandError (78) that names the file when neither can be read or a newer Relay wrote it: starting without the client
 * keys in it would be worse than not starting. The file is not made before the first change.
 */
export async function openState(home: string, options: StateOptions): Promise<StateStore> {
  const document = new JsonDocument(homePaths(home).state, parseOwnState, { indent: 1 });
  const low = new Low<State>(document, EMPTY_STATE);
  const { state, isOnDisk } = await loadState(document, options);
  low.data = state;
  if (!isOnDisk && state !== EMPTY_STATE) await low.write();
  return new StateFile(low, document, options);
}

/** Tells a version of the future apart from damage: the one must not fall back to an older copy. */
function parseOwnState(value: unknown): State {
  if (isJsonObject(value) && typeof value['version'] === 'number' && value['version'] > EMPTY_STATE.version) {
    throw new NewerStateError(`it was written by a newer Relay (version ${value['version']})`);
  }
  try {
    return parseState(value);
  } catch (error) {
    throw new Error(firstFault(error), { cause: error });
  }
}

/** zod lists every fault; one names the field well enough for a line. */
function firstFault(error: unknown): string {
  const issues: unknown = typeof error === 'object' && error !== null && 'issues' in error ? error.issues : null;
  const issue: unknown = Array.isArray(issues) ? issues[0] : null;
  if (!isJsonObject(issue) || !Array.isArray(issue['path'])) return errorText(error);
  return `${issue['path'].join('.') || 'the file'}: ${String(issue['message'])}`;
}

interface Loaded {
  readonly state: State;
  readonly isOnDisk: boolean;
}

async function loadState(document: JsonDocument<State>, { clock, log }: StateOptions): Promise<Loaded> {
  const content = await document.load();
  if (content.kind === 'value') return { state: content.value, isOnDisk: true };
  if (content.kind === 'invalid' && content.error instanceof NewerStateError) {
    const remedy = 'start that version, or move the file away to begin anew';
    throw new CommandError(EXIT.configuration, `${document.path}: ${content.message}; ${remedy}`);
  }
  const backup = await document.loadBackup();
  if (backup.kind === 'value') {
    const kept = content.kind === 'invalid' ? await document.setAside('corrupt', clock.now()) : null;
    const what = content.kind === 'invalid' ? content.message : 'it is missing';
    log.warn(`state.json cannot be used (${what}); taking the copy of the version before`, { kept });
    return { state: backup.value, isOnDisk: false };
  }
  if (content.kind === 'absent' && backup.kind === 'absent') return { state: EMPTY_STATE, isOnDisk: false };
  const fault = content.kind === 'invalid' ? content.message : 'it is missing';
  throw new CommandError(
    EXIT.configuration,
    `${document.path}: ${fault}, and ${document.path}.bak cannot be used either; put a good copy back, or move both away to begin anew`,
  );
}

class StateFile implements StateStore {
  readonly #low: Low<State>;
  readonly #document: JsonDocument<State>;
  readonly #options: StateOptions;
  /** What is on disk; `#state` is this with every pending change applied. */
  #base: State;
  #state: State;
  #pending: Pending[] = [];
  #writing: Promise<void> | null = null;
  #cancelNote: (() => void) | null = null;

  constructor(low: Low<State>, document: JsonDocument<State>, options: StateOptions) {
    this.#low = low;
    this.#document = document;
    this.#options = options;
    this.#base = low.data;
    this.#state = low.data;
  }

  read(): State {
    return this.#state;
  }

  update(change: Change): Promise<State> {
    return new Promise((resolve, reject) => {
      this.#state = change(this.#state);
      this.#pending.push({ change, caller: { resolve, reject } });
      if (!this.#writing) void this.#drain();
    });
  }

  note(change: Change): void {
    this.#state = change(this.#state);
    this.#pending.push({ change, caller: null });
    this.#writeSoon();
  }

  async flush(): Promise<void> {
    this.#cancelNote?.();
    this.#cancelNote = null;
    while (this.#pending.length > 0 || this.#writing) {
      const failure = await this.#writeOnce();
      if (failure) throw failure;
    }
  }

  #writeSoon(): void {
    this.#cancelNote ??= this.#options.clock.after(this.#options.noteMs ?? 1_000, () => {
      this.#cancelNote = null;
      if (!this.#writing) void this.#drain();
    });
  }

  /** Writes until nothing is left but notes that still wait for others. */
  async #drain(): Promise<void> {
    while (this.#pending.some(({ caller }) => caller !== null) || (this.#pending.length > 0 && !this.#cancelNote)) {
      if (await this.#writeOnce()) return;
    }
  }

  /** Writes everything pending, after a write that is running already. Gives back what went wrong. */
  async #writeOnce(): Promise<StorageError | null> {
    while (this.#writing) await this.#writing;
    let failure: StorageError | null = null;
    this.#writing = this.#write().then((failed) => {
      failure = failed;
      this.#writing = null;
    });
    await this.#writing;
    return failure;
  }

  async #write(): Promise<StorageError | null> {
    // Changes of the same turn go into the same write.
    await Promise.resolve();
    if (this.#pending.length === 0) return null;
    let written: readonly Pending[] = [];
    try {
      await this.#takeEditFromOutside();
      const state = this.#state;
      written = this.#pending;
      this.#pending = [];
      this.#low.data = state;
      await this.#low.write();
      this.#base = state;
      for (const { caller } of written) caller?.resolve(state);
      return null;
    } catch (error) {
      const failure = toStorageError(error, 'cannot write state.json');
      this.#takeBack([...written, ...this.#pending], failure);
      return failure;
    }
  }

  /** Refused updates leave memory again; notes stay, as what they say was seen, and go with the next write that succeeds. */
  #takeBack(pending: readonly Pending[], failure: StorageError): void {
    this.#options.log.error(failure.message, { reason: failure.reason });
    this.#pending = pending.filter(({ caller }) => caller === null).slice(-KEPT_NOTES);
    this.#state = this.#applyPending(this.#base);
    if (this.#pending.length > 0) this.#writeSoon();
    for (const { caller } of pending) caller?.reject(failure);
  }

  /** A valid edit becomes what pending changes are applied to; an invalid one is kept aside, and said. */
  async #takeEditFromOutside(): Promise<void> {
    const changed = await this.#document.changedOutside();
    if (changed === 'no') return;
    const content = await this.#document.load();
    if (content.kind === 'absent') {
      throw new StorageError('gone', `${this.#document.path} was removed while Relay was running; stop Relay, put it back or start afresh`);
    }
    if (content.kind === 'value') {
      this.#base = content.value;
      this.#state = this.#applyPending(content.value);
      this.#options.log.info('state.json was edited by hand; the edit is in force');
      return;
    }
    const kept = await this.#document.setAside('edited', this.#options.clock.now());
    this.#options.log.error(`state.json was edited by hand and cannot be used (${content.message}); going on without the edit`, { kept });
  }

  /** Applies what is pending in order. A change that no longer fits (a name taken by an edit, say) is refused by itself. */
  #applyPending(base: State): State {
    let state = base;
    this.#pending = this.#pending.filter(({ change, caller }) => {
      try {
        state = change(state);
        return true;
      } catch (error) {
        caller?.reject(error);
        return false;
      }
    });
    return state;
  }
}
