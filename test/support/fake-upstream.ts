import { onTestFinished } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import type { MockAccountSpec } from '../../src/mock/mock-account.ts';
import { startMockUpstream } from '../../src/mock/mock-upstream.ts';
import type { MockUpstream, MockUpstreamOptions } from '../../src/mock/mock-upstream.ts';
import { seededRandom } from './seeded-random.ts';

/** Two ChatGPT accounts and two API keys: enough for every failover. */
export const FAKE_ACCOUNTS: readonly MockAccountSpec[] = [
  { name: 'personal', kind: 'chatgpt', plan: 'plus' },
  { name: 'work', kind: 'chatgpt', plan: 'pro' },
  { name: 'key-a', kind: 'api-key', apiKey: 'sk-test-a' },
  { name: 'key-b', kind: 'api-key', apiKey: 'sk-test-b' },
];

/** A mock upstream for one test, closed when the test is over. Ids repeat from run to run. */
export async function fakeUpstream(options: MockUpstreamOptions = {}): Promise<MockUpstream> {
  const upstream = await startMockUpstream({ random: seededRandom(), accounts: FAKE_ACCOUNTS, ...options });
  onTestFinished(() => upstream.close());
  return upstream;
}

/** The headers that sign a call in as one of the mock's accounts. */
export function signedIn(upstream: MockUpstream, name: string): Record<string, string> {
  const account = upstream.account(name);
  const { credential } = account;
  switch (credential.kind) {
    case 'none':
      return { 'x-mock-account': name };
    case 'api-key':
      return { authorization: `Bearer ${credential.apiKey}` };
    case 'oauth':
      return { authorization: `Bearer ${credential.accessToken}`, 'chatgpt-account-id': account.identity?.workspaceId ?? '' };
  }
}

/** Posts JSON to the mock as one of its accounts, without Relay between. */
export function postTo(
  upstream: MockUpstream,
  path: string,
  call: { readonly as: string; readonly body: JsonObject; readonly signal?: AbortSignal },
): Promise<Response> {
  return fetch(`${upstream.origin}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...signedIn(upstream, call.as) },
    body: JSON.stringify(call.body),
    ...(call.signal !== undefined && { signal: call.signal }),
  });
}

/** The smallest body the ChatGPT backend takes. */
export function codexBody(change: JsonObject = {}): JsonObject {
  return {
    model: 'gpt-5.5', instructions: 'Be brief.', store: false, stream: true,
    input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Say hello' }] }], ...change,
  };
}
