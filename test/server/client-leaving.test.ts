import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createGate, ok } from '../../src/mock/steps.ts';
import { heldBufferBytes } from '../support/collect-garbage.ts';
import { openRaw, rawRequest } from '../support/raw-http.ts';
import type { Answer, Call, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, serveTimed, TWO_CHAT_KEYS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const JSON_TYPE = 'Content-Type: application/json';

describe('clients that come and go', () => {
  let relay: ServedRelay;
  beforeAll(async () => {
    relay = await serveInProcess({ until: 'suite' });
  });
  afterAll(() => relay.stop());

  const hanging = { at: { afterDeltas: 2 }, how: 'hang' } as const;

  test('C50 a stream that is left is cancelled upstream, and what was delivered is counted', async () => {
    relay.upstream.script('a', [ok({ text: 'one two three four', break: hanging })]);
    const leave = new AbortController();
    const response = await relay.call('/v1/responses', { body: responses('Say leaving', { stream: true }), signal: leave.signal });
    const reader = response.body?.getReader();
    let text = '';
    while (!text.includes('output_text.delta'))
      text += new TextDecoder().decode((await within(reader?.read() ?? Promise.reject(new Error('no body')), 'a piece')).value);
    leave.abort();
    await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the upstream call to be cancelled', 1_000);
    const line = await relay.line(response.headers.get('x-request-id'));
    expect(line).toMatchObject({
      outcome: 'client_closed',
      status: 499,
      attempts: [{ error: 'client_closed', phase: 'committed' }],
      tokens: { estimated: true },
    });
    expect(line.tokens?.output).toBeGreaterThan(0);
    await relay.idle();
  });

  test('C50 a client that leaves before the answer began is noticed just so', async () => {
    relay.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    const leave = new AbortController();
    const asked = relay.call('/v1/chat/completions', { body: chat('Say never'), signal: leave.signal }).catch(() => 'left');
    await waitFor(() => relay.sent('a').at(-1)?.state === 'open', 'the call upstream');
    leave.abort();
    expect(await asked).toBe('left');
    await waitFor(() => relay.sent('a').at(-1)?.state === 'aborted', 'the upstream call to be cancelled', 1_000);
    await relay.idle();
    expect((await relay.journal()).at(-1)).toMatchObject({
      outcome: 'client_closed',
      status: 499,
      tokens: null,
      attempts: [{ error: 'client_closed' }],
    });
    expect(await relay.account('a')).toMatchObject({ state: 'ready', lastError: null });
  });
});

test('C53 slow readers hold their upstreams back', async () => {
  const relay = await serveInProcess({
    config: { routing: { accountConcurrency: 300 } },
    accounts: [{ name: 'a', kind: 'api-key', provider: 'chatty' }],
  });
  const key = await relay.client('many', { concurrency: 300 });
  const piece = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: KEY_MODEL, choices: [{ index: 0, delta: { content: 'x'.repeat(65_000) }, finish_reason: null }] })}\n\n`;
  const stop =
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"relay-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  // More than the sockets' own buffers between the upstream and the client can take in.
  const frames = [...Array.from({ length: 800 }, () => piece), stop];
  const SLOW = 30;
  relay.upstream.script(
    'a',
    Array.from({ length: SLOW + 2 }, () => ok({ frames })),
  );
  const body = JSON.stringify(chat('Say much', { model: KEY_MODEL, stream: true }));
  const before = await heldBufferBytes();
  const slow = await Promise.all(Array.from({ length: SLOW }, () => openRaw(relay.port)));
  for (const { socket } of slow) {
    socket.pause();
    socket.write(
      rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', { headers: [`Authorization: Bearer ${key}`, JSON_TYPE], body }),
    );
  }
  await waitFor(() => relay.sent('a').filter(({ status }) => status === 200).length === SLOW, 'the slow streams', 10_000);
  // While two others read fifty megabytes each to the end, nobody pulls for the slow ones.
  for (let round = 0; round < 2; round += 1) {
    const fast = await relay.call('/v1/chat/completions', { key, body });
    let length = 0;
    for await (const chunk of fast.body ?? []) length += chunk.length;
    expect(length).toBeGreaterThan(50_000_000);
  }
  expect(
    relay
      .sent('a')
      .map(({ state }) => state)
      .sort()
      .join(),
  ).toBe([...Array.from({ length: 2 }, () => 'completed'), ...Array.from({ length: SLOW }, () => 'open')].join());
  expect((await heldBufferBytes()) - before).toBeLessThan(SLOW * 1_048_576);
  for (const { socket } of slow) socket.destroy();
  await relay.idle();
}, 40_000);

test('C56 nothing cuts a whole answer that takes nine minutes', async () => {
  const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
  const gate = createGate();
  relay.upstream.script('a', [ok({ gate })]);
  const asked = relay.ask('/v1/chat/completions', { body: chat('Say patience', { model: KEY_MODEL }) });
  await waitFor(() => relay.sent('a').at(0)?.state === 'open', 'the call upstream');
  for (let minute = 0; minute < 9; minute += 1) relay.clock.advance(60_000);
  gate.release();
  const answer = await asked;
  expect(answer.status, answer.text).toBe(200);
  expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok', ms: { total: 540_000 } });
});

describe('C57 the memory of bodies under way is bounded', () => {
  const gated = async (bodies: readonly Call[]): Promise<{ relay: ServedRelay; answers: readonly Answer[] }> => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 4 } } });
    const gate = createGate();
    for (const name of ['a', 'b'])
      relay.upstream.script(
        name,
        Array.from({ length: 12 }, () => ok({ gate })),
      );
    let done = 0;
    const asked = bodies.map(async (body) => {
      const answer = await relay.ask('/v1/chat/completions', body);
      done += 1;
      return answer;
    });
    await waitFor(
      () => done + relay.sent().filter(({ state }) => state === 'open').length === bodies.length,
      'all to be taken or refused',
      15_000,
    );
    expect(relay.daemon.held().bodyBytes).toBeLessThanOrEqual(4 * 1_048_576);
    gate.release();
    return { relay, answers: await Promise.all(asked) };
  };

  test('what does not fit is 503 overloaded, and the rest is served', async () => {
    const { relay, answers } = await gated(Array.from({ length: 12 }, () => ({ body: chat('x'.repeat(1_000_000)) })));
    const refused = answers.filter(({ status }) => status === 503);
    expect(refused).toHaveLength(8);
    for (const answer of refused) {
      expectError(answer, 503, 'overloaded');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    await relay.idle();
  });

  test('a body counts by its decoded size', async () => {
    const { gzipSync } = await import('node:zlib');
    const packed = new Uint8Array(gzipSync(JSON.stringify(chat('x'.repeat(1_500_000)))));
    const { answers } = await gated(
      Array.from({ length: 6 }, () => ({ body: packed, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 503)).toHaveLength(4);
  });

  test('a client that leaves the moment its body is there takes no memory with it', async () => {
    const relay = await serveInProcess({ config: { limits: { inflightBodyMb: 1 } } });
    const body = JSON.stringify(chat('x'.repeat(100_000)));
    for (let round = 0; round < 40; round += 1) {
      const raw = await openRaw(relay.port);
      await within(
        new Promise((resolve) =>
          raw.socket.write(
            rawRequest(relay.port, 'POST /v1/chat/completions HTTP/1.1', {
              headers: [`Authorization: Bearer ${relay.key}`, JSON_TYPE],
              body,
            }),
            resolve,
          ),
        ),
        'the body to leave',
      );
      raw.socket.resetAndDestroy();
    }
    await relay.idle();
    expect(relay.daemon.held().bodyBytes).toBe(0);
    expect((await relay.ask('/v1/chat/completions', { body: chat('x'.repeat(100_000)) })).status).toBe(200);
  });
});
