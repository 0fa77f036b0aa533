import type { CloseRecord, OpenRecord } from '../core/record.ts';
import type { EpochMs } from '../core/units.ts';

/** The closing line of a request that a crash left open: it cost its input, and what came of it is not known. */
export function closeOrphan(open: OpenRecord, now: EpochMs): CloseRecord {
  const { id, client, member, project, env, endpoint, stream, model, provider, account, reserved, cost } = open;
  return {
    v: 1, t: now, k: 'orphan', id, client, member, project, env, endpoint, stream,
    model: { ...model, ran: null }, provider, account, status: 500, outcome: 'orphaned',
    error: { code: 'orphaned', message: 'Relay was killed while this request ran. Its input is counted; what came of it is not known.' },
    attempts: [{ account, provider, model: model.sent, t: open.t, ms: 0, status: null, error: 'orphaned', phase: 'request' }],
    tokens: { input: reserved.input, cached: 0, cacheWrite: 0, output: 0, reasoning: 0, estimated: true },
    tier: { asked: null, served: null }, cost, ms: { queue: 0, ttft: null, total: 0 }, route: null, upstreamRequestId: null, dropped: [],
  };
}
