import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, onTestFinished, test } from 'vitest';

import { DEFAULT_CONFIG, parseConfig } from '../../src/core/config.ts';
import type { Config } from '../../src/core/config.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { createSpanExport } from '../../src/io/otlp-export.ts';
import type { SpanExport } from '../../src/io/otlp-export.ts';
import { toOtlpSpan } from '../../src/io/otlp-span.ts';
import { createUpstream } from '../../src/io/upstream.ts';
import { closeRecord } from '../accounting/close-record.ts';
import { keptLog } from '../storage/journal-fixture.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor, within } from '../support/wait-for.ts';

interface Collected {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: JsonObject;
}

interface Collector {
  readonly url: string;
  readonly calls: Collected[];
  /** What is answered from now on; null: the connection is broken. */
  answer: number | null;
}

async function startCollector(): Promise<Collector> {
  const calls: Collected[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    request.on('end', () => {
      calls.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text) });
      if (collector.answer === null) request.socket.resetAndDestroy();
      else response.writeHead(collector.answer, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const collector: Collector = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls, answer: 200 };
  return collector;
}

interface Exporting {
  readonly spans: SpanExport;
  readonly clock: FakeClock;
  readonly log: ReturnType<typeof keptLog>;
  settings: Config;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function exporter(telemetry: Partial<Config['telemetry']>): Exporting {
  const clock = fakeClock();
  const log = keptLog();
  const upstream = createUpstream({ useProxyEnv: false, clock });
  const made: Exporting = {
    clock, log, settings: { ...DEFAULT_CONFIG, telemetry: { headers: {}, ...telemetry } },
    spans: createSpanExport({ send: upstream.send, settings: () => made.settings, clock, log, version: '1.2.3' }),
  };
  closers.push(() => upstream.close());
  return made;
}

const spansOf = ({ body }: Collected): JsonObject[] => {
  const read = JSON.parse(JSON.stringify(body)) as { resourceSpans: { scopeSpans: { spans: JsonObject[] }[] }[] };
  return read.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
};

describe('a span', () => {
  const attributes = (record: Parameters<typeof toOtlpSpan>[0]): Record<string, unknown> =>
    Object.fromEntries(toOtlpSpan(record).attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

  test('says what the GenAI conventions ask for, and what Relay knows besides', () => {
    const record = closeRecord({ provider: 'chatgpt', account: 'work', tier: { asked: 'auto', served: 'default' } });
    expect(attributes(record)).toMatchObject({
      'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'relay-mini', 'gen_ai.response.model': 'relay-mini',
      'gen_ai.usage.input_tokens': '1000', 'gen_ai.usage.output_tokens': '50', 'gen_ai.usage.cache_read.input_tokens': '400',
      'openai.response.service_tier': 'default', 'relay.request.id': record.id, 'relay.account': 'work', 'relay.cost.list_usd': 0.0001, 'relay.ttft_ms': '300',
    });
    expect(toOtlpSpan(record)).toMatchObject({
      name: 'chat relay-mini', kind: 3, status: { code: 0 },
      startTimeUnixNano: `${record.t - 2_000}000000`, endTimeUnixNano: `${record.t}000000`,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/), spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  test('of a failure has its code and never its message', () => {
    const failed = closeRecord({ outcome: 'failed', status: 502, tokens: null, error: { code: 'upstream_error', message: 'It said: "my prompt".' } });
    expect(attributes(failed)).toMatchObject({ 'error.type': 'upstream_error', 'http.response.status_code': '502' });
    expect(JSON.stringify(toOtlpSpan(failed))).not.toContain('my prompt');
    expect(attributes(failed)).not.toHaveProperty('gen_ai.usage.input_tokens');
    expect(toOtlpSpan(failed).status.code).toBe(2);
  });

  test('of the same request is the same, of another request another', () => {
    expect(toOtlpSpan(closeRecord({ id: 'req_1' })).traceId).toBe(toOtlpSpan(closeRecord({ id: 'req_1' })).traceId);
    expect(toOtlpSpan(closeRecord({ id: 'req_1' })).traceId).not.toBe(toOtlpSpan(closeRecord({ id: 'req_2' })).traceId);
  });
});

describe('the export', () => {
  test('sends nothing and keeps nothing while no collector is set', async () => {
    const { spans, clock } = exporter({});
    spans.add(closeRecord());
    expect(clock.pending).toBe(0);
    await spans.close();
  });

  test('gathers for two seconds, then sends one batch to the path of the signal, with the headers set', async () => {
    const collector = await startCollector();
    const { spans, clock } = exporter({ otlpEndpoint: `${collector.url}/base/`, headers: { 'X-Collector-Key': 'made-up' } });
    for (let index = 0; index < 3; index += 1) spans.add(closeRecord({ id: `req_${index}` }));
    clock.advance(1_999);
    expect(collector.calls).toHaveLength(0);
    clock.advance(1);
    await waitFor(() => collector.calls.length === 1, 'the batch');
    expect(collector.calls[0]?.path).toBe('/base/v1/traces');
    expect(collector.calls[0]?.headers).toMatchObject({ 'x-collector-key': 'made-up', 'content-type': 'application/json' });
    expect(spansOf(collector.calls[0]!)).toHaveLength(3);
  });

  test('asks a collector that fails again, ever more rarely, and loses nothing meanwhile', async () => {
    const collector = await startCollector();
    collector.answer = 503;
    const { spans, clock, log } = exporter({ otlpEndpoint: `${collector.url}/v1/traces` });
    spans.add(closeRecord());
    clock.advance(2_000);
    await waitFor(() => collector.calls.length === 1 && clock.nextIn === 5_000, 'the first try, and a second one planned');
    collector.answer = null;
    clock.advance(5_000);
    await waitFor(() => collector.calls.length === 2 && clock.nextIn === 10_000, 'the second try, and a third planned for later');
    collector.answer = 200;
    spans.add(closeRecord({ id: 'req_2' }));
    clock.advance(10_000);
    await waitFor(() => collector.calls.length === 3, 'the third try');
    expect(spansOf(collector.calls[2]!)).toHaveLength(2);
    await waitFor(() => log.lines.length === 2, 'both lines of the log');
    expect(log.lines).toEqual([expect.stringContaining('cannot be delivered'), expect.stringContaining('takes spans again')]);
  });

  test('drops what is refused for good', async () => {
    const collector = await startCollector();
    collector.answer = 401;
    const { spans, clock } = exporter({ otlpEndpoint: collector.url });
    spans.add(closeRecord());
    clock.advance(2_000);
    await waitFor(() => collector.calls.length === 1, 'the call');
    await waitFor(() => clock.pending === 0, 'nothing left to do');
    collector.answer = 200;
    spans.add(closeRecord({ id: 'req_2' }));
    clock.advance(2_000);
    await waitFor(() => collector.calls.length === 2, 'the next call');
    expect(spansOf(collector.calls[1]!)).toHaveLength(1);
  });

  test('keeps 2,048 at most; the oldest give way', async () => {
    const collector = await startCollector();
    const { spans, clock } = exporter({ otlpEndpoint: collector.url });
    for (let index = 0; index < 3_000; index += 1) spans.add(closeRecord({ id: `req_${index}` }));
    clock.advance(2_000);
    await waitFor(() => collector.calls.length === 8, 'eight batches');
    const ids = collector.calls.flatMap(spansOf).map(({ traceId }) => traceId);
    expect(ids).toHaveLength(2_048);
    expect(ids).toContain(toOtlpSpan(closeRecord({ id: 'req_2999' })).traceId);
    expect(ids).not.toContain(toOtlpSpan(closeRecord({ id: 'req_0' })).traceId);
  });

  test('sends what waits when Relay stops, and waits no longer than two seconds for it', async () => {
    const collector = await startCollector();
    const sent = exporter({ otlpEndpoint: collector.url });
    sent.spans.add(closeRecord());
    await within(sent.spans.close(), 'the end');
    expect(collector.calls).toHaveLength(1);

    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void mute.closeAllConnections());
    onTestFinished(() => void mute.close());
    const held = exporter({ otlpEndpoint: `http://127.0.0.1:${(mute.address() as AddressInfo).port}` });
    held.spans.add(closeRecord());
    const closing = held.spans.close();
    held.clock.advance(2_000);
    await within(closing, 'the end without an answer');
  });

  test('follows the settings: an endpoint taken out ends it', async () => {
    const collector = await startCollector();
    const made = exporter({ otlpEndpoint: collector.url });
    made.spans.add(closeRecord());
    made.settings = DEFAULT_CONFIG;
    made.clock.advance(2_000);
    await waitFor(() => made.log.lines.length === 1, 'the log line');
    expect(collector.calls).toHaveLength(0);
  });

  test('an endpoint that is neither https nor this machine is no setting', () => {
    expect(parseConfig({ telemetry: { otlpEndpoint: 'http://collector.example:4318' } }).ok).toBe(false);
    expect(parseConfig({ telemetry: { otlpEndpoint: 'https://collector.example' } }).ok).toBe(true);
    expect(parseConfig({ telemetry: { otlpEndpoint: 'http://localhost:4318' } }).ok).toBe(true);
  });
});
