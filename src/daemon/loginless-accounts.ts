import type { CredentialStore, StateStore } from '../core/ports.ts';
import { adapterFor } from '../providers/registry.ts';

/**
 * The store, with accounts that need no secret (local servers, the mock) kept out of it: they work where there is no
 * keychain at all.
 */
export function withLoginlessAccounts(store: CredentialStore, state: StateStore): CredentialStore {
  const needsNone = (accountId: string): boolean => {
    const account = state.read().accounts.find(({ id }) => id === accountId);
    return account !== undefined && adapterFor(account.kind).login.kind === 'none';
  };
  const isMock = (accountId: string): boolean => state.read().accounts.some(({ id, kind }) => id === accountId && kind === 'mock');
  return {
    backend: store.backend,
    async get(accountId) {
      if (isMock(accountId)) return { kind: 'none' };
      if (!needsNone(accountId)) return store.get(accountId);
      // A local server may have been given a key all the same; without a keychain it is asked without one.
      return (await store.get(accountId).catch(() => null)) ?? { kind: 'none' };
    },
    set: (accountId, credential) => (credential.kind === 'none' ? Promise.resolve() : store.set(accountId, credential)),
    delete: (accountId) => (needsNone(accountId) ? store.delete(accountId).catch(() => false) : store.delete(accountId)),
    getSecret: (name) => store.getSecret(name),
    setSecret: (name, value) => store.setSecret(name, value),
    deleteSecret: (name) => store.deleteSecret(name),
    probe: () => store.probe(),
  };
}
