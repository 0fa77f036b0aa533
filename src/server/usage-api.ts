import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context, Hono } from 'hono';

import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { DayEdge } from '../core/moment.ts';
import { readMoment } from '../core/moment.ts';
import type { Clock } from '../core/ports.ts';
import type { EpochMs } from '../core/units.ts';
import type { UsageDimension } from '../core/views.ts';
import { USAGE_DIMENSIONS } from '../core/views.ts';
import type { AppEnv } from './app-env.ts';
import { serveEvents } from './events-route.ts';
import type { LedgerPort, RequestsQuery } from './ledger-port.ts';
import { seerOf } from './ledger-port.ts';
import { createMetrics } from './metrics.ts';
import { STREAM_HEADERS } from './reply.ts';
import { requireScope } from './scope.ts';

export interface UsageApiDeps {
  readonly ledger: LedgerPort;
  readonly clock: Clock;
}

const DEFAULT_PAGE = 50;
const MOST_PAGE = 1_000;
/** The journal may be long, and reading it is work: so many of these at a time. */
const READERS = 4;

/**
 * Adds `/relay/v1/…` and `/metrics`: what `relay usage`, `logs` and `keys list` show. A client sees its own requests, one
 * with the scope `usage` sees all; accounts and metrics need that scope.
 */
export function addUsageRoutes(app: Hono<AppEnv>, { ledger, clock }: UsageApiDeps): void {
  const metrics = createMetrics(ledger, clock);
  const events = serveEvents(ledger.live, clock);
  const reading = limitReaders(READERS);

  app.get('/relay/v1/usage', (context) => {
    const { since, until } = timesIn(context, clock.now());
    return context.json(ledger.report({ since, until, by: dimensionsIn(context) }, seerOf(context.var.client)));
  });
  app.get('/relay/v1/requests', async (context) => {
    const query = requestsQuery(context, clock.now());
    const { lines, next } = await reading(() => ledger.requests(query));
    return context.json({ object: 'list', data: lines, has_more: next !== null, next_cursor: next });
  });
  app.get('/relay/v1/requests/:id', async (context) => {
    const id = context.req.param('id');
    const seer = seerOf(context.var.client);
    const found = /^[\w.-]{1,100}$/.test(id) ? await reading(() => ledger.request(id, context.req.raw.signal)) : null;
    // Another client's request is not told apart from none.
    if (found === null || (seer.sees === 'own' && found.client !== seer.client)) {
      throw new RelayError('not_found', 'There is no finished request of this id; GET /relay/v1/requests lists them.');
    }
    return context.json(found);
  });
  app.get('/relay/v1/accounts', (context) => {
    requireScope(context.var.client, 'usage');
    return context.json({ object: 'list', data: ledger.accounts() });
  });
  app.get('/relay/v1/events', (context) => {
    if (context.req.method === 'HEAD') return context.body(null, 200, { ...STREAM_HEADERS });
    events.open(context.var.client, context.var.reply);
    return RESPONSE_ALREADY_SENT;
  });
  app.get('/metrics', async (context) => {
    requireScope(context.var.client, 'usage');
    return context.body(await metrics.render(), 200, { 'content-type': metrics.contentType });
  });
}

/** Lets so many readings of the journal run at a time; past that they are refused, to be tried again in a moment. */
function limitReaders(most: number): <T>(read: () => Promise<T>) => Promise<T> {
  let running = 0;
  return async (read) => {
    if (running >= most) throw new RelayError('overloaded', 'The ledger is being read by several others; try again in a moment.', { retryAfterSeconds: 1 });
    running += 1;
    try {
      return await read();
    } finally {
      running -= 1;
    }
  };
}

function requestsQuery(context: Context<AppEnv>, now: EpochMs): RequestsQuery {
  const { limit = String(DEFAULT_PAGE), cursor, account, errors } = context.req.query();
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_PAGE) throw invalid('limit', `must be a whole number from 1 to ${MOST_PAGE}`);
  if (cursor !== undefined && !/^\d{4}-\d{2}-\d{2}\.\d{3,}\.jsonl:\d{1,15}$/.test(cursor)) throw invalid('cursor', 'must be a next_cursor of this route');
  if (errors !== undefined && errors !== 'true' && errors !== 'false') throw invalid('errors', 'must be true or false');
  return {
    ...timesIn(context, now), client: clientIn(context), account: account ?? null, errorsOnly: errors === 'true', cursor: cursor ?? null, limit: Number(limit),
  };
}

/** The client asked for, as far as the caller may see it. */
function clientIn(context: Context<AppEnv>): string | null {
  const asked = context.req.query('client') ?? null;
  const seer = seerOf(context.var.client);
  if (seer.sees === 'all') return asked;
  if (asked !== null && asked !== seer.client) throw seesOnlyItself(context.var.client);
  return seer.client;
}

function seesOnlyItself({ name }: Client): RelayError {
  return new RelayError('insufficient_scope', `Client "${name}" sees its own requests only; relay clients set ${name} --endpoints … with usage lets it see all.`, { param: 'client' });
}

function timesIn(context: Context<AppEnv>, now: EpochMs): { readonly since: EpochMs | null; readonly until: EpochMs | null } {
  const at = (name: 'since' | 'until', edge: DayEdge): EpochMs | null => {
    const text = context.req.query(name);
    if (text === undefined) return null;
    const moment = readMoment(text, now, edge);
    if (moment !== null) return moment;
    throw invalid(name, 'must be a span back from now (7d, 24h), a date (2026-11-24), a date and time, or epoch milliseconds');
  };
  const times = { since: at('since', 'start'), until: at('until', 'end') };
  if (times.since !== null && times.until !== null && times.since >= times.until) throw invalid('since', 'must be before "until"');
  return times;
}

function dimensionsIn(context: Context<AppEnv>): readonly UsageDimension[] {
  const names = (context.req.query('by') ?? '').split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
  return [...new Set(names)].map((name) => {
    const dimension = USAGE_DIMENSIONS.find((known) => known === name);
    if (dimension === undefined) throw invalid('by', `takes ${USAGE_DIMENSIONS.join(', ')}`);
    return dimension;
  });
}

function invalid(param: string, rule: string): RelayError {
  return new RelayError('invalid_request_error', `"${param}" ${rule}.`, { param });
}
