import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { HOUR_MS } from '../../src/core/units.ts';
import type { Answer, ServedAccountSpec, ServedRelay } from '../support/serve-in-process.ts';
import {
  expectError, KEY_MODEL, responses, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS, TWO_SIGN_INS,
} from '../support/serve-in-process.ts';

const UPSTREAMS: readonly (readonly [name: string, accounts: readonly ServedAccountSpec[], model: string])[] = [
  ['the ChatGPT backend', TWO_SIGN_INS, SIGN_IN_MODEL], ['the platform', TWO_PLATFORM_KEYS, KEY_MODEL],
  ['a chat server', TWO_CHAT_KEYS, KEY_MODEL],
];

/** The response object a client was told, from a stream or a whole answer. */
function told(answer: Answer): JsonObject {
  if (answer.json !== undefined) return answer.json;
  const last = answer.text.split('\n\n').filter((frame) => frame.startsWith('event: response.completed')).at(-1) ?? '';
  return objectAt(parseJsonObject(last.slice(last.indexOf('data: ') + 6)), 'response') ?? {};
}

async function make(relay: ServedRelay, model: string, change: JsonObject = {}): Promise<JsonObject> {
  const answer = await relay.ask('/v1/responses', { body: responses('Say kept', { model, ...change }) });
  expect(answer.status, answer.text).toBe(200);
  const response = told(answer);
  expect(stringAt(response, 'id')).toMatch(/^resp_/);
  return response;
}

describe('a response is there for the client that got it', () => {
  test.each(UPSTREAMS.flatMap(([name, accounts, model]) => [false, true].map((stream) => ({ name, accounts, model, stream }))))(
    'from $name, streamed: $stream',
    async ({ accounts, model, stream }) => {
      const relay = await serveInProcess({ accounts });
      const made = await make(relay, model, { stream });
      for (const prefix of ['/v1', '']) {
        const again = await relay.ask(`${prefix}/responses/${stringAt(made, 'id')}`);
        expect(again.status, again.text).toBe(200);
        expect(again.json).toEqual({ ...made, store: true, previous_response_id: null });
        expect(JSON.stringify(arrayAt(again.json, 'output'))).toContain('Say kept');
      }
    },
  );

  test('until it deletes it', async () => {
    const relay = await serveInProcess();
    const id = stringAt(await make(relay, SIGN_IN_MODEL), 'id');
    const deleted = await relay.ask(`/v1/responses/${id}`, { method: 'DELETE' });
    expect([deleted.status, deleted.json]).toEqual([200, { id, object: 'response', deleted: true }]);
    for (const method of ['GET', 'DELETE']) expectError(await relay.ask(`/v1/responses/${id}`, { method }), 404, 'not_found');
  });

  test('and for no other client, which cannot even tell that it exists', async () => {
    const relay = await serveInProcess();
    const id = stringAt(await make(relay, SIGN_IN_MODEL), 'id');
    const key = await relay.client('other');
    const unknown = 'resp_0123456789abcdef';
    for (const [method, rest] of [['GET', ''], ['DELETE', ''], ['GET', '/input_items'], ['POST', '/cancel']] as const) {
      const theirs = expectError(await relay.ask(`/v1/responses/${id}${rest}`, { method, key }), 404, 'not_found');
      const nobodys = expectError(await relay.ask(`/v1/responses/${unknown}${rest}`, { method, key }), 404, 'not_found');
      expect(theirs.replace(String(id), unknown)).toBe(nobodys);
    }
    expect((await relay.ask(`/v1/responses/${id}`)).status).toBe(200);
  });

  test('not when it asked for nothing to be stored', async () => {
    const relay = await serveInProcess();
    const id = stringAt(await make(relay, SIGN_IN_MODEL, { store: false }), 'id');
    expectError(await relay.ask(`/v1/responses/${id}`), 404, 'not_found');
  });

  test('for an hour, and nowhere but in memory', async () => {
    const relay = await serveTimed();
    const id = stringAt(await make(relay, SIGN_IN_MODEL), 'id');
    relay.clock.advance(HOUR_MS - 60_000);
    expect((await relay.ask(`/v1/responses/${id}`)).status).toBe(200);
    relay.clock.advance(HOUR_MS);
    expectError(await relay.ask(`/v1/responses/${id}`), 404, 'not_found');
    expect(relay.log() + JSON.stringify(await relay.journal())).not.toContain('Say kept');
  });

  test('with the scope of the Responses endpoint', async () => {
    const relay = await serveInProcess();
    const id = stringAt(await make(relay, SIGN_IN_MODEL), 'id');
    const key = await relay.client('chatter', { endpoints: ['chat'] });
    expectError(await relay.ask(`/v1/responses/${id}`, { key }), 403, 'insufficient_scope');
    expectError(await relay.ask(`/v1/responses/${id}`, { key: 'sk-relay-wrong' }), 401, 'invalid_api_key');
  });

  test('a stream of it is not played again', async () => {
    const relay = await serveInProcess();
    const id = stringAt(await make(relay, SIGN_IN_MODEL), 'id');
    expectError(await relay.ask(`/v1/responses/${id}?stream=true`), 400, 'unsupported_parameter');
    expect((await relay.ask(`/v1/responses/${id}?stream=false`)).status).toBe(200);
  });
});

