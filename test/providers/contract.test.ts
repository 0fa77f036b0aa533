import { describe, expect, test } from 'vitest';

import type { Account, Credential } from '../../src/core/account.ts';
import type { CallContext, ProviderAdapter } from '../../src/core/provider-adapter.ts';
import { PROVIDER_KINDS } from '../../src/core/provider-kind.ts';
import type { Headers } from '../../src/core/relay-request.ts';
import { endpointOf, urlOf } from '../../src/providers/endpoint.ts';
import { ADAPTERS, adapterFor } from '../../src/providers/registry.ts';
import { relayRequest } from './relay-request.ts';

const SECRET = 'sk-very-secret-0123456789';
const AUTH_HEADERS = new Set(['authorization', 'api-key']);
const CREDENTIALS: readonly Credential[] = [
  { kind: 'api-key', apiKey: SECRET },
  { kind: 'oauth', accessToken: SECRET, refreshToken: `${SECRET}-refresh`, idToken: `${SECRET}-id`, expiresAt: null, refreshedAt: 0 },
  { kind: 'none' },
];

function accountOf(adapter: ProviderAdapter): Account {
  return {
    id: 'acc_1',
    name: 'work',
    provider: adapter.kind,
    kind: adapter.kind,
    priority: adapter.defaultPriority,
    baseUrl: null,
    wire: null,
    plan: null,
    identity: { userId: 'u', workspaceId: 'ws', email: 'ada@example.com', fedramp: false },
    paused: false,
    needsLogin: null,
    createdAt: 0,
  };
}

function contextOf(adapter: ProviderAdapter, change: Partial<CallContext> = {}): CallContext {
  return {
    account: accountOf(adapter),
    credential: { kind: 'api-key', apiKey: SECRET },
    endpoint: { baseUrl: 'http://127.0.0.1:1', authUrl: null, wire: adapter.defaultWire, headers: {} },
    request: relayRequest(),
    model: 'relay-mini',
    version: '1.2.3',
    ...change,
  };
}

/** Every set of headers an adapter can write for a context: the call's own and those of Relay's own calls. */
function everyHead(adapter: ProviderAdapter, context: CallContext): readonly Headers[] {
  const own = { ...context, request: null, model: null };
  return [
    adapter.headers(context), adapter.headers(own), adapter.modelsCall(own)?.headers ?? {}, adapter.usageCall?.(own).headers ?? {},
  ];
}

test('there is one adapter for every kind, and it knows its kind', () => {
  expect(Object.keys(ADAPTERS).sort()).toEqual([...PROVIDER_KINDS].sort());
  expect(PROVIDER_KINDS.map((kind) => adapterFor(kind).kind)).toEqual([...PROVIDER_KINDS]);
});

