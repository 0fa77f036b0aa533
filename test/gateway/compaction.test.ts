import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { failed, ok } from '../../src/mock/steps.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import {
  expectError, KEY_MODEL, serveInProcess, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS, TWO_SIGN_INS,
} from '../support/serve-in-process.ts';

const HISTORY: readonly JsonObject[] = [
  { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Build a shed' }] },
  { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'It has a roof now.' }] },
];
const compact = (relay: ServedRelay, body: JsonObject, path = '/v1/responses/compact'): Promise<Answer> => relay.ask(path, { body });
const SUMMARY = 'The shed has a roof; the door is missing.';

/** The response a stream ended with. */
function completed(answer: Answer): JsonObject {
  const frame = answer.text.split('\n\n').findLast((text) => text.startsWith('event: response.completed')) ?? '';
  return objectAt(parseJsonObject(frame.slice(frame.indexOf('data: ') + 6)), 'response') ?? {};
}

describe('POST /v1/responses/compact', () => {
  test.each([
    ['the ChatGPT backend', TWO_SIGN_INS, SIGN_IN_MODEL, '/codex/responses/compact'],
    ['the platform', TWO_PLATFORM_KEYS, KEY_MODEL, '/v1/responses/compact'],
  ] as const)('is forwarded to %s as one call without a stream', async (_name, accounts, model, path) => {
    const relay = await serveInProcess({ accounts });
    for (const prefix of ['/v1', '']) {
      const answer = await compact(relay, { model, input: [...HISTORY], stream: true }, `${prefix}/responses/compact`);
      expect(answer.status, answer.text).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      const output = [{ type: 'compaction', encrypted_content: expect.stringMatching(/^gAAAA/) }];
      expect(answer.json).toMatchObject({ object: 'response.compaction', output });
      const call = relay.sent().at(-1);
      expect(call?.path.endsWith(path)).toBe(true);
      const line = await relay.line(answer.id);
      expect(line).toMatchObject({ endpoint: 'compact', stream: false, status: 200, outcome: 'ok', account: 'a' });
      expect(line.tokens?.input).toBeGreaterThan(0);
    }
  });

  test('on a chat server is a summary, sealed, with its usage in the answer and in the journal', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [ok({ text: SUMMARY, usage: { prompt_tokens: 70, completion_tokens: 9, total_tokens: 79 } })]);
    const answer = await compact(relay, { model: KEY_MODEL, input: [...HISTORY], instructions: 'Be kind.' });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json).toMatchObject({
      object: 'response.compaction', id: expect.stringMatching(/^resp_/), usage: { input_tokens: 70, output_tokens: 9, total_tokens: 79 },
      output: [{ type: 'compaction', id: expect.stringMatching(/^cmp_/), encrypted_content: expect.stringMatching(/^relay1\./) }],
    });
    expect(arrayAt(answer.json, 'output')).toHaveLength(1);
    const asked = relay.sent().at(-1);
    expect(asked?.path).toBe('/v1/chat/completions');
    expect(asked?.text).toContain('It has a roof now.');
    const tokens = { input: 70, output: 9, estimated: false };
    expect(await relay.line(answer.id)).toMatchObject({ endpoint: 'compact', tokens, model: { sent: KEY_MODEL } });
  });

  test('and what comes of it is understood again, by the chat server and by a sign-in', async () => {
    const relay = await serveInProcess({ accounts: [...TWO_CHAT_KEYS, { name: 'c', kind: 'chatgpt' }] });
    relay.upstream.script('a', [ok({ text: SUMMARY })]);
    const made = await compact(relay, { model: KEY_MODEL, input: [...HISTORY] });
    const input = [...(arrayAt(made.json, 'output') ?? []), { role: 'user', content: 'Go on' }];
    for (const model of [KEY_MODEL, SIGN_IN_MODEL]) {
      const answer = await relay.ask('/v1/responses', { body: { model, input } });
      expect(answer.status, answer.text).toBe(200);
      const sent = relay.sent().at(-1);
      expect(sent?.text).toContain(SUMMARY);
      expect(sent?.text).not.toContain('relay1.');
    }
  });

  test('moves on when an account fails, also where it gives no summary', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    relay.upstream.script('a', [failed(500), ok({ text: ' ' })]);
    for (const path of ['first', 'second']) {
      const answer = await compact(relay, { model: KEY_MODEL, input: [...HISTORY], prompt_cache_key: path });
      expect([answer.status, answer.headers.get('x-relay-account')], answer.text).toEqual([200, 'b']);
    }
  });

  test('a server that speaks Responses but cannot compact is asked for a summary', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    await relay.daemon.control.call('accounts.add', {
      name: 'c', provider: 'chatty', kind: 'compatible', credential: relay.upstream.account('a').credential, wire: 'responses', priority: 0,
      baseUrl: null, acceptTerms: true, verify: false,
    });
    relay.upstream.script('a', [ok({ text: SUMMARY })]);
    const answer = await compact(relay, { model: KEY_MODEL, input: [...HISTORY] });
    expect([answer.status, answer.headers.get('x-relay-account')], answer.text).toEqual([200, 'c']);
    expect(relay.sent().at(-1)?.path).toBe('/v1/responses');
    const output = [{ encrypted_content: expect.stringMatching(/^relay1\./) }];
    expect(answer.json).toMatchObject({ object: 'response.compaction', output });
  });

  test('without a model is a 400 before any call', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    expectError(await compact(relay, { input: [...HISTORY] }), 400, 'missing_required_parameter');
    expect(relay.sent()).toEqual([]);
  });

  test('of a stored conversation folds all of it', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const first = await relay.ask('/v1/responses', { body: { model: KEY_MODEL, input: 'Build a shed' } });
    const answer = await compact(relay, { model: KEY_MODEL, previous_response_id: stringAt(first.json, 'id') ?? '' });
    expect(answer.status, answer.text).toBe(200);
    expect(relay.sent().at(-1)?.text).toContain('Build a shed');
  });
});

