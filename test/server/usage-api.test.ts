import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { arrayAt, numberAt, objectAt, stringAt } from '../../src/core/json.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, serveTimed, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor, within } from '../support/wait-for.ts';

const ask = (text: string, change: JsonObject = {}): JsonObject => chat(text, { model: KEY_MODEL, ...change });

describe('/relay/v1', () => {
  let relay: ServedRelay;
  let own: string;
  let seeing: string;
  beforeAll(async () => {
    relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS, until: 'suite', config: { plans: { a: 20 }, pricing: { [KEY_MODEL]: { input: 1, output: 4 } } } });
    own = await relay.client('small');
    seeing = await relay.client('seeing', { endpoints: ['usage'] });
    for (let index = 0; index < 5; index += 1) await relay.ask('/v1/chat/completions', { body: ask(`Say ${index}`) });
    for (let index = 0; index < 3; index += 1) await relay.ask('/v1/responses', { key: own, body: responses('Say own', { model: KEY_MODEL, stream: index === 0 }) });
    await relay.ask('/v1/chat/completions', { key: own, body: ask('Say what', { model: 'no-such-model' }) });
  });
  afterAll(() => relay.stop());

  const get = (path: string, key?: string | null): Promise<Answer> => relay.ask(path, { ...(key !== undefined && { key }) });
  const dataOf = ({ json }: Answer): readonly JsonObject[] => (arrayAt(json, 'data') ?? []) as JsonObject[];

  test('usage is what relay usage --json says, whoever asks for all of it', async () => {
    const query = { since: null, until: null, by: ['client', 'model'] as const };
    const told = await relay.daemon.control.call('usage.report', query);
    for (const key of [undefined, seeing]) expect((await get('/relay/v1/usage?by=client,model', key)).json).toEqual(JSON.parse(JSON.stringify(told)));
    expect(told.totals.requests).toBe(9);
  });

  test('usage of an account tells what its subscription is worth, to those who see all', async () => {
    const groups = arrayAt((await get('/relay/v1/usage?by=account')).json, 'groups') ?? [];
    expect(groups.map((group) => [stringAt(objectAt(group, 'key'), 'account'), numberAt(objectAt(group, 'plan'), 'monthly')])).toContainEqual(['a', 20e9]);
    const small = arrayAt((await get('/relay/v1/usage?by=account', own)).json, 'groups') ?? [];
    expect(small.every((group) => objectAt(group, 'plan') === undefined)).toBe(true);
  });

  test('a client without the scope sees its own usage only', async () => {
    const { json } = await get('/relay/v1/usage?by=client', own);
    expect(numberAt(objectAt(json, 'totals'), 'requests')).toBe(4);
    expect((arrayAt(json, 'groups') ?? []).map((group) => objectAt(group, 'key'))).toEqual([{ client: 'small' }]);
  });

  test('requests come newest first, page by page, as the journal has them', async () => {
    const lines = (await relay.journal()).toReversed();
    const seen: JsonObject[] = [];
    let cursor: string | undefined;
    do {
      const page = await get(`/relay/v1/requests?limit=4${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      expect(dataOf(page).length).toBeLessThanOrEqual(4);
      seen.push(...dataOf(page));
      cursor = stringAt(page.json, 'next_cursor');
      expect(page.json?.['has_more']).toBe(cursor !== undefined);
    } while (cursor !== undefined);
    expect(seen).toEqual(JSON.parse(JSON.stringify(lines)));
  });

  test.each([
    ['client=small', (line: JsonObject) => line['client'] === 'small', 4],
    ['errors=true', (line: JsonObject) => line['outcome'] === 'refused', 1],
    ['account=a', (line: JsonObject) => line['account'] === 'a', 8],
    ['since=1h', () => true, 9],
    ['until=2020-01-01', () => true, 0],
  ])('requests are narrowed by %s', async (query, fits, count) => {
    const found = dataOf(await get(`/relay/v1/requests?${query}`));
    expect(found).toHaveLength(count);
    expect(found.every(fits)).toBe(true);
  });

  test('a client sees its own requests only, in lists and one by one', async () => {
    expect(dataOf(await get('/relay/v1/requests', own)).map((line) => line['client'])).toEqual(['small', 'small', 'small', 'small']);
    expectError(await get('/relay/v1/requests?client=default', own), 403, 'insufficient_scope');
    const [theirs, mine] = [(await relay.journal()).find(({ client }) => client === 'default'), (await relay.journal()).find(({ client }) => client === 'small')];
    expect((await get(`/relay/v1/requests/${mine?.id}`, own)).json).toEqual(JSON.parse(JSON.stringify(mine)));
    expectError(await get(`/relay/v1/requests/${theirs?.id}`, own), 404, 'not_found');
    expect((await get(`/relay/v1/requests/${theirs?.id}`, seeing)).status).toBe(200);
  });

  test.each(['req_0', 'req_%22', '..%2f..%2fstate.json', 'x'.repeat(300)])('a request that is not there is 404: %s', async (id) => {
    expectError(await get(`/relay/v1/requests/${id}`), 404, 'not_found');
  });

  test.each([
    ['/relay/v1/requests?limit=0', 'limit'], ['/relay/v1/requests?limit=1001', 'limit'], ['/relay/v1/requests?limit=x', 'limit'],
    ['/relay/v1/requests?cursor=../../etc:1', 'cursor'], ['/relay/v1/requests?errors=1', 'errors'], ['/relay/v1/requests?since=soon', 'since'],
    ['/relay/v1/requests?since=2026-11-02&until=2026-11-01', 'since'], ['/relay/v1/usage?by=prompt', 'by'], ['/relay/v1/usage?until=2026-02-30', 'until'],
  ])('%s is refused and the parameter named', async (path, param) => {
    const answer = await get(path);
    expectError(answer, 400, 'invalid_request_error');
    expect(answer.error?.['param']).toBe(param);
  });

  test('accounts and metrics need the scope, and everything needs a key', async () => {
    for (const path of ['/relay/v1/accounts', '/metrics']) {
      expectError(await get(path, own), 403, 'insufficient_scope');
      expect((await get(path, seeing)).status).toBe(200);
    }
    for (const path of ['/relay/v1/usage', '/relay/v1/requests', '/relay/v1/requests/req_1', '/relay/v1/accounts', '/relay/v1/events', '/metrics']) {
      expectError(await get(path, null), 401, 'invalid_api_key');
    }
  });

  test('accounts are those of relay keys list', async () => {
    expect(dataOf(await get('/relay/v1/accounts'))).toEqual(JSON.parse(JSON.stringify(await relay.daemon.control.call('accounts.list', {}))));
  });

  test('metrics count what relay usage counts', async () => {
    const { text, headers } = await get('/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const sum = (name: string, label = ''): number => [...text.matchAll(new RegExp(`^${name}\\{([^}]*)\\} (\\S+)$`, 'gm'))]
      .filter(([, labels]) => labels?.includes(label)).reduce((total, [, , value]) => total + Number(value), 0);
    const { totals } = await relay.daemon.control.call('usage.report', { since: null, until: null, by: [] });
    expect(totals.cost.list).toBeGreaterThan(0);
    expect(sum('relay_requests_total')).toBe(totals.requests);
    expect(sum('relay_tokens_total', 'kind="input"')).toBe(totals.tokens.input);
    expect(sum('relay_tokens_total', 'kind="output"')).toBe(totals.tokens.output);
    expect(sum('relay_cost_list_usd_total')).toBeCloseTo(totals.cost.list / 1e9, 9);
    expect(sum('relay_cost_charged_usd_total')).toBeCloseTo(totals.cost.charged / 1e9, 9);
    expect(sum('relay_upstream_attempts_total')).toBe(8);
    expect(sum('relay_outcomes_total', 'outcome="refused"')).toBe(1);
    expect(sum('relay_request_duration_seconds_count')).toBe(8);
    expect(sum('relay_ttft_seconds_count')).toBe(8);
    expect(sum('relay_account_ready')).toBe(2);
    expect(text).toMatch(/^relay_requests_in_flight 0$/m);
    expect(Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])).toBeGreaterThan(10e6);
  });
});

/** The events of a stream as they come. */
async function listen(relay: ServedRelay, key?: string): Promise<{ readonly text: () => string; readonly response: Response; stop(): Promise<void> }> {
  const ending = new AbortController();
  const response = await relay.call('/relay/v1/events', { ...(key !== undefined && { key }), signal: ending.signal });
  let text = '';
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  })().catch(() => {});
  return {
    text: () => text,
    response,
    async stop() {
      ending.abort();
      await within(reading, 'the end of the stream');
    },
  };
}

describe('/relay/v1/events', () => {
  test('tells of each request as it begins and ends: to its own client, and to those who see all', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const [small, other] = [await relay.client('small'), await relay.client('other')];
    const streams = { all: await listen(relay), small: await listen(relay, small), other: await listen(relay, other) };
    expect(streams.all.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const { id } = await relay.ask('/v1/chat/completions', { key: small, body: ask('Say hello') });
    const line = await relay.line(id);
    for (const stream of [streams.all, streams.small]) {
      await waitFor(() => stream.text().includes('event: finish'), 'the end of the request');
      expect(stream.text()).toContain(`event: begin\ndata: {"id":"${id}"`);
      const finish = /^event: finish\ndata: (.*)\n\n/m.exec(stream.text())?.[1] ?? '';
      expect(JSON.parse(finish)).toEqual(JSON.parse(JSON.stringify(line)));
    }
    expect(streams.other.text()).not.toContain('data:');
    for (const stream of Object.values(streams)) await stream.stop();
  });

  test('tells those who come later what runs already', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    relay.upstream.script('a', [{ do: 'answer', text: 'a b c d', break: { at: { afterDeltas: 1 }, how: 'hang' } }]);
    const leaving = new AbortController();
    const running = relay.call('/v1/chat/completions', { body: ask('Say slowly', { stream: true }), signal: leaving.signal });
    await running;
    const stream = await listen(relay);
    await waitFor(() => stream.text().includes('event: begin'), 'the running request');
    leaving.abort();
    await waitFor(() => stream.text().includes('"outcome":"client_closed"'), 'its end');
    await stream.stop();
  });

  test('says that it lives while nothing happens', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    const stream = await listen(relay);
    await waitFor(() => stream.text().length > 0, 'the first words');
    relay.clock.advance(45_000);
    await waitFor(() => stream.text().split(': heartbeat\n\n').length === 4, 'three heartbeats');
    await stream.stop();
  });

  test('a client has four streams at most, and a place is free again once one is closed', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const streams = await Promise.all(Array.from({ length: 4 }, () => listen(relay)));
    expectError(await relay.ask('/relay/v1/events'), 429, 'concurrency_limit');
    await streams[0]?.stop();
    const again = await waitFor(async () => {
      const stream = await listen(relay);
      if (stream.response.status === 200) return stream;
      await stream.stop();
      return null;
    }, 'a free place');
    for (const stream of [...streams, again]) await stream.stop();
  });

  test('HEAD ends at once', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const answer = await within(relay.call('/relay/v1/events', { method: 'HEAD' }), 'the answer');
    expect(answer.status).toBe(200);
    expect(await within(answer.text(), 'its end')).toBe('');
  });

  test('an open stream does not hold up a stop', async () => {
    const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
    const stream = await listen(relay);
    await within(relay.stop(), 'the stop', 5_000);
    await stream.stop();
  });
});
