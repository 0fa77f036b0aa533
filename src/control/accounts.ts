import type { Account, Credential } from '../core/account.ts';
import { UNKNOWN_HEALTH } from '../core/account.ts';
import type { ControlParams } from '../core/control-messages.ts';
import type { Clock, CredentialStore, Random, StateStore } from '../core/ports.ts';
import { CredentialStoreError } from '../core/ports.ts';
import type { AccountView } from '../core/views.ts';
import { adapterFor } from '../providers/registry.ts';
import { wake } from '../routing/health.ts';
import type { AccountTest, AddedAccount, ControlHandlers } from './control.ts';
import { ControlError } from './control.ts';
import { SEVERAL_ACCOUNTS_NOTICE } from './several-accounts-notice.ts';

export interface AccountDeps {
  readonly state: StateStore;
  readonly credentials: CredentialStore;
  readonly clock: Clock;
  readonly random: Random;
  /** All accounts as they stand now. */
  readonly views: () => Promise<readonly AccountView[]>;
  /** Makes one cheap call, and keeps the model list it may bring. */
  readonly test: (account: Account) => Promise<AccountTest>;
  /** Tells the upstream that the tokens are not needed any more; best effort, true when it agreed. */
  readonly revoke: (account: Account, credential: Credential) => Promise<boolean>;
  /** The credential behind the account is another one now, or gone. */
  readonly forget: (accountId: string) => void;
  /** The account is no more: nothing that was kept for it is of use. */
  readonly removed: (accountId: string) => void;
}

type AccountMethods =
  | 'accounts.list' | 'accounts.add' | 'accounts.login' | 'accounts.remove' | 'accounts.rename'
  | 'accounts.pause' | 'accounts.resume' | 'accounts.wake' | 'accounts.test';

/** What a person does to accounts. */
export function accountHandlers(deps: AccountDeps): Pick<ControlHandlers, AccountMethods> {
  const find = (name: string): Account => {
    const found = deps.state.read().accounts.find((account) => account.name === name);
    if (!found) throw new ControlError('not_found', `There is no account "${name}"; relay keys list shows them.`);
    return found;
  };
  const show = async (id: string): Promise<AccountView> => {
    const account = deps.state.read().accounts.find((candidate) => candidate.id === id);
    const view = (await deps.views()).find(({ name }) => name === account?.name);
    if (!view) throw new ControlError('not_found', 'The account is gone.');
    return view;
  };
  const change = async (name: string, edit: (account: Account) => Account): Promise<AccountView> => {
    const { id } = find(name);
    await deps.state.update((state) => ({
      ...state, accounts: state.accounts.map((account) => (account.id === id ? edit(account) : account)),
    }));
    return show(id);
  };

  return {
    'accounts.list': () => deps.views(),
    'accounts.add': (params) => addAccount(params, deps, show),
    async 'accounts.login'({ name, credential }) {
      const account = find(name);
      const told = adapterFor(account.kind).identify(credential);
      if (told !== null && account.identity !== null && told.identity.userId !== account.identity.userId) {
        const whose = told.identity.email ?? 'somebody else';
        throw new ControlError('invalid', `That sign-in belongs to ${whose}, not to account "${name}"; add it with relay keys add.`);
      }
      await store(account.id, credential, deps);
      deps.forget(account.id);
      await change(name, (current) => ({
        ...current, needsLogin: null, identity: told?.identity ?? current.identity, plan: told?.plan ?? current.plan,
      }));
      await setHealth(account.id, deps);
      const test = await deps.test(find(name));
      return { account: await show(account.id), test };
    },
    async 'accounts.remove'({ name }) {
      const account = find(name);
      const credential = await deps.credentials.get(account.id).catch(() => null);
      const revoked = credential === null ? false : await deps.revoke(account, credential);
      await forgetAccount(account, deps);
      return { revoked };
    },
    async 'accounts.rename'({ name, to }) {
      const { id } = find(name);
      await deps.state.update((state) => {
        const isTaken = state.accounts.some((account) => account.name === to && account.id !== id);
        if (isTaken) throw new ControlError('exists', `There is an account "${to}" already.`);
        return {
          ...state,
          accounts: state.accounts.map((account) => (account.id === id ? { ...account, name: to } : account)),
          // Clients name the accounts they may use: the same account stays open to them under its new name.
          clients: state.clients.map((client) => {
            const accounts = client.accounts?.map((known) => (known === name ? to : known));
            return accounts?.includes(to) ? { ...client, accounts } : client;
          }),
        };
      });
      return show(id);
    },
    'accounts.pause': ({ name }) => change(name, (account) => ({ ...account, paused: true })),
    'accounts.resume': ({ name }) => change(name, (account) => ({ ...account, paused: false })),
    async 'accounts.wake'({ name }) {
      const account = find(name);
      await deps.state.update((state) => {
        const health = state.health[account.id];
        return health ? { ...state, health: { ...state.health, [account.id]: wake(health) } } : state;
      });
      return show(account.id);
    },
    'accounts.test': ({ name }) => deps.test(find(name)),
  };
}

