import { createHash } from 'node:crypto';

import type { Client, ClientKey } from '../core/client.ts';
import type { ControlParams } from '../core/control-messages.ts';
import type { Clock, CredentialStore, Random, StateStore } from '../core/ports.ts';
import { CredentialStoreError } from '../core/ports.ts';
import { DAY_MS } from '../core/units.ts';
import type { ClientView, ControlHandlers, IssuedKey } from './control.ts';
import { ControlError } from './control.ts';

const KEY_BYTES = 32;
const KEY_PREFIX = 'sk-relay-';
/** How long a revoked client is still listed. */
const REVOKED_KEPT_MS = 7 * DAY_MS;

export interface ClientDeps {
  readonly state: StateStore;
  readonly credentials: CredentialStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** Where a kept client key stands in the keychain. */
const keptKeyName = (client: Client): string => `client:${client.id}`;

/** The client of a fresh install: every scope, no limit. */
export async function ensureDefaultClient(deps: ClientDeps): Promise<IssuedKey | null> {
  if (deps.state.read().clients.length > 0) return null;
  const issued = await addClient({ name: 'default', keep: false, endpoints: ['chat', 'responses', 'embeddings', 'models', 'usage'] }, deps);
  return issued;
}

/** What a person does to clients. */
export function clientHandlers(deps: ClientDeps): Pick<ControlHandlers, 'clients.list' | 'clients.add' | 'clients.set' | 'clients.rotate' | 'clients.revoke' | 'clients.token'> {
  const find = (name: string): Client => {
    const found = deps.state.read().clients.find((client) => client.name === name && client.revokedAt === null);
    if (!found) throw new ControlError('not_found', `There is no client "${name}"; relay clients list shows them.`);
    return found;
  };
  const replace = async (client: Client): Promise<void> => {
    await deps.state.update((state) => ({ ...state, clients: state.clients.map((other) => (other.id === client.id ? client : other)) }));
  };

  return {
    'clients.list': async () => deps.state.read().clients.map(view),
    'clients.add': (params) => addClient(params, deps),
    async 'clients.set'({ name, expiresAt, ...changes }) {
      const client = find(name);
      const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
      const changed: Client = {
        ...client, ...given,
        keys: expiresAt === undefined ? client.keys : client.keys.map((key) => ({ ...key, expiresAt })),
      };
      await replace(changed);
      return view(changed);
    },
    async 'clients.rotate'({ name, graceMs, expiresAt = null }) {
      const client = find(name);
      const now = deps.clock.now();
      const { key, stored } = mintKey(deps, expiresAt);
      const old = client.keys.map((previous) => ({ ...previous, expiresAt: Math.min(previous.expiresAt ?? Infinity, now + graceMs) }));
      const changed: Client = { ...client, keys: [stored, ...old.filter((previous) => previous.expiresAt > now)] };
      const wasKept = await deps.credentials.getSecret(keptKeyName(client)).catch(() => null);
      if (wasKept !== null) await keep(changed, key, deps);
      await replace(changed);
      return { ...view(changed), key };
    },
    async 'clients.revoke'({ name }) {
      const client = find(name);
      const changed: Client = { ...client, revokedAt: deps.clock.now() };
      await replace(changed);
      await deps.credentials.deleteSecret(keptKeyName(client)).catch(() => false);
      return view(changed);
    },
    async 'clients.token'({ name }) {
      const key = await deps.credentials.getSecret(keptKeyName(find(name))).catch(asControlError);
      if (key === null) throw new ControlError('not_found', `The key of client "${name}" was not kept; relay clients rotate ${name} makes a new one.`);
      return { key };
    },
  };
}

async function addClient(params: ControlParams<'clients.add'>, deps: ClientDeps): Promise<IssuedKey> {
  const { key, stored } = mintKey(deps, params.expiresAt ?? null);
  const client: Client = {
    id: `cli_${hex(deps.random.bytes(8))}`,
    name: params.name,
    member: params.member ?? null,
    project: params.project ?? null,
    env: params.env ?? null,
    keys: [stored],
    models: params.models ?? null,
    accounts: params.accounts ?? null,
    endpoints: params.endpoints ?? ['chat', 'responses', 'embeddings', 'models'],
    budgets: params.budgets ?? [],
    concurrency: params.concurrency ?? null,
    requestsPerMinute: params.requestsPerMinute ?? null,
    createdAt: deps.clock.now(),
    revokedAt: null,
  };
  if (params.keep) await keep(client, key, deps);
  await deps.state.update((state) => {
    if (state.clients.some((other) => other.name === client.name && other.revokedAt === null)) {
      throw new ControlError('exists', `There is a client "${client.name}" already; relay clients rotate ${client.name} makes it a new key.`);
    }
    // Programs started with a key of their own leave a revoked one behind each time.
    const kept = state.clients.filter(({ revokedAt }) => revokedAt === null || revokedAt > client.createdAt - REVOKED_KEPT_MS);
    return { ...state, clients: [...kept, client] };
  });
  return { ...view(client), key };
}

async function keep(client: Client, key: string, { credentials }: ClientDeps): Promise<void> {
  await credentials.setSecret(keptKeyName(client), key).catch(asControlError);
}

function asControlError(error: unknown): never {
  if (error instanceof CredentialStoreError) throw new ControlError('keychain', error.message);
  throw error;
}

function mintKey({ random, clock }: ClientDeps, expiresAt: number | null): { readonly key: string; readonly stored: ClientKey } {
  const key = KEY_PREFIX + Buffer.from(random.bytes(KEY_BYTES)).toString('base64url');
  const sha256 = createHash('sha256').update(key).digest('hex');
  return { key, stored: { sha256, tail: key.slice(-4), createdAt: clock.now(), expiresAt } };
}

function view({ keys, ...client }: Client): ClientView {
  return { ...client, keys: keys.map(({ tail, createdAt, expiresAt }) => ({ tail, createdAt, expiresAt })) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
