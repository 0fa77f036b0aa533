import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { objectAt } from '../../src/core/json.ts';
import type { MockBreak, MockStep } from '../../src/mock/steps.ts';
import { createGate, frameOf, ok } from '../../src/mock/steps.ts';
import { eventsIn as allEventsIn } from '../support/collect-events.ts';
import type { ServedAccountSpec } from '../support/serve-in-process.ts';
import { chat, KEY_MODEL, responses, serveInProcess, serveTimed, SIGN_IN_MODEL, TWO_CHAT_KEYS, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

/** The events of a stream that are JSON objects. */
function eventsIn(text: string): readonly JsonObject[] {
  return allEventsIn(text).flatMap(({ json }) => (json === undefined ? [] : [json]));
}

/** Seventy events that say nothing a client could act on, and then whatever is to happen. */
function babbling(break_: Pick<MockBreak, 'how' | 'gate'>, wire: 'chat' | 'responses'): MockStep {
  const frames = Array.from({ length: 70 }, (_, index) => (wire === 'chat'
    ? frameOf(null, { id: 'chatcmpl-first', object: 'chat.completion.chunk', created: 1, model: KEY_MODEL, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] })
    : frameOf(index === 0 ? 'response.created' : 'response.in_progress', {
      type: index === 0 ? 'response.created' : 'response.in_progress', sequence_number: index, response: { id: 'resp_first', object: 'response', status: 'in_progress', output: [] },
    })));
  return ok({ frames, break: { at: { afterEvents: 70 }, ...break_ } });
}

const WIRES: readonly { readonly wire: 'chat' | 'responses'; readonly accounts: readonly ServedAccountSpec[] }[] = [
  { wire: 'responses', accounts: TWO_PLATFORM_KEYS }, { wire: 'chat', accounts: TWO_CHAT_KEYS },
];

describe.each(WIRES)('a beginning without an end, $wire', ({ wire, accounts }) => {
  const path = wire === 'chat' ? '/v1/chat/completions' : '/v1/responses';
  const body = wire === 'chat' ? chat('Say on', { model: KEY_MODEL, stream: true }) : responses('Say on', { model: KEY_MODEL, stream: true });

  test('is sent with its status, and another account goes on with it as one clean stream', async () => {
    const relay = await serveInProcess({ accounts });
    const gate = createGate();
    relay.upstream.script('a', [babbling({ how: 'hang', gate }, wire)]);
    relay.upstream.script('b', [ok({ text: 'served after all' })]);
    const response = await within(relay.call(path, { body }), 'the status ahead of any content');
    expect(response.status).toBe(200);
    expect(relay.sent('b')).toHaveLength(0);
    const reader = response.body?.getReader();
    let text = '';
    const decoder = new TextDecoder();
    const read = async (): Promise<boolean> => {
      const piece = await reader?.read();
      text += decoder.decode(piece?.value, { stream: true });
      return piece?.done ?? true;
    };
    await waitFor(async () => (await within(read(), 'a piece'), eventsIn(text).length >= 60), 'the beginning');
    expect(relay.sent('a').map(({ state }) => state)).toEqual(['open']);
    // The account behind the beginning ends its stream without a word of content.
    gate.release();
    await waitFor(async () => within(read(), 'a piece'), 'the end of the stream');
    const events = eventsIn(text).filter((event) => event['choices'] !== undefined || event['type'] !== undefined);
    if (wire === 'responses') {
      expect(events.filter(({ type }) => type === 'response.created')).toHaveLength(1);
      const numbers = events.flatMap(({ sequence_number: number }) => (typeof number === 'number' ? [number] : []));
      expect(numbers).toEqual(numbers.map((_, index) => index));
      expect(new Set(events.flatMap((event) => objectAt(event, 'response')?.['id'] ?? []))).toEqual(new Set(['resp_first']));
      expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { status: 'completed' } });
    } else {
      expect(new Set(events.map(({ id }) => id))).toEqual(new Set(['chatcmpl-first']));
      expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
    }
    expect(text).toContain('served');
    expect(await waitFor(async () => (await relay.journal()).at(-1), 'the line')).toMatchObject({
      outcome: 'ok', status: 200, account: 'b', attempts: [{ account: 'a', phase: 'stream' }, { account: 'b', error: null }],
    });
  });

  test('ends in an error of its own protocol and a broken connection when nobody is left', async () => {
    const relay = await serveInProcess({ accounts });
    for (const name of ['a', 'b']) relay.upstream.script(name, [babbling({ how: 'cut' }, wire), babbling({ how: 'cut' }, wire)]);
    const answer = await relay.ask(path, { body });
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: true });
    const last = eventsIn(answer.text).at(-1);
    if (wire === 'responses') expect(last).toMatchObject({ type: 'response.failed', sequence_number: 70, response: { id: 'resp_first', status: 'failed' } });
    else expect(last).toMatchObject({ error: { code: 'upstream_stream_truncated' } });
    expect(relay.sent()).toHaveLength(2);
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', account: 'b', attempts: [{ account: 'a' }, { account: 'b' }] });
  });
});

test('a whole answer is never begun: its client gets a status that says how it ended', async () => {
  const relay = await serveInProcess();
  relay.upstream.script('a', [babbling({ how: 'cut' }, 'responses')]);
  relay.upstream.script('b', [ok({ text: 'whole' })]);
  const answer = await relay.ask('/v1/responses', { body: responses('Say whole', { model: SIGN_IN_MODEL }) });
  expect(answer.status).toBe(200);
  expect(answer.json).toMatchObject({ object: 'response', status: 'completed' });
});

describe('silence before the first word', () => {
  test('a client hears keepalives while failover goes on under them, and then one clean stream', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    relay.upstream.script('b', [ok({ text: 'late but whole' })]);
    const asked = relay.ask('/v1/responses', { body: responses('Say late', { model: KEY_MODEL, stream: true }) });
    await waitFor(() => relay.sent('a').length === 1, 'the first call');
    for (let second = 0; second < 61; second += 1) relay.clock.advance(1_000);
    const answer = await within(asked, 'the answer');
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: false });
    const comments = answer.text.split(': keepalive').length - 1;
    expect(comments).toBeGreaterThanOrEqual(5);
    const events = eventsIn(answer.text);
    expect(events.filter(({ type }) => type === 'response.created')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'response.completed' });
    expect(answer.text.indexOf(': keepalive')).toBeLessThan(answer.text.indexOf('response.created'));
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'ok', attempts: [{ account: 'a', error: 'headers_timeout' }, { account: 'b', error: null }] });
  });

  test('with nobody left the error comes in the stream, behind the keepalives', async () => {
    const relay = await serveTimed({ accounts: TWO_CHAT_KEYS });
    for (const name of ['a', 'b']) relay.upstream.script(name, [ok({ break: { at: 'before-headers', how: 'hang' } })]);
    const asked = relay.ask('/v1/chat/completions', { body: chat('Say nothing', { model: KEY_MODEL, stream: true }) });
    for (const name of ['a', 'b']) {
      await waitFor(() => relay.sent(name).length === 1, `the call to ${name}`);
      for (let second = 0; second < 61; second += 1) relay.clock.advance(1_000);
    }
    const answer = await within(asked, 'the answer');
    expect({ status: answer.status, broken: answer.broken }).toEqual({ status: 200, broken: true });
    expect(answer.text.startsWith(': keepalive')).toBe(true);
    expect(eventsIn(answer.text).at(-1)).toMatchObject({ error: { code: 'upstream_timeout' } });
    expect(await relay.line(answer.id)).toMatchObject({ outcome: 'failed', status: 504 });
  });
});