describe.each(PROVIDER_KINDS)('%s', (kind) => {
  const adapter = adapterFor(kind);

  test('speaks the wires it claims', () => {
    expect(adapter.wires).toContain(adapter.defaultWire);
    for (const wire of adapter.nativeWires ?? []) expect(adapter.wires).toContain(wire);
    for (const wire of adapter.wires) expect(adapter.dialect(wire)).toBeTruthy();
  });

  test('puts a credential into its auth header and nowhere else', () => {
    for (const credential of CREDENTIALS) {
      for (const request of [relayRequest(), relayRequest({ isCodex: true })]) {
        for (const head of everyHead(adapter, contextOf(adapter, { credential, request }))) {
          const leaks = Object.entries(head).filter(([name, value]) => !AUTH_HEADERS.has(name) && value.includes(SECRET));
          expect(leaks).toEqual([]);
        }
      }
    }
    const paths = [adapter.modelsCall(contextOf(adapter))?.path ?? '', adapter.usageCall?.(contextOf(adapter)).path ?? ''];
    expect(paths.join()).not.toContain(SECRET);
  });

  test('authorizes with the secret, and an account without one sends none', () => {
    const head = adapter.headers(contextOf(adapter));
    expect(
      Object.entries(head)
        .filter(([name]) => AUTH_HEADERS.has(name))
        .map(([, value]) => value.replace('Bearer ', '')),
    ).toEqual([SECRET]);
    const bare = adapter.headers(contextOf(adapter, { credential: { kind: 'none' } }));
    expect(Object.keys(bare).filter((name) => AUTH_HEADERS.has(name))).toEqual([]);
  });

  test("passes on nothing of the client's own credentials, address or transport", () => {
    const hostile = {
      authorization: 'Bearer sk-relay-client', 'x-api-key': 'sk-relay-client', cookie: 'sk-relay-client', host: 'evil.example',
      'content-length': '1', 'content-encoding': 'zstd', forwarded: 'for=10.0.0.9', 'x-forwarded-for': '10.0.0.9', 'x-real-ip': '10.0.0.9',
      'chatgpt-account-id': 'someone-else', 'proxy-authorization': 'Basic x', connection: 'close', 'x-codex-installation-id': 'device-7',
      'x-oai-attestation': 'device-7', 'x-oai-is': 'device-7', 'x-openai-account-routing-override': 'someone-else',
    };
    for (const isCodex of [true, false]) {
      const head = adapter.headers(contextOf(adapter, { request: relayRequest({ isCodex, headers: hostile }) }));
      expect(JSON.stringify(head)).not.toMatch(/sk-relay-client|evil\.example|10\.0\.0\.9|someone-else|device-7|zstd/);
      expect(Object.keys(head)).not.toEqual(expect.arrayContaining(['content-length']));
    }
  });

  test('writes lower-case names and printable values, and an honest User-Agent', () => {
    for (const head of everyHead(adapter, contextOf(adapter))) {
      for (const [name, value] of Object.entries(head)) {
        expect(name).toBe(name.toLowerCase());
        expect(value).toMatch(/^[\t\u0020-\u007e]*$/);
      }
    }
    expect(adapter.headers(contextOf(adapter))['user-agent']).toBe('relay/1.2.3');
  });

  test("adds the settings' headers, which replace neither the credential nor the transport", () => {
    const endpoint = {
      baseUrl: 'http://127.0.0.1:1', authUrl: null, wire: adapter.defaultWire,
      headers: { 'X-Team': 'blue', Authorization: 'Bearer other', 'api-key': 'other', Host: 'evil.example', 'Transfer-Encoding': 'gzip' },
    };
    const head = adapter.headers(contextOf(adapter, { endpoint }));
    expect(head['x-team']).toBe('blue');
    expect(head['host']).toBeUndefined();
    expect(head['transfer-encoding']).toBeUndefined();
    expect(Object.values(head)).toContainEqual(expect.stringContaining(SECRET));
    expect(kind === 'azure' ? head['api-key'] : head['authorization']).toContain(SECRET);
  });

  test('gives the same answer to the same question and changes nothing it is given', () => {
    const context = contextOf(adapter, {
      request: relayRequest({ isCodex: true, headers: { 'session-id': 's', 'user-agent': 'codex_exec/0.169.0' } }),
    });
    const before = JSON.stringify(context);
    expect(everyHead(adapter, context)).toEqual(everyHead(adapter, context));
    expect(JSON.stringify(context)).toBe(before);
  });

  test('joins paths right, with and without a trailing slash or the version', () => {
    const account = accountOf(adapter);
    const root = adapter.apiRoot ?? '';
    const bases = ['http://127.0.0.1:9', 'http://127.0.0.1:9/', `http://127.0.0.1:9${root}`, `http://127.0.0.1:9${root}/`];
    const urls = bases.map((baseUrl) => {
      const endpoint = endpointOf(adapter, { ...account, baseUrl }, undefined);
      return endpoint === null ? null : urlOf(endpoint, adapter.path(endpoint.wire));
    });
    const expected = `http://127.0.0.1:9${root}${adapter.path(adapter.defaultWire)}`;
    expect(urls).toEqual(bases.map(() => expected));
  });

  test('a path of its own in the base URL is kept', () => {
    const endpoint = endpointOf(adapter, { baseUrl: 'https://proxy.example/team/blue/', wire: null }, undefined);
    expect(endpoint?.baseUrl).toBe('https://proxy.example/team/blue');
  });

  test('its usual address, where it has one, is https or this machine, without a trailing slash', () => {
    if (adapter.defaultBaseUrl !== null) expect(adapter.defaultBaseUrl).toMatch(/^(https:\/\/|http:\/\/127\.0\.0\.1:)\S*[^/]$/);
  });

  test('paths begin with a slash and do not repeat the version', () => {
    for (const path of [
      adapter.path('chat'),
      adapter.path('responses'),
      adapter.path('compact'),
      adapter.modelsCall(contextOf(adapter))?.path ?? '/',
    ]) {
      expect(path).toMatch(/^\/(?!v\d)/);
    }
  });

  test('a model list of the wrong shape is null, never an exception', () => {
    for (const body of [null, 1, 'text', [], {}, { data: 1 }, { models: 'x' }, { data: [{}, 1, null] }, { error: { message: 'no' } }]) {
      expect(adapter.parseModels(body)).toSatisfy((models) => models === null || (Array.isArray(models) && models.length === 0));
    }
  });

  test('no refusal makes it throw, and what it judges fits the refusal', () => {
    for (const status of [400, 401, 402, 403, 404, 408, 413, 429, 500, 503]) {
      for (const body of [
        '',
        '<html>',
        '[]',
        '[1]',
        'null',
        '{"error":"x"}',
        '{"error":{"message":"m","code":7,"status":"X"}}',
        '{"detail":"x"}',
      ]) {
        const failure = adapter.judge({ status, headers: {}, body, receivedAt: 1_000 });
        if (failure === null) continue;
        expect(failure.status).toBe(status);
        expect(failure.retryAt === null || failure.retryAt > 1_000).toBe(true);
      }
    }
  });

  test('headers without quota give no quota window', () => {
    expect(adapter.quotaFromHeaders({}, 0)).toEqual([]);
    expect(adapter.quotaFromHeaders({ 'x-ratelimit-limit-requests': 'many', 'x-ratelimit-remaining-requests': '' }, 0)).toEqual([]);
  });

  test('tokens that are no tokens identify nobody', () => {
    for (const credential of CREDENTIALS) expect(adapter.identify(credential)).toBeNull();
  });
});
