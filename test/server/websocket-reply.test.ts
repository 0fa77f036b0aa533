import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { isUtf8 } from 'node:buffer';

import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

import type { JsonObject } from '../../src/core/json.ts';
import { parseJsonObject } from '../../src/core/json.ts';
import type { Outlet } from '../../src/server/websocket-outlet.ts';
import { createOutlet } from '../../src/server/websocket-outlet.ts';
import type { SocketReplyOptions, ToldAnswer } from '../../src/server/websocket-reply.ts';
import { createSocketReply } from '../../src/server/websocket-reply.ts';
import { waitFor, within } from '../support/wait-for.ts';

interface NotedOutlet extends Outlet {
  readonly sent: readonly Buffer[];
  failed: boolean;
  leave(): void;
}

/** An outlet that notes what it is given; `room` messages go before it says the client is slow. */
function notedOutlet(room = Number.POSITIVE_INFINITY): NotedOutlet {
  const sent: Buffer[] = [];
  const gone = new Set<() => void>();
  let isOpen = true;
  return {
    sent,
    failed: false,
    get isOpen() {
      return isOpen;
    },
    send(message) {
      sent.push(Buffer.from(message));
      return sent.length < room;
    },
    together: (work) => work(),
    onDrain() {},
    flushed: () => Promise.resolve(),
    onGone(callback) {
      gone.add(callback);
      return () => gone.delete(callback);
    },
    fail() {
      this.failed = true;
    },
    leave() {
      isOpen = false;
      for (const callback of gone) callback();
    },
  };
}

function reply(change: Partial<SocketReplyOptions> = {}) {
  const outlet = notedOutlet();
  const answers: ToldAnswer[] = [];
  const made = createSocketReply({ outlet, streamId: null, isCodex: false, onAnswer: (answer) => answers.push(answer), ...change });
  return {
    outlet,
    answers,
    reply: made,
    told: (): readonly (JsonObject | undefined)[] => outlet.sent.map((message) => parseJsonObject(message.toString('utf8'))),
  };
}

const sse = (event: JsonObject, name = true): Uint8Array =>
  Buffer.from(`${name ? `event: ${String(event['type'])}\n` : ''}data: ${JSON.stringify(event)}\n\n`);
const item = (id: string, index: number): JsonObject => ({
  type: 'response.output_item.done',
  output_index: index,
  item: { id, type: 'message' },
});

