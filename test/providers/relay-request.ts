import type { Client } from '../../src/core/client.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { RelayRequest } from '../../src/core/relay-request.ts';

const CLIENT: Client = {
  id: 'client_1', name: 'default', member: null, project: null, env: null, keys: [], models: null, accounts: null,
  endpoints: ['chat', 'responses'], budgets: [], concurrency: null, requestsPerMinute: null, createdAt: 0, revokedAt: null,
};

/** A request as it looks behind the gate; only what matters to a test need be said. */
export function relayRequest(change: Partial<RelayRequest> & { readonly body?: JsonObject } = {}): RelayRequest {
  const body = change.body ?? { model: 'relay-mini', input: 'hello', stream: true };
  return {
    id: 'req_1', client: CLIENT, endpoint: 'responses', clientWire: 'responses', bodyWire: 'responses', stream: true, model: 'relay-mini',
    bytes: new TextEncoder().encode(JSON.stringify(body)), headers: {}, isCodex: false, receivedAt: 0, ...change, body,
  };
}
