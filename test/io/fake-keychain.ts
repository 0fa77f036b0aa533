import type { KeychainPort } from '../../src/io/keychain.ts';

/** A keychain in memory, with the faults of real ones on demand. */
export interface FakeKeychain extends KeychainPort {
  readonly items: Map<string, string>;
  /** `locked` reads as empty and refuses writes, as libsecret does; `silent` never answers. */
  mode: 'open' | 'locked' | 'silent' | 'forgetful';
  readonly calls: string[];
  /** Refuses longer items, as Windows does. */
  cap: number | null;
  /** Called before each write; may throw. */
  onWrite: (account: string) => void;
}

/** Makes a {@link FakeKeychain}. */
export function fakeKeychain(): FakeKeychain {
  const answer = async <T>(call: string, locked: () => T, open: () => T): Promise<T> => {
    keychain.calls.push(call);
    if (keychain.mode === 'silent') return new Promise<T>(() => {});
    return keychain.mode === 'locked' ? locked() : open();
  };
  const keychain: FakeKeychain = {
    items: new Map(),
    mode: 'open',
    calls: [],
    cap: null,
    onWrite: () => {},
    getPassword: (_service, account) => answer(`get ${account}`, () => null, () => keychain.items.get(account) ?? null),
    setPassword: (_service, account, password) => answer(
      `set ${account}`,
      () => {
        throw new Error('Cannot create an item in a locked collection');
      },
      () => {
        keychain.onWrite(account);
        if (keychain.cap !== null && password.length > keychain.cap) throw new Error('The stub received bad data');
        if (keychain.mode !== 'forgetful') keychain.items.set(account, password);
      },
    ),
    deletePassword: (_service, account) => answer(`delete ${account}`, () => false, () => keychain.items.delete(account)),
  };
  return keychain;
}
