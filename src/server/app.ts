import type { IncomingMessage } from 'node:http';

import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { Hono } from 'hono';

import type { Client, EndpointScope } from '../core/client.ts';
import type { Config } from '../core/config.ts';
import { RelayError } from '../core/errors.ts';
import { faultPlace } from '../core/fault-place.ts';
import type { Clock, Log } from '../core/ports.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import type { State } from '../core/state.ts';
import type { EpochMs } from '../core/units.ts';
import type { Gateway } from '../gateway/relayed-answer.ts';
import type { StoredResponses } from '../gateway/stored-responses.ts';
import type { AppEnv } from './app-env.ts';
import { authenticate } from './client-auth.ts';
import { checkDoor } from './door.ts';
import { errorReply } from './error-reply.ts';
import type { BodyMemory } from './read-body.ts';
import { readJsonBody } from './read-body.ts';
import type { ModelListing } from './models-route.ts';
import { answerModel, answerModels } from './models-route.ts';
import { answerMessagesModel, answerMessagesModels } from './messages-models.ts';
import { messagesErrorReply, speaksMessages } from './messages-reply.ts';
import { countMessageTokens } from './messages-request.ts';
import { serveRelayCall } from './relay-route.ts';
import { createReply } from './reply.ts';
import type { ResponseAction } from './responses-route.ts';
import { answerStoredResponse } from './responses-route.ts';
import { requireScope, scopeRefusal } from './scope.ts';
import type { LedgerPort } from './ledger-port.ts';
import { addUsageRoutes } from './usage-api.ts';

export interface AppDeps {
  readonly gateway: Gateway;
  readonly responses: StoredResponses;
  readonly clock: Clock;
  /** The time by which keys expire: it does not go back when the clock does. */
  readonly latest: () => EpochMs;
  readonly log: Log;
  readonly state: () => State;
  readonly settings: () => Config;
  readonly memory: BodyMemory;
  readonly listModels: (client: Client) => readonly ModelListing[];
  readonly makeId: (prefix: string) => string;
  /** The port the listener has. */
  readonly port: () => number;
  readonly isDraining: () => boolean;
  /** What the usage routes and metrics tell. */
  readonly ledger: LedgerPort;
  /** Calls being served, for the drain. */
  readonly inFlight: { begin(): () => void; readonly cut: AbortSignal };
}

