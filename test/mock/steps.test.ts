import { describe, expect, test } from 'vitest';

import { MOCK_FAILURES, isMockFailure } from '../../src/mock/failures.ts';
import type { MockFailure } from '../../src/mock/failures.ts';
import {
  challenge,
  createGate,
  cut,
  eof,
  errorEvent,
  failed,
  failedEvent,
  garbageEvent,
  hang,
  modelRefused,
  ok,
  rateLimited,
  refuse,
  reset,
  unauthorized,
  usageLimited,
  wrongType,
} from '../../src/mock/steps.ts';
import type { AnswerStep, MockStep } from '../../src/mock/steps.ts';
import type { MockUpstream } from '../../src/mock/mock-upstream.ts';
import { collectBody, eventsIn, textOf, typesOf } from '../support/collect-events.ts';
import type { CollectedBody } from '../support/collect-events.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { codexBody, fakeUpstream, postTo, signedIn } from '../support/fake-upstream.ts';
import { waitFor, within } from '../support/wait-for.ts';

const PATH = '/backend-api/codex/responses';

function call(upstream: MockUpstream, signal?: AbortSignal): Promise<Response> {
  return postTo(upstream, PATH, { as: 'personal', body: codexBody(), ...(signal !== undefined && { signal }) });
}

/** Sends one call against a script of one step and reads what comes, whole or broken. */
async function meet(
  step: MockStep,
): Promise<{ readonly status: number | null; readonly headers: Headers | null; readonly body: CollectedBody }> {
  const upstream = await fakeUpstream();
  upstream.script('personal', [step]);
  try {
    const response = await call(upstream);
    return { status: response.status, headers: response.headers, body: await collectBody(response) };
  } catch {
    return { status: null, headers: null, body: { text: '', broken: true } };
  }
}

describe('refusals', () => {
  test('a queue is met in order, and afterwards the account serves again', async () => {
    const upstream = await fakeUpstream();
    upstream.script('personal', [failed(500), rateLimited({ retryAfter: '7' }), ok({ text: 'third' })]);
    const answers = [await call(upstream), await call(upstream), await call(upstream), await call(upstream)];
    expect(answers.map(({ status }) => status)).toEqual([500, 429, 200, 200]);
    expect(answers[1]?.headers.get('retry-after')).toBe('7');
    const texts = await Promise.all(answers.slice(2).map(async (answer) => textOf(eventsIn(await answer.text()))));
    expect(texts).toEqual(['third', expect.stringContaining('Say hello')]);
  });

  test.each<[string, MockStep, number, RegExp]>([
    ['without a hint', rateLimited(), 429, /"code":"rate_limit_exceeded"\}\}$/],
    ['with a text hint', rateLimited({ text: 'Please try again in 1.9s.' }), 429, /try again in 1\.9s/],
    ['with resets_at', rateLimited({ resetsAt: 1_795_000_000 }), 429, /"resets_at":1795000000/],
    [
      'of a spent quota',
      usageLimited({ resetsAt: 1_795_000_000, resetsInSeconds: 60 }),
      429,
      /usage_limit_reached.*"resets_in_seconds":60/,
    ],
    ['of a model', modelRefused('gpt-5.5'), 400, /The 'gpt-5\.5' model is not supported/],
    ['by Cloudflare', challenge(), 403, /Cloudflare/],
    ['of any shape', refuse(418, 'short and stout', { 'x-tea': 'pot' }), 418, /stout/],
  ])('a refusal %s says so', async (_what, step, status, text) => {
    const met = await meet(step);
    expect(met.status).toBe(status);
    expect(met.body.text).toMatch(text);
  });

  test('an early refusal is answered before the body has been read', async () => {
    const upstream = await fakeUpstream();
    upstream.script('key-a', [{ ...failed(413), early: true }]);
    const body = JSON.stringify({ model: 'relay-mini', input: 'x'.repeat(4_000_000) });
    const response = await fetch(`${upstream.platformBaseUrl}/responses`, { method: 'POST', headers: signedIn(upstream, 'key-a'), body });
    expect(response.status).toBe(413);
    expect(upstream.calls[0]?.text).toBe('');
  });

  test('401 lasts until the token was refreshed', async () => {
    const upstream = await fakeUpstream();
    upstream.script('personal', [unauthorized()]);
    const old = signedIn(upstream, 'personal');
    const again = (): Promise<Response> =>
      fetch(`${upstream.origin}${PATH}`, { method: 'POST', headers: old, body: JSON.stringify(codexBody()) });
    const first = await again();
    expect([first.status, (await again()).status]).toEqual([401, 401]);
    expect(JSON.parse(atob(first.headers.get('x-error-json') ?? ''))).toEqual({ error: { code: 'token_expired' } });
    upstream.account('personal').issue();
    expect((await call(upstream)).status).toBe(200);
  });
});

