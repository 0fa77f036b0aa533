import { expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { ok, refuse } from '../../src/mock/steps.ts';
import { foldChat } from '../support/golden.ts';
import { chat, KEY_MODEL, serveInProcess, TWO_CHAT_KEYS } from '../support/serve-in-process.ts';

const SYSTEMS: JsonObject = {
  model: KEY_MODEL,
  messages: [
    { role: 'system', content: 'A' }, { role: 'user', content: 'x' }, { role: 'developer', content: [{ type: 'text', text: 'B' }] },
    { role: 'user', content: 'y' },
  ],
};
const USERS = [{ role: 'user', content: 'x' }, { role: 'user', content: 'y' }];

test('providers.<name>.systemFirst: its template gets one system message, at the beginning, from chat and Responses clients alike', async () => {
  const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS, config: { providers: { chatty: { systemFirst: true } } } });
  const asChat = await relay.ask('/v1/chat/completions', { body: SYSTEMS });
  expect(asChat.status, asChat.text).toBe(200);
  expect(relay.sent('a').at(-1)?.body).toMatchObject({ messages: [{ role: 'system', content: 'A\n\nB' }, ...USERS] });
  const input = [{ role: 'user', content: 'x' }, { role: 'developer', content: 'B' }, { role: 'user', content: 'y' }];
  const asResponses = await relay.ask('/v1/responses', { body: { model: KEY_MODEL, instructions: 'A', input } });
  expect(asResponses.status, asResponses.text).toBe(200);
  expect(relay.sent().at(-1)?.body).toMatchObject({ messages: [{ role: 'system', content: 'A\n\nB' }, ...USERS] });
});

test('without it every message keeps its place', async () => {
  const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
  const answer = await relay.ask('/v1/chat/completions', { body: SYSTEMS });
  expect(answer.status, answer.text).toBe(200);
  expect(relay.sent('a').at(-1)?.body).toMatchObject({ messages: [{ role: 'system' }, { role: 'user' }, { role: 'system' }, { role: 'user' }] });
});

test.each([true, false])('a `stop` the upstream refuses is cut on the way back, and nothing is named as dropped (stream: %s)', async (stream) => {
  const relay = await serveInProcess({ accounts: TWO_CHAT_KEYS });
  const message = "Unsupported parameter: 'stop' is not supported with this model.";
  const refusal = refuse(400, { error: { message, type: 'invalid_request_error', param: 'stop', code: 'unsupported_parameter' } });
  relay.upstream.script('a', [refusal, ok({ text: 'before END behind' }), ok({ text: 'again END behind' })]);
  const told = async (): Promise<object> => {
    const answer = await relay.ask('/v1/chat/completions', { body: chat('x', { model: KEY_MODEL, stream, stop: ['END'] }) });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('x-relay-dropped')).toBeNull();
    expect(answer.text).not.toContain('behind');
    if (stream) return foldChat(answer.text);
    const [choice] = Array.isArray(answer.json?.['choices']) ? answer.json['choices'] : [];
    return { choice: choice ?? null };
  };
  const wanted = (content: string): object => (stream ? { content, finish_reason: 'stop', done: true } : { choice: { message: { content }, finish_reason: 'stop' } });
  expect(await told()).toMatchObject(wanted('before '));
  expect(await told()).toMatchObject(wanted('again '));
  expect(relay.sent('a').map(({ body }) => body?.['stop'] ?? null)).toEqual([['END'], null, null]);
});
