import { describe, expect, test } from 'vitest';

import type { Account, Credential } from '../../src/core/account.ts';
import type { CallContext, ProviderAdapter } from '../../src/core/provider-adapter.ts';
import type { ProviderKind, Wire } from '../../src/core/provider-kind.ts';
import { endpointOf, urlOf } from '../../src/providers/endpoint.ts';
import { readDuration } from '../../src/providers/rate-limit-headers.ts';
import { adapterFor } from '../../src/providers/registry.ts';
import { makeChatGptJwt, makeJwt } from '../support/make-jwt.ts';
import { relayRequest } from './relay-request.ts';

const NOW = 1_795_000_000_000;

function account(kind: ProviderKind, change: Partial<Account> = {}): Account {
  return {
    id: 'acc_1', name: 'work', provider: kind, kind, priority: 10, baseUrl: null, wire: null, plan: null, identity: null, paused: false,
    needsLogin: null, createdAt: 0, ...change,
  };
}

function context(adapter: ProviderAdapter, change: Partial<CallContext> = {}): CallContext {
  return {
    account: account(adapter.kind),
    credential: { kind: 'api-key', apiKey: 'sk-1' },
    model: 'relay-mini',
    version: '1.2.3',
    request: relayRequest(),
    endpoint: { baseUrl: 'http://127.0.0.1:1', authUrl: null, wire: adapter.defaultWire, headers: {} },
    ...change,
  };
}

function judged(kind: ProviderKind, status: number, body: unknown, headers: Record<string, string> = {}) {
  return adapterFor(kind).judge({ status, headers, body: JSON.stringify(body), receivedAt: NOW });
}

function oauth(idToken: string | null, accessToken: string): Credential {
  return { kind: 'oauth', accessToken, refreshToken: null, idToken, expiresAt: null, refreshedAt: 0 };
}

function wireFor(kind: ProviderKind, chosen: Wire | null, client: Wire | null): Wire | undefined {
  return endpointOf(adapterFor(kind), account(kind, { baseUrl: 'http://127.0.0.1:8/v1', wire: chosen }), undefined, client)?.wire;
}

describe('ChatGPT', () => {
  const chatgpt = adapterFor('chatgpt');
  const signedIn = account('chatgpt', { identity: { userId: 'u', workspaceId: 'ws-7', email: null, fedramp: true } });

  test("a stranger's call names Relay, the workspace and a conversation", () => {
    const request = relayRequest({ headers: { 'x-session-id': 'ses_1', 'user-agent': 'curl/8' } });
    expect(chatgpt.headers(context(chatgpt, { account: signedIn, request }))).toEqual({
      'user-agent': 'relay/1.2.3',
      originator: 'relay',
      accept: 'text/event-stream',
      'content-type': 'application/json',
      'session-id': 'ses_1',
      'thread-id': 'ses_1',
      authorization: 'Bearer sk-1',
      'chatgpt-account-id': 'ws-7',
      'x-openai-fedramp': 'true',
    });
  });

  test.each([
    ['its own header', { headers: { 'session-id': 'a' }, body: { prompt_cache_key: 'b' } }, 'a'],
    ['the cache key', { body: { prompt_cache_key: 'b' } }, 'b'],
    ['client metadata', { body: { client_metadata: { thread_id: 'c' } } }, 'c'],
    ['the request, where nothing usable is said', { headers: { 'session-id': 'two\nlines' }, body: { prompt_cache_key: 'ü' } }, 'req_1'],
  ])('a conversation is named by %s', (_what, request, name) => {
    expect(chatgpt.headers(context(chatgpt, { request: relayRequest(request) }))['session-id']).toBe(name);
  });

  test("Codex's own headers go through unharmed", () => {
    const own = {
      originator: 'codex_exec',
      'user-agent': 'codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm',
      version: '0.169.0',
      'session-id': 's',
      'thread-id': 't',
      'x-client-request-id': 't',
      'x-codex-window-id': 't:0',
      'x-codex-turn-metadata': '{"turn_id":"1"}',
      'x-codex-turn-state': 'ts_1',
      'x-codex-beta-features': 'remote_compaction_v2',
      'x-openai-internal-codex-responses-lite': 'true',
      'x-openai-subagent': 'review',
      'x-codex-new-thing': 'yes',
      'x-codex-routing-hint': 'model=relay-mini;tier=priority',
      'openai-beta': 'responses_websockets=2026-02-06',
    };
    const head = chatgpt.headers(
      context(chatgpt, { request: relayRequest({ isCodex: true, headers: { ...own, accept: '*/*', 'accept-encoding': 'br' } }) }),
    );
    expect(head).toMatchObject(own);
    expect(head['accept']).toBe('text/event-stream');
    expect(head['accept-encoding']).toBeUndefined();
  });

  test('a routing hint for another model than is sent stays here, and so does a value that would break the call', () => {
    const headers = { 'x-codex-routing-hint': 'model=fast', 'x-codex-turn-metadata': '{"cwd":"/home/jürgen"}' };
    const head = chatgpt.headers(context(chatgpt, { request: relayRequest({ isCodex: true, headers }) }));
    expect(Object.keys(head)).not.toEqual(expect.arrayContaining(['x-codex-routing-hint']));
    expect(Object.keys(head)).not.toEqual(expect.arrayContaining(['x-codex-turn-metadata']));
  });

  test('reads its catalogue whole, with efforts as objects or words', () => {
    const entry = {
      slug: 'gpt-6-sol',
      display_name: 'GPT-6-Sol',
      context_window: 272_000,
      default_reasoning_level: 'medium',
      input_modalities: ['text', 'image'],
      supported_reasoning_levels: [{ effort: 'low', description: 'x' }, 'high'],
      base_instructions: 'kept',
    };
    expect(chatgpt.parseModels({ models: [entry, { display_name: 'no slug' }] })).toEqual([{
      id: 'gpt-6-sol', displayName: 'GPT-6-Sol', contextTokens: 272_000, efforts: ['low', 'high'], defaultEffort: 'medium',
      inputModalities: ['text', 'image'], raw: entry,
    }]);
  });

  test('knows models before the first fetch, each once and with a usual effort of its own', () => {
    const ids = chatgpt.bundledModels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(['gpt-6-astra', 'gpt-6-luna', 'gpt-5.5']));
    for (const model of chatgpt.bundledModels) expect(model.efforts).toContain(model.defaultEffort);
  });

  test('identifies a sign-in by its id token first, and by what the access token adds', () => {
    const access = makeChatGptJwt({ userId: 'user-2', workspaceId: 'ws-2', plan: 'pro', fedramp: true });
    expect(chatgpt.identify(oauth(makeJwt({ email: 'ada@example.com' }), access))).toEqual({
      identity: { userId: 'user-2', workspaceId: 'ws-2', email: 'ada@example.com', fedramp: true }, plan: 'pro',
    });
    expect(chatgpt.identify(oauth(makeChatGptJwt(), access))?.identity.workspaceId).toBe('ws-ada');
    expect(chatgpt.identify(oauth(null, 'at-personal-token'))).toBeNull();
  });
});

