import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import type { Client, ClientKey } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { State } from '../core/state.ts';
import type { EpochMs } from '../core/units.ts';
import { countHeader } from './door.ts';
import { speaksMessages } from './messages-reply.ts';

interface IndexedKey {
  readonly client: Client;
  readonly key: ClientKey;
}

/** Digest -> client, made once per list of clients: a check costs the same with one client and with a thousand. */
const indexes = new WeakMap<readonly Client[], ReadonlyMap<string, IndexedKey>>();

/**
 * The client behind a request's `Authorization: Bearer sk-relay-…` (or `x-api-key` where Anthropic's API is spoken).
 * `now` must not run backwards. Throws `invalid_api_key`; neither the message nor anything else echoes what was sent.
 */
export function authenticate(incoming: IncomingMessage, state: State, now: EpochMs): Client {
  const presented = presentedKey(incoming);
  if (presented === null) {
    throw new RelayError('invalid_api_key', 'Missing client key. Send "Authorization: Bearer sk-relay-…"; relay clients add NAME makes one.');
  }
  // Looked up by its digest: what the time of a look-up may tell is of the digest, from which no key can be made.
  const found = indexOf(state.clients).get(hash('sha256', presented, 'hex'));
  if (found === undefined) throw unknownKey();
  if (found.client.revokedAt !== null) throw unknownKey();
  if (found.key.expiresAt !== null && found.key.expiresAt <= now) {
    throw new RelayError('invalid_api_key', `The key of client "${found.client.name}" has expired. Run relay clients rotate ${found.client.name}.`);
  }
  return found.client;
}

function presentedKey(incoming: IncomingMessage): string | null {
  if (countHeader(incoming, 'authorization') > 1) return null;
  const header = incoming.headers.authorization;
  if (header !== undefined) return /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header)?.[1] ?? null;
  const apiKey = incoming.headers['x-api-key'];
  return typeof apiKey === 'string' && speaksMessages(incoming) ? apiKey : null;
}

function indexOf(clients: readonly Client[]): ReadonlyMap<string, IndexedKey> {
  const known = indexes.get(clients);
  if (known) return known;
  const made = new Map<string, IndexedKey>();
  for (const client of clients) for (const key of client.keys) made.set(key.sha256, { client, key });
  indexes.set(clients, made);
  return made;
}

function unknownKey(): RelayError {
  return new RelayError('invalid_api_key', 'Unknown client key. relay clients list shows the clients, relay clients rotate NAME makes a new key.');
}