describe('input items', () => {
  const TURNS = 3;

  async function converse(): Promise<{ readonly relay: ServedRelay; readonly path: string }> {
    const relay = await serveInProcess();
    let previous: string | undefined;
    for (let turn = 1; turn <= TURNS; turn += 1) {
      const body = { input: `Say ${turn}`, ...(previous !== undefined && { previous_response_id: previous }) };
      const made = await make(relay, SIGN_IN_MODEL, body);
      previous = stringAt(made, 'id');
    }
    return { relay, path: `/v1/responses/${previous}/input_items` };
  }
  const textsOf = (answer: Answer): readonly string[] =>
    (arrayAt(answer.json, 'data') ?? []).flatMap((item) => stringAt(arrayAt(item, 'content')?.[0], 'text') ?? []);

  test('are everything the model was told, newest first, with ids to go on from', async () => {
    const { relay, path } = await converse();
    const newest = await relay.ask(path);
    expect(newest.json).toMatchObject({ object: 'list', has_more: false });
    expect(textsOf(newest)[0]).toBe('Say 3');
    const oldest = await relay.ask(`${path}?order=asc`);
    expect(textsOf(oldest)).toEqual(textsOf(newest).toReversed());
    expect(textsOf(oldest).filter((text) => /^Say \d$/.test(text))).toEqual(['Say 1', 'Say 2', 'Say 3']);
    const data = arrayAt(oldest.json, 'data') ?? [];
    expect(data[0]).toMatchObject({ type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'Say 1' }] });
    const ids = data.map((item) => stringAt(item, 'id'));
    expect(new Set(ids).size).toBe(ids.length);
    expect(oldest.json).toMatchObject({ first_id: ids[0], last_id: ids.at(-1) });
  });

  test('come in pages that follow each other without gap or overlap', async () => {
    const { relay, path } = await converse();
    const all = (arrayAt((await relay.ask(path)).json, 'data') ?? []).map((item) => stringAt(item, 'id'));
    const seen: (string | undefined)[] = [];
    let after = '';
    for (let page = 0; page < all.length; page += 1) {
      const { json } = await relay.ask(`${path}?limit=2${after}`);
      const data = (arrayAt(json, 'data') ?? []).map((item) => stringAt(item, 'id'));
      expect(data.length).toBeLessThanOrEqual(2);
      seen.push(...data);
      expect(json?.['has_more']).toBe(seen.length < all.length);
      if (json?.['has_more'] !== true) break;
      after = `&after=${String(json['last_id'])}`;
    }
    expect(seen).toEqual(all);
  });

  test.each(['limit=0', 'limit=101', 'limit=x', 'order=up', 'after=nobody'])('%s is refused', async (query) => {
    const { relay, path } = await converse();
    expectError(await relay.ask(`${path}?${query}`), 400, 'invalid_request_error');
  });
});

