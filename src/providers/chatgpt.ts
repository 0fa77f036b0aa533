import { arrayAt, isJsonObject, numberAt, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Model } from '../core/model.ts';
import type { CallContext, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import { bearer, callHeaders } from './call-headers.ts';
import { identify } from './chatgpt-identity.ts';
import { codexHeaders } from './codex-headers.ts';
import { CODEX_CLIENT_VERSION, CODEX_MODELS } from './codex-models.ts';
import { stringsAt } from './model-list.ts';

/** What a conversation calls itself, in the order it is believed: Codex's own names, then those of other clients. */
const CONVERSATION_HEADERS = [
  'session-id', 'session_id', 'thread-id', 'thread_id', 'conversation_id', 'x-codex-session-id', 'x-session-id', 'x-session-affinity',
];

/**
 * The user's own ChatGPT sign-in at the backend Codex uses (ChatGPT backend, observed 2026-11). It streams only and
 * keeps nothing; every call names the workspace.
 */
export const chatgpt = {
  kind: 'chatgpt',
  title: 'ChatGPT / Codex',
  defaultBaseUrl: 'https://chatgpt.com/backend-api',
  defaultAuthUrl: 'https://auth.openai.com',
  defaultWire: 'responses',
  wires: ['responses'],
  defaultPriority: 10,
  billing: 'subscription',
  login: { kind: 'chatgpt-oauth' },
  dialect: () => 'codex',
  streamOnly: true,
  path: (endpoint) => (endpoint === 'compact' ? '/codex/responses/compact' : '/codex/responses'),
  headers,
  modelsCall: (context) => ({ path: `/codex/models?client_version=${CODEX_CLIENT_VERSION}`, headers: headers(context) }),
  usageCall: (context) => ({ path: '/wham/usage', headers: headers(context) }),
  parseModels,
  bundledModels: CODEX_MODELS,
  // The `x-codex-*` families are read by `routing/quota`, which also knows their in-stream and report forms.
  quotaFromHeaders: () => [],
  judge: () => null,
  identify,
} as const satisfies ProviderAdapter;

function headers(context: CallContext): Headers {
  const { account, request } = context;
  const workspace = account.identity?.workspaceId ?? null;
  return callHeaders(
    context,
    {
      ...bearer(context.credential),
      ...(workspace !== null && { 'chatgpt-account-id': workspace }),
      ...(account.identity?.fedramp === true && { 'x-openai-fedramp': 'true' }),
    },
    { originator: 'relay', ...(request !== null && callOf(request, context.model)) },
  );
}

/** A Codex client's own headers go through unharmed; any other conversation gets the name a Codex one would have. */
function callOf(request: RelayRequest, model: string | null): Headers {
  const accept = request.endpoint === 'compact' ? 'application/json' : 'text/event-stream';
  const typed = { accept, 'content-type': 'application/json' };
  if (!request.isCodex) {
    const session = conversationOf(request);
    return { ...typed, 'session-id': session, 'thread-id': session };
  }
  const own = codexHeaders(request.headers, 'backend');
  const { 'x-codex-routing-hint': hint, ...rest } = own;
  // The hint names the model; under an alias it would name another than the body does.
  const names = hint !== undefined && model !== null && hint.split(';')[0] === `model=${model}`;
  return { ...typed, ...rest, ...(names && { 'x-codex-routing-hint': hint }) };
}

/** The same for every turn of a conversation where the client says so, else new with the request. */
function conversationOf(request: RelayRequest): string {
  const metadata = request.body['client_metadata'];
  const told = [
    ...CONVERSATION_HEADERS.map((name) => request.headers[name]),
    stringAt(request.body, 'prompt_cache_key'),
    stringAt(metadata, 'session_id'),
    stringAt(metadata, 'thread_id'),
  ];
  return told.find((name) => name !== undefined && /^[\x21-\x7e]{1,128}$/.test(name)) ?? request.id;
}

/** `{"models": [{"slug": …}]}`; every entry is kept whole, since Codex reads more of it than Relay does. */
function parseModels(body: unknown): readonly Model[] | null {
  const entries = arrayAt(body, 'models');
  if (entries === undefined) return null;
  const models = entries.filter(isJsonObject).flatMap((entry) => readCodexModel(entry) ?? []);
  return entries.length > 0 && models.length === 0 ? null : models;
}

function readCodexModel(entry: JsonObject): Model | null {
  const id = stringAt(entry, 'slug');
  if (id === undefined || id === '') return null;
  const levels = arrayAt(entry, 'supported_reasoning_levels') ?? [];
  const efforts = levels.map((level) => (typeof level === 'string' ? level : stringAt(level, 'effort')));
  return {
    id,
    displayName: stringAt(entry, 'display_name') ?? null,
    contextTokens: numberAt(entry, 'context_window') ?? null,
    efforts: efforts.filter((effort) => effort !== undefined),
    defaultEffort: stringAt(entry, 'default_reasoning_level') ?? null,
    inputModalities: stringsAt(entry, 'input_modalities'),
    raw: entry,
  };
}
