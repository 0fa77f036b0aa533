import type { Account, Credential } from '../core/account.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, CredentialStore, Log, ProcessLock, RefreshCredential } from '../core/ports.ts';
import { CredentialStoreError } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import { classifyRefreshRefusal, mayHaveNewerToken, refreshUnreachable } from '../routing/classify-refresh.ts';

/** A token is renewed this long before it ends. */
export const REFRESH_AHEAD_MS = 300_000;
/** A token with less left than this may end under way: its call waits for the new one. */
const NEARLY_OVER_MS = 30 * SECOND_MS;
const BACKOFF_FROM_MS = 30_000;
const BACKOFF_TO_MS = 300_000;
const SAVE_AGAIN_MS = 5 * SECOND_MS;

export type SignInResult = { readonly ok: true; readonly credential: Credential } | { readonly ok: false; readonly failure: Failure };

export interface SignInDeps {
  readonly clock: Clock;
  readonly credentials: CredentialStore;
  readonly refresh: RefreshCredential;
  readonly lock: ProcessLock;
  readonly log: Log;
}

/**
 * Hands out each account's credential and renews it: one refresh per account at a time, here and across processes;
 * the rotated token is in the keychain before anyone uses it; whoever waits takes the result.
 */
export interface SignIns {
  /**
   * The credential. One that ends within five minutes is renewed meanwhile and handed out as it is; one that has ended, or is
   * about to, is waited for.
   */
  credential(account: Account, authUrl: string | null): Promise<SignInResult>;
  /** Renews what is in use and ends within `aheadMs`, so that no call has to wait for it; null when nothing is due. */
  renewAhead(account: Account, authUrl: string | null, aheadMs: number): Promise<SignInResult | null>;
  /** Renews after the upstream refused `stale`; when somebody else has renewed it since, that one is taken. */
  renew(account: Account, authUrl: string | null, stale: Credential): Promise<SignInResult>;
  /** Forgets what is held in memory: the stored credential was replaced or removed. */
  forget(accountId: string): void;
  /** Accounts whose newest token is in memory only, because the keychain refused it. */
  unsaved(): readonly string[];
  /** Tries once more to save what is unsaved; for the drain. */
  saveAll(): Promise<void>;
}