describe('what the platform keeps', () => {
  test('is deleted there, too', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const id = stringAt(await make(relay, KEY_MODEL), 'id');
    expect((await relay.ask(`/v1/responses/${id}`, { method: 'DELETE' })).status).toBe(200);
    const asked = relay.upstream.calls.filter(({ method }) => method === 'DELETE');
    expect(asked).toMatchObject([{ path: `/v1/responses/${id}`, account: 'a', status: 200 }]);
    expectError(await relay.ask(`/v1/responses/${id}`), 404, 'not_found');
  });

  test('and what it has forgotten already counts as deleted', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const id = stringAt(await make(relay, KEY_MODEL), 'id');
    const there = `${relay.upstream.origin}/v1/responses/${id}`;
    await fetch(there, { method: 'DELETE', headers: { authorization: 'Bearer sk-upstream-first' } });
    expect((await relay.ask(`/v1/responses/${id}`, { method: 'DELETE' })).status).toBe(200);
  });

  test('is asked for there once Relay has forgotten it, by its own client alone', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    const id = stringAt(await make(relay, KEY_MODEL), 'id');
    const key = await relay.client('other');
    relay.clock.advance(2 * HOUR_MS);
    expectError(await relay.ask(`/v1/responses/${id}`, { key }), 404, 'not_found');
    expect((await relay.ask(`/v1/responses/${id}`)).json).toMatchObject({ id, object: 'response', status: 'completed' });
    expect((await relay.ask(`/v1/responses/${id}/input_items`)).json).toMatchObject({ object: 'list', data: [{ role: 'user' }] });
    const asked = relay.upstream.calls.filter(({ method, path }) => method === 'GET' && path.includes('/responses/'));
    expect(asked.map(({ account }) => account)).toEqual(['a', 'a']);
  });

  test('a background run is told by it alone, and can be cancelled there', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const made = await make(relay, KEY_MODEL, { background: true });
    expect(made).toMatchObject({ status: 'queued', output: [] });
    const path = `/v1/responses/${stringAt(made, 'id')}`;
    const later = await relay.ask(path);
    expect(later.json).toMatchObject({ status: 'completed', background: true });
    expect(JSON.stringify(later.json)).toContain('Say kept');
    expect((await relay.ask(`${path}/cancel`, { method: 'POST' })).json).toMatchObject({ status: 'cancelled' });
    expect((await relay.ask(path)).json).toMatchObject({ status: 'cancelled' });
  });

  test('an answer that is over cannot be cancelled, and that is said', async () => {
    for (const [, accounts, model] of UPSTREAMS) {
      const relay = await serveInProcess({ accounts });
      const id = stringAt(await make(relay, model), 'id');
      const refused = await relay.ask(`/v1/responses/${id}/cancel`, { method: 'POST' });
      expect(expectError(refused, 400, 'invalid_request_error')).toMatch(/background/);
    }
  });
});

test('the openai SDK finds everything where it expects it', async () => {
  for (const [, accounts, model] of UPSTREAMS) {
    const relay = await serveInProcess({ accounts });
    const { responses: sdk } = new OpenAI({ baseURL: `${relay.url}/v1`, apiKey: relay.key, maxRetries: 0 });
    const first = await sdk.create({ model, input: 'Say one' });
    const second = await sdk.create({ model, input: 'Say two', previous_response_id: first.id });
    expect((await sdk.retrieve(second.id)).output_text).toBe(second.output_text);
    const texts: string[] = [];
    for await (const item of sdk.inputItems.list(second.id, { order: 'asc', limit: 1 })) texts.push(JSON.stringify(item));
    expect(texts[0]).toContain('Say one');
    expect(texts.at(-1)).toContain('Say two');
    const compacted = await sdk.compact({ model, previous_response_id: second.id });
    expect(compacted.output.at(-1)?.type).toBe('compaction');
    await expect(sdk.cancel(second.id)).rejects.toMatchObject({ status: 400 });
    await sdk.delete(second.id);
    await expect(sdk.retrieve(second.id)).rejects.toMatchObject({ status: 404, code: 'not_found' });
    await expect(sdk.create({ model, input: 'x', previous_response_id: 'resp_none' })).rejects.toMatchObject({
      status: 400, code: 'previous_response_not_found',
    });
  }
});