describe('OpenAI and Azure', () => {
  test("the platform gets Codex's protocol headers but not its working copy", () => {
    const openai = adapterFor('openai');
    const headers = {
      'session-id': 's',
      'x-openai-internal-codex-responses-lite': 'true',
      'x-codex-turn-metadata': '{"git":"secret"}',
      'user-agent': 'codex_exec/1',
    };
    const head = openai.headers(context(openai, { request: relayRequest({ isCodex: true, headers }) }));
    expect(head).toEqual({
      'user-agent': 'relay/1.2.3',
      'session-id': 's',
      'x-openai-internal-codex-responses-lite': 'true',
      authorization: 'Bearer sk-1',
    });
  });

  test('per-minute limits are quota windows', () => {
    const headers = {
      'x-ratelimit-limit-requests': '500', 'x-ratelimit-remaining-requests': '400', 'x-ratelimit-reset-requests': '1m2.5s',
      'x-ratelimit-limit-tokens': '1000', 'x-ratelimit-remaining-tokens': '-5',
    };
    expect(adapterFor('openai').quotaFromHeaders(headers, NOW)).toEqual([
      { bucket: 'requests', minutes: 1, usedPercent: expect.closeTo(20, 6), resetsAt: NOW + 62_500, seenAt: NOW },
      { bucket: 'tokens', minutes: 1, usedPercent: 100, resetsAt: NOW + 60_000, seenAt: NOW },
    ]);
  });

  test.each([
    ['6m0s', 360_000],
    ['250ms', 250],
    ['1h2m3s', 3_723_000],
    ['', null],
    ['soon', null],
    ['-1s', null],
    ['5', null],
  ])('a wait of %j is %j ms', (text, ms) => {
    expect(readDuration(text)).toBe(ms);
  });

  test('an Azure key goes into api-key, an Entra token is a bearer', () => {
    const azure = adapterFor('azure');
    const entra: Credential = { kind: 'oauth', accessToken: 'entra', refreshToken: null, idToken: null, expiresAt: null, refreshedAt: 0 };
    expect(azure.headers(context(azure))).toMatchObject({ 'api-key': 'sk-1' });
    expect(azure.headers(context(azure, { credential: entra }))).toMatchObject({ authorization: 'Bearer entra' });
  });

  test.each([
    [400, { error: { code: 'content_filter', message: 'filtered', param: 'prompt' } }, 'invalid-request', 'content_filter'],
    [
      400,
      { error: { code: 'x', message: 'filtered', innererror: { code: 'ResponsibleAIPolicyViolation' } } },
      'invalid-request',
      'content_filter',
    ],
    [404, { error: { code: 'DeploymentNotFound', message: 'no deployment' } }, 'model-refused', 'model_not_found'],
  ])('Azure %i is judged', (status, body, kind, code) => {
    expect(judged('azure', status, body)).toMatchObject({ kind, code, status });
  });

  test("Azure's other refusals follow the rules all share", () => {
    expect(judged('azure', 429, { error: { code: '429', message: 'slow down' } })).toBeNull();
  });
});