/** Sign-ins over a credential store; nothing is read before it is needed. */
export function createSignIns(deps: SignInDeps): SignIns {
  const held = new Map<string, Credential>();
  const unsaved = new Map<string, Credential>();
  const flights = new Map<string, Promise<SignInResult>>();
  const backoff = new Map<string, { readonly until: number; readonly ms: number; readonly failure: Failure }>();
  /** Sign-ins a renewal in the background found dead: told at their next use, without asking again. */
  const dead = new Map<string, Failure>();

  const load = async (account: Account): Promise<SignInResult> => {
    const known = held.get(account.id);
    if (known) return { ok: true, credential: known };
    try {
      const stored = await deps.credentials.get(account.id);
      if (stored === null) return { ok: false, failure: credentialMissing(account) };
      held.set(account.id, stored);
      return { ok: true, credential: stored };
    } catch (error) {
      return { ok: false, failure: storeFailure(error) };
    }
  };

  const save = async (account: Account, credential: Credential): Promise<void> => {
    held.set(account.id, credential);
    try {
      await deps.credentials.set(account.id, credential);
      unsaved.delete(account.id);
    } catch (error) {
      // The old token is spent: the new one must not be lost, so it is used from memory and saved as soon as it can be.
      unsaved.set(account.id, credential);
      deps.log.error('a renewed sign-in could not be saved; it is kept in memory and tried again', {
        account: account.name, reason: error instanceof Error ? error.message : 'unknown',
      });
      deps.clock.after(SAVE_AGAIN_MS, () => {
        const newest = unsaved.get(account.id);
        if (newest) void save(account, newest);
      });
    }
  };

  /** Somebody else (another process, a new login) may have renewed it: then that one counts. */
  const storedSince = async (account: Account, stale: Credential): Promise<Credential | 'same' | 'absent'> => {
    const stored = await deps.credentials.get(account.id).catch((): 'same' => 'same');
    if (stored === null) return 'absent';
    return stored !== 'same' && !isSameLogin(stored, stale) ? stored : 'same';
  };

  const refreshNow = (account: Account, authUrl: string, stale: Credential): Promise<SignInResult> =>
    deps.lock(`refresh-${account.id}`, async () => {
      const newer = unsaved.has(account.id) ? 'same' : await storedSince(account, stale);
      // Somebody took it out of the keychain: a new token is not put back behind that person's back.
      if (newer === 'absent') return { ok: false, failure: credentialMissing(account) };
      if (newer !== 'same') {
        held.set(account.id, newer);
        return { ok: true, credential: newer };
      }
      const outcome = await deps.refresh(authUrl, stale, AbortSignal.timeout(30_000));
      if (outcome.ok) {
        backoff.delete(account.id);
        await save(account, outcome.credential);
        return { ok: true, credential: outcome.credential };
      }
      if (outcome.kind === 'unreachable') return { ok: false, failure: refreshUnreachable(outcome.code, outcome.message) };
      const failure = classifyRefreshRefusal(outcome.status, outcome.body);
      if (!mayHaveNewerToken(failure)) return { ok: false, failure };
      const meanwhile = await storedSince(account, stale);
      if (meanwhile === 'same' || meanwhile === 'absent') return { ok: false, failure };
      held.set(account.id, meanwhile);
      return { ok: true, credential: meanwhile };
    });

  const renew = (account: Account, authUrl: string | null, stale: Credential): Promise<SignInResult> => {
    if (stale.kind !== 'oauth' || stale.refreshToken === null || authUrl === null) {
      return Promise.resolve({ ok: false, failure: unauthorized(account) });
    }
    const current = held.get(account.id);
    if (current && !isSameLogin(current, stale)) return Promise.resolve({ ok: true, credential: current });
    const waiting = backoff.get(account.id);
    if (waiting && waiting.until > deps.clock.now()) return Promise.resolve({ ok: false, failure: waiting.failure });
    const flight = flights.get(account.id) ?? refreshNow(account, authUrl, stale)
      .catch((error: unknown): SignInResult => ({ ok: false, failure: storeFailure(error) }))
      .then((result) => {
        if (!result.ok && result.failure.kind === 'refresh-unavailable') {
          const ms = Math.min(BACKOFF_TO_MS, (backoff.get(account.id)?.ms ?? BACKOFF_FROM_MS / 2) * 2);
          backoff.set(account.id, { until: deps.clock.now() + ms, ms, failure: result.failure });
        }
        return result;
      })
      .finally(() => flights.delete(account.id));
    flights.set(account.id, flight);
    return flight;
  };

  return {
    async credential(account, authUrl) {
      const known = dead.get(account.id);
      if (known !== undefined) return { ok: false, failure: known };
      const loaded = await load(account);
      if (!loaded.ok || loaded.credential.kind !== 'oauth') return loaded;
      const { expiresAt } = loaded.credential;
      const leftMs = expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt - deps.clock.now();
      if (leftMs > REFRESH_AHEAD_MS) return loaded;
      const renewed = renew(account, authUrl, loaded.credential);
      if (leftMs > NEARLY_OVER_MS) {
        void renewed.then((result) => {
          if (!result.ok && result.failure.kind === 'login-dead') dead.set(account.id, result.failure);
        });
        return loaded;
      }
      const result = await renewed;
      if (result.ok) return result;
      // A refresh that could not be made does no harm while the token at hand is still good.
      const transient = result.failure.kind === 'refresh-unavailable' || result.failure.kind === 'credential-unavailable';
      return transient && expiresAt !== null && expiresAt > deps.clock.now() ? loaded : result;
    },
    async renewAhead(account, authUrl, aheadMs) {
      const credential = held.get(account.id);
      if (credential?.kind !== 'oauth' || credential.refreshToken === null || credential.expiresAt === null) return null;
      return credential.expiresAt - deps.clock.now() > aheadMs ? null : renew(account, authUrl, credential);
    },
    renew,
    forget(accountId) {
      held.delete(accountId);
      unsaved.delete(accountId);
      backoff.delete(accountId);
      dead.delete(accountId);
    },
    unsaved: () => [...unsaved.keys()],
    async saveAll() {
      for (const [id, credential] of unsaved) await deps.credentials.set(id, credential).then(() => unsaved.delete(id), () => {});
    },
  };
}

function isSameLogin(one: Credential, other: Credential): boolean {
  if (one.kind === 'oauth' && other.kind === 'oauth') return one.accessToken === other.accessToken && one.refreshToken === other.refreshToken;
  if (one.kind === 'api-key' && other.kind === 'api-key') return one.apiKey === other.apiKey;
  return one.kind === other.kind;
}

function failureOf(kind: Failure['kind'], status: number | null, code: string, message: string): Failure {
  return { kind, phase: 'credential', status, code, message, param: null, retryAt: null, bucket: null, planType: null, upstreamRequestId: null };
}

function credentialMissing({ name }: Account): Failure {
  return failureOf('login-dead', null, 'credential_missing', `No credential is stored for account "${name}"; run relay keys login ${name}.`);
}

function unauthorized(account: Account): Failure {
  return failureOf('unauthorized', 401, 'unauthorized', `The upstream refused the credential of account "${account.name}"; run relay keys login ${account.name}.`);
}

function storeFailure(error: unknown): Failure {
  if (error instanceof CredentialStoreError) return failureOf('credential-unavailable', null, `keychain_${error.state}`, error.message);
  return failureOf('credential-unavailable', null, 'keychain_failed', error instanceof Error ? error.message : 'The keychain failed.');
}
