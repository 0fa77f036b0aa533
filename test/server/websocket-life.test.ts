import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { objectAt, parseJsonObject } from '../../src/core/json.ts';
import { createGate, frameOf, ok } from '../../src/mock/steps.ts';
import type { ServedRelay, TimedRelay } from '../support/serve-in-process.ts';
import { runOn, serveInProcess, serveTimed, SIGN_IN_MODEL } from '../support/serve-in-process.ts';
import type { SocketClient } from '../support/socket-client.ts';
import { openSocket, refusedSocket, typesOf } from '../support/socket-client.ts';
import { waitFor, within } from '../support/wait-for.ts';

const create = (input: JsonObject['input'], change: JsonObject = {}): JsonObject => ({
  type: 'response.create',
  model: SIGN_IN_MODEL,
  input,
  ...change,
});
const MINUTE = 60_000;

/** An answer that stands still after its first word until its gate opens. */
function standing(relay: ServedRelay): { release(): void } {
  const gate = createGate();
  relay.upstream.script('a', [ok({ text: 'first words and last', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
  return gate;
}

/** Lets time pass, half a minute at a time, with everything a connection sends meanwhile coming through. */
async function pass(relay: TimedRelay, client: SocketClient, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 30_000) {
    relay.clock.advance(Math.min(left, 30_000));
    if (client.socket.readyState !== client.socket.OPEN) return;
    // A ping of its own comes back only after Relay has taken what was sent before it.
    await within(
      new Promise((resolve) => {
        client.socket.once('pong', resolve);
        client.socket.ping();
      }),
      'a pong',
    );
  }
}

async function reconfigure(relay: ServedRelay, edit: (config: JsonObject) => JsonObject): Promise<void> {
  const path = join(relay.home, 'config.json');
  await writeFile(path, JSON.stringify(edit(parseJsonObject(await readFile(path, 'utf8')) ?? {})));
  await relay.daemon.reload();
}

describe('what a client can do wrong', () => {
  test('C10 a message that is none is refused and journaled, and the connection serves on', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    client.send('{"type":');
    expect(await client.first('error')).toMatchObject({
      status: 400,
      error: { code: 'invalid_request_error' },
      headers: { 'x-request-id': expect.stringMatching(/^req_/) },
    });
    expect(await client.answer({ type: 'response.create', input: 'Say hello' })).toMatchObject([
      { type: 'error', status: 400, error: { code: 'missing_required_parameter', param: 'model' } },
    ]);
    expect(await client.answer(create('Say hello', { background: true }))).toMatchObject([
      { type: 'error', error: { code: 'unsupported_parameter' } },
    ]);
    expect((await relay.journal()).map(({ outcome, status }) => [outcome, status])).toEqual([
      ['refused', 400],
      ['refused', 400],
      ['refused', 400],
    ]);
    expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
  });

  test('a binary message ends the connection, with a reason', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    client.send(Buffer.from(JSON.stringify(create('Say hello'))));
    expect(await client.first('error')).toMatchObject({ status: 400 });
    expect(await client.ended()).toMatchObject({ code: 1003 });
  });

  test('C17 a message over the limit ends the connection, with a reason and before all of it was read', async () => {
    const relay = await serveInProcess({ config: { server: { maxBodyMb: 1 } } });
    const client = await openSocket(relay);
    client.send(JSON.stringify(create('x'.repeat(20_000_000))));
    expect(await client.first('error')).toMatchObject({ status: 413, error: { code: 'request_too_large' } });
    expect(await client.ended()).toMatchObject({ code: 1009 });
    await relay.idle();
  });

  test('C15 text that is no UTF-8 ends the connection, with a reason', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    client.socket.send(Buffer.from([0x7b, 0xff, 0xfe]), { binary: false });
    expect(await client.first('error')).toMatchObject({ status: 400 });
    expect(await client.ended()).toMatchObject({ code: 1007 });
  });

  test('C57 what is still coming in counts as a body: too much at once is refused, and given back', async () => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 1 } } });
    const client = await openSocket(relay);
    client.send(JSON.stringify(create('x'.repeat(3_000_000))));
    expect(await client.first('error')).toMatchObject({ status: 503, error: { code: 'overloaded' } });
    expect(relay.daemon.held().bodyBytes).toBe(0);
    expect(await client.ended()).toMatchObject({ code: 1013 });
    expect(typesOf(await (await openSocket(relay)).answer(create('Say hello'))).at(-1)).toBe('response.completed');
  });

  test('C50 a client that leaves has its upstream call cancelled, and is journaled as that', async () => {
    const relay = await serveInProcess();
    standing(relay);
    const client = await openSocket(relay);
    client.send(create('Say hello'));
    client.send(create('Say never'));
    await client.first('response.output_text.delta');
    client.socket.terminate();
    await waitFor(() => relay.sent('a')[0]?.state === 'aborted', 'the upstream call to be cancelled', 1_000);
    await relay.idle();
    expect((await relay.journal())[0]).toMatchObject({ outcome: 'client_closed', account: 'a' });
    expect(relay.sent()).toHaveLength(1);
    expect(JSON.parse(JSON.stringify(await relay.account('a')))).toMatchObject({ state: 'ready' });
  });

  test('a close that is asked for in the middle of an answer cancels it too', async () => {
    const relay = await serveInProcess();
    standing(relay);
    const client = await openSocket(relay);
    client.send(create('Say hello'));
    await client.first('response.output_text.delta');
    client.socket.close(1000);
    expect(await client.ended()).toMatchObject({ code: 1000 });
    await waitFor(() => relay.sent('a')[0]?.state === 'aborted', 'the upstream call to be cancelled');
    await relay.idle();
    expect((await relay.journal())[0]).toMatchObject({ outcome: 'client_closed' });
  });

  test('C53 for a client that does not read, its upstream waits; when it reads again, it gets all', async () => {
    const relay = await serveInProcess();
    const delta = frameOf('response.output_text.delta', { type: 'response.output_text.delta', delta: 'x'.repeat(262_144) });
    const head = frameOf('response.created', { type: 'response.created', response: { id: 'resp_1', status: 'in_progress' } });
    const whole = { id: 'resp_1', status: 'completed', output: [], usage: null };
    const end = frameOf('response.completed', { type: 'response.completed', response: whole });
    relay.upstream.script('a', [ok({ frames: [head, ...Array.from({ length: 300 }, () => delta), end] })]);
    const client = await openSocket(relay);
    client.socket.pause();
    client.send(create('Say a lot'));
    await waitFor(() => relay.sent('a').length === 1, 'the call');
    const other = await openSocket(relay);
    for (let round = 0; round < 5; round++) expect(typesOf(await other.answer(create('Say little'))).at(-1)).toBe('response.completed');
    expect(relay.sent('a')[0]?.state).toBe('open');
    client.socket.resume();
    await client.first('response.completed');
    expect(typesOf(client.messages).filter((type) => type === 'response.output_text.delta')).toHaveLength(300);
    expect(relay.sent('a')[0]?.state).toBe('completed');
  });
});

