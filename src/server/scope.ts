import type { Client, EndpointScope } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';

/** Throws `insufficient_scope` unless the client may use this kind of endpoint. */
export function requireScope(client: Client, scope: EndpointScope): void {
  const refusal = scopeRefusal(client, scope);
  if (refusal !== null) throw refusal;
}

/** Why a client may not use this kind of endpoint; null where it may. */
export function scopeRefusal(client: Client, scope: EndpointScope): RelayError | null {
  if (client.endpoints.includes(scope)) return null;
  return new RelayError('insufficient_scope', `Client "${client.name}" may not use ${scope} endpoints; relay clients set ${client.name} --endpoints … allows it.`);
}
