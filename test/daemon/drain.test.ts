import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { createGate, hang, ok } from '../../src/mock/steps.ts';
import { verifyLedger } from '../../src/storage/verify.ts';
import { eventsIn, textOf } from '../support/collect-events.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, responses, runOn, serveInProcess, serveTimed } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const streams = (relay: ServedRelay, count: number) =>
  Array.from({ length: count }, (_, index) =>
    index % 2 === 0
      ? relay.ask('/v1/chat/completions', { body: chat(`Say ${index}`, { stream: true }) })
      : relay.ask('/v1/responses', { body: responses(`Say ${index}`, { stream: true }) }),
  );

describe('the drain', () => {
  test('P01 twenty streams end as they would have; who comes new is told, and the ledger is whole', async () => {
    const relay = await serveInProcess({ config: { routing: { accountConcurrency: 20 } } });
    const gate = createGate();
    relay.upstream.script(
      'a',
      Array.from({ length: 20 }, () => ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })),
    );
    const running = streams(relay, 20);
    await waitFor(() => relay.daemon.live.running().filter(({ phase }) => phase === 'streaming').length === 20, 'twenty streams');
    const drained = relay.daemon.drain(30_000);
    const health = await relay.ask('/healthz', { key: null });
    expect({ status: health.status, text: health.text }).toEqual({ status: 503, text: '{"status":"draining"}' });
    const late = await relay.ask('/v1/chat/completions', { body: chat('Say late') });
    expectError(late, 503, 'draining');
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await relay.line(late.id)).toMatchObject({ outcome: 'refused', status: 503, error: { code: 'draining' } });
    expect((await relay.daemon.control.call('status', {})).gateway.state).toBe('draining');
    gate.release();
    for (const answer of await Promise.all(running)) {
      expect(answer.broken).toBe(false);
      expect(textOf(eventsIn(answer.text))).toBe('one two three');
    }
    await within(drained, 'the drain');
    expect((await relay.journal()).filter(({ outcome }) => outcome === 'ok')).toHaveLength(20);
    expect((await verifyLedger(relay.home)).ok).toBe(true);
    await expect(relay.call('/healthz')).rejects.toThrow();
  });

  test('P02 what outlasts the deadline gets an error in its own protocol, and its line', async () => {
    const relay = await serveTimed({ config: { routing: { accountConcurrency: 20 } } });
    relay.upstream.script(
      'a',
      Array.from({ length: 4 }, () => hang({ afterDeltas: 2 })),
    );
    const running = streams(relay, 4);
    await waitFor(() => relay.daemon.live.running().filter(({ outputEvents }) => outputEvents >= 2).length === 4, 'four streams');
    const drained = relay.daemon.drain(30_000);
    relay.clock.advance(29_000);
    expect(relay.daemon.held().calls).toBe(4);
    relay.clock.advance(1_000);
    for (const [index, answer] of (await Promise.all(running)).entries()) {
      expect(answer.broken).toBe(true);
      const last = eventsIn(answer.text).at(-1)?.json;
      expect(last).toMatchObject(
        index % 2 === 0 ? { error: { code: 'draining' } } : { type: 'response.failed', response: { error: { code: 'draining' } } },
      );
    }
    await within(drained, 'the drain');
    expect((await relay.journal()).map(({ outcome, error }) => `${outcome} ${error?.code}`)).toEqual(
      Array.from({ length: 4 }, () => 'broken_stream draining'),
    );
    expect((await relay.journal()).every(({ tokens }) => tokens?.estimated === true)).toBe(true);
    await waitFor(() => relay.sent().every(({ state }) => state === 'aborted'), 'the upstream calls to be cancelled');
  });

  test('P02 a whole answer that is not there at the deadline is 503, and its account is not blamed', async () => {
    const relay = await serveTimed();
    relay.upstream.script('a', [hang('before-headers')]);
    const asked = relay.ask('/v1/chat/completions', { body: chat('Say never') });
    await waitFor(() => relay.sent()[0]?.text !== undefined && relay.sent()[0]?.text !== '', 'the call');
    const drained = relay.daemon.drain(1_000);
    relay.clock.advance(1_000);
    expectError(await asked, 503, 'draining');
    await within(drained, 'the drain');
    expect((await relay.journal())[0]).toMatchObject({
      outcome: 'failed',
      status: 503,
      error: { code: 'draining' },
      attempts: [{ account: 'a', error: 'draining' }],
    });
    expect((await relay.account('a')).lastError).toBeNull();
  });

  test('P03 a second request to end cuts what runs and waits for the ledger only', async () => {
    const relay = await serveInProcess();
    relay.upstream.script('a', [hang({ afterDeltas: 2 }), hang({ afterDeltas: 2 })]);
    const running = streams(relay, 2);
    await waitFor(() => relay.daemon.live.running().filter(({ outputEvents }) => outputEvents >= 2).length === 2, 'two streams');
    const patient = relay.daemon.drain(30_000);
    const hurried = relay.daemon.drain(0);
    expect((await Promise.all(running)).every(({ broken }) => broken)).toBe(true);
    await within(Promise.all([patient, hurried]), 'both drains', 2_000);
    expect(await relay.journal()).toHaveLength(2);
    expect((await verifyLedger(relay.home)).ok).toBe(true);
  });

  test('a client that reads nothing cannot hold it up', async () => {
    const relay = await serveTimed();
    const frame = `data: ${JSON.stringify({ type: 'response.output_text.delta', item_id: 'm', output_index: 0, content_index: 0, delta: 'x'.repeat(60_000) })}\n\n`;
    relay.upstream.script('a', [ok({ frames: Array.from({ length: 400 }, () => frame) })]);
    const raw = await openRaw(relay.port);
    raw.socket.pause();
    raw.socket.write(
      rawRequest(relay.port, 'POST /v1/responses HTTP/1.1', {
        headers: [`Authorization: Bearer ${relay.key}`, 'Content-Type: application/json'],
        body: JSON.stringify(responses('Say much', { stream: true })),
      }),
    );
    await waitFor(() => relay.daemon.live.running()[0]?.phase === 'streaming', 'the stream');
    const drained = relay.daemon.drain(1_000);
    await runOn(relay.clock, drained, 500);
    expect((await relay.journal())[0]).toMatchObject({ outcome: 'broken_stream', error: { code: 'draining' } });
  });

  test('connections that say nothing, or half a request, are not waited for', async () => {
    const relay = await serveInProcess();
    const idle = await Promise.all(Array.from({ length: 20 }, () => openRaw(relay.port)));
    for (const { socket } of idle.slice(0, 10)) socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: 12');
    expect((await relay.ask('/v1/models')).status).toBe(200);
    await within(relay.daemon.drain(30_000), 'the drain', 3_000);
  });

  test('an upload that never ends is cut at the deadline', async () => {
    const relay = await serveTimed();
    const raw = await openRaw(relay.port);
    raw.socket.write(
      `${rawRequest(relay.port, 'POST /v1/responses HTTP/1.1', { headers: [`Authorization: Bearer ${relay.key}`, 'Content-Type: application/json', 'Content-Length: 1000'] })}{"model"`,
    );
    await waitFor(() => relay.daemon.held().calls === 1, 'the upload');
    const drained = relay.daemon.drain(1_000);
    await runOn(relay.clock, drained, 500);
  });
});