describe('breaks', () => {
  test.each<[string, AnswerStep]>([['reset', reset('before-headers')], ['cut', cut('before-headers')], ['eof', eof('before-headers')]])(
    'a %s before the headers is no answer at all', async (_how, step) => {
      expect(await meet(step)).toMatchObject({ status: null });
    });

  test.each<[string, AnswerStep, number, boolean]>([
    ['a reset after the headers', reset('after-headers'), 0, true],
    ['a reset after the first event', reset('after-first-event'), 1, true],
    ['a cut after three events', cut({ afterEvents: 3 }), 3, true],
    ['a cut after two deltas', cut({ afterDeltas: 2 }), 6, true],
    ['a clean end after the first event', eof('after-first-event'), 1, false],
    ['a clean end after one delta', eof({ afterDeltas: 1 }), 5, false],
  ])('%s leaves exactly what came before it', async (_what, step, events, broken) => {
    const met = await meet(step);
    expect(met.status).toBe(200);
    expect(met.body.broken).toBe(broken);
    expect(eventsIn(met.body.text)).toHaveLength(events);
    expect(typesOf(eventsIn(met.body.text))).not.toContain('response.completed');
  });

  test('a point the answer never reaches breaks it at its end', async () => {
    const met = await meet(cut({ afterDeltas: 10_000 }));
    expect(met.body.broken).toBe(true);
  });

  test('a whole answer breaks in its middle', async () => {
    const upstream = await fakeUpstream();
    upstream.script('key-a', [cut({ afterDeltas: 1 }), eof({ afterDeltas: 1 })]);
    const body = { model: 'relay-mini', input: 'hello' };
    const broken = await collectBody(await postTo(upstream, '/v1/responses', { as: 'key-a', body }));
    const short = await collectBody(await postTo(upstream, '/v1/responses', { as: 'key-a', body }));
    expect([broken.broken, short.broken]).toEqual([true, false]);
    for (const { text } of [broken, short]) {
      expect(text.length).toBeGreaterThan(100);
      expect(() => JSON.parse(text)).toThrow();
    }
  });

  test('a hang lasts until its gate opens, and the answer is then whole', async () => {
    const upstream = await fakeUpstream();
    const gate = createGate();
    upstream.script('personal', [hang({ afterDeltas: 2 }, gate)]);
    const response = await call(upstream);
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (eventsIn(text).length < 6)
      text += decoder.decode((await within(reader?.read() ?? Promise.reject(new Error('no body')), 'six events')).value);
    expect(upstream.calls[0]?.state).toBe('open');
    gate.release();
    for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) text += decoder.decode(piece.value);
    expect(typesOf(eventsIn(text)).at(-1)).toBe('response.completed');
  });

  test('the record tells a caller who left from an answer the mock broke off', async () => {
    const upstream = await fakeUpstream();
    upstream.script('personal', [hang('before-headers'), reset('after-first-event')]);
    const abort = new AbortController();
    const left = call(upstream, abort.signal);
    await waitFor(() => upstream.account('personal').inFlight === 1, 'the call');
    abort.abort();
    await expect(left).rejects.toThrow();
    await collectBody(await call(upstream));
    await waitFor(() => upstream.calls.every(({ state }) => state !== 'open'), 'both ends');
    expect(upstream.calls.map(({ state }) => state)).toEqual(['aborted', 'broken']);
    expect(upstream.account('personal').inFlight).toBe(0);
  });
});