describe('DeepSeek, Gemini, OpenRouter', () => {
  test("DeepSeek's empty balance is the account's matter, whatever its code says (402)", () => {
    const body = { error: { message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' } };
    expect(judged('deepseek', 402, body)).toMatchObject({
      kind: 'account-refused',
      code: 'insufficient_balance',
      message: 'Insufficient Balance',
    });
    expect(judged('deepseek', 402, 'no json')).toMatchObject({ kind: 'account-refused' });
    expect(judged('deepseek', 400, body)).toBeNull();
  });

  test('balances are read, in dollars where there are several', () => {
    const infos = [{ currency: 'CNY', total_balance: '110.00' }, { currency: 'USD', total_balance: '12.50' }];
    expect(adapterFor('deepseek').parseBalance?.({ balance_infos: infos })).toEqual({ amount: 12_500_000_000, currency: 'USD' });
    expect(adapterFor('deepseek').parseBalance?.({ balance_infos: [{ total_balance: 'lots' }] })).toBeNull();
    expect(adapterFor('openrouter').parseBalance?.({ data: { total_credits: 20, total_usage: 7.25 } })).toEqual({
      amount: 12_750_000_000,
      currency: 'USD',
    });
    expect(adapterFor('openrouter').parseBalance?.({})).toBeNull();
    expect(adapterFor('openrouter').parseBalance?.({ data: { total_credits: 0, total_usage: 0 } })).toBeNull();
    expect(adapterFor('openrouter').parseBalance?.({ data: { total_credits: 5, total_usage: 5 } })).toEqual({ amount: 0, currency: 'USD' });
  });

  test.each([
    [400, 'INVALID_ARGUMENT', [{ reason: 'API_KEY_INVALID' }], 'unauthorized', null],
    [400, 'INVALID_ARGUMENT', [], 'invalid-request', null],
    [403, 'PERMISSION_DENIED', [], 'account-refused', null],
    [404, 'NOT_FOUND', [], 'model-refused', null],
    [429, 'RESOURCE_EXHAUSTED', [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '37s' }], 'rate-limited', NOW + 37_000],
    [429, 'RESOURCE_EXHAUSTED', [], 'rate-limited', null],
    [503, 'UNAVAILABLE', [], 'overloaded', null],
  ])('Gemini %i %s is judged, inside an array or not', (status, word, details, kind, retryAt) => {
    const body = { error: { code: status, status: word, message: 'as told', details } };
    for (const shape of [body, [body]])
      expect(judged('gemini', status, shape)).toMatchObject({ kind, retryAt, status, message: 'as told', code: word.toLowerCase() });
  });

  test.each([
    [402, { error: { code: 402, message: 'Insufficient credits' } }, 'account-refused'],
    [403, { error: { code: 403, message: 'flagged', metadata: { reasons: ['violence'], flagged_input: 'x' } } }, 'invalid-request'],
    [404, { error: { code: 404, message: 'No endpoints found for x/y' } }, 'model-refused'],
    [400, { error: { code: 400, message: 'x is not a valid model ID' } }, 'model-refused'],
  ])('OpenRouter %i is judged', (status, body, kind) => {
    expect(judged('openrouter', status, body)).toMatchObject({ kind });
  });

  test("OpenRouter's reset is epoch milliseconds, in the head or in the body", () => {
    const error = { code: 429, message: 'slow down' };
    expect(judged('openrouter', 429, { error }, { 'x-ratelimit-reset': String(NOW + 9_000) })).toMatchObject({ retryAt: NOW + 9_000 });
    const inBody = { ...error, metadata: { headers: { 'X-RateLimit-Reset': String(NOW + 8_000) } } };
    expect(judged('openrouter', 429, { error: inBody })).toMatchObject({ retryAt: NOW + 8_000 });
    expect(judged('openrouter', 429, { error }, { 'x-ratelimit-reset': '1' })).toMatchObject({ retryAt: null });
  });

  test('a key in a message is not passed on', () => {
    const body = { error: { code: 400, status: 'INVALID_ARGUMENT', message: 'API key not valid: AIzaSyD-0123456789abcdef' } };
    expect(judged('gemini', 400, body)?.message).toBe('API key not valid: [redacted]');
  });

  test('OpenRouter is told of Relay, not of its client', () => {
    const openrouter = adapterFor('openrouter');
    const request = relayRequest({ headers: { 'x-title': 'Cline', 'http-referer': 'https://cline.bot' } });
    expect(openrouter.headers(context(openrouter, { request }))).toMatchObject({
      'x-title': 'Relay',
      'http-referer': expect.stringContaining('relay-local'),
    });
  });
});

describe('model lists', () => {
  test.each<[ProviderKind, unknown, unknown]>([
    ['openai', { id: 'gpt-6-sol', object: 'model', owned_by: 'openai' }, { id: 'gpt-6-sol', contextTokens: null, raw: null }],
    ['openrouter', { id: 'a/b', name: 'B', context_length: 200_000, architecture: { input_modalities: ['text', 'image'] } },
      { id: 'a/b', displayName: 'B', contextTokens: 200_000, inputModalities: ['text', 'image'] }],
    ['gemini', { id: 'models/gemini-3.8-flash' }, { id: 'gemini-3.8-flash' }],
    ['vllm', { id: 'qwen', max_model_len: 32_768 }, { id: 'qwen', contextTokens: 32_768 }],
    ['lmstudio', { id: 'gpt-oss', max_context_length: 131_072, loaded_context_length: 4_096 }, { id: 'gpt-oss', contextTokens: 4_096 }],
    ['llamacpp', { id: 'phi', meta: { n_ctx_train: 16_384 } }, { id: 'phi', contextTokens: 16_384 }],
    ['ollama', { id: 'llama4:latest', owned_by: 'library' }, { id: 'llama4:latest', contextTokens: null }],
  ])('%s', (kind, entry, model) => {
    expect(adapterFor(kind).parseModels({ object: 'list', data: [entry, { object: 'model' }] })).toEqual([expect.objectContaining(model)]);
  });

  test("Ollama's own list is read too", () => {
    expect(adapterFor('ollama').parseModels({ models: [{ name: 'llama4:latest', model: 'llama4:latest' }, {}] })).toMatchObject([
      { id: 'llama4:latest' },
    ]);
  });

  test('an empty list is a list', () => {
    expect(adapterFor('openai').parseModels({ data: [] })).toEqual([]);
  });
});

describe('where calls go', () => {
  const openai = adapterFor('openai');
  const compatible = adapterFor('compatible');

  test("the account's address goes before the settings', and those before the adapter's", () => {
    const settings = { kind: 'openai' as const, baseUrl: 'https://settings.example/v1' };
    expect(endpointOf(openai, account('openai'), undefined)?.baseUrl).toBe('https://api.openai.com/v1');
    expect(endpointOf(openai, account('openai'), settings)?.baseUrl).toBe('https://settings.example/v1');
    expect(endpointOf(openai, account('openai', { baseUrl: 'http://127.0.0.1:8/v1' }), settings)?.baseUrl).toBe('http://127.0.0.1:8/v1');
    expect(endpointOf(compatible, account('compatible'), undefined)).toBeNull();
  });

  test("a client's own wire is taken where the vendor speaks it natively, unless another was chosen", () => {
    expect([wireFor('openai', null, 'chat'), wireFor('openai', null, 'responses'), wireFor('openai', null, null)]).toEqual([
      'chat',
      'responses',
      'responses',
    ]);
    expect([wireFor('openai', 'responses', 'chat'), wireFor('compatible', null, 'responses'), wireFor('compatible', 'responses', 'chat')]).toEqual([
      'responses',
      'chat',
      'responses',
    ]);
    expect([wireFor('chatgpt', 'chat', 'chat'), wireFor('gemini', 'responses', 'responses'), wireFor('ollama', null, 'responses')]).toEqual([
      'responses',
      'chat',
      'chat',
    ]);
  });

  test('a query in the base URL stays behind the path', () => {
    expect(urlOf({ baseUrl: 'https://x.example/openai/v1?api-version=preview' }, '/responses')).toBe(
      'https://x.example/openai/v1/responses?api-version=preview',
    );
    expect(urlOf({ baseUrl: 'https://x.example/v1/?key=1' }, '/models?limit=2')).toBe('https://x.example/v1/models?limit=2&key=1');
    expect(endpointOf(adapterFor('azure'), account('azure', { baseUrl: 'https://res.openai.azure.com' }), undefined)?.baseUrl).toBe(
      'https://res.openai.azure.com/openai/v1',
    );
  });
});
