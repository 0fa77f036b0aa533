import { SECOND_MS } from '../core/units.ts';
import type { Exchange } from './exchange.ts';
import type { MockAccount, MockAccountSpec } from './mock-account.ts';
import type { MockAuth } from './mock-auth.ts';
import { codexList, platformList, platformModel } from './mock-models.ts';
import { sendJson } from './play-step.ts';
import { serveGeneration } from './serve-generation.ts';
import type { GenerationDeps, GenerationRoute } from './serve-generation.ts';
import { serveStored } from './stored-answers.ts';

const CODEX_PATH = /^(?:\/backend-api)?\/(codex\/responses\/compact|codex\/responses|codex\/models|wham\/usage)$/;
/** The platform's routes, below whichever version a vendor puts before them. */
const PLATFORM_PATH = new RegExp(
  '^(?:/v1|/openai/v1|/api/v1|/v1beta/openai)?/'
  + '(chat/completions|responses/compact|responses(?:/[^/]+(?:/input_items|/cancel)?)?|embeddings|models(?:/.+)?|user/balance|credits)$',
);

/** What a call meets on its way to an answer. */
export interface Router {
  readonly accounts: ReadonlyMap<string, MockAccount>;
  readonly auth: MockAuth;
  readonly add: (spec: MockAccountSpec) => MockAccount;
  readonly models: readonly string[];
  readonly anonymous: string | null;
  readonly generation: GenerationDeps;
}

/** Answers one call: the sign-in server's, an account's facts, or a generation. */
export async function routeCall(exchange: Exchange, router: Router): Promise<void> {
  if (await router.auth.handle(exchange)) return;
  const { method, path } = exchange.record;
  const codex = CODEX_PATH.exec(path)?.[1];
  const platform = PLATFORM_PATH.exec(path)?.[1];
  const known = codex ?? platform;
  if (known === undefined)
    return sendJson(exchange, 404, {
      error: { message: `Invalid URL (${method} ${path})`, type: 'invalid_request_error', param: null, code: null },
    });
  const account = authenticate(exchange, router, codex === undefined ? 'platform' : 'codex');
  if (account === null) return;
  const end = account.begin();
  exchange.response.once('close', end);
  if (/^responses\/(?!compact$)/.test(known)) return serveStored(exchange, known, account.name, router.generation.stored);
  const generation = generationRoute(known, codex === undefined ? 'platform' : 'codex');
  if (generation === null) return serveFacts(exchange, known, account, router);
  if (method === 'GET')
    return sendJson(exchange, 426, {
      error: { message: 'WebSocket is not served here.', type: 'invalid_request_error', param: null, code: null },
    });
  await serveGeneration(exchange, account, generation, router.generation);
}

function generationRoute(known: string, flavour: 'codex' | 'platform'): GenerationRoute | null {
  if (known.endsWith('chat/completions')) return { endpoint: 'chat', flavour };
  if (known.endsWith('responses/compact')) return { endpoint: 'compact', flavour };
  if (known.endsWith('responses')) return { endpoint: 'responses', flavour };
  return known === 'embeddings' ? { endpoint: 'embeddings', flavour } : null;
}

/** The account behind a call's credential, noted in its record; null when the call was refused with a 401. */
function authenticate(exchange: Exchange, { accounts, add, anonymous }: Router, flavour: 'codex' | 'platform'): MockAccount | null {
  const { headers } = exchange;
  const secret = headers['api-key'] ?? /^Bearer (.+)$/i.exec(headers['authorization'] ?? '')?.[1];
  const named = headers['x-mock-account'];
  const found = secret === undefined
    ? openAccount(named ?? anonymous, accounts, add)
    : [...accounts.values()].find((account) => account.accepts(secret) !== 'no');
  if (found !== undefined) exchange.note({ account: found.name });
  const workspace = headers['chatgpt-account-id'];
  const fits =
    found !== undefined &&
    (found.kind === 'chatgpt') === (flavour === 'codex') &&
    (flavour === 'platform' || workspace === undefined || workspace === found.identity?.workspaceId);
  if (fits && (secret === undefined || found.accepts(secret) === 'yes')) return found;
  exchange.request.resume();
  if (flavour === 'platform')
    sendJson(exchange, 401, {
      error: { message: 'Incorrect API key provided.', type: 'invalid_request_error', param: null, code: 'invalid_api_key' },
    });
  else if (found === undefined || !fits) sendJson(exchange, 401, { detail: 'Unauthorized' });
  else {
    const error = {
      message: 'Provided authentication token is expired. Please try signing in again.',
      type: 'invalid_request_error',
      param: null,
      code: 'token_expired',
    };
    sendJson(exchange, 401, { error }, { 'x-error-json': Buffer.from(JSON.stringify({ error: { code: error.code } })).toString('base64') });
  }
  return null;
}

/** The open account of that name; a new name is a new account. */
function openAccount(name: string | null, accounts: ReadonlyMap<string, MockAccount>, add: Router['add']): MockAccount | undefined {
  if (name === null || !/^[\x20-\x7e]{1,100}$/.test(name)) return undefined;
  const found = accounts.get(name) ?? add({ name, kind: 'open' });
  return found.kind === 'open' ? found : undefined;
}

function serveFacts(exchange: Exchange, known: string, account: MockAccount, { models, generation }: Router): void {
  exchange.request.resume();
  const createdAt = Math.floor(exchange.clock.now() / SECOND_MS);
  const served = account.models ?? models;
  switch (known) {
    case 'codex/models': {
      const tag = '"mock-1"';
      if (exchange.headers['if-none-match'] === tag) return sendJson(exchange, 304, '', { etag: tag });
      return sendJson(exchange, 200, codexList(generation.modelsOf(account, 'codex')), { etag: tag });
    }
    case 'wham/usage':
      return sendJson(
        exchange,
        200,
        account.quota.report(account.identity ?? { userId: null, workspaceId: null, email: null }),
        account.quota.headers(),
      );
    case 'user/balance':
      return sendJson(exchange, 200, {
        is_available: account.balanceUsd > 0,
        balance_infos: [{ currency: 'USD', total_balance: account.balanceUsd.toFixed(2), granted_balance: '0.00', topped_up_balance: account.balanceUsd.toFixed(2) }],
      });
    case 'credits':
      return sendJson(exchange, 200, { data: { total_credits: 20, total_usage: 20 - account.balanceUsd } });
    case 'models':
      return sendJson(exchange, 200, platformList(served, createdAt));
    default: {
      const id = decodeURIComponent(known.replace(/^models\//, ''));
      if (served.includes(id)) return sendJson(exchange, 200, platformModel(id, createdAt));
      return sendJson(exchange, 404, {
        error: { message: `The model '${id}' does not exist`, type: 'invalid_request_error', param: 'model', code: 'model_not_found' },
      });
    }
  }
}