describe('a reply over a WebSocket', () => {
  test('is one message an event, whatever the framing, and no message for a comment', async () => {
    const { reply: made, told } = reply();
    made.write(
      Buffer.concat([
        Buffer.from(': keepalive\n\n'),
        sse({ type: 'response.created' }),
        Buffer.from('data: {"type":"a",\r\ndata: "b":1}\r\n\r\n'),
      ]),
    );
    await made.end([sse({ type: 'response.completed', response: { id: 'r' } }, false)]);
    expect(told()).toEqual([{ type: 'response.created' }, { type: 'a', b: 1 }, { type: 'response.completed', response: { id: 'r' } }]);
  });

  test('tells its items and id before the last event goes out, with or without event names', async () => {
    const outlet = notedOutlet();
    const seen: [number, ToldAnswer][] = [];
    const made = createSocketReply({
      outlet,
      streamId: null,
      isCodex: false,
      onAnswer: (answer) => seen.push([outlet.sent.length, answer]),
    });
    made.write(sse(item('second', 1), false));
    made.write(sse(item('first', 0)));
    await made.end([sse({ type: 'response.completed', response: { id: 'r', output: [] } }, false)]);
    expect(seen).toMatchObject([[2, { responseId: 'r', output: [{ id: 'first' }, { id: 'second' }] }]]);
    expect(seen[0]?.[1].bytes).toBeGreaterThan(100);
  });

  test('U30 bytes that are no UTF-8 are replaced, since they would end the connection', () => {
    const { reply: made, outlet } = reply();
    made.write(
      Buffer.concat([
        Buffer.from('data: {"type":"response.output_text.delta","delta":"'),
        Buffer.from([0xff, 0xc3]),
        Buffer.from('"}\n\n'),
      ]),
    );
    expect(outlet.sent.every((message) => isUtf8(message))).toBe(true);
    expect(parseJsonObject(outlet.sent[0]?.toString('utf8') ?? '')).toEqual({ type: 'response.output_text.delta', delta: '\ufffd\ufffd' });
  });

  test('has begun with its first event, and not with a keepalive', () => {
    const { reply: made } = reply({ isCodex: true });
    made.begin(200, { 'content-type': 'text/event-stream' });
    made.write(sse({ type: 'codex.keepalive' }));
    expect(made.begun).toBe(false);
    made.write(sse({ type: 'response.created' }));
    expect(made.begun).toBe(true);
  });

  test('a failure that left nothing to tell ends the connection, since nothing else would end the answer', async () => {
    const { reply: made, outlet } = reply();
    made.write(sse({ type: 'response.created' }));
    await made.destroy([]);
    expect(outlet.failed).toBe(true);
  });

  test('a failure that is told leaves the connection', async () => {
    const { reply: made, outlet, answers } = reply();
    await made.destroy([sse({ type: 'response.failed', response: { id: 'r' } })]);
    expect(outlet.failed).toBe(false);
    expect(answers).toEqual([]);
  });

  test('says once that the client left, and not after its end', async () => {
    const calls: string[] = [];
    const { reply: left, outlet: first } = reply();
    left.onGone(() => calls.push('left'));
    first.leave();
    expect([left.closed, calls]).toEqual([true, ['left']]);
    const { reply: done, outlet: second } = reply();
    done.onGone(() => calls.push('too late'));
    await done.end([sse({ type: 'response.completed', response: { id: 'r' } })]);
    second.leave();
    expect(calls).toEqual(['left']);
    expect(done.write(sse({ type: 'more' }))).toBe(true);
    expect(second.sent).toHaveLength(1);
  });

  test('says that the client is slow when any message of a piece found it so', () => {
    const outlet = notedOutlet(2);
    const made = createSocketReply({ outlet, streamId: null, isCodex: false, onAnswer: () => {} });
    expect(made.write(sse({ type: 'a' }))).toBe(true);
    expect(made.write(Buffer.concat([sse({ type: 'b' }), sse({ type: 'c' })]))).toBe(false);
  });
});

/** Two ends of one connection. */
async function connected(): Promise<{ readonly server: WebSocket; readonly outlet: Outlet; readonly client: WebSocket }> {
  const listener = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  onTestFinished(() => void listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection');
  const client = new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`);
  const [[server, request]] = await within(Promise.all([accepted, once(client, 'open')]), 'the connection');
  onTestFinished(() => client.terminate());
  return { server, outlet: createOutlet(server, request.socket), client };
}

describe('the outlet of a socket', () => {
  const MESSAGE = 'x'.repeat(8_192);

  test('C53 says when the client reads too slowly, holds little for it, and calls when it has caught up', async () => {
    const { outlet, server, client } = await connected();
    client.pause();
    let sent = 0;
    while (outlet.send(MESSAGE)) {
      sent += 1;
      expect(server.bufferedAmount).toBeLessThan(65_536 + 2 * MESSAGE.length);
      // The system's own buffers are filled a turn at a time.
      if (sent % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const caughtUp = new Promise<void>((resolve) => outlet.onDrain(resolve));
    let received = 0;
    client.on('message', () => (received += 1));
    client.resume();
    await within(caughtUp, 'the client to catch up');
    await within(outlet.flushed(), 'everything to be sent');
    await waitFor(() => received === sent + 1, 'every message');
    expect(server.bufferedAmount).toBe(0);
  });

  test('lets go of whoever waits when the client leaves', async () => {
    const { outlet, client } = await connected();
    client.pause();
    while (outlet.send(MESSAGE)) await new Promise((resolve) => setImmediate(resolve));
    const gone = new Promise<void>((resolve) => outlet.onGone(resolve));
    client.terminate();
    await within(Promise.all([gone, outlet.flushed()]), 'the end');
    expect(outlet.isOpen).toBe(false);
    expect(outlet.send(MESSAGE)).toBe(true);
  });
});