describe('what changes while a connection stands', () => {
  test('A01 a revoked key has no new requests within a second; what runs ends normally', async () => {
    const relay = await serveInProcess();
    const gate = standing(relay);
    const client = await openSocket(relay, { key: await relay.client('passing') });
    client.send(create('Say hello', { stream_id: 'one' }));
    await client.first('response.output_text.delta');
    await relay.daemon.control.call('clients.revoke', { name: 'passing' });
    client.send(create('Say more', { stream_id: 'two' }));
    const refused = await within(client.first('error'), 'the refusal', 1_000);
    expect(refused).toMatchObject({ stream_id: 'two', status: 401, error: { code: 'invalid_api_key' } });
    expect(client.closed).toBeNull();
    gate.release();
    expect(await client.first('response.completed')).toMatchObject({ stream_id: 'one' });
    expect(await client.ended()).toMatchObject({ code: 1008 });
    expect((await relay.journal()).map(({ outcome }) => outcome)).toEqual(['ok']);
  });

  test('a scope that was taken away is missed by the next request', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay, { key: await relay.client('narrowed') });
    await client.answer(create('Say hello'));
    await relay.daemon.control.call('clients.set', { name: 'narrowed', endpoints: ['chat'] });
    expect(await client.answer(create('Say more'))).toMatchObject([{ type: 'error', status: 403, error: { code: 'insufficient_scope' } }]);
    expect((await relay.journal()).map(({ outcome }) => outcome)).toEqual(['ok', 'refused']);
  });

  test('switched off, it serves no new request and ends; on again, it serves', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    await reconfigure(relay, (config) => ({ ...config, server: { ...objectAt(config, 'server'), websocket: false } }));
    expect(await client.answer(create('Say hello'))).toMatchObject([
      { type: 'error', status: 426, error: { code: 'websocket_unavailable' } },
    ]);
    expect(await client.ended()).toMatchObject({ code: 1001 });
    expect((await refusedSocket(relay)).status).toBe(426);
    await reconfigure(relay, (config) => ({ ...config, server: { websocket: true } }));
    await openSocket(relay);
  });
});