describe('compaction_trigger at the end of the input', () => {
  const TRIGGER: JsonObject = { type: 'compaction_trigger' };
  const trigger = (model: string, change: JsonObject = {}): JsonObject => ({ model, input: [...HISTORY, TRIGGER], ...change });

  test.each([
    ['a sign-in', TWO_SIGN_INS, SIGN_IN_MODEL, /^gAAAA/], ['the platform', TWO_PLATFORM_KEYS, KEY_MODEL, /^gAAAA/],
    ['a chat server', TWO_CHAT_KEYS, KEY_MODEL, /^relay1\./],
  ] as const)('at %s gives exactly one compaction item, streamed or not', async (_name, accounts, model, sealed) => {
    const relay = await serveInProcess({ accounts });
    const item = { type: 'compaction', id: expect.stringMatching(/^cmp_/), encrypted_content: expect.stringMatching(sealed) };
    const whole = await relay.ask('/v1/responses', { body: trigger(model) });
    expect(whole.status, whole.text).toBe(200);
    expect(arrayAt(whole.json, 'output')).toEqual([item]);
    const streamed = await relay.ask('/v1/responses', { body: trigger(model, { stream: true }) });
    expect(arrayAt(completed(streamed), 'output')).toEqual([item]);
    expect(streamed.text.split('event: response.output_item.done').length - 1).toBe(1);
    const line = await relay.line(streamed.id);
    expect(line).toMatchObject({ endpoint: 'responses', stream: true, outcome: 'ok' });
    expect(line.tokens?.input).toBeGreaterThan(0);
  });

  test('Codex on a chat server can compact and go on', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const headers = { originator: 'codex_exec' };
    relay.upstream.script('a', [ok({ text: SUMMARY })]);
    const made = await relay.ask('/v1/responses', { headers, body: trigger(KEY_MODEL, { stream: true, store: false }) });
    const input = [...(arrayAt(completed(made), 'output') ?? []), { role: 'user', content: 'Go on' }];
    const next = await relay.ask('/v1/responses', { headers, body: { model: KEY_MODEL, stream: true, store: false, input } });
    expect(completed(next)).toMatchObject({ status: 'completed' });
    expect(relay.sent().at(-1)?.text).toContain(SUMMARY);
  });

  test('a conversation stored under an id goes on from its compaction alone', async () => {
    const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
    const first = await relay.ask('/v1/responses', { body: { model: KEY_MODEL, input: 'Build a shed' } });
    relay.upstream.script('a', [ok({ text: SUMMARY })]);
    const second = await relay.ask('/v1/responses', {
      body: { model: KEY_MODEL, input: [TRIGGER], previous_response_id: stringAt(first.json, 'id') ?? '' },
    });
    expect(second.status, second.text).toBe(200);
    const body = { model: KEY_MODEL, input: 'Go on', previous_response_id: stringAt(second.json, 'id') ?? '' };
    expect((await relay.ask('/v1/responses', { body })).status).toBe(200);
    const sent = relay.sent().at(-1)?.text ?? '';
    expect(sent).toContain(SUMMARY);
    expect(sent).not.toContain('Build a shed');
  });
});
