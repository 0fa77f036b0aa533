import type { CloseRecord } from '../../src/core/record.ts';

/** A finished request of a quiet day, with what a test wants different. */
export function closeRecord(change: Partial<CloseRecord> = {}): CloseRecord {
  return {
    v: 1, t: Date.parse('2026-11-21T14:30:00Z'), k: 'close', id: 'req_1', client: 'default', member: null, project: null, env: null,
    endpoint: 'responses', stream: true, model: { asked: 'relay-mini', sent: 'relay-mini', ran: 'relay-mini' }, provider: 'mock',
    account: 'mock-a', status: 200, outcome: 'ok', error: null, attempts: [],
    tokens: { input: 1_000, cached: 400, cacheWrite: 100, output: 50, reasoning: 20, estimated: false },
    tier: { asked: null, served: null }, cost: { list: 100_000, charged: 40_000, price: 'relay:mock/relay-mini@2026-11-21' },
    ms: { queue: 0, ttft: 300, total: 2_000 }, route: null, upstreamRequestId: null, dropped: [], ...change,
  };
}
