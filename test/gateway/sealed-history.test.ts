import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { holdsForeignHistory } from '../../src/gateway/foreign-history.ts';
import { rateLimited, usageLimited } from '../../src/mock/steps.ts';
import { sealReasoning } from '../../src/wire/reasoning-envelope.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { expectError, responses, serveInProcess, TWO_SIGN_INS } from '../support/serve-in-process.ts';

const OURS = sealReasoning({ reasoningContent: 'what came before', reasoningDetails: [], thoughtSignatures: {} });
const item = (encrypted: string): JsonObject => ({ type: 'compaction', id: 'cmp_1', encrypted_content: encrypted });
const turn = (...items: readonly JsonObject[]): JsonObject => responses('', { input: [...items, { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Say on' }] }] });

const ask = (relay: ServedRelay, body: JsonObject, thread = 'thread-1'): Promise<Answer> => relay.ask('/v1/responses', { body, headers: { 'thread-id': thread } });

/** A Relay with a conversation on account `b`, since `a` was away when it began. */
async function withConversationOnB(config: Readonly<Record<string, unknown>> = {}): Promise<ServedRelay> {
  const relay = await serveInProcess({ accounts: TWO_SIGN_INS, config });
  await relay.daemon.control.call('accounts.pause', { name: 'a' });
  expect((await ask(relay, turn())).headers.get('x-relay-account')).toBe('b');
  await relay.daemon.control.call('accounts.resume', { name: 'a' });
  return relay;
}

describe('a history that only one account can read', () => {
  test('goes on with that account, also where conversations are not kept together otherwise', async () => {
    const relay = await withConversationOnB({ routing: { sticky: false } });
    expect((await ask(relay, turn())).headers.get('x-relay-account')).toBe('a');
    const again = await withConversationOnB({ routing: { sticky: false } });
    expect((await ask(again, turn(item('gAAA-sealed')))).headers.get('x-relay-account')).toBe('b');
  });

  test('is never sent to another: with its account away it fails, naming it and the way', async () => {
    const relay = await withConversationOnB();
    await relay.daemon.control.call('accounts.pause', { name: 'b' });
    const calls = relay.sent().length;
    const message = expectError(await ask(relay, turn(item('gAAA-sealed'))), 503, 'no_account');
    expect(message).toContain("Only account 'b' can go on with this conversation");
    expect(message).toContain('relay keys resume b');
    expect(relay.sent()).toHaveLength(calls);
    await relay.daemon.control.call('accounts.resume', { name: 'b' });
    expect((await ask(relay, turn(item('gAAA-sealed')))).headers.get('x-relay-account')).toBe('b');
  });

  test('waits for its account\'s quota rather than lose its past', async () => {
    const relay = await withConversationOnB();
    relay.upstream.script('b', [usageLimited({ resetsAt: Math.floor(Date.now() / 1_000) + 3_600, resetsInSeconds: 3_600 })]);
    const answer = await ask(relay, turn(item('gAAA-sealed')));
    expect(expectError(answer, 429, 'usage_limit_reached')).toContain("'b'");
    expect(answer.error).toHaveProperty('resets_at');
    expect(relay.sent('a')).toHaveLength(0);
    expect(await relay.line(answer.id)).toMatchObject({ attempts: [{ account: 'b', error: 'usage_limit_reached' }] });
  });

  test('is asked of its account again after a short wait', async () => {
    const relay = await withConversationOnB();
    relay.upstream.script('b', [rateLimited({ retryAfter: '1' })]);
    const answer = await ask(relay, turn(item('gAAA-sealed')));
    expect(answer.headers.get('x-relay-account')).toBe('b');
    expect(relay.sent('a')).toHaveLength(0);
  });

  test('may go anywhere when it is Relay\'s own summary, or when nobody knows whose it is', async () => {
    const relay = await withConversationOnB();
    await relay.daemon.control.call('accounts.pause', { name: 'b' });
    expect((await ask(relay, turn(item(OURS)))).headers.get('x-relay-account')).toBe('a');
    expect((await ask(relay, turn(item('gAAA-sealed')), 'never-seen')).headers.get('x-relay-account')).toBe('a');
  });
});

test.each<[string, JsonObject, boolean]>([
  ['an upstream\'s compaction', { input: [item('gAAA')] }, true],
  ['a compaction summary', { input: [{ type: 'compaction_summary', encrypted_content: 'gAAA' }] }, true],
  ['Relay\'s own', { input: [item(OURS)] }, false],
  ['one without content', { input: [{ type: 'compaction' }] }, false],
  ['reasoning', { input: [{ type: 'reasoning', encrypted_content: 'gAAA' }] }, false],
  ['text', { input: 'compaction' }, false],
  ['messages', { messages: [{ role: 'user', content: 'compaction' }] }, false],
])('%s', (_what, body, holds) => {
  expect(holdsForeignHistory(body)).toBe(holds);
});
