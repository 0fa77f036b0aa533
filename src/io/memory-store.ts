import type { CredentialStore } from '../core/ports.ts';
import { readCredential, writeCredential } from './credential-json.ts';

/** Credentials for as long as the process lives: `keychain: "memory"`. */
export function createMemoryStore(): CredentialStore {
  const items = new Map<string, string>();
  const remove = (name: string): Promise<boolean> => Promise.resolve(items.delete(name));
  return {
    backend: 'memory',
    async get(accountId) {
      const text = items.get(accountId);
      return text === undefined ? null : readCredential(text, accountId);
    },
    async set(accountId, credential) {
      items.set(accountId, writeCredential(credential));
    },
    delete: remove,
    getSecret: (name) => Promise.resolve(items.get(name) ?? null),
    async setSecret(name, value) {
      items.set(name, value);
    },
    deleteSecret: remove,
    probe: () => Promise.resolve({ state: 'ready' }),
  };
}