describe("a connection's time", () => {
  test('after 60 minutes it ends, idle, with the reason Codex connects anew for', async () => {
    const relay = await serveTimed();
    const client = await openSocket(relay);
    await pass(relay, client, 60 * MINUTE - 1);
    expect(typesOf(await client.answer(create('Say hello'))).at(-1)).toBe('response.completed');
    relay.clock.advance(1);
    expect(await client.first('error')).toMatchObject({ status: 400, error: { code: 'websocket_connection_limit_reached' } });
    expect(await client.ended()).toMatchObject({ code: 1000 });
  });

  test('an answer that runs then is finished, and what waits behind it is refused', async () => {
    const relay = await serveTimed();
    const gate = standing(relay);
    const client = await openSocket(relay);
    client.send(create('Say hello'));
    client.send(create('Say more'));
    await client.first('response.output_text.delta');
    await pass(relay, client, 60 * MINUTE);
    gate.release();
    await client.ended();
    expect(typesOf(client.messages).filter((type) => type === 'response.completed' || type === 'error')).toEqual([
      'response.completed',
      'error',
    ]);
    expect(client.messages.at(-1)).toMatchObject({ error: { code: 'websocket_connection_limit_reached' } });
    expect(relay.sent()).toHaveLength(1);
  });

  test('it is pinged, and ends when none of twenty pings was answered', async () => {
    const relay = await serveTimed();
    const awake = await openSocket(relay);
    const asleep = await openSocket(relay);
    Object.assign(asleep.socket, { _autoPong: false });
    let pings = 0;
    awake.socket.on('ping', () => (pings += 1));
    await pass(relay, awake, 20 * 30_000);
    expect(asleep.closed).toBeNull();
    await pass(relay, awake, 30_000);
    expect(pings).toBe(21);
    expect(await asleep.ended()).toMatchObject({ code: 1006 });
    expect(awake.closed).toBeNull();
  });
});

describe('the drain', () => {
  test('P01 idle connections end at once, running answers are finished, new ones are refused', async () => {
    const relay = await serveInProcess();
    const gate = standing(relay);
    const [idle, busy] = [await openSocket(relay), await openSocket(relay)];
    busy.send(create('Say hello'));
    busy.send(create('Say more'));
    await busy.first('response.output_text.delta');
    const drained = relay.daemon.drain(10_000);
    expect(await idle.ended()).toMatchObject({ code: 1001 });
    expect(await refusedSocket(relay)).toMatchObject({ status: 503, json: { error: { code: 'draining' } } });
    gate.release();
    expect(await busy.ended()).toMatchObject({ code: 1001 });
    expect(typesOf(busy.messages).filter((type) => type === 'response.completed' || type === 'error')).toEqual([
      'response.completed',
      'error',
    ]);
    expect(busy.messages.at(-1)).toMatchObject({ status: 503, error: { code: 'draining' } });
    await within(drained, 'the drain');
  });

  test('P02 an answer that outlasts it ends as failed, and its line is written', async () => {
    const relay = await serveTimed();
    standing(relay);
    const client = await openSocket(relay);
    client.send(create('Say hello'));
    await client.first('response.output_text.delta');
    const drained = relay.daemon.drain(5_000);
    relay.clock.advance(5_000);
    expect(await client.first('response.failed')).toMatchObject({ response: { error: { code: 'draining' } } });
    expect(await client.ended()).toMatchObject({ code: 1001 });
    expect((await relay.journal()).at(-1)).toMatchObject({ outcome: 'broken_stream', status: 503 });
    await runOn(relay.clock, drained);
  });

  test('a client that does not answer a close does not hold it up', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    client.socket.pause();
    await within(relay.daemon.drain(10_000), 'the drain', 3_000);
  });
});