/** Relay's HTTP surface. Every route but `/healthz` needs a client key; nothing here manages anything. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.use('*', async function door(context, next) {
    const requestId = deps.makeId('req');
    context.set('requestId', requestId);
    const { incoming, outgoing } = context.env;
    const entry = checkDoor(incoming, deps.port(), deps.settings().server);
    const headers = { 'x-request-id': requestId, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store', ...(entry.ok && entry.headers) };
    if (!entry.ok) return withHeaders(refuse(context, entry.error), headers);
    context.set('reply', createReply(outgoing, entry.headers));
    if (incoming.method === 'OPTIONS') return withHeaders(answerPreflight(context, entry.headers['access-control-allow-origin'] !== undefined), headers);
    await next();
    // A relayed answer went to the socket itself, with headers of its own.
    if (context.res !== RESPONSE_ALREADY_SENT) withHeaders(context.res, headers);
    return undefined;
  });

  app.get('/healthz', (context) => (deps.isDraining() ? context.json({ status: 'draining' }, 503) : context.json({ status: 'ok' })));

  app.use('*', async function clientKey(context, next) {
    context.set('client', authenticate(context.env.incoming, deps.state(), deps.latest()));
    return next();
  });

  const relay = (endpoint: RelayRequest['endpoint'], scope: EndpointScope) => async (context: Context<AppEnv>) => {
    const { requestId: id, client, reply } = context.var;
    const refusal = scopeRefusal(client, scope) ?? (deps.isDraining() ? drainingError() : null);
    const ended = deps.inFlight.begin();
    try {
      await serveRelayCall({ id, client, endpoint, exchange: context.env, reply, refusal }, {
        gateway: deps.gateway,
        clock: deps.clock,
        memory: deps.memory,
        maxBodyBytes: () => deps.settings().server.maxBodyMb * 1_048_576,
        cut: deps.inFlight.cut,
      });
    } finally {
      ended();
    }
    return RESPONSE_ALREADY_SENT;
  };

  const listModels = (context: Context<AppEnv>): Response => {
    requireScope(context.var.client, 'models');
    const answer = speaksMessages(context.env.incoming) ? answerMessagesModels : answerModels;
    return answer(context, deps.listModels(context.var.client));
  };
  // Where Cursor's check of a key asks, under some base URLs.
  app.get('/cursor/models', listModels);

  for (const prefix of ['/v1', '']) {
    app.post(`${prefix}/chat/completions`, relay('chat', 'chat'));
    app.post(`${prefix}/responses`, relay('responses', 'responses'));
    app.post(`${prefix}/responses/compact`, relay('compact', 'responses'));
    app.get(`${prefix}/responses`, (context) => {
      throw isUpgrade(context.env.incoming)
        ? new RelayError('websocket_unavailable', 'The Responses WebSocket is not served here; use HTTP.')
        : new RelayError('method_not_allowed', `Use POST ${prefix}/responses.`);
    });
    const stored = (action: ResponseAction) => (context: Context<AppEnv>) => {
      requireScope(context.var.client, 'responses');
      return answerStoredResponse(action, context, { client: context.var.client, responses: deps.responses });
    };
    app.get(`${prefix}/responses/:id`, stored('retrieve'));
    app.delete(`${prefix}/responses/:id`, stored('remove'));
    app.get(`${prefix}/responses/:id/input_items`, stored('input-items'));
    app.post(`${prefix}/responses/:id/cancel`, stored('cancel'));
    app.get(`${prefix}/models`, listModels);
    app.get(`${prefix}/models/:id{.+}`, (context) => {
      requireScope(context.var.client, 'models');
      const answer = speaksMessages(context.env.incoming) ? answerMessagesModel : answerModel;
      return answer(context, context.req.param('id'), deps.listModels(context.var.client));
    });
  }

  app.post('/v1/messages', relay('messages', 'chat'));
  app.post('/v1/messages/count_tokens', async (context) => {
    requireScope(context.var.client, 'chat');
    const { json } = await readJsonBody(context.env, deps.settings().server.maxBodyMb * 1_048_576, deps.memory);
    context.header('x-relay-estimated', 'input_tokens');
    return context.json({ input_tokens: countMessageTokens(json) });
  });

  addUsageRoutes(app, deps);

  app.notFound((context) => {
    const { method, path } = context.req;
    return refuse(context, new RelayError('unknown_url', `Invalid URL (${method.slice(0, 20)} ${printable(path)})`));
  });
  app.onError((error, context) => {
    if (error instanceof RelayError) return refuse(context, error);
    deps.log.error('a request ran into a fault of Relay', { id: context.var.requestId ?? '', ...faultPlace(error) });
    return refuse(context, new RelayError('internal_error', `Relay ran into a fault; relay logs and ${context.var.requestId ?? 'the request id'} tell more.`));
  });
  return app;
}

/** The answer to a request that no URL can be made of: a Host or target that is not one. Nothing of it is echoed. */
export function unreadableReply(requestId: string): Response {
  const { status, headers, body } = errorReply(new RelayError('invalid_request_error', 'The Host header or the request target is not valid.'));
  return new Response(Buffer.from(body).toString('utf8'), {
    status, headers: { ...headers, 'x-request-id': requestId, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' },
  });
}

/** The refusal of new work while what runs is finished. */
export function drainingError(): RelayError {
  return new RelayError('draining', 'Relay is shutting down; try again when it is back.', { retryAfterSeconds: 5 });
}

/** Puts in the headers every answer has, where the route did not set its own. */
function withHeaders(response: Response, headers: Headers): Response {
  for (const [name, value] of Object.entries(headers)) if (!response.headers.has(name)) response.headers.set(name, value);
  return response;
}

/** What is left of a refused upload is read and thrown away for a moment, so that the client gets to see the answer. */
function refuse(context: Context<AppEnv>, error: RelayError): Response {
  const isMessages = speaksMessages(context.env.incoming);
  const { status, headers, body } = isMessages ? messagesErrorReply(error, context.var.requestId) : errorReply(error);
  for (const [name, value] of Object.entries(headers)) context.header(name, value);
  if (isMessages) context.header('request-id', context.var.requestId);
  return context.body(Buffer.from(body).toString('utf8'), { status: status as 400 });
}

/** A preflight from a page that is not allowed grants nothing; from an allowed one, just what the API needs. */
function answerPreflight(context: Context<AppEnv>, isAllowed: boolean): Response {
  if (!isAllowed) return refuse(context, new RelayError('method_not_allowed', 'OPTIONS is answered for origins in server.allowedOrigins only.'));
  context.header('access-control-allow-methods', 'GET, POST, DELETE');
  // SDKs send headers of their own making (x-stainless-…); the origin is trusted, so what it asks for is granted.
  const wanted = context.req.header('access-control-request-headers') ?? '';
  context.header('access-control-allow-headers', /^[\w\-, ]{1,1000}$/.test(wanted) ? wanted : 'authorization, content-type');
  return context.body(null, 204);
}

function isUpgrade(incoming: IncomingMessage): boolean {
  return incoming.headers.upgrade?.toLowerCase() === 'websocket';
}

function printable(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, '?').slice(0, 200);
}