describe('what streams say', () => {
  test('an error event can be the first and the last', async () => {
    const met = await meet(
      errorEvent({
        status: 429,
        error: { type: 'usage_limit_reached', message: 'spent' },
        headers: { 'x-codex-primary-used-percent': '100' },
      }),
    );
    expect(met.status).toBe(200);
    expect(eventsIn(met.body.text).map(({ json }) => json)).toEqual([expect.objectContaining({ type: 'error', status: 429 })]);
  });

  test('a failed response can follow its beginning', async () => {
    const met = await meet(failedEvent('context_length_exceeded', 'Too long.'));
    expect(typesOf(eventsIn(met.body.text))).toEqual(['response.created', 'response.failed']);
  });

  test('a broken event stands among good ones', async () => {
    const events = eventsIn((await meet(garbageEvent())).body.text);
    expect(events[1]?.json).toBeUndefined();
    expect(typesOf(events).at(-1)).toBe('response.completed');
  });

  test('exact frames, usage, model, tier and calls are sent as told', async () => {
    const exact = await meet(ok({ frames: ['data: one\n\n', ': note\n\n'] }));
    expect(exact.body.text).toBe('data: one\n\n: note\n\n');
    const told = await meet(
      ok({ usage: null, model: 'gpt-rerouted', tier: 'priority', calls: [{ name: 'f', payload: '{"a":1}', callId: 'call_1' }] }),
    );
    const events = eventsIn(told.body.text);
    expect(events.at(-1)?.json).toMatchObject({ response: { model: 'gpt-rerouted', service_tier: 'priority' } });
    expect(JSON.stringify(events.at(-1)?.json)).not.toContain('"usage"');
    expect(events.find(({ json }) => json?.['type'] === 'response.function_call_arguments.done')?.json).toMatchObject({
      arguments: '{"a":1}',
    });
  });

  test('another content type than was asked for', async () => {
    const met = await meet(wrongType());
    expect([met.status, met.headers?.get('content-type'), met.body.text]).toEqual([200, 'text/html', '<html><body>Welcome</body></html>']);
  });

  test('raw bytes on the socket', async () => {
    const upstream = await fakeUpstream();
    upstream.script('personal', [{ do: 'socket', bytes: 'HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n\r\n', next: 'end' }]);
    await expect(call(upstream)).rejects.toThrow();
  });
});

describe('time', () => {
  test("tokens come at the mock's pace, by its clock", async () => {
    const clock = fakeClock();
    const upstream = await fakeUpstream({ clock, paceMs: 15 });
    upstream.script('personal', [ok({ text: 'one two three' })]);
    const body = collectBody(await call(upstream));
    for (let tokens = 0; tokens < 3; tokens++) {
      await waitFor(() => clock.pending === 1, 'the next token');
      expect(clock.nextIn).toBe(15);
      clock.advance(15);
    }
    expect(textOf(eventsIn((await body).text))).toBe('one two three');
  });

  test('a drip falls byte by byte and makes the same stream', async () => {
    const upstream = await fakeUpstream();
    upstream.script('personal', [ok({ text: 'drop', drip: { bytes: 7, everyMs: 0 } })]);
    expect(textOf(eventsIn(await (await call(upstream)).text()))).toBe('drop');
  });

  test('a delay holds the headers back', async () => {
    const clock = fakeClock();
    const upstream = await fakeUpstream({ clock });
    upstream.script('personal', [ok({ delayMs: 9_000 })]);
    const answer = call(upstream);
    await waitFor(() => clock.pending === 1, 'the delay');
    clock.advance(8_999);
    expect(upstream.calls[0]?.status).toBeNull();
    clock.advance(1);
    expect((await answer).status).toBe(200);
  });

  test("answers carry the mock's own date", async () => {
    const clock = fakeClock();
    const upstream = await fakeUpstream({ clock });
    const response = await call(upstream);
    expect(Date.parse(response.headers.get('date') ?? '')).toBe(clock.now());
  });
});

describe('standing failures', () => {
  test('last until their time, for their number of calls, or until mended', async () => {
    const clock = fakeClock();
    const upstream = await fakeUpstream({ clock });
    const status = async (): Promise<number> => (await call(upstream)).status;
    upstream.fail('503', { account: 'personal', until: clock.now() + 1_000 });
    expect([await status(), await status()]).toEqual([503, 503]);
    clock.advance(1_000);
    expect(await status()).toBe(200);
    upstream.fail('500', { account: 'personal', count: 1 });
    expect([await status(), await status()]).toEqual([500, 200]);
    upstream.fail('quota', { account: '*' });
    expect(await status()).toBe(429);
    upstream.mend('*');
    expect(await status()).toBe(200);
  });

  test('every name is known, makes a step, and no other name is', () => {
    for (const name of Object.keys(MOCK_FAILURES)) expect(isMockFailure(name)).toBe(true);
    expect([isMockFailure('toString'), isMockFailure('nonsense')]).toEqual([false, false]);
    const steps = Object.values(MOCK_FAILURES).map((make) => make({ nowMs: 0 }));
    expect(steps.every((step) => step.do === 'refuse' ? step.status >= 400 : step.do === 'answer')).toBe(true);
  });

  test.each<[MockFailure, number]>([
    ['429', 429],
    ['rate-limit', 429],
    ['401', 401],
    ['402', 402],
    ['403', 403],
    ['502', 502],
    ['529', 529],
    ['html', 200],
  ])('%s answers %i', async (what, status) => {
    const upstream = await fakeUpstream();
    upstream.fail(what, { account: 'personal', count: 1 });
    expect((await call(upstream)).status).toBe(status);
  });
});