describe('P04 settings while Relay runs', () => {
  const write = (relay: ServedRelay, text: string): Promise<void> => writeFile(join(relay.home, 'config.json'), text, { mode: 0o600 });
  const settings = (relay: ServedRelay, change: object): string =>
    JSON.stringify({
      keychain: 'memory',
      providers: { chatgpt: { kind: 'chatgpt', baseUrl: relay.upstream.chatgptBaseUrl, authUrl: relay.upstream.authOrigin } },
      ...change,
    });
  const say = (relay: ServedRelay, model: string) => relay.ask('/v1/chat/completions', { body: chat('Say hi', { model }) });

  test('valid ones are in force from the next request on; what runs is not touched', async () => {
    const relay = await serveInProcess();
    const gate = createGate();
    relay.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 1 }, how: 'hang', gate } })]);
    const [running] = streams(relay, 1);
    await waitFor(() => relay.daemon.live.running()[0]?.phase === 'streaming', 'the stream');
    expectError(await say(relay, 'quick'), 404, 'model_not_found');
    await write(relay, settings(relay, { models: { aliases: { quick: 'gpt-5.5' } } }));
    await relay.daemon.reload();
    expect((await say(relay, 'quick')).status).toBe(200);
    gate.release();
    expect((await running)?.broken).toBe(false);
  });

  test('invalid ones are said with line and column, and the old stay', async () => {
    const relay = await serveInProcess({ config: { models: { aliases: { quick: 'gpt-5.5' } } } });
    for (const [text, place] of [
      ['{\n  "server": { "port": "many" }\n}', ':2:15'],
      ['{\n  "keychain": "memory",\n', ':3:1'],
      ['{ "servers": {} }', ':1:3'],
      ['', ':1:1'],
    ] as const) {
      await write(relay, text);
      await relay.daemon.reload();
      expect(await relay.daemon.control.call('reload', {})).toMatchObject({
        ok: false,
        message: expect.stringContaining(`config.json${place}`),
      });
      expect((await say(relay, 'quick')).status).toBe(200);
    }
    expect(relay.log()).toContain('the old settings stay in force');
  });

  test('a change of the file is noticed by itself', async () => {
    const relay = await serveInProcess();
    await write(relay, settings(relay, { models: { aliases: { quick: 'gpt-5.5' } } }));
    await waitFor(async () => (await say(relay, 'quick')).status === 200, 'the new settings');
  });
});