async function addAccount(
  params: ControlParams<'accounts.add'>,
  deps: AccountDeps,
  show: (id: string) => Promise<AccountView>,
): Promise<AddedAccount> {
  const adapter = adapterFor(params.kind);
  const told = adapter.identify(params.credential);
  const state = deps.state.read();
  const isTwin = (account: Account): boolean => told !== null && isSameIdentity(account, told.identity) && account.kind === params.kind;
  const twin = state.accounts.find(isTwin);
  if (twin) throw twinError(twin);
  const isSecondChatGpt = params.kind === 'chatgpt' && state.accounts.some(({ kind }) => kind === 'chatgpt');
  if (isSecondChatGpt && state.termsAcceptedAt === null && !params.acceptTerms) throw new ControlError('terms', SEVERAL_ACCOUNTS_NOTICE);
  const now = deps.clock.now();
  const id = `acc_${Buffer.from(deps.random.bytes(8)).toString('hex')}`;
  await store(id, params.credential, deps);
  const added = deps.state.update((current) => {
    // Looked at again with nothing in between: two may be added at once.
    const known = current.accounts.find((other) => other.name === params.name || isTwin(other));
    if (known && isTwin(known)) throw twinError(known);
    if (known) {
      throw new ControlError('exists', `There is an account "${known.name}" already; relay keys login ${known.name} renews its sign-in.`);
    }
    const account: Account = {
      id,
      name: params.name ?? freeName(current.accounts, told?.identity.email?.split('@')[0] ?? params.provider),
      provider: params.provider,
      kind: params.kind,
      priority: params.priority ?? adapter.defaultPriority,
      baseUrl: params.baseUrl,
      wire: params.wire,
      plan: told?.plan ?? null,
      identity: told?.identity ?? null,
      paused: false,
      needsLogin: null,
      createdAt: now,
    };
    return {
      ...current,
      accounts: [...current.accounts, account],
      termsAcceptedAt: isSecondChatGpt ? (current.termsAcceptedAt ?? now) : current.termsAcceptedAt,
    };
  });
  const account = await added.then(
    (current) => current.accounts.find((known) => known.id === id),
    async (error: unknown) => {
      await deps.credentials.delete(id).catch(() => false);
      throw error;
    },
  );
  if (account === undefined) throw new ControlError('not_found', 'The account was removed while it was added.');
  const test = params.verify ? await deps.test(account) : null;
  // A sign-in is kept all the same: the check may have spent its refresh token, and the new one must not be lost.
  if (test !== null && !test.ok && params.credential.kind !== 'oauth') {
    await forgetAccount(account, deps);
    throw new ControlError('invalid', `Not added: ${test.detail}. Mend that, or add it unchecked with --no-verify.`);
  }
  return { account: await show(account.id), test };
}

function twinError({ name }: Account): ControlError {
  return new ControlError('exists', `That sign-in is account "${name}" already; relay keys login ${name} renews it.`);
}

/** Takes an account and all that is kept of it out of Relay. */
async function forgetAccount(account: Account, deps: AccountDeps): Promise<void> {
  await deps.credentials.delete(account.id).catch(asControlError);
  deps.forget(account.id);
  deps.removed(account.id);
  await deps.state.update((state) => {
    const { [account.id]: _gone, ...health } = state.health;
    return {
      ...state, health,
      accounts: state.accounts.filter(({ id }) => id !== account.id),
      catalogues: state.catalogues.filter(({ accountId }) => accountId !== account.id),
    };
  });
}

function isSameIdentity(account: Account, identity: NonNullable<Account['identity']>): boolean {
  return identity.userId !== null && account.identity?.userId === identity.userId && account.identity.workspaceId === identity.workspaceId;
}

function freeName(accounts: readonly Account[], wanted: string): string {
  const base = wanted.replace(/[^A-Za-z0-9._@-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 60) || 'account';
  const taken = new Set(accounts.map(({ name }) => name));
  if (!taken.has(base)) return base;
  let number = 2;
  while (taken.has(`${base}-${number}`)) number += 1;
  return `${base}-${number}`;
}

async function store(accountId: string, credential: Credential, { credentials }: AccountDeps): Promise<void> {
  await credentials.set(accountId, credential).catch(asControlError);
}

async function setHealth(accountId: string, { state }: AccountDeps): Promise<void> {
  await state.update((current) => {
    const health = current.health[accountId] ?? UNKNOWN_HEALTH;
    return { ...current, health: { ...current.health, [accountId]: wake(health) } };
  });
}

function asControlError(error: unknown): never {
  if (error instanceof CredentialStoreError) throw new ControlError('keychain', error.message);
  throw error;
}
